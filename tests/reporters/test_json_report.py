from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from mtls_runner.model.case import Match, Plan
from mtls_runner.model.verdict import Verdict
from mtls_runner.reporters.json_report import JsonReporter
from mtls_runner.reporters.json_schema import report_schema, report_schema_text
from tests.reporters import samples

SCHEMA = Path(__file__).parents[2] / "schema" / "report.schema.json"


def report(plans: Sequence[Plan], verdicts: Sequence[Verdict], **rest: Any) -> dict[str, Any]:
    stream = io.StringIO()
    reporter = JsonReporter(stream)
    for event in samples.events(plans, verdicts, **rest):
        reporter.handle(event)
    reporter.close()
    document: dict[str, Any] = json.loads(stream.getvalue())
    jsonschema.Draft202012Validator(report_schema()).validate(document)
    return document


def test_the_committed_schema_is_the_generated_one() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == report_schema_text(), (
        "mtls-run schema report > schema/report.schema.json"
    )
    jsonschema.Draft202012Validator.check_schema(report_schema())


def test_reports_of_format_1_are_described_too_and_the_two_are_told_apart() -> None:
    case = samples.case()
    now = report([samples.plan(case)], [samples.failed(case)])
    assert now["format"] == 2
    before: Any = _as_before(now)
    validator = jsonschema.Draft202012Validator(report_schema())
    validator.validate(now)
    validator.validate(before)
    assert not validator.is_valid({**before, "format": 2})
    assert not validator.is_valid({key: value for key, value in now.items() if key != "format"})


def _as_before(report: object) -> object:
    """What was written before there was a format."""
    new = {
        "format",
        "reasons",
        "determined",
        "undetermined",
        "curl_exit_predicted",
        "step",
        "upstream",
        "received",
        "redirects",
        "body_sent",
    }
    if isinstance(report, dict):
        return {key: _as_before(value) for key, value in report.items() if key not in new}
    return [_as_before(each) for each in report] if isinstance(report, list) else report


def test_every_kind_of_verdict_is_valid_and_tells_its_own_story() -> None:
    cases = [samples.case(name) for name in ("good", "bad", "left out", "broken")]
    verdicts = [
        samples.passed(cases[0]),
        samples.failed(cases[1]),
        samples.skipped(cases[2]),
        samples.broken(cases[3]),
    ]
    document = report([samples.plan(*cases)], verdicts)

    good, bad, left_out, broken = document["cases"]
    assert [case["verdict"] for case in document["cases"]] == ["pass", "fail", "skip", "error"]
    assert good["id"] == "labs/sample.yaml::good"
    assert (good["file"], good["line"]) == ("labs/sample.yaml", 4)
    assert good["observed"]["status"] == 200
    assert good["observed"]["body"] == "hi\n"
    assert good["observed"]["headers"] == [["content-length", "3"]]
    assert bad["observed"]["reason"] == "unknown-ca"
    assert bad["observed"]["alert_from"] == "server"
    assert bad["observed"]["status"] is None
    assert bad["mismatches"] == [
        {
            "path": "reason",
            "step": None,
            "expected": "expired",
            "observed": "unknown-ca",
            "file": "labs/sample.yaml",
            "line": 6,
            "column": 30,
        }
    ]
    assert left_out["skip_reason"] == "Python's ssl has no verify depth"
    assert left_out["observed"] is None
    assert broken["error"].startswith("no container engine")
    summary = document["summary"]
    assert {key: summary[key] for key in ("total", "pass", "fail", "error", "skip", "not_run")} == {
        "total": 4,
        "pass": 1,
        "fail": 1,
        "error": 1,
        "skip": 1,
        "not_run": 0,
    }


def test_an_expectation_reads_as_its_author_may_write_it() -> None:
    checks = [
        samples.check("outcome", "accepted"),
        samples.check("status", 200, 204),
        samples.check("body", "hello", kind=Match.CONTAINS),
        samples.check("handshake", ("ClientHello", "Finished"), kind=Match.IN_ORDER),
        samples.check("curl_exit", 43, tool_version=">=8.16"),
    ]
    case = samples.case(checks=checks)
    [written] = report([samples.plan(case)], [samples.passed(case)])["cases"]
    assert written["expected"] == {
        "outcome": "accepted",
        "status": [200, 204],
        "body": {"contains": "hello"},
        "handshake": {"in-order": ["ClientHello", "Finished"]},
        "where": [{"when": {"tool_version": ">=8.16"}, "expect": {"curl_exit": 43}}],
    }


def test_an_interrupted_run_without_any_case_is_a_whole_document() -> None:
    document = report([samples.plan(samples.case())], [], interrupted=True, error="no place to work in")
    assert document["cases"] == []
    assert document["summary"]["interrupted"] is True
    assert document["summary"]["not_run"] == 1
    assert document["summary"]["lab_error"] == "no place to work in"


def test_the_schema_refuses_what_it_does_not_describe() -> None:
    case = samples.case()
    document = report([samples.plan(case)], [samples.passed(case)])
    document["cases"][0]["verdict"] = "perhaps"
    with pytest.raises(jsonschema.ValidationError, match="perhaps"):
        jsonschema.Draft202012Validator(report_schema()).validate(document)


def test_every_case_is_one_line_so_that_the_file_can_be_searched() -> None:
    cases = [samples.case(f"case {number}") for number in range(5)]
    stream = io.StringIO()
    reporter = JsonReporter(stream)
    for event in samples.events([samples.plan(*cases)], [samples.passed(case) for case in cases]):
        reporter.handle(event)
    lines = [line for line in stream.getvalue().splitlines() if '"id"' in line]
    assert len(lines) == 5
    assert json.loads(lines[3].rstrip(","))["name"] == "case 3"
