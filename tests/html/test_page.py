"""What is in the page, read by a parser of its own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner import load, run
from mtls_runner.errors import Diagnostic
from mtls_runner.model.case import Match
from mtls_runner.model.observation import Observation
from mtls_runner.model.verdict import (
    CaseFinished,
    Event,
    Mismatch,
    Noted,
    PlanFinished,
    PlanStarted,
    RunFinished,
    RunStarted,
    Status,
    Verdict,
)
from tests.html import labs
from tests.html.labs import rendered
from tests.reporters import samples


class Page(HTMLParser):
    """All elements with their attributes, and the visible text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.ids: list[str] = []
        self._hidden = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._hidden = tag in ("script", "style")

    def handle_endtag(self, _tag: str) -> None:
        self._hidden = False

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.elements)

    def with_class(self, name: str) -> list[tuple[str, dict[str, str]]]:
        return [element for element in self.elements if name in element[1].get("class", "").split()]


def of(*verdicts: Verdict, interrupted: bool = False, error: str = "") -> Page:
    plan = samples.plan(*(verdict.case for verdict in verdicts))
    return Page(rendered(samples.events([plan], verdicts, interrupted=interrupted, error=error)))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> str:
    return labs.page(tmp_path_factory.mktemp("hostile"), labs.HOSTILE)


@pytest.fixture(scope="module")
def everyday(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return Page(labs.page(tmp_path_factory.mktemp("everyday"), labs.everyday(9, wrong=1)))


def test_it_needs_nothing_from_elsewhere(everyday: Page) -> None:
    attributes = [(name, value) for _, found in everyday.elements for name, value in found.items()]
    assert [value for name, value in attributes if name in ("src", "srcset", "action", "poster")] == []
    links = [value for name, value in attributes if name in ("href", "xlink:href")]
    assert links
    assert {value for value in links if not value.startswith("#")} == {"data:,"}
    assert [value for name, value in attributes if name.startswith("on") or name == "style"] == []


def test_links_lead_to_places_in_the_page(everyday: Page) -> None:
    ids = [found["id"] for _, found in everyday.elements if "id" in found]
    assert [name for name, times in Counter(ids).items() if times > 1] == []
    links = {found["href"][1:] for _, found in everyday.elements if found.get("href", "").startswith("#")}
    assert links <= set(ids)
    assert {f"p1-{number}" for number in range(10)} & links, "no case links to a certificate"


def test_a_policy_lets_no_other_script_run_and_nothing_load(everyday: Page) -> None:
    [policy] = [found["content"] for _, found in everyday.elements if found.get("http-equiv")]
    directives = dict(directive.strip().split(" ", 1) for directive in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    for kind in ("script-src", "style-src"):
        assert re.fullmatch(r"'sha256-[A-Za-z0-9+/]{43}='", directives[kind])


def test_each_case_is_told_in_full(everyday: Page) -> None:
    assert everyday.count("h1") == 1
    assert len(everyday.with_class("case")) == 18
    for text in (
        "2 failed of 18 cases",
        "server refused the client: expired",
        "reason does not hold",
        "expect: {server-refused: revoked}",
        "foreign-ca is not among what the server trusts",
        "issuing was not sent",
        "its usage is serverAuth, not clientAuth",
        "ClientHello",
        "alert certificate_expired",
        "Evidence",
        "mtls-run '",
    ):
        assert text in everyday.text


def test_the_pki_is_a_tree_with_the_broken_links_marked(everyday: Page) -> None:
    declared = ("ca", "issuing", "foreign-ca", "server", "good", "deep", "foreign", "expired", "early", "for-servers")
    marks = {found["id"]: found.get("class", "") for tag, found in everyday.elements if tag == "li" and "id" in found}
    assert {name: marks[f"p1-{number}"] for number, name in enumerate(declared)} == {
        "ca": "",
        "issuing": "",
        "foreign-ca": "broken pass link",
        "server": "",
        "good": "",
        "deep": "broken pass link",
        "foreign": "",
        "expired": "broken fail",  # in one case that expects something else
        "early": "broken pass",
        "for-servers": "broken pass",
    }


def test_scenario_text_is_text(hostile: str) -> None:
    page = Page(hostile)
    assert (page.count("script"), page.count("style"), page.count("img")) == (1, 1, 0)
    assert page.count("svg") == 1 + 4
    for text in (
        "<script>hacked=1</script> & \"quotes\" 'too'",
        "</style><img src=x onerror=hacked=2> \\u202egnp.exe",
        "<img src=x onerror=hacked=6>",
        "</pre><script>hacked=5</script>\\x1b[31mred\\x00 {{ 7*7 }}",
        "</td><script>hacked=10</script>",
        "GET /<svg/onload=hacked=8>",
    ):
        assert text in page.text
    assert "49" not in re.findall(r"\{\{.*?\}\}|\b49\b", page.text)
    assert [name for _, found in page.elements for name in found if name.startswith("on")] == []


def test_no_control_character_and_no_deceiving_one_is_left(hostile: str) -> None:
    assert re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", hostile) == []
    assert "\\x1b" in hostile


def test_secrets_stay_secret(hostile: str) -> None:
    assert [secret for secret in labs.SECRETS if secret in hostile] == []
    assert "encrypted" in hostile


def test_what_utf_8_can_not_hold_is_escaped() -> None:
    case = samples.case("odd \udcff name")
    seen = replace(samples.ACCEPTED, summary="\ud800 seen")
    html = rendered(samples.events([samples.plan(case)], [samples.judged(case, Status.PASS, seen)]))
    assert "odd \\udcff name" in html
    assert "\\ud800 seen" in html
    html.encode("utf-8")


def test_a_skip_and_a_broken_lab_tell_why() -> None:
    page = of(
        samples.passed(samples.case()), samples.skipped(samples.case("two")), samples.broken(samples.case("three"))
    )
    assert "1 broken of 3 cases" in page.text
    assert "Python's ssl has no verify depth" in page.text
    assert "start one with: dockerd" in page.text
    assert {"pass", "skip", "error"} <= {
        name for _, found in page.with_class("case") for name in found["class"].split()
    }


def test_a_strict_skip_is_a_failure_that_tells_why() -> None:
    verdict = replace(samples.skipped(samples.case()), status=Status.FAIL)
    assert "skipped, which --strict forbids: Python's ssl has no verify depth" in of(verdict).text


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((samples.passed(samples.case()),), "The case passed"),
        ((samples.passed(samples.case()), samples.passed(samples.case("two"))), "All 2 cases passed"),
        ((samples.passed(samples.case()), samples.skipped(samples.case("two"))), "1 of 2 cases passed"),
        ((samples.skipped(samples.case()),), "1 case skipped, nothing was run"),
        ((samples.failed(samples.case()), samples.broken(samples.case("two"))), "1 failed, 1 broken of 2 cases"),
    ],
)
def test_the_headline(verdicts: tuple[Verdict, ...], expected: str) -> None:
    html = rendered(samples.events([samples.plan(*(each.case for each in verdicts))], verdicts))
    [headline] = re.findall(r"<h1[^>]*>(.*?)</h1>", html)
    assert headline == expected
    assert f"<title>{expected} \N{EN DASH} mtls-run</title>" in html


def test_an_interrupted_run_says_so_and_what_was_not_run() -> None:
    plan = samples.plan(samples.case(), samples.case("two"))
    events = samples.events([plan], [samples.passed(plan.cases[0])], interrupted=True, error="the engine went away")
    page = Page(rendered(events))
    assert "Interrupted: 1 of 2 cases passed" in page.text
    assert "1 not run" in page.text
    assert "the engine went away" in page.text


def test_an_end_in_the_middle_of_a_file_still_has_its_cases() -> None:
    case = samples.case()
    plan = samples.plan(case)
    events: list[Event] = [
        RunStarted((plan,), 2),
        PlanStarted(plan),
        CaseFinished(samples.passed(case)),
        RunFinished({Status.PASS: 1}, 0.1, interrupted=True),
    ]
    assert len(Page(rendered(events)).with_class("case")) == 1


def test_expected_against_observed_line_by_line() -> None:
    case = samples.case(
        checks=[
            samples.check("outcome", "accepted", "server-refused"),
            samples.check("headers.content-length", "3"),
            samples.check("body", "h", kind=Match.CONTAINS),
            samples.check("curl_exit", 7),
            samples.check("curl_exit", 0, tool_version=">=8.16"),
        ]
    )
    wrong = Mismatch("curl_exit", "7", "0", samples.span())
    page = of(samples.judged(case, Status.FAIL, samples.ACCEPTED, (wrong,)))
    rows = [found["class"] for tag, found in page.elements if tag == "tr" and "class" in found]
    assert rows == ["yes", "yes", "yes", "no"]
    for text in ("accepted or server-refused", "contains h", "7; 0 (version >=8.16)"):
        assert text in page.text


STEPS = """\
ca: {}
leaves: {server: {}, good: {usage: client}}
server: {certificate: server, trust: ca, tls: TLSv1.2}
cases:
  - name: several steps
    client: good
    steps:
      - {name: "<b>first</b>", expect: {outcome: accepted, resumed: false}}
      - wait: 0.01
      - {connect: {certificate: null}, expect: {server-refused: no-certificate}}
      - expect: {server-refused: expired}
      - expect: accepted
"""


def test_each_step_is_told_with_its_own_handshake(tmp_path: Path) -> None:
    html = labs.page(tmp_path, STEPS)
    page = Page(html)
    assert [found["class"] for tag, found in page.elements if tag == "li" and "step" in found.get("class", "")] == [
        "step pass connect",
        "step pass wait",
        "step pass connect",
        "step fail connect",
        "step skip connect",
    ]
    assert "<b>first</b>" in page.text
    assert [found["class"] for tag, found in page.elements if tag == "tr" and "class" in found] == [
        *("yes", "yes"),  # outcome and resumed of the first
        *("yes", "yes"),  # outcome and reason of the second
        *("no", "no"),
    ]
    assert html.count("<time>") == 4  # a line of time, as far as it came
    drawn = [found["href"] for tag, found in page.elements if tag == "use"]
    assert len(drawn) == 3
    assert drawn[0] != drawn[1]  # without a certificate the handshake is another one
    for text in ("not done", "server refused the client: no-certificate", "1 <b>first</b>", "4 connect"):
        assert text in page.text, text
    once = Page(labs.page(tmp_path, STEPS.partition("      - wait")[0]))
    assert len(once.with_class("step")) == 1
    assert "Evidence of step 1" in once.text


def test_what_broke_is_the_certificate_of_the_step_in_which_it_was_shown(tmp_path: Path) -> None:
    """Not that of the case's own client; and a wait at the end has no evidence of its own."""
    text = STEPS.partition("    steps:")[0]
    for old, new in (
        ("ca: {}\n", "authorities: {ca: {}, other: {}}\n"),
        ("server: {}, good: {", "server: {issuer: ca}, foreign: {issuer: other, usage: client}, good: {issuer: ca, "),
    ):
        assert old in text
        text = text.replace(old, new)
    text += (
        "    steps:\n      - expect: accepted\n"
        "      - {connect: {certificate: foreign}, expect: {server-refused: unknown-ca}}\n      - wait: 0.01\n"
    )
    page = Page(labs.page(tmp_path, text))
    assert "Evidence of step 2" in page.text
    told = page.text.partition("Certificates of step 2")[2].partition("Evidence")[0]
    assert "client: foreign" in " ".join(told.split())
    assert "sent: foreign" in told


def test_certificates_have_the_dates_that_they_were_made_with(tmp_path: Path) -> None:
    """However long a run goes on: not those of the moment when the report was opened."""
    path = tmp_path / "dated.yaml"
    path.write_text(labs.PKI + "  - {name: one, client: expired, expect: {server-refused: expired}}\n", "utf-8")
    told = list(run([load(path)]))
    (at,) = (number for number, event in enumerate(told) if isinstance(event, CaseFinished))
    verdict = told[at].verdict  # type: ignore[union-attr]
    assert verdict.dated is not None
    assert "2031" not in Page(rendered(told)).text
    told[at] = CaseFinished(replace(verdict, dated=verdict.dated.replace(year=2031, month=5, day=20)))
    text = Page(rendered(told)).text
    assert "2031-05-10 to 2031-05-15" in text  # in the tree
    assert "expired 2031-05-15" in text  # what broke the chain


def test_a_check_for_other_versions_only_is_not_said_to_hold() -> None:
    case = samples.case(checks=[samples.check("curl_exit", 1, tool_version=">=99")])
    page = of(samples.passed(case))
    assert [found for tag, found in page.elements if tag == "tr" and "class" in found] == []


def test_warnings_of_a_file_are_shown() -> None:
    case = samples.case()
    plan = samples.plan(case, warnings=(samples.warning("nothing uses the leaf 'x'"), Diagnostic("no place")))
    text = Page(rendered(samples.events([plan], [samples.passed(case)]))).text
    assert "labs/sample.yaml:2:1: nothing uses the leaf 'x'" in text
    assert "no place" in text
    assert "warning" not in of(samples.passed(case)).text


def test_notes_about_a_file_are_shown() -> None:
    case = samples.case()
    plan = samples.plan(case)
    started, plan_started, *rest = samples.events([plan], [samples.passed(case)])
    noted: list[Event] = [started, plan_started, Noted(plan, "an own certificate has <expired>"), *rest]
    assert "Note: an own certificate has <expired>" in Page(rendered(noted)).text
    assert "Note:" not in of(samples.passed(case)).text


def test_commands_name_files_that_are_there_only_when_kept() -> None:
    case = samples.case()
    gone = of(samples.passed(case)).text
    assert "were removed after the run" in gone
    kept = Page(rendered(samples.events([samples.plan(case)], [samples.passed(case)], kept="labs/kept"))).text
    assert "use the files in labs/kept" in kept
    assert "were removed" not in kept


def test_variants_of_many_cases_stand_under_their_name() -> None:
    cases = [samples.case(str(name), client_tls=tls) for name in range(30) for tls in ("TLSv1.2", "TLSv1.3")]
    verdicts = [samples.passed(case) for case in cases]
    verdicts[5] = samples.failed(cases[5])
    page = of(*verdicts)
    groups = [found["class"].split() for _, found in page.with_class("group")]
    assert len(groups) == 30
    assert groups[2] == ["group", "fail", "has-fail", "has-pass"]
    assert groups[3] == ["group", "pass", "has-pass"]
    assert of(*verdicts[:10]).with_class("group") == []


def many(
    total: int, seen: Observation, wrong: int = 0
) -> Iterator[CaseFinished | RunStarted | PlanStarted | RunFinished]:
    cases = [samples.case(f"case {number}") for number in range(total)]
    plan = samples.plan(*cases)
    yield RunStarted((plan,), total)
    yield PlanStarted(plan)
    for number, case in enumerate(cases):
        verdict = samples.judged(case, Status.PASS, seen)
        if number >= total - wrong:
            verdict = replace(verdict, status=Status.FAIL, mismatches=(Mismatch("status", "1", "2", samples.span()),))
        yield CaseFinished(verdict)
    yield RunFinished({Status.PASS: total - wrong, Status.FAIL: wrong}, 1.0)


def test_a_page_of_many_talkative_cases_stays_below_two_megabytes() -> None:
    server = samples.ACCEPTED.server
    assert server is not None
    talkative = replace(samples.ACCEPTED, server=replace(server, log=("a line of the log",) * 400))
    html = rendered(many(500, talkative, wrong=2))
    assert len(html.encode()) < 2_000_000
    assert html.count("<summary>Server log</summary>") > 50
    assert html.count("Transcript and log are left out") > 200
    wrong = html[html.index('<details class="case fail"') :]
    assert wrong.count("<summary>Server log</summary>") == 2, "what went wrong is told in full"
    assert "left out" not in rendered(many(5, talkative))


def test_files_are_listed_when_there_are_several() -> None:
    first, second = samples.case(), samples.case(path="labs/other.yaml")
    plans = [samples.plan(first), samples.plan(second, path="labs/other.yaml")]
    html = rendered(samples.events(plans, [samples.passed(first), samples.failed(second)]))
    assert 'aria-label="Files"' in html
    assert 'href="#f2"' in html
    assert 'aria-label="Files"' not in rendered(samples.events(plans[:1], [samples.passed(first)]))


def test_the_command_line_writes_it(tmp_path: Path) -> None:
    from tests.cli.conftest import SMALL, Cli

    (tmp_path / "small.yaml").write_text(SMALL, "utf-8")
    cli = Cli(tmp_path)
    assert cli("small.yaml", "--html", "report.html").returncode == 0
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert "All 4 cases passed" in page.text
    twice = cli("small.yaml", "--html", "same", "--json", "same")
    assert twice.returncode == 2
    assert "--json and --html both write same" in twice.stderr
    assert cli("small.yaml", "--html", "missing/report.html").returncode == 2


def test_plans_end_once(everyday: Page) -> None:
    case = samples.case()
    plan = samples.plan(case)
    events = [
        *list(samples.events([plan], [samples.passed(case)]))[:-1],
        PlanFinished(plan),
        RunFinished({Status.PASS: 1}, 1),
    ]
    assert len(Page(rendered(events)).with_class("case")) == 1
    assert everyday.count("footer") == 1
