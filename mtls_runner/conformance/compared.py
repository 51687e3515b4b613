"""A fresh measurement held against an earlier one, cell by cell."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from msgspec import Struct

from mtls_runner.conformance.catalogue import Combination
from mtls_runner.conformance.measurement import CellKind, CellName, MeasuredCell, Measurement

__all__ = ["CellChange", "changed_cells"]


class CellChange(Struct, frozen=True):
    """A cell that is not what it was.

    Args:
        file, case, place: which.
        before, now: what is known of it; ``None``: it was not there.
        versions: of its ends before and now, where they differ.
        varying: what was seen before was seen now, too, in one of several runs.
    """

    file: str
    case: str
    place: Combination
    before: MeasuredCell | None
    now: MeasuredCell
    versions: str
    varying: bool

    @property
    def told(self) -> str:
        """On one line."""
        of = ", ".join(
            filter(
                None, (f"server {self.place.backend}", self.place.tool and f"client {self.place.tool}", self.place.tls)
            )
        )
        was = _told(self.before) if self.before is not None else "not measured"
        often = "; not the same each time" if self.varying else ""
        return f"{self.file}: {self.case} ({of}): was {was}, is {_told(self.now)}{self.versions}{often}"


def _told(cell: MeasuredCell) -> str:
    if cell.seen is None:
        return f"{cell.kind.value} ({cell.why.splitlines()[0] if cell.why else ''})"
    alert = f", alert {cell.seen.alert}" if cell.seen.alert is not None else ""
    status = f", HTTP {cell.seen.status}" if cell.seen.status is not None else ""
    code = f", verify code {cell.seen.verify_code}" if cell.seen.verify_code is not None else ""
    return f"{cell.seen.written}{alert}{status}{code}"


def changed_cells(
    before: Measurement, now: Measurement, fresh: Collection[CellName], missing: Collection[str]
) -> Iterator[CellChange]:
    """Those of the ``fresh`` cells that are not what they were before.

    Args:
        before, now: what is compared.
        fresh: file, case and place of those that were measured now.
        missing: servers and clients that are not installed here; nothing is said of them.
    """
    known = before.by_name
    for name, cell in now.by_name.items():
        file, case, place = name
        if name not in fresh or place.backend in missing or place.tool in missing:
            continue
        old = known.get(name)
        if old is not None and _same(old, cell):
            continue
        varying = old is not None and old.seen is not None and any(one.agrees(old.seen) for one in cell.others)
        yield CellChange(file, case, place, old, cell, _versions(before, now, place), varying)


def _same(old: MeasuredCell, new: MeasuredCell) -> bool:
    if old.seen is None or new.seen is None:
        return old.kind is new.kind and old.kind is not CellKind.BROKEN
    return any(one.agrees(new.seen) for one in (old.seen, *old.others))


def _versions(before: Measurement, now: Measurement, place: Combination) -> str:
    told = []
    for name, was, here in (
        (place.backend, before.servers, now.servers),
        (place.tool, before.clients, now.clients),
    ):
        if name in was and name in here and was[name].versions != here[name].versions:
            told.append(f"{was[name].told} → {here[name].told}")
    return f" ({'; '.join(told)})" if told else ""
