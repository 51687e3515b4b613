"""By which of a case's parameters something differs: backend, tool or TLS version, or several of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import TypeAlias, TypeVar

from mtls_runner.model.case import Case, Step

__all__ = ["Coordinates", "When", "coordinates", "told_apart"]

_DIMENSIONS = ("backend", "tool", "tls")
"""As ``when:`` names them."""
Coordinates: TypeAlias = tuple[str, str, str]
"""The value of each; ``""``: it has none, or several are possible."""
When: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""Some of them, each with the values that it may have."""

V = TypeVar("V", bound=Hashable)


def coordinates(case: Case, step: Step) -> Coordinates:
    """The coordinates of a connection."""
    tool = step.client.tool.name if step.client is not None else ""
    return case.server.backend.name, tool, step.tls.value if step.tls is not None else ""


def told_apart(
    where: Sequence[Coordinates], values: Sequence[V], default: V | None = None
) -> list[tuple[When, V]] | None:
    """For each value but ``default``, where it is seen, by as few parameters as tell them apart.

    Args:
        where, values: of each connection.
        default: what is seen where nothing else is said; it may be seen where a parameter has no value, too.

    Returns:
        ``None``: they don't tell the values apart.
    """
    for size in range(1, len(_DIMENSIONS) + 1):
        for chosen in combinations(range(len(_DIMENSIONS)), size):
            found: dict[tuple[str, ...], set[V]] = {}
            for at, value in zip(where, values, strict=True):
                found.setdefault(tuple(at[number] for number in chosen), set()).add(value)
            if all(len(seen) == 1 and ("" not in key or seen == {default}) for key, seen in found.items()):
                names = [_DIMENSIONS[number] for number in chosen]
                return list(_entries(names, {key: seen.pop() for key, seen in found.items()}, default))
    return None


_Box: TypeAlias = tuple[tuple[str, ...], ...]


def _entries(names: Sequence[str], found: Mapping[tuple[str, ...], V], default: V | None) -> Iterator[tuple[When, V]]:
    for value in dict.fromkeys(found.values()):
        if value == default:
            continue
        boxes: list[_Box] = [tuple((part,) for part in key) for key, seen in found.items() if seen == value]
        for box in _merged(boxes):
            yield tuple(zip(names, box, strict=True)), value


def _merged(boxes: list[_Box]) -> list[_Box]:
    """As few as possible: two that differ in one parameter are one with a list there."""
    for one, other in combinations(boxes, 2):
        differing = [at for at, (left, right) in enumerate(zip(one, other, strict=True)) if left != right]
        if len(differing) == 1:
            at = differing[0]
            joined = (*one[:at], (*one[at], *other[at]), *one[at + 1 :])
            return _merged([joined if box is one else box for box in boxes if box is not other])
    return boxes
