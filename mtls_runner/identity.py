"""What is remembered about an object, found without comparing all that the object holds."""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["ByIdentity"]

K = TypeVar("K")
V = TypeVar("V")


class ByIdentity(Generic[K, V]):
    """A mapping from objects, two equal ones being two.

    It holds its keys: the identity of an object that is gone is given to a new one (Python's documentation of ``id``),
    which would be taken for the old one.
    """

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[int, tuple[K, V]] = {}

    def get(self, key: K) -> V | None:
        """What is remembered about this very object."""
        entry = self._entries.get(id(key))
        return None if entry is None else entry[1]

    def set(self, key: K, value: V) -> V:
        """Remember it, and return it."""
        self._entries[id(key)] = (key, value)
        return value
