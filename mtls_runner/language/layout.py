"""How a file is laid out: where its collections end, which of them have an anchor, and its comments.

By the marks of the parser that reads it, for those who write into a file and leave all the rest of it as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from msgspec import Struct
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    NodeEvent,
    ScalarEvent,
)

from mtls_runner.language.yaml_nodes import FAST, parser

__all__ = ["Comment", "Extent", "comments", "extents"]

_BLOCK_SCALARS = ("|", ">")


class _Mark(Protocol):
    @property
    def index(self) -> int: ...


class Extent(Struct, frozen=True):
    """A collection, as it stands in the text.

    Args:
        flow: in braces or brackets.
        anchored: it has an anchor, so that aliases may stand for it.
        end: index behind the last character of what is in it, comments and the closing bracket aside; ``None``: nothing is.
        line_start: that is the beginning of a line: behind a block scalar all of whose line breaks count.
    """

    flow: bool
    anchored: bool
    end: int | None
    line_start: bool = False


def extents(text: str, *, fast: bool = FAST) -> dict[int, Extent]:
    """All collections of the one document in ``text``, which can be read, by the index at which they begin; of several that
    begin at one place, the outermost.
    """
    found: dict[int, Extent] = {}
    started: list[CollectionStartEvent] = []
    last: int | None = None
    line_start = False
    for event in _events(text, fast=fast):
        if isinstance(event, CollectionStartEvent):
            started.append(event)
            last = None
        elif isinstance(event, CollectionEndEvent):
            start = started.pop()
            flow = bool(start.flow_style)
            found[_index(start.start_mark)] = Extent(flow, start.anchor is not None, last, line_start)
            if flow:
                last, line_start = _index(event.end_mark), False
        elif isinstance(event, ScalarEvent | AliasEvent):
            last, line_start = _end(event, text)
    return found


def _index(mark: _Mark | None) -> int:
    """Both parsers always give one."""
    return 0 if mark is None else mark.index


def _events(text: str, *, fast: bool) -> Iterator[Event]:
    reader = parser(text, fast=fast)
    while (event := reader.get_event()) is not None:
        yield event


def _end(event: NodeEvent, text: str) -> tuple[int, bool]:
    """Behind a scalar or an alias; a block scalar's trailing line breaks belong to it where its value has more than one."""
    end = _index(event.end_mark)
    if isinstance(event, ScalarEvent) and event.style in _BLOCK_SCALARS:
        if event.value.endswith("\n\n") or not event.value.strip("\n"):
            return end, True
        return len(text[:end].rstrip()), False
    return end, False


class Comment(Struct, frozen=True):
    """A comment, from its ``#`` to the end of its line.

    Args:
        index: of the ``#``.
        text: all of it.
    """

    index: int
    text: str


def comments(text: str, *, fast: bool = FAST) -> Iterator[Comment]:
    """All of them, but for those behind the ``|`` or ``>`` of a block scalar: what stands between two tokens is blank or one."""
    reader = parser(text, fast=fast)
    before = 0
    while (token := reader.get_token()) is not None:
        yield from _between(text, before, token.start_mark.index)
        before = max(before, token.end_mark.index)
    yield from _between(text, before, len(text))


def _between(text: str, start: int, end: int) -> Iterator[Comment]:
    at = start
    for line in text[start:end].splitlines(keepends=True):
        mark = line.find("#")
        if mark >= 0:
            yield Comment(at + mark, line[mark:].rstrip("\r\n"))
        at += len(line)
