"""What the cases of one file have in common, and the columns for what they have not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mtls_runner.cells import width
from mtls_runner.model.case import Case
from mtls_runner.reporters.escape import one_line

__all__ = ["Layout"]

WIDEST_NAME = 72
"""Cells; a longer name pushes its own line to the right, not everybody's."""


def _backend(case: Case) -> str:
    return case.server.backend.name


def _tool(case: Case) -> str:
    return case.client.tool.name if case.client is not None else ""


def _tls(case: Case) -> str:
    return str(case.tls) if case.tls is not None else ""


# The column, how it is read, and the matrix parameters that put it into a case's name already.
_FACTS: tuple[tuple[str, Callable[[Case], str], tuple[str, ...]], ...] = (
    ("server", _backend, ("server.backend=", "backend=")),
    ("client", _tool, ("client.tool=", "tool=")),
    ("", _tls, ("client.tls=", "server.tls=")),
)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the cases of one file are laid out.

    Args:
        name_width: cells of the name column.
        common: what all cases share, for the heading (``python server``, ``curl client``, ``TLSv1.3``).
        columns: readers and widths of what differs and does not stand in the names.
    """

    name_width: int
    common: tuple[str, ...]
    columns: tuple[tuple[Callable[[Case], str], int], ...]

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Layout:
        """The layout for these cases."""
        common: list[str] = []
        columns: list[tuple[Callable[[Case], str], int]] = []
        for label, read, parameters in _FACTS:
            values = {read(case) for case in cases}
            if len(values) == 1:
                common.extend(f"{value} {label}".rstrip() for value in values if value)
            elif len(values - {""}) > 1 and not all(_named(case, read, parameters) for case in cases):
                columns.append((read, max(map(len, values))))
            elif "" in values and len(values) == 2 and label:  # a server's own expectation has no client
                common.extend(f"{value} {label}".rstrip() for value in values if value)
        widths = [width(one_line(case.name)) for case in cases]
        fitting = [cells for cells in widths if cells <= WIDEST_NAME]
        return cls(max(fitting, default=0), tuple(common), tuple(columns))

    def row(self, case: Case) -> tuple[str, str]:
        """The name, padded, and the other columns."""
        name = one_line(case.name)
        cells = "".join(f"{read(case):<{space}}  " for read, space in self.columns)
        return name + " " * max(0, self.name_width - width(name)), cells


def _named(case: Case, read: Callable[[Case], str], parameters: tuple[str, ...]) -> bool:
    return not read(case) or any(parameter in case.name for parameter in parameters)
