"""``expect:``: forms, ``where:``, and what can't be expected."""

from __future__ import annotations

import pytest

from mtls_runner.model.case import Case, Check, Match, Matcher
from tests.language.conftest import MINIMAL, Broken, Load, summary

Found = dict[str, list[tuple[str, object]]]


def checks(case: Case) -> Found:
    found: Found = {}
    for check in case.expect.checks:
        found.setdefault(check.path, []).extend((matcher.kind.value, matcher.value) for matcher in check.alternatives)
    return found


def expecting(load_text: Load, typed: str) -> Found:
    return checks(load_text(MINIMAL.replace("expect: accepted", f"expect: {typed}")).cases[0])


def equals(value: object) -> list[tuple[str, object]]:
    return [("equals", value)]


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("accepted", "{outcome: accepted}"),
        ("[accepted, server-refused]", "{outcome: [accepted, server-refused]}"),
        ("{server-refused: expired}", "{outcome: server-refused, reason: expired}"),
        (
            "{server-refused: [expired, unknown-ca], status: 400}",
            "{outcome: server-refused, reason: [expired, unknown-ca], status: [400]}",
        ),
    ],
)
def test_short_forms(load_text: Load, short: str, long: str) -> None:
    assert expecting(load_text, short) == expecting(load_text, long)


def test_every_key(load_text: Load) -> None:
    assert expecting(
        load_text,
        """
      outcome: accepted
      status: [200, 204]
      headers: {Content-Type: text/plain, x-gone: null, x-list: [a, {contains: b}]}
      body: {matches: "^a"}
      curl_exit: 0
      alert: null
      alert_from: [null, server]
      ssl_verify_result: 0
      server_verify_code: 0
      tls_version: TLSv1.3
      cipher: {contains: AES}
      alpn: null
      server_subject: CN=a
      client_subject: null
      client_verify: SUCCESS
      client_chain: [client, ca]
      server_chain: {contains: server}
      client_ca_names: []
      upstream_headers: {X-Verify: SUCCESS}
      handshake: [ClientHello, Finished]
      resumed: false
      server_log: {contains: 1.10}
    """,
    ) == {
        "outcome": equals("accepted"),
        "status": [("equals", 200), ("equals", 204)],
        "headers.content-type": equals("text/plain"),
        "headers.x-gone": equals(None),
        "headers.x-list": [("equals", "a"), ("contains", "b")],
        "body": [("matches", "^a")],
        "curl_exit": equals(0),
        "alert": equals(None),
        "alert_from": [("equals", None), ("equals", "server")],
        "ssl_verify_result": equals(0),
        "server_verify_code": equals(0),
        "tls_version": equals("TLSv1.3"),
        "cipher": [("contains", "AES")],
        "alpn": equals(None),
        "server_subject": equals("CN=a"),
        "client_subject": equals(None),
        "client_verify": equals("SUCCESS"),
        "client_chain": equals(("client", "ca")),
        "server_chain": [("contains", "server")],
        "client_ca_names": equals(()),
        "upstream_headers.x-verify": equals("SUCCESS"),
        "handshake": [("in-order", ("ClientHello", "Finished"))],
        "resumed": equals(False),
        "server_log": [("contains", "1.10")],
    }


def test_a_check_knows_its_place(load_text: Load) -> None:
    text = MINIMAL.replace("expect: accepted", "expect: {server-refused: expired, status: 400}")
    spans = {
        check.path: (check.span.line, check.span.column, check.span.end_column)
        for check in load_text(text).cases[0].expect.checks
    }
    assert spans == {"outcome": (9, 14, 28), "reason": (9, 30, 37), "status": (9, 47, 50)}
    (check,) = load_text(MINIMAL).cases[0].expect.checks
    assert (check.span.line, check.span.column) == (9, 13)
    assert load_text(MINIMAL).cases[0].span.line == 7


WHERE = MINIMAL.replace(
    "expect: accepted",
    """expect:
      outcome: server-refused
      reason: expired
      status: 201
      where:
        - {when: {backend: nginx}, expect: {status: 400, curl_exit: 0}}
        - {when: {backend: [python, external], tls: TLSv1.2}, expect: {alert: certificate_expired, curl_exit: 35}}
        - {when: {backend: python, tls: TLSv1.2, tool: curl}, expect: {curl_exit: 60}}
        - {when: {tool: curl, tool_version: ">=8.16"}, expect: {curl_exit: 43}}""",
)


def where(load_text: Load, index: int) -> tuple[Case, Found]:
    matrix = "matrix: {server.backend: [python, nginx], client.tls: [TLSv1.2, TLSv1.3], client.tool: [python, curl]}\n"
    case = load_text(WHERE + matrix).cases[index]
    return case, checks(case)


@pytest.mark.parametrize(
    ("index", "status", "exits", "alert"),
    [
        (0, [201], [35], True),
        (1, [201], [60, 43], True),
        (2, [201], [], False),
        (3, [201], [43], False),
        (4, [400], [0], False),
        (7, [400], [0, 43], False),
    ],
)
def test_what_counts_where(load_text: Load, index: int, status: list[int], exits: list[int], alert: bool) -> None:
    _, found = where(load_text, index)
    assert [value for _, value in found["status"]] == status
    assert [value for _, value in found.get("curl_exit", [])] == exits
    assert ("alert" in found) is alert
    assert found["reason"] == equals("expired")


@pytest.mark.parametrize(
    ("server", "status"),
    [("{backend: nginx}", 201), ("{backend: nginx, runtime: process}", 202), ("{backend: python}", 200)],
)
def test_what_counts_by_runtime(load_text: Load, server: str, status: int) -> None:
    text = (
        WHERE.partition("      where:")[0]
        .replace("status: 201", "status: 200")
        .replace("{certificate: server}", server)
    )
    runtimes = "".join(
        f"        - {{when: {{runtime: {name}}}, expect: {{status: {number}}}}}\n"
        for number, name in enumerate(("container", "process"), 201)
    )
    (case,) = load_text(f"{text}      where:\n{runtimes}").cases
    assert [value for _, value in checks(case)["status"]] == [status]


def test_a_tool_version_stays_on_its_check(load_text: Load) -> None:
    case, _ = where(load_text, 1)
    exits = [check for check in case.expect.checks if check.path == "curl_exit"]
    assert [(check.only_for.tool, check.alternatives) for check in exits] == [
        ("", (Matcher(Match.EQUALS, 60),)),
        (">=8.16", (Matcher(Match.EQUALS, 43),)),
    ]


def test_equal_expectations_are_resolved_once(load_text: Load) -> None:
    first, second = load_text(MINIMAL + "matrix: {client.tool: [python, curl]}\n").cases
    assert first.expect is second.expect
    assert all(isinstance(check, Check) for check in first.expect.checks)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("acepted", "this is not an outcome"),
        ("{outcome: server-started}", "this is not an outcome"),
        ("{}", "'outcome' is missing: without it anything could have happened"),
        ("{status: 200}", "'outcome' is missing: without it anything could have happened"),
        ("{server-refused: expired, client-refused: expired}", "outcome and reason are given more than once here"),
        ("{server-refused: expired, reason: expired}", "outcome and reason are given more than once here"),
        ("{server-refused: name-mismatch}", "name-mismatch can't be the reason where the outcome is server-refused"),
        ("{outcome: accepted, reason: expired}", "expired can't be the reason where the outcome is accepted"),
        ("{no-connection: refused, status: 200}", "no response is ever seen where the outcome is no-connection"),
        ("{outcome: accepted, status: '200'}", "a whole number is expected here, not text"),
        ("{outcome: accepted, body: {contains: a, matches: b}}", "this is not a way to compare"),
        ("{outcome: accepted, body: {contians: a}}", "this is not a way to compare"),
        ("{outcome: accepted, body: {contains: ''}}", "every text contains this"),
        ("{outcome: accepted, body: {matches: ''}}", "every text matches this"),
        ("{outcome: accepted, headers: {a: {matches: '.*'}}}", "every text matches this"),
        ("{outcome: accepted, cipher: {matches: 'x*'}}", "every text matches this"),
        ("{outcome: accepted, handshake: []}", "nothing is expected here"),
        ("[]", "nothing is listed here"),
        ("{outcome: accepted, status: []}", "nothing is listed here"),
        ("{outcome: accepted, headers: {a: []}}", "nothing is listed here"),
        ("{outcome: accepted, where: {when: {backend: []}, expect: {status: 200}}}", "nothing is listed here"),
        ("{outcome: accepted, headers: {}}", "nothing is expected here"),
        ("{outcome: accepted, upstream_headers: {}}", "nothing is expected here"),
        (
            "{outcome: accepted, body: {matches: 'a{99999999999999999999}'}}",
            "this regular expression is broken: the repetition number is too large",
        ),
        (
            "{outcome: accepted, body: {matches: '[[a]'}}",
            "this regular expression is broken: Possible nested set at position 1",
        ),
        ("{outcome: accepted, alert: unkown_ca}", "this is not an alert of RFC 8446"),
        ("{outcome: accepted, alert_from: me}", "this is not an end"),
        ("{outcome: accepted, resumed: yes}", "true or false is expected here, not text"),
        ("{outcome: accepted, headers: {a: {b: c}}}", "this is not a way to compare"),
        ("{outcome: accepted, where: {when: {}, expect: {status: 200}}}", "'when' says nothing"),
        ("{outcome: accepted, where: {when: {tool: curl}, expect: {}}}", "nothing is expected here"),
        ("{outcome: accepted, where: {when: {backend: squid}, expect: {status: 200}}}", "this is not a backend"),
        (
            "{outcome: accepted, where: {when: {tool_version: new}, expect: {status: 200}}}",
            "this is not a range of versions",
        ),
        (
            "{outcome: accepted, where: {when: {tls: TLSv1.2}, expect: {status: 200}}}",
            "no case here is planned to speak this version alone",
        ),
        (
            "{outcome: accepted, where: {when: {tool: curl}}}",
            "'expect' is missing: an entry of where needs it",
        ),
    ],
)
def test_what_can_not_be_expected(broken: Broken, typed: str, message: str) -> None:
    assert [one.message for one in broken(MINIMAL.replace("expect: accepted", f"expect: {typed}"))] == [message]


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("{}", "no form of a refusal is given here"),
        ("{closed: false}", "no form of a refusal is given here"),
        ("{closed: true, status: 403}", "a server that closes without an answer has none to look at"),
        ("close", "this is no way to refuse"),
        ("{headers: {}}", "nothing is expected here"),
        ("{status: often}", "a whole number is expected here, not text"),
    ],
)
def test_what_is_no_way_to_refuse(broken: Broken, typed: str, message: str) -> None:
    text = MINIMAL.replace("server: {cert", f"server: {{refusal: {typed}, cert")
    assert f"refusal: {typed}" in text
    assert [one.message for one in broken(text)] == [message]


@pytest.mark.parametrize("pattern", [".", "^$", "a|$^", "\\\\d*x", "(?s).+"])
def test_a_pattern_that_not_every_text_matches(load_text: Load, pattern: str) -> None:
    found = expecting(load_text, f"{{outcome: accepted, body: {{matches: '{pattern}'}}}}")
    assert found["body"] == [("matches", pattern)]


@pytest.mark.parametrize(
    "end", ["server: {certificate: server, tls: []}", "server: {certificate: server}\nmatrix: {client.tls: [[]]}"]
)
def test_no_version_at_all_is_none(broken: Broken, end: str) -> None:
    text = MINIMAL.replace("server: {certificate: server}", end)
    assert [one.message for one in broken(text)] == ["nothing is listed here"]


def test_a_version_that_the_case_can_not_speak(broken: Broken, load_text: Load) -> None:
    text = MINIMAL.replace("{certificate: server}", "{tls: TLSv1.2}")
    expecting_13 = text.replace("expect: accepted", "expect: {outcome: accepted, tls_version: TLSv1.3}")
    assert summary(broken(expecting_13)) == [
        "9:46 TLSv1.3 can't be spoken in 'good': server and client have TLSv1.2 in common"
    ]
    assert load_text(expecting_13.replace("TLSv1.3", "TLSv1.2")).cases[0].tls is not None


def test_where_is_reachable_by_one_case_of_a_matrix(load_text: Load) -> None:
    text = MINIMAL.replace(
        "expect: accepted", "expect: {outcome: accepted, where: {when: {tls: TLSv1.2}, expect: {status: 200}}}"
    )
    first, second = load_text(text + "matrix: {client.tls: [TLSv1.2, TLSv1.3]}\n").cases
    assert "status" in checks(first)
    assert "status" not in checks(second)


def test_whether_a_server_starts_is_a_case_of_its_own(load_text: Load, broken: Broken) -> None:
    text = MINIMAL[: MINIMAL.index("cases:")].replace(
        "{certificate: server}", "{expect: {starts: false, reason: key-mismatch}}"
    )
    (case,) = load_text(text).cases
    assert case.id == "scenario.yaml::server"
    assert case.client is None
    assert checks(case) == {"outcome": equals("server-unusable"), "reason": equals("key-mismatch")}
    (case,) = load_text(text.replace("false, reason: key-mismatch", "true")).cases
    assert checks(case) == {"outcome": equals("server-started")}
    without = text.replace("expect: {starts: false, reason: key-mismatch}", "certificate: server")
    assert "there are no cases" in [one.message for one in broken(without)]


def test_where_of_a_server_s_own_expectation(load_text: Load) -> None:
    expect = "{starts: false, reason: bad-config, where: {when: {backend: python}, expect: {reason: malformed}}}"
    text = MINIMAL[: MINIMAL.index("cases:")].replace("{certificate: server}", f"{{expect: {expect}}}")
    python, nginx = load_text(text + "matrix: {server.backend: [python, nginx]}\n").cases
    assert checks(python)["reason"] == equals("malformed")
    assert checks(nginx)["reason"] == equals("bad-config")
