"""Several measurements as one: the parts of a matrix of machines."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from mtls_runner.conformance.catalogue import Combination
from mtls_runner.conformance.measurement import MeasuredCase, MeasuredCell, MeasuredEnd, MeasuredFile, Measurement
from mtls_runner.errors import UsageError

__all__ = ["merged"]


def merged(parts: Mapping[str, Measurement]) -> Measurement:
    """All cells of all parts; one that several have is known by the last of them.

    Args:
        parts: by the file that each stands in.

    Raises:
        UsageError: one end has two versions: which of them a cell would be about could not be told.
    """
    servers: dict[str, tuple[MeasuredEnd, str]] = {}
    clients: dict[str, tuple[MeasuredEnd, str]] = {}
    versions: dict[str, str] = {}
    cells: dict[tuple[str, str], dict[Combination, MeasuredCell]] = {}
    files: dict[str, MeasuredFile] = {}
    cases: dict[tuple[str, str], MeasuredCase] = {}
    for path, part in parts.items():
        _add(servers, part.servers, path)
        _add(clients, part.clients, path)
        versions.update(part.versions)
        for file in part.files:
            files[file.name] = file
            for case in file.cases:
                cases[file.name, case.name] = case
                cells.setdefault((file.name, case.name), {}).update(case.cells)

    def whole(file: MeasuredFile) -> MeasuredFile:
        own = (replace(case, cells=cells[name]) for name, case in cases.items() if name[0] == file.name)
        return replace(file, cases=tuple(own))

    return Measurement(
        tuple(map(whole, files.values())),
        versions,
        {name: end for name, (end, _) in servers.items()},
        {name: end for name, (end, _) in clients.items()},
    )


def _add(known: dict[str, tuple[MeasuredEnd, str]], ends: Mapping[str, MeasuredEnd], path: str) -> None:
    for name, end in ends.items():
        other, where = known.setdefault(name, (end, path))
        if other.versions != end.versions:
            raise UsageError(
                f"--merge: {where} was measured with {other.told}, {path} with {end.told}: measure one of them under a name of "
                f"its own ({name}@VERSION)"
            )
