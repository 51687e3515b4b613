"""2,000 cases with all three reports against the same without any, and what 10,000 take of memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.figure import Figure, benchmark
from bench.mix import scenario
from bench.process import Broken, interleave, medians, mtls_run, run

_THREE = ("--html", "report.html", "--junit", "report.xml", "--json", "report.json")


@benchmark("reports")
def reports(directory: Path, times: int) -> Iterator[Figure]:
    """Whole processes, HTML, JUnit and JSON written to files."""
    (directory / "mix.yaml").write_text(scenario(2000))
    columns = interleave(
        [mtls_run(directory, "mix.yaml", *_THREE), mtls_run(directory, "mix.yaml")], max(3, times // 2)
    )
    with_reports, without = medians(columns)
    yield Figure("2,000 cases, three reports", with_reports, without, "s", "no report", 1.2, len(columns[0]))


@benchmark("reports-10000")
def reports_10000(directory: Path, times: int) -> Iterator[Figure]:
    """A whole process's peak memory; 2,500 cases, each with four settings that differ in nothing that matters."""
    text = scenario(2500) + "matrix: {client.timeout: [10, 11, 12, 13]}\n"
    (directory / "many.yaml").write_text(text)
    runs = [run(mtls_run(directory, "many.yaml", *_THREE)) for _ in range(max(1, times // 4))]
    if any("10000 passed of 10000 cases" not in one.output for one in runs):
        raise Broken("not all of the 10,000 cases passed")
    yield Figure(
        "10,000 cases, three reports, peak memory", median(one.peak for one in runs), None, "MiB", "", 150, len(runs)
    )
