"""``mtls-run conformance``."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
from msgspec import Struct

from mtls_runner.cli import STOP
from mtls_runner.cli.conformance_session import Session
from mtls_runner.cli.program import ExitCode, worst
from mtls_runner.cli.report_file import STANDARD_OUTPUT, ReportFiles
from mtls_runner.cli.select import compile_expression
from mtls_runner.conformance.atlas_markdown import atlas_markdown
from mtls_runner.conformance.catalogue import CATALOGUE, scenario_files
from mtls_runner.conformance.compared import changed_cells
from mtls_runner.conformance.console import lines
from mtls_runner.conformance.divergences import divergences_markdown
from mtls_runner.conformance.json_form import json_text, read_json
from mtls_runner.conformance.known import nameable
from mtls_runner.conformance.markdown import markdown, same
from mtls_runner.conformance.measure import Atlas
from mtls_runner.conformance.measurement import CellKind, Measurement
from mtls_runner.conformance.merge import merged
from mtls_runner.conformance.scope import chosen_clients, chosen_servers
from mtls_runner.conformance.table import outcome_table
from mtls_runner.errors import UsageError, did_you_mean
from mtls_runner.model import plural
from mtls_runner.model.traits import Runtime
from mtls_runner.reporters import Style, marks_for

__all__ = ["ConformanceRequest", "conformance", "where"]

_MOST_TOLD = 40
_LISTED = 5


class ConformanceRequest(Struct, frozen=True):
    """The command line of ``conformance``, as click read it."""

    servers: Sequence[str]
    clients: Sequence[str]
    expression: str | None = None
    faults: Sequence[str] = ()
    image: str | None = None
    runtime: str | None = None
    jobs: int | None = None
    shard: str | None = None
    merged: Sequence[str] = ()
    resumed: str | None = None
    json_path: str | None = None
    html_path: str | None = None
    markdown_path: str | None = None
    check_path: str | None = None
    pages: str | None = None


def where() -> ExitCode:
    """Say where the catalogue's scenario files lie."""
    click.echo(str(CATALOGUE))
    return ExitCode.OK


def conformance(request: ConformanceRequest) -> ExitCode:
    """Run the catalogue and tell what happened.

    Raises:
        UsageError: a server, client or fault is unknown, or a file can't be read or written.
        ScenarioError: the catalogue itself is invalid.
    """
    shard = _shard(request.shard)
    expected = _expected(request.check_path)
    atlas = Atlas(
        chosen_servers(request.servers, request.image, Runtime(request.runtime) if request.runtime else None),
        chosen_clients(request.clients),
        _chosen(request),
        _before(request),
    )
    _check_faults(request.faults, atlas)
    everything = [] if request.merged else list(atlas.units())
    if request.expression is not None and not everything and not request.merged:
        raise UsageError(f"no case of the catalogue matches {request.expression!r} at these servers and clients")
    with STOP.cleanly(), ReportFiles(scenario_files()) as files:
        with STOP.undivided():
            reports = [
                (files.open(option, path), path, text) for option, path, text in _reports(request) if path is not None
            ]
        units = everything[shard[0] - 1 :: shard[1]]
        session = Session(atlas, units, request.resumed, expected if isinstance(expected, Measurement) else None)
        code = session.run(request.jobs or os.cpu_count() or 1)
        if code is ExitCode.INTERRUPTED:
            return code  # half a table would be a wrong one; what goes on later was kept
        measurement = atlas.measurement
        for file, _, text in reports:
            file.stream.write(text(measurement))
        for file, _, _ in reports:
            file.keep()
    if STANDARD_OUTPUT not in (path for _, path, _ in reports):
        _print(measurement)
    code = worst(code, _code(measurement))
    if isinstance(expected, Measurement):
        code = worst(code, _held_against(expected, measurement, session, request.check_path or ""))
    elif expected is not None:
        code = worst(code, _compared(measurement, expected, request.check_path or ""))
    return code


def _shard(text: str | None) -> tuple[int, int]:
    if text is None:
        return 1, 1
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise UsageError(f"--shard {text}: 2/8 is expected: the second of eight parts")
    return int(found[1]), int(found[2])


def _expected(path: str | None) -> str | Measurement | None:
    if path is None:
        return None
    if path.endswith(".json"):
        return read_json(path)
    try:
        return Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--check: {path} can't be read: {error}") from error


def _before(request: ConformanceRequest) -> Measurement | None:
    if request.merged:
        return merged({path: read_json(path) for path in request.merged})
    if request.resumed is not None and Path(request.resumed).exists():
        return read_json(request.resumed)
    return None


def _chosen(request: ConformanceRequest) -> Callable[[str, str], bool]:
    fits = compile_expression(request.expression) if request.expression is not None else None
    return lambda id_, name: (fits is None or fits(id_)) and (not request.faults or name in request.faults)


def _check_faults(faults: Sequence[str], atlas: Atlas) -> None:
    known = [entry.name for file in atlas.catalogue for entry in file.entries]
    for name in faults:
        if name not in known:
            near = [one for one in known if name.lower() in one.lower()][:_LISTED]
            there = (
                f"; there are: {', '.join(map(repr, near))}" if near else "; `mtls-run reference outcomes` has them all"
            )
            raise UsageError(f"the catalogue has no case {name!r}{did_you_mean(name, known) or there}")


def _reports(request: ConformanceRequest) -> Iterator[tuple[str, str | None, Callable[[Measurement], str]]]:
    """Option, file and what makes its text."""
    yield "--json", request.json_path, json_text
    yield "--html", request.html_path, _html
    yield "--markdown", request.markdown_path, _markdown
    if request.pages is not None:
        for name, text in (
            ("atlas.md", atlas_markdown),
            ("atlas.html", _html),
            ("divergences.md", divergences_markdown),
        ):
            yield "--pages", str(Path(request.pages) / name), text


def _html(measurement: Measurement) -> str:
    from mtls_runner.conformance.page import page  # with the template engine

    return page(measurement)


def _markdown(measurement: Measurement) -> str:
    return markdown(outcome_table(measurement))


def _print(measurement: Measurement) -> None:
    marks = marks_for(sys.stdout)
    told = outcome_table(measurement)
    for line in lines(told, passed=marks[Style.PASS], failed=marks[Style.FAIL]):
        click.echo(line)
    broken: dict[str, list[str]] = {}
    for file, case, place, cell in measurement.cells:
        id_ = f"{file.path}::{case.name} ({', '.join(filter(None, (place.backend, place.tool, place.tls)))})"
        if cell.kind is CellKind.BROKEN:
            broken.setdefault(cell.why, []).append(id_)
        elif not cell.as_expected:
            click.echo(f"\nFAIL {id_}\n  {cell.why}")
    for error, ids in broken.items():
        click.echo(f"\nERROR {ids[0]}" + (f" and {len(ids) - 1} more" if len(ids) > 1 else ""))
        click.echo(f"  {error}")
    counts = measurement.counts
    click.echo(
        f"\n{plural(told.faults, 'fault')}: {counts[CellKind.SEEN] - counts['unexpected']} passed, "
        f"{counts['unexpected']} failed, "
        f"{counts[CellKind.BROKEN]} broken, {counts[CellKind.SKIPPED]} skipped, {plural(counts[CellKind.GAP], 'gap')}"
    )
    click.echo(", ".join(f"{name} {version}" for name, version in told.versions.items()))


def _compared(measurement: Measurement, expected: str, path: str) -> ExitCode:
    if same(_markdown(measurement), expected):
        click.echo(f"{path} is current")
        return ExitCode.OK
    click.echo(
        f"mtls-run: {path} is not current: make it again with --markdown {path}, and look at what changed", err=True
    )
    return ExitCode.FAILED


def _held_against(before: Measurement, now: Measurement, session: Session, path: str) -> ExitCode:
    tables = (nameable().backends, nameable().clients)
    missing = {name for table in tables for name in table if table[name].missing() is not None}
    changes = list(changed_cells(before, now, session.wanted, missing))
    for change in changes[:_MOST_TOLD]:
        click.echo(f"mtls-run: {change.told}", err=True)
    if len(changes) > _MOST_TOLD:
        click.echo(f"mtls-run: and {len(changes) - _MOST_TOLD} cells more", err=True)
    grave = [change for change in changes if not change.varying]
    compared = len(session.wanted)
    click.echo(f"{path}: {compared} cells compared, {len(grave)} changed" + ("" if grave else ": it is current"))
    return ExitCode.FAILED if grave else ExitCode.OK


def _code(measurement: Measurement) -> ExitCode:
    counts = measurement.counts
    codes = [ExitCode.OK]
    if counts[CellKind.BROKEN]:
        codes.append(ExitCode.BROKEN)
    if counts["unexpected"]:
        codes.append(ExitCode.FAILED)
    if not counts[CellKind.SEEN] and not counts[CellKind.BROKEN]:
        codes.append(ExitCode.NOTHING_RUN)
    return worst(*codes)
