"""How results are told: collapsed over places, as Markdown, HTML, JSON and lines."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner.conformance.case import by_file
from mtls_runner.conformance.catalogue import Combination, plans
from mtls_runner.conformance.collector import Collector
from mtls_runner.conformance.console import lines
from mtls_runner.conformance.facts import collapsed
from mtls_runner.conformance.from_verdicts import measured
from mtls_runner.conformance.json_form import json_text, read_json
from mtls_runner.conformance.markdown import markdown, same
from mtls_runner.conformance.measurement import Measurement
from mtls_runner.conformance.table import OutcomeTable, outcome_table
from mtls_runner.engine import RunOptions, run
from mtls_runner.errors import UsageError
from mtls_runner.model.observation import Reason

from ..cells import cells_of


@pytest.fixture(scope="module")
def measurement() -> Measurement:
    """One file of the catalogue, really run."""
    collector = Collector()
    plan = next(plans(("python",), ("python",)))
    for event in run([plan], RunOptions(jobs=2)):
        collector.handle(event)
    assert collector.end is not None
    return measured(by_file([plan]), collector.end.versions, cells_of(plan, collector.verdicts))


@pytest.fixture(scope="module")
def told(measurement: Measurement) -> OutcomeTable:
    return outcome_table(measurement)


def places(**values: str) -> dict[Combination, str]:
    """``python_curl_2="35"``: backend, tool, TLS 1.2."""
    return {
        Combination(backend, tool, f"TLSv1.{minor}"): value
        for key, value in values.items()
        for backend, tool, minor in [key.split("_")]
    }


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({}, "-"),
        ({"python_curl_2": "35", "nginx_curl_2": "35"}, "35"),
        ({"python_curl_2": "35", "nginx_curl_2": "0"}, "35 (python server), 0 (nginx)"),
        ({"nginx_curl_2": "35", "nginx_curl_3": "56"}, "35 (TLS 1.2), 56 (TLS 1.3)"),
        ({"nginx_curl_2": "1", "nginx_python_2": "62"}, "1 (curl), 62 (python client)"),
        (
            {"python_curl_2": "35", "python_curl_3": "56", "nginx_curl_2": "0", "nginx_curl_3": "0"},
            "python server: 35 (TLS 1.2), 56 (TLS 1.3); nginx: 0",
        ),
    ],
)
def test_a_fact_is_told_by_what_it_hangs_on(values: dict[str, str], text: str) -> None:
    assert collapsed(places(**values)) == text


def test_markdown_has_a_row_for_every_case_and_every_reason(told: OutcomeTable) -> None:
    text = markdown(told)
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert sum(row.count(" | ") == 5 for row in rows) >= 2 + len(told.sections[0].rows)
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} <= {4, 5, 7, 8}
    for reason in Reason:
        assert f"| `{reason.value}` |" in text
    assert "| **the client's authority is not trusted** | server-refused: unknown-ca |" in text


def test_pages_are_the_same_whatever_they_were_made_with(measurement: Measurement, told: OutcomeTable) -> None:
    other = outcome_table(replace(measurement, versions={"curl": "99.9"}))
    assert markdown(other) != markdown(told)
    assert same(markdown(other), markdown(told))
    assert not same(markdown(told), markdown(told).replace("unknown-ca", "expired", 1))


def test_json_has_every_cell_with_what_was_seen_and_is_read_as_it_was_written(
    measurement: Measurement, tmp_path: Path
) -> None:
    text = json_text(measurement)
    form = json.loads(text)
    (file,) = form["files"]
    case = next(case for case in file["cases"] if case["name"] == "the client's authority is not trusted")
    assert case["fault"] is True
    assert case["control"] == "both ends trust the other's authority"
    assert [change[2] for change in case["changes"]] == ["stranger"]
    cells = case["cells"]["python"]["python"]
    assert list(cells) == ["TLSv1.2", "TLSv1.3"]
    seen = [form["texts"][cell["seen"]] for cell in cells.values()]
    assert [(one["outcome"], one["reasons"], one["verify_code"]) for one in seen] == [
        ("server-refused", ["unknown-ca"], 20)
    ] * 2
    summary = form["summary"]
    assert summary["cells"] == summary["seen"] == len(list(measurement.cells))
    assert summary["faults"] == sum(case["fault"] for case in file["cases"]) > 5
    (tmp_path / "told.json").write_text(text, "utf-8")
    assert read_json(str(tmp_path / "told.json")) == measurement


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99}', '{"format": 1, "texts": {}, "files": [{}]}'])
def test_what_is_no_measurement_is_a_mistake_of_usage(text: str, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(UsageError, match=r"other\.json is (no|a) measurement"):
        read_json(str(tmp_path / "other.json"))


def test_lines_show_each_case_with_its_control(told: OutcomeTable) -> None:
    text = "\n".join(lines(told))
    assert "  ✓ the client's authority is not trusted\n      server-refused: unknown-ca\n" in text
    assert 'against "both ends trust the other\'s authority": client.certificate.issuer: root → stranger' in text
    assert "✗" not in text
