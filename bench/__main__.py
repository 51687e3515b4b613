"""``python -m bench [NAME…]``: measure, print a table, exit 0 whatever the figures are (1 when something is broken)."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import bench.cases_200
import bench.cases_2000
import bench.conformance
import bench.declared
import bench.forge
import bench.nginx
import bench.one_connection
import bench.rehearsal
import bench.reports
import bench.startup
import bench.steps
import bench.tutorial  # noqa: F401 - each registers itself
from bench.figure import BENCHMARKS, Figure
from bench.process import Broken


def _row(figure: Figure) -> tuple[str, ...]:
    peer = "" if figure.peer is None else f"{figure.peer:.2f} {figure.unit}"
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    unit = "" if figure.peer is not None else f" {figure.unit}"
    goal = "" if figure.goal is None else f"≤ {figure.goal:g}{unit}"
    told = "" if figure.goal is None else "yes" if figure.good else "NO"
    return (
        figure.name,
        f"{figure.ours:.2f} {figure.unit}",
        peer,
        figure.peer_name,
        ratio,
        goal,
        told,
        str(figure.samples),
    )


def _table(figures: list[Figure]) -> str:
    rows = [("figure", "ours", "peer", "", "ratio", "goal", "reached", "runs"), *map(_row, figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> int:
    """Run the benchmarks that were named, or all."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run: {', '.join(BENCHMARKS)}")
    parser.add_argument("--runs", type=int, default=7, help="medians are taken of that many runs (default: 7)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    options = parser.parse_args()
    if unknown := set(options.names) - BENCHMARKS.keys():
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for name in options.names or BENCHMARKS:
        print(f"{name} …", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory(prefix="mtls-run-bench-") as directory:
            try:
                figures += BENCHMARKS[name](Path(directory), max(1, options.runs))
            except Broken as error:
                print(f"{name} is broken: {error}", file=sys.stderr)
                return 1
    print(_table(figures))
    if options.json is not None:
        told = [{**asdict(figure), "ratio": figure.ratio, "good": figure.good} for figure in figures]
        options.json.write_text(json.dumps({"python": platform.python_version(), "figures": told}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
