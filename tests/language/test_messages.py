"""What the author of a wrong file reads, to the letter."""

from __future__ import annotations

import os

import pytest

from tests.language.conftest import MINIMAL, Broken, Load, Shown, summary


def test_an_unknown_key(shown: Shown) -> None:
    assert shown(MINIMAL.replace("  client: {usage: client}", "  client: {usgae: client}")) == (
        "scenario.yaml:4:12: error: there is no key 'usgae' here\n"
        " 4 |   client: {usgae: client}\n"
        "   |            ^^^^^\n"
        "   = did you mean 'usage'?\n"
    )


def test_a_key_without_its_colon(shown: Shown) -> None:
    text = MINIMAL.replace("  client: {usage: client}", "  client: {usage client, days: 9}")
    assert shown(text) == (
        "scenario.yaml:4:12: error: there is no key 'usage client' here\n"
        " 4 |   client: {usage client, days: 9}\n"
        "   |            ^^^^^^^^^^^^\n"
        "   = expected: usage: …, with a colon\n"
    )
    assert "with a colon" not in shown(text.replace("usage client", "usgae client"))


def test_an_unknown_word(shown: Shown) -> None:
    assert shown(MINIMAL.replace("{certificate: server}", "{client_auth: requierd}")) == (
        "scenario.yaml:5:23: error: this is not a mode of client_auth\n"
        " 5 | server: {client_auth: requierd}\n"
        "   |                       ^^^^^^^^\n"
        "   = expected: one of: none, optional, optional_no_ca, required\n"
        "   = did you mean 'required'?\n"
    )


def test_an_id_that_names_nothing(shown: Shown) -> None:
    assert shown(MINIMAL.replace("    client: client", "    client: clinet")) == (
        "scenario.yaml:8:13: error: there is no authority or leaf 'clinet'\n"
        " 8 |     client: clinet\n"
        "   |             ^^^^^^\n"
        "   = expected: one of: ca, server, client\n"
        "   = did you mean 'client'?\n"
    )


def test_what_is_said_of_a_server_and_not_of_a_case(shown: Shown) -> None:
    assert shown(MINIMAL.replace("expect: accepted", "expect: {starts: false}")) == (
        "scenario.yaml:9:14: error: there is no key 'starts' here\n"
        " 9 |     expect: {starts: false}\n"
        "   |              ^^^^^^\n"
        "   = expected: server: {expect: {starts: …}}; it is a case of its own\n"
    )


def test_a_piece_of_the_labs_material_that_there_is_not(shown: Shown) -> None:
    said = shown(MINIMAL.replace("{certificate: server}", "{certificate: server, files: {/a: leaves.server.kez}}"))
    assert "   = did you mean 'leaves.server.key'?\n" in said
    assert "did you mean" not in shown(
        MINIMAL.replace("{certificate: server}", "{certificate: server, files: {/a: server}}")
    )


def test_a_missing_key(shown: Shown) -> None:
    assert shown(MINIMAL.replace("    expect: accepted\n", "")) == (
        "scenario.yaml:7:5: error: 'expect' is missing\n 7 |   - name: good\n   |     ^^^^\n"
        "   = expected: what must be seen; `mtls-run record scenario.yaml` writes what happens\n"
    )


def test_what_all_cases_lack_is_told_once(shown: Shown) -> None:
    cases = "".join(f"  - {{name: case {number}, client: client}}\n" for number in range(3))
    said = shown(MINIMAL.replace("    expect: accepted\n", "") + cases)
    assert said.startswith("scenario.yaml:7:5: error: 'expect' is missing, here and in 3 more cases\n")
    assert said.count("error:") == 1


def test_a_reason_that_its_outcome_can_not_have(shown: Shown) -> None:
    text = MINIMAL + "  - {name: bad, client: client, expect: {no-connection: expired}}\n"
    assert shown(text) == (
        "scenario.yaml:10:57: error: expired can't be the reason where the outcome is no-connection\n"
        " 10 |   - {name: bad, client: client, expect: {no-connection: expired}}\n"
        "    |                                                         ^^^^^^^\n"
        "    = expected: one of: closed, name-not-resolved, not-tls, refused, reset\n"
    )


def test_broken_yaml(shown: Shown) -> None:
    assert shown("server: {tls: [TLSv1.2\nname: x\n") == (
        "scenario.yaml:1:15: error: this list has no end, or a comma is missing in it\n"
        " 1 | server: {tls: [TLSv1.2\n"
        "   |               ^\n"
        "   = expected: ',' or ']'\n"
    )


def test_a_file_that_is_no_mapping(shown: Shown) -> None:
    assert shown("- a\n") == (
        "scenario.yaml:1:1: error: a mapping (key: value) is expected here, not a list\n 1 | - a\n   | ^\n"
    )


def test_all_mistakes_at_once_also_those_that_only_planning_finds(broken: Broken) -> None:
    text = """\
nmae: x
ca: {subject: "CN=x,,O=y", days: "5"}
leaves:
  server: {san: [localhost, "IP:1.2.3"]}
  good: {like: server, issuer: cb}
server: {trust: [ca, cc], tls: TLSv1.4, response: {status: 99}}
cases:
  - name: one
    client: clint
    expect: {server-refused: expird}
  - name: one
    expect: {accepted: expired}
  - name: two
    expect: {outcome: accepted, reason: expired, body: {matches: "("}}
  - client: good
    expect: acepted
matrix:
  client.tls: [TLSv1.2, TLSv1.5]
  cleint.tool: curl
  client.tol: curl
"""
    assert summary(broken(text)) == [
        "1:1 there is no key 'nmae' here",
        "2:15 this is not a distinguished name as RFC 4514 writes it",
        "2:34 a whole number is expected here, not text",
        "4:29 this is not an IP address",
        "5:32 there is no authority or leaf 'cb'",
        "6:22 there is no authority or leaf 'cc'",
        "6:32 this is not a TLS version",
        "6:60 this number is out of range",
        "9:13 there is no authority or leaf 'clint'",
        "10:30 this is not a reason",
        "11:11 a case of this name is already at line 8",
        "14:41 expired can't be the reason where the outcome is accepted",
        "14:56 this regular expression is broken: missing ), unterminated subpattern",
        "15:5 'name' is missing: a case needs it",
        "16:13 this is not an outcome",
        "18:25 this is not a TLS version",
        "19:3 this is not a path into the server or the client",
        "20:3 there is no key 'tol' here",
    ]


def test_duplicate_keys_are_said_beside_the_rest(broken: Broken) -> None:
    text = MINIMAL.replace("server}\n", "server}\nserver: {tls: [x]}\n").replace("accepted", "acepted")
    assert summary(broken(text)) == [
        "6:1 duplicate key: the same key is already at line 5, column 1",
        "10:13 this is not an outcome",
    ]


def test_a_name_that_another_tool_uses(broken: Broken) -> None:
    text = MINIMAL.replace("{certificate: server}", "{ssl_verify_client: on, cacert: ca}")
    assert [(one.message, one.suggestion) for one in broken(text)] == [
        ("there is no key 'ssl_verify_client' here", "client_auth"),
        ("there is no key 'cacert' here", "trust"),
    ]


def test_nothing_behind_a_key_is_no_default(broken: Broken, load_text: Load) -> None:
    assert load_text(MINIMAL).cases
    assert summary(broken(MINIMAL.replace("    client: client", "    client: {certificate: client, tls: }"))) == [
        "8:35 a value is expected here, not nothing"
    ]


def test_no_message_speaks_of_pydantic(broken: Broken) -> None:
    text = "name: {}\ntags: 1\nca: x\nleaves: []\nserver: 3\ncases: {a: b}\nmatrix: y\nextra: z\n"
    for diagnostic in broken(text):
        words = diagnostic.message + diagnostic.expected
        assert not any(jargon in words for jargon in ("permitted", "valid ", "dictionary", "Input", "model", "type="))


@pytest.mark.parametrize("typed", ["{[]: expired}", "{[server-refused]: x}", "{{a: b}: c, reason: x}"])
def test_a_key_that_is_no_word(shown: Shown, typed: str) -> None:
    assert "a key must be a word, not a list or a mapping" in shown(
        MINIMAL.replace("expect: accepted", f"expect: {typed}")
    )


TYPED = """\
ca: {subject: CN=Root}
leaves:
  server: {}
  client: {usage: client}
server: {certificate: server, trust: ca}
cases:
  - name: good
    client: client
    expect: accepted
"""
DN = 'quotes around a name with commas: subject: "CN=…,O=…"'


def _server(setting: str) -> str:
    return TYPED.replace("trust: ca}", f"trust: ca, {setting}}}")


def _client(setting: str) -> str:
    return TYPED.replace("client: client\n", f"client: {{certificate: client, {setting}}}\n")


def _expect(written: str) -> str:
    return TYPED.replace("expect: accepted", f"expect: {written}")


@pytest.mark.parametrize(
    ("typed", "place", "said", "expected", "meant"),
    [
        *(
            (_server(f"client_auth: {word}"), "5:55", "this is not a mode of client_auth", None, meant)
            for word, meant in (
                ("on", "required"),
                ("true", "required"),
                ("yes", "required"),
                ("mandatory", "required"),
            )
        ),
        (_server("client_auth: off"), "5:55", "this is not a mode of client_auth", None, "none"),
        (
            _expect("server-refused: no-certificate"),
            "9:27",
            "a ':' can't stand here",
            "{server-refused: no-certificate}, in braces",
            "",
        ),
        (
            TYPED.partition("cases:")[0] + "cases:\n  - {name: good, expect: server-refused: no-certificate}\n",
            "7:40",
            "a ':' can't stand here",
            "{server-refused: no-certificate}, in braces",
            "",
        ),
        (_expect("{accepted: 200}"), "9:24", "'accepted' has no reason", "status: 200", ""),
        (_expect("{rejected: expired}"), "9:14", "there is no key 'rejected' here", None, "server-refused"),
        (_expect("{no-connection: refusd}"), "9:29", "this is not a reason", None, "refused"),
        (_expect(""), "9:5", "nothing is expected here", None, ""),
        (
            TYPED.replace("server: {}", "server: {san: *.example.com}"),
            "3:17",
            "a '*' at the beginning makes an alias of it",
            'quotes around it: "*.example.com"',
            "",
        ),
        (TYPED.replace("usage: client", "subject: CN=a,O=b"), "4:26", "there is no key 'O=b' here", DN, ""),
        (TYPED.replace("usage: client", "subject: CN=a, O=b"), "4:27", "there is no key 'O=b' here", DN, ""),
        *(
            (f"{TYPED}matrix: {{{axis}}}\n", "10:10", "this is not a path into the server or the client", None, meant)
            for axis, meant in (
                ("tls: [TLSv1.2]", "client.tls"),
                ("tool: curl", "client.tool"),
                ("backend: nginx", "server.backend"),
                ("cleint.tls: [TLSv1.2]", "client.tls"),
            )
        ),
        (_client("headers: {a: b}"), "8:35", "there is no key 'headers' here", "request: {headers: …}", ""),
        (
            _client("request: {tls: TLSv1.2}"),
            "8:45",
            "there is no key 'tls' here",
            "'tls' beside 'request', not under it",
            "",
        ),
        (
            TYPED.replace("    client: client", "    - client: client"),
            "8:5",
            "a list item ('- ') among the keys of a mapping",
            None,
            "",
        ),
        (TYPED.replace("    client: client", "\tclient: client"), "8:1", "a tab can't indent", "spaces", ""),
        (
            TYPED.replace("trust: ca}", "trust: ca"),
            "5:9",
            "this mapping has no end, or a comma is missing in it",
            "',' or '}'",
            "",
        ),
        (
            TYPED.replace("usage: client", "certificate: nope.crt"),
            "4:25",
            "there is no such file",
            "",
            "",
        ),
        (
            TYPED.replace("usage: client", "passphrase: {env: LAB_NOPE}"),
            "4:24",
            "the environment variable LAB_NOPE is not set",
            "",
            "",
        ),
        (_client('server_name: "[::1]"'), "8:48", "an address has brackets only in a URL", None, ""),
        (_expect("{outcome: accepted, status: 99999}"), "9:41", "this is no HTTP status", "100 to 999", ""),
        (_expect("{outcome: accepted, client_verify: OK}"), "9:48", "this is never seen here", None, ""),
        (
            _expect("{outcome: accepted, client_chain: [clint]}"),
            "9:47",
            "there is no authority or leaf 'clint'",
            "one of: ca, client, server",
            "client",
        ),
        (
            _expect("{outcome: accepted, handshake: ClintHello}"),
            "9:44",
            "not all of these are handshake messages",
            None,
            "ClientHello",
        ),
        (
            TYPED.replace("server: {certificate", "servers: {certificate"),
            "5:24",
            "a mapping (key: value) is expected here, not text",
            "ids here, and under each its keys; the only server's stand under server:",
            "",
        ),
        (
            TYPED.replace("ca: {", "authorities: {"),
            "1:24",
            "a mapping (key: value) is expected here, not text",
            "ids here, and under each its keys; the only authority's stand under ca:",
            "",
        ),
        (TYPED.replace("usage: client", "san: [300.1.1.1]"), "4:18", "this is not an IP address", None, ""),
        (
            TYPED.partition("  - name")[0] + "  good: {client: client, expect: accepted}\n",
            "6:1",
            "a list is expected here, not a mapping",
            "items, each behind '- '",
            "",
        ),
    ],
)
def test_what_people_type(broken: Broken, typed: str, place: str, said: str, expected: str | None, meant: str) -> None:
    (first, *_) = broken(typed)
    assert summary([first]) == [f"{place} {said}"]
    assert first.suggestion == meant
    assert expected is None or first.expected == expected


@pytest.mark.parametrize(
    "right",
    [
        TYPED,
        _server("client_auth: required"),
        _expect("{server-refused: no-certificate}"),
        _expect("{outcome: accepted, status: 299, curl_exit: [0, 18], alert: [null, bad_certificate]}"),
        _expect("{outcome: accepted, client_verify: [SUCCESS, 'FAILED:certificate has expired']}"),
        _expect("{outcome: accepted, client_chain: [client], handshake: [ClientHello, Finished]}"),
        TYPED.replace("server: {}", 'server: {san: ["*.example.com", 127.0.0.1, 1.example.com], subject: "CN=a,O=b"}'),
        f"{TYPED}matrix: {{client.tls: [TLSv1.2]}}\n",
        _client("request: {headers: {a: b}}"),
        TYPED.replace("usage: client", "certificate: nope.crt").replace("accepted", "{client-unusable: missing-file}"),
    ],
)
def test_what_is_right(load_text: Load, right: str) -> None:
    assert load_text(right).cases


def test_a_passphrase_that_is_no_text(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environb, b"LAB_LATIN", b"stra\xdfe")
    typed = TYPED.replace("usage: client", "passphrase: {env: LAB_LATIN}")
    assert summary(broken(typed)) == ["4:24 the value of the environment variable LAB_LATIN is not UTF-8"]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (
            "{outcome: accepted, curl_exit: 35}",
            "9:44 this can never hold: curl exits with 0 where the outcome is accepted",
        ),
        ("{outcome: accepted, curl_exit: [0, 35]}", ""),
        (
            "{outcome: accepted, alert: bad_certificate}",
            "9:40 this can never hold: there is no fatal alert where the outcome is",
        ),
        ("{outcome: accepted, alert: null}", ""),
    ],
)
def test_what_an_accepted_client_can_not_have(load_text: Load, typed: str, said: str) -> None:
    told = [one for one in summary(list(load_text(_expect(typed)).warnings)) if "can never hold" in one]
    assert len(told) == bool(said)
    assert all(one.startswith(said) for one in told)


@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("ca: {subject: CN=Root}", "ca: CN=Root", "expected: such as {subject: CN=Lab Root CA}"),
        ("{certificate: server}", "{response: hello}", "expected: such as {status: 200, body: hello}"),
        ("client: client\n", "client: {request: /orders}\n", "expected: such as {path: /orders}"),
        ("{usage: client}", "{key: [rsa-2048]}", "a list can't stand here"),
        ("{certificate: server}", "{trust: null}", "a value is expected here, not nothing"),
        ("{usage: client}", "{days: 1.5}", "a whole number is expected here, not a decimal number"),
        ("{usage: client}", "{key: {file: a.key}}", "'file' needs 'certificate' beside 'key'"),
        ("{usage: client}", "{san: 'DNS:localhost,IP:127.0.0.1'}", "expected: a list: [DNS:localhost, IP:127.0.0.1]"),
        ("{usage: client}", "{usage:client}", "a space is missing behind 'usage:'"),
        ("{usage: client}", "{ocsp: there}", "expected: responders: in this file, or a URI"),
        ("{certificate: server}", "{refusal: 403}", "expected: closed, or an answer's form: {status: 403}"),
        ("{certificate: server}", "{backend: openssl}", "did you mean 's_server'?"),
        ("{certificate: server}", "{backend: {}}", "'command' is missing: 'backend' needs it"),
        ("expect: accepted", "expect: {server-refused: no-cert}", "did you mean 'no-certificate'?"),
        ("expect: accepted", "expect: server-started", "expected: server: {expect: {starts: …}}"),
        ("expect: accepted", "expect: {outcome: accepted, client_subject: alice}", "as RFC 4514 writes it"),
        ("expect: accepted", "expect: {outcome: accepted, client_chain: [x]}", "expected: one of: ca, client, server"),
        ("{certificate: server}", "{ciphers: ''}", "expected: names, in a list or with ':' between them"),
        ("expect: accepted", "expect: {outcome: accepted, client_ca_names: [ca]}", "as RFC 4514 writes it"),
        ("expect: accepted", "steps: [{expect: accepted}, relaod]", "did you mean 'reload'?"),
        ("expect: accepted", "steps: [{expect: accepted}, restart]", "expected: {restart: …}"),
        ("expect: accepted", "steps: [{expect: accepted}, {resume: x, expect: accepted}]", "a name that a step before"),
    ],
)
def test_what_would_be_right(shown: Shown, right: str, wrong: str, told: str) -> None:
    assert right in MINIMAL
    assert told in shown(MINIMAL.replace(right, wrong))


def test_who_answers_nothing_at_all(shown: Shown) -> None:
    assert "nothing is listed here" in shown(MINIMAL + "responders: {one: {answer: []}}\n")


def test_what_names_something_in_a_broken_part_is_right(shown: Shown) -> None:
    leaves = "leaves:\n  server: {}\n  client: {usage: client}\n"
    assert leaves in MINIMAL
    for broken in ("leaves: [server, client]\n", "leaves:\n  - server: {}\n  - client: {usage: client}\n"):
        text = shown(MINIMAL.replace(leaves, broken))
        assert "expected: ids here, and under each its keys" in text
        assert text.count("error:") == 1
    assert "'clinet'" in shown(
        MINIMAL.replace(leaves, "leaves: [server, client]\n").replace(": client\n", ": clinet\n")
    )


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("name:abc\nca: {}\n", "1:5", "a space is missing behind this ':'"),
        ("ca\nleaves: {}\n", "1:1", "a ':' is missing behind this key"),
        ("ca = {}\nleaves: {}\n", "1:1", "a ':' is missing behind this key"),
        ("leaves # two\n\n  # here\n  server: {}\n", "1:1", "a ':' is missing behind this key"),
        ("cases:\n  - name:a\n    client: x\n", "2:9", "a space is missing behind this ':'"),
        ("description: this is\n  more text\n  and: colon\n", "3:6", "a ':' can't stand here"),
        ("ca:\n  subject: CN=a: b\n", "2:16", "a ':' can't stand here"),
        ("leaves: {server: {san: [DNS:]}}\n", "1:28", "a ':' can't stand here"),
        ("name: 'it's'\n", "1:11", "text behind the end of a quoted one"),
    ],
)
def test_slips_that_the_parser_finds_a_line_later(shown: Shown, text: str, place: str, told: str) -> None:
    assert shown(text).startswith(f"scenario.yaml:{place}: error: {told}\n")


def test_a_connection_that_goes_by_the_name_of_two(shown: Shown, load_text: Load) -> None:
    steps = "steps: [{name: x, expect: accepted}, {name: NAME, expect: accepted}, {resume: x, expect: accepted}]"
    text = MINIMAL.replace("expect: accepted", steps)
    assert "several connections before this one have that name" in shown(text.replace("NAME", "x"))
    assert load_text(text.replace("NAME", "y")).cases
