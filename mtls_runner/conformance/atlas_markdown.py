"""A measurement as one table of faults by servers, and one by clients, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

from mtls_runner.conformance.by_end import Stand, StandState, judged, stands
from mtls_runner.conformance.markdown import headed, table_head, table_row
from mtls_runner.conformance.measurement import CellKind, MeasuredCase, Measurement
from mtls_runner.conformance.scope import Side

__all__ = ["atlas_markdown"]

_HOW_TO_READ = """\
Every cell is what real handshakes over TLS 1.2 and 1.3 came to; `mtls-run conformance` says how each was measured, and
[atlas.html](atlas.html), the same to explore, shows the line of the log on it. [divergences.md](divergences.md) tells where ends
differ on whom they let in.

- ✗ *reason*: refused; several reasons where the evidence can't tell them apart.
- **✓**: let in, although it is a fault.
- ±: not the same with every partner, or for both TLS versions.
- `-`: the end has no setting for it, or the cell is listed as a gap.
- ~: not the same in each of three runs.
"""
_TITLES = {
    Side.SERVER: (
        "Faults of a client's certificate, by server",
        "Each with the two clients that the catalogue is made for.",
    ),
    Side.CLIENT: (
        "Faults of a server's certificate, by client",
        "Each at the two servers that the catalogue is made for.",
    ),
}


def atlas_markdown(measurement: Measurement) -> str:
    """``docs/atlas.md`` as a whole."""
    return "\n".join(_lines(measurement)) + "\n"


def _lines(measurement: Measurement) -> Iterator[str]:
    counts = measurement.counts
    gaps = "is a listed gap" if counts["gap"] == 1 else "are listed gaps"
    yield "# The atlas"
    yield ""
    yield "<!-- Made by mtls-run conformance; not to be changed by hand. -->"
    yield ""
    yield (
        f"{counts['faults']} faults of mutual TLS at {len(measurement.servers)} servers and {len(measurement.clients)} "
        f"clients: {counts['cells']} cells, of which {counts['seen']} were observed, {counts['skipped']} are skipped since "
        f"an end has no setting for them, {counts['gap']} {gaps}, {counts['broken']} others."
    )
    yield ""
    yield _HOW_TO_READ
    ends = (*measurement.servers.values(), *measurement.clients.values())
    yield f"Measured with {', '.join(dict.fromkeys(end.told for end in ends))}."
    for side in Side:
        yield from _side(measurement, side)
    yield from _not_run(measurement)


def _side(measurement: Measurement, side: Side) -> Iterator[str]:
    title, said = _TITLES[side]
    yield from headed(f"## {title}", said)
    ends = measurement.servers if side is Side.SERVER else measurement.clients
    before = ""
    for file, case in judged(measurement, side):
        if not case.fault:
            continue
        if file.name != before:
            before = file.name
            yield from headed(f"### {file.name}, by {side}")
            yield from table_head("fault", *ends)
        yield table_row(case.name, *(_cell(stand) for stand in stands(measurement, case, side)))


def _cell(stand: Stand) -> str:
    varies = " ~" if any(cell.others for cell in stand.cells.values()) else ""
    if any(cell.kind is CellKind.BROKEN for cell in stand.cells.values()):
        return "!"
    match stand.state:
        case StandState.UNKNOWN:
            return "-"
        case StandState.IN:
            return f"**✓**{varies}"
        case StandState.OUT:
            return f"✗ {', '.join(stand.reasons)}{varies}"
        case StandState.BOTH:
            return f"± {', '.join(stand.reasons)}{varies}"


def _not_run(measurement: Measurement) -> Iterator[str]:
    found: dict[tuple[CellKind, str], list[MeasuredCase]] = {}
    for _, case, _, cell in measurement.cells:
        if cell.kind is not CellKind.SEEN:
            found.setdefault((cell.kind, cell.why), []).append(case)
    yield from headed("## What was not run")
    yield from table_head("", "why", "cells")
    for (kind, why), cases in sorted(found.items()):
        yield table_row(kind, why.partition("\n")[0], str(len(cases)))
