"""A file as its readers know it: plain values, the places where they stand, and all that is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mtls_runner.snippet import discreet, without_secrets
from mtls_runner.span import Diagnostic, Severity, Span

__all__ = ["Document", "Loc", "Plain", "Problems", "Value", "meant"]

Value: TypeAlias = "str | Plain | list[Value] | dict[str, Value] | None"
Loc: TypeAlias = tuple[str | int, ...]


class Plain(str):
    """A plain scalar that YAML reads as a number or a boolean: the text as typed, and the ``value``."""

    __slots__ = ("value",)
    value: int | float | bool

    def __new__(cls, text: str, value: int | float | bool) -> Plain:
        """The author's text with its value."""
        self = super().__new__(cls, text)
        self.value = value
        return self


@dataclass(slots=True, eq=False)
class Document:
    """One file.

    Args:
        path: as given.
        text: without a byte order mark.
        root: its nodes.
        value: the same as plain values, every alias in place.
        problems: duplicate keys, tags and the like; the value is without them.
    """

    path: Path
    text: str
    root: Node
    value: Value
    problems: list[Diagnostic] = field(default_factory=list)
    _by_key: dict[int, dict[str, tuple[Node, Node]]] = field(default_factory=dict, repr=False)

    def items(self, loc: Sequence[str | int]) -> Sequence[Node]:
        """The nodes of the list at ``loc``; none where there is no list."""
        _, node, whole = self.locate(loc)
        return node.value if whole and isinstance(node, SequenceNode) else ()

    def span(self, loc: Sequence[str | int], *, key: bool = False) -> Span:
        """The place of the value at ``loc``, or of its key; the nearest enclosing one where there is no such value."""
        return self.locate(loc, key=key)[0]

    def locate(self, loc: Sequence[str | int], *, key: bool = False) -> tuple[Span, Node, bool]:
        """As :meth:`span`, with the node and whether the last element of ``loc`` led to it.

        Elements that lead nowhere are passed over: short forms leave out a level, validation errors name more than there
        is. An alias's mark is that of its anchor; the way ends at the key (or list) that holds the alias, since the same
        text may be right at its anchor.
        """
        node, at, whole = self.root, self.root, True
        own_place = True
        for number, element in enumerate(loc, 1):
            found = self._child(node, element)
            whole = found is not None
            if found is None:
                continue
            key_node, child, before = found
            if own_place:
                aliased = child.start_mark.index < before
                empty = child.start_mark.index == child.end_mark.index
                if key_node is not None and (aliased or empty or (key and number == len(loc))):
                    at = key_node
                elif not aliased:
                    at = child
                    if key_node is not None and not isinstance(child, ScalarNode) and _is_block(child):
                        at = key_node
                own_place = not aliased
            node = child
        return self.node_span(at), node, whole

    def _child(self, node: Node, element: str | int) -> tuple[Node | None, Node, int] | None:
        """Key node, value node, and the index in the text before which nothing of the value's own can begin."""
        if isinstance(node, MappingNode):
            entry = self._entries(node).get(element) if isinstance(element, str) else None
            return (*entry, entry[0].end_mark.index) if entry is not None else None
        if isinstance(node, SequenceNode) and isinstance(element, int) and element < len(node.value):
            floor = node.start_mark.index
            for item in node.value[:element]:
                if item.start_mark.index >= floor:
                    floor = item.end_mark.index
            return None, node.value[element], floor
        return None

    def _entries(self, node: MappingNode) -> dict[str, tuple[Node, Node]]:
        """By key; of equal ones the first."""
        known = self._by_key.get(id(node))
        if known is None:
            known = self._by_key[id(node)] = {}
            for key_node, value_node in node.value:
                if isinstance(key_node, ScalarNode):
                    known.setdefault(key_node.value, (key_node, value_node))
        return known

    def index_span(self, start: int, end: int) -> Span:
        """Of characters of the text, within one line."""
        before = self.text[:start].replace("\r\n", "\n").replace("\r", "\n")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return Span(self.path, line, column, line, column + end - start)

    def node_span(self, node: Node) -> Span:
        """A scalar's or flow collection's range; of a block one only its first key or dash."""
        end = node.end_mark
        start = node.start_mark
        if isinstance(node, ScalarNode):
            if end.line != start.line and end.column == 0:  # a block scalar ends where the next line begins
                return Span(self.path, start.line + 1, start.column + 1, start.line + 1, start.column + 2)
        elif _is_block(node):
            if isinstance(node, MappingNode) and node.value:
                end = node.value[0][0].end_mark
            else:
                return Span(self.path, start.line + 1, start.column + 1, start.line + 1, start.column + 2)
        return Span(self.path, start.line + 1, start.column + 1, end.line + 1, end.column + 1)


_COLLECTIONS = (MappingNode, SequenceNode)


def _is_block(node: Node) -> bool:
    return isinstance(node, _COLLECTIONS) and not node.flow_style


def meant(given: str, choices: Iterable[str]) -> str:
    """The choice that ``given`` is probably a slip of, or ``""``."""
    known = {choice.lower(): choice for choice in choices}
    close = difflib.get_close_matches(given.lower(), known, n=1, cutoff=0.6)
    return known[close[0]] if close else ""


class Problems:
    """Errors and warnings, each once, in the order of their places."""

    def __init__(self, *, partial: bool = False) -> None:
        """``partial``: parts of the file were left out, so that what is missing may be among them."""
        self._found: dict[Diagnostic, None] = {}
        self._partial = partial

    def add(self, diagnostics: Iterable[Diagnostic]) -> None:
        """What others found."""
        self._found.update(dict.fromkeys(diagnostics))

    def error(
        self, document: Document, loc: Loc, message: str, expected: str = "", suggestion: str = "", *, key: bool = False
    ) -> None:
        """An error at the value (or key) of ``loc``."""
        found = Diagnostic(message, document.span(loc, key=key), expected, suggestion)
        self.add([discreet(found, document.text)])

    def absent(self, document: Document, loc: Loc, message: str, expected: str = "") -> None:
        """An error about something that is missing, at what it is missing from."""
        if not self._partial:
            self.error(document, loc, message, expected, key=True)

    def warning(self, document: Document, loc: Loc, message: str, expected: str = "", *, key: bool = False) -> None:
        """A warning at the value (or key) of ``loc``."""
        found = Diagnostic(message, document.span(loc, key=key), expected, severity=Severity.WARNING)
        self.add([discreet(found, document.text)])

    def unknown(self, document: Document, loc: Loc, what: str, given: str, choices: Iterable[str]) -> None:
        """An id that names nothing."""
        names = list(choices)
        expected = f"one of: {', '.join(names)}" if names else "there is none in this file"
        self.error(document, loc, f"there is no {what} '{without_secrets(given)}'", expected, meant(given, names))

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """By place."""
        return self._of(Severity.ERROR)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """By place."""
        return self._of(Severity.WARNING)

    def _of(self, severity: Severity) -> tuple[Diagnostic, ...]:
        chosen = [diagnostic for diagnostic in self._found if diagnostic.severity is severity]
        return tuple(sorted(chosen, key=lambda one: (one.span is None, one.span and (str(one.span.path), one.span))))
