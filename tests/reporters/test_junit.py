from __future__ import annotations

import io
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from mtls_runner.model.case import Plan
from mtls_runner.model.verdict import Mismatch, Verdict
from mtls_runner.reporters.junit import JunitReporter
from tests.reporters import samples


def report(plans: Sequence[Plan], verdicts: Sequence[Verdict]) -> ET.Element:
    stream = io.StringIO()
    reporter = JunitReporter(stream)
    for event in samples.events(plans, verdicts):
        reporter.handle(event)
    reporter.close()
    return ET.fromstring(stream.getvalue().encode())  # noqa: S314 - our own


def test_a_suite_for_each_file_with_its_counts() -> None:
    first = [samples.case(name) for name in ("good", "bad", "left out", "broken")]
    second = [samples.case("good", path="labs/deep/other.yaml")]
    verdicts = [
        samples.passed(first[0]),
        samples.failed(first[1]),
        samples.skipped(first[2]),
        samples.broken(first[3]),
        samples.passed(second[0]),
    ]
    root = report([samples.plan(*first), samples.plan(*second, path="labs/deep/other.yaml")], verdicts)

    assert root.tag == "testsuites"
    assert {key: root.get(key) for key in ("tests", "failures", "errors")} == {
        "tests": "5",
        "failures": "1",
        "errors": "1",
    }
    one, other = root
    assert (one.get("name"), other.get("name")) == ("labs/sample.yaml", "labs/deep/other.yaml")
    counts = ("tests", "failures", "errors", "skipped")
    assert [one.get(count) for count in counts] == ["4", "1", "1", "1"]
    assert [other.get(count) for count in counts] == ["1", "0", "0", "0"]
    assert [case.get("classname") for case in root.iter("testcase")] == ["labs.sample"] * 4 + ["labs.deep.other"]
    tags = [[child.tag for child in case if child.tag != "system-out"] for case in one.iter("testcase")]
    assert tags == [[], ["failure"], ["skipped"], ["error"]]


def test_a_failure_holds_the_lines_of_the_scenario() -> None:
    case = samples.case()
    [failure] = report([samples.plan(case)], [samples.failed(case)]).iter("failure")
    assert failure.get("message") == "reason: expected expired, observed unknown-ca"
    assert failure.text is not None
    assert "labs/sample.yaml:6:30" in failure.text
    assert "expect: {server-refused: expired}" in failure.text


def test_a_skip_names_its_reason() -> None:
    case = samples.case()
    [skipped] = report([samples.plan(case)], [samples.skipped(case)]).iter("skipped")
    assert skipped.get("message") == "Python's ssl has no verify depth"


def test_what_xml_cannot_hold_is_escaped() -> None:
    case = samples.case("a \x1b[31mname\x00 <&> \ufffe \ud800")
    wrong = Mismatch("body", "x", "\x07 ]]> & \x9b \U0001f600", samples.span())
    [element] = report([samples.plan(case)], [samples.failed(case, wrong)]).iter("testcase")
    assert element.get("name") == "a \\x1b[31mname\\x00 <&> \\ufffe \\ud800"
    [failure] = element.iter("failure")
    assert "\\x07 ]]> & \\x9b \U0001f600" in (failure.get("message") or "")
