"""2,000 cases with all three reports against the same without any."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure, benchmark
from bench.mix import scenario
from bench.process import interleave, medians, mtls_run


@benchmark("reports")
def reports(directory: Path, times: int) -> Iterator[Figure]:
    """Whole processes, HTML, JUnit and JSON written to files."""
    (directory / "mix.yaml").write_text(scenario(2000))
    options = ["--html", "report.html", "--junit", "report.xml", "--json", "report.json"]
    columns = interleave(
        [mtls_run(directory, "mix.yaml", *options), mtls_run(directory, "mix.yaml")], max(3, times // 2)
    )
    with_reports, without = medians(columns)
    yield Figure("2,000 cases, three reports", with_reports, without, "s", "no report", 1.2, len(columns[0]))
