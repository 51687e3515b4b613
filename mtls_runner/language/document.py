"""A file as its readers know it: its text → plain values, and the places where they stand.

The result of YAML's core schema is kept beside what the author typed: a plain ``0777`` or ``1.2`` is a :class:`Plain`, which
is its text and knows its number.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import yaml
from msgspec import Struct, field
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mtls_runner.errors import Diagnostic, ScenarioError, Span
from mtls_runner.language.yaml_nodes import BOOL, FAST, FLOAT, INT, MAP, MAX_DEPTH, NULL, SEQ, STR, compose, explain

__all__ = ["Document", "EmptyFile", "Loc", "Plain", "Value", "meant", "parse", "read"]

Value: TypeAlias = "str | Plain | list[Value] | dict[str, Value] | None"
Loc: TypeAlias = tuple[str | int, ...]


class EmptyFile(ScenarioError):
    """Nothing is in it, or comments only."""


class Plain(str):
    """A plain scalar that YAML reads as a number or a boolean: the text as typed, and the ``value``."""

    __slots__ = ("value",)
    value: int | float | bool

    def __new__(cls, text: str, value: int | float | bool) -> Plain:
        """The author's text with its value."""
        self = super().__new__(cls, text)
        self.value = value
        return self


class Document(Struct, eq=False):
    """One YAML file: its values, and the place of each.

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
    _by_key: dict[int, dict[str, tuple[Node, Node]]] = field(default_factory=dict)

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

    def where(self, value: Value) -> Loc | None:
        """Where in the file this very list or mapping first stands; ``None``: it is not of this file."""
        left: list[tuple[Loc, Value]] = [((), self.value)]
        while left:
            loc, one = left.pop()
            if one is value:
                return loc
            inside = one.items() if isinstance(one, dict) else enumerate(one) if isinstance(one, list) else ()
            left.extend(((*loc, key), child) for key, child in inside)
        return None

    def _child(self, node: Node, element: str | int) -> tuple[Node | None, Node, int] | None:
        """Key node, value node, and the index in the text where the value begins at the earliest."""
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
        """The mapping's entries by key; of equal keys the first."""
        known = self._by_key.get(id(node))
        if known is None:
            known = self._by_key[id(node)] = {}
            for key_node, value_node in node.value:
                if isinstance(key_node, ScalarNode):
                    known.setdefault(key_node.value, (key_node, value_node))
        return known

    def index_span(self, start: int, end: int) -> Span:
        """The place of a range of characters within one line."""
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


#: So many letters of a word are an abbreviation of it, where no other begins so.
_ABBREVIATION = 3


def meant(given: str, choices: Iterable[str]) -> str:
    """The choice that ``given`` is probably a slip of, or ``""``."""
    import difflib  # only where something is wrong

    known = {choice.lower(): choice for choice in choices}
    begun = [name for name in known if name.startswith(given.lower())]
    if len(begun) == 1 and len(given) >= _ABBREVIATION:
        return known[begun[0]]
    close = difflib.get_close_matches(given.lower(), known, n=1, cutoff=0.6)
    return known[close[0]] if close else ""


_MAX_BYTES = 1 << 20
_STANDARD_INPUT = Path("-")
#: How many values aliases may add to a file, all together: enough for any sharing, not for a "billion laughs".
_MAX_ALIASED = 100_000
_MAX_DIGITS = 64

# What YAML 1.1 (and so libyaml) takes for line breaks and YAML 1.2 and editors don't, and what neither allows.
_STRAY_BREAKS = re.compile("[\x85\u2028\u2029]")
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK = re.compile("\r\n|\n|\r")
_STANDARD_TAGS = frozenset((NULL, BOOL, INT, FLOAT, STR, SEQ, MAP))


def read(path: Path) -> Document:
    """A file of at most 1 MiB of UTF-8; ``-`` is standard input.

    Raises:
        ScenarioError: it can't be read, is no such file or not YAML.
    """
    try:
        if path == _STANDARD_INPUT:
            data = sys.stdin.buffer.read(_MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
    except OSError as error:
        link = f", it is a symbolic link to {path.readlink()}" if path.is_symlink() else ""
        raise ScenarioError([Diagnostic(f"{path}: {error.strerror or error}{link}")]) from error
    start = Span(path, 1, 1, 1, 1)
    if len(data) > _MAX_BYTES:
        raise ScenarioError([Diagnostic("the file is larger than 1 MiB", start)])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig")
        raise ScenarioError(
            [
                Diagnostic(
                    f"not UTF-8: byte 0x{data[error.start]:02x}", _at(path, before, len(before)), "a file in UTF-8"
                )
            ]
        ) from error
    return parse(text, path)


def parse(text: str, path: Path, *, fast: bool = FAST) -> Document:
    """Text that was read from ``path``.

    Raises:
        ScenarioError: it is not YAML, empty, several documents, too deep, or its aliases expand to too much.
    """
    stray = _NOT_PRINTABLE.search(text) or _STRAY_BREAKS.search(text)
    if stray:
        code = ord(stray[0])
        written = f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
        raise ScenarioError(
            [
                Diagnostic(
                    f"the character U+{code:04X} is not allowed",
                    _at(path, text, stray.start()),
                    f'written as "{written}", in double quotes',
                )
            ]
        )
    try:
        root = compose(text, fast=fast)
    except yaml.YAMLError as error:
        raise ScenarioError([explain(error, text, path)]) from error
    if root is None:
        raise EmptyFile([Diagnostic("the file is empty", Span(path, 1, 1, 1, 1), "name, ca, leaves, server and cases")])
    return _Converter(path, text, root).document()


def _at(path: Path, text: str, index: int) -> Span:
    lines = _LINE_BREAK.split(text[:index])
    line, column = len(lines), len(lines[-1]) + 1
    return Span(path, line, column, line, column + 1)


class _Measure(NamedTuple):
    """How many values a converted list or mapping has, and how deep it is, with its aliases in place."""

    value: Value
    size: int
    depth: int


class _Converter:
    """Nodes → values. Each node is converted once, however many aliases lead to it."""

    def __init__(self, path: Path, text: str, root: Node) -> None:
        self._document = Document(path, text, root, None)
        self._done: dict[int, _Measure] = {}
        self._open: set[int] = set()
        self._aliased = 0

    def document(self) -> Document:
        root = self._document.root
        if isinstance(root, MappingNode | SequenceNode):
            self._document.value = self._convert(root, root).value
        else:
            self._document.value = self._scalar(root)
        return self._document

    def _problem(self, message: str, node: Node, expected: str = "") -> None:
        self._document.problems.append(Diagnostic(message, self._document.node_span(node), expected))

    def _fatal(self, message: str, node: Node) -> ScenarioError:
        return ScenarioError([Diagnostic(message, self._document.node_span(node))])

    def _convert(self, node: MappingNode | SequenceNode, place: Node) -> _Measure:
        """``place`` is where to point: the node, or the key that holds an alias."""
        known = self._done.get(id(node))
        if known is not None:
            self._aliased += known.size
            if self._aliased > _MAX_ALIASED:
                raise self._fatal(f"aliases make more than {_MAX_ALIASED} values of this file", place)
            return known
        if id(node) in self._open:
            raise self._fatal("this alias is within its own anchor", place)
        self._open.add(id(node))
        measure = self._mapping(node) if isinstance(node, MappingNode) else self._sequence(node)
        self._open.discard(id(node))
        if measure.depth > MAX_DEPTH:
            raise self._fatal(f"more than {MAX_DEPTH} mappings and lists within each other", place)
        self._done[id(node)] = measure
        return measure

    def _scalar(self, node: Node) -> Value:
        tag: str = node.tag
        text: str = node.value
        if tag == STR:
            return text
        if tag == NULL:
            return None
        if tag == BOOL and text.lower() in ("true", "false"):
            return Plain(text, text.lower() == "true")
        try:
            if tag == INT and len(text) <= _MAX_DIGITS:
                return Plain(text, int(text, 0 if text[:2] in ("0o", "0x") else 10))
            if tag == FLOAT and len(text) <= _MAX_DIGITS:
                return Plain(text, float(text.replace(".inf", "inf").replace(".nan", "nan")))
        except ValueError:
            self._problem("the text does not fit its tag", node)
            return text
        if tag not in _STANDARD_TAGS:
            self._tag(node)
        return text

    def _tag(self, node: Node) -> None:
        # It is not named: a passphrase that begins with `!` is one, without quotes.
        self._problem("this tag is not known here", node, "a value without a tag, or quotes around it")

    def _sequence(self, node: SequenceNode) -> _Measure:
        if node.tag != SEQ:
            self._tag(node)
        items: list[Value] = []
        size = depth = 0
        for item in node.value:
            if isinstance(item, ScalarNode):
                items.append(self._scalar(item))
                size += 1
                continue
            value, more, deep = self._convert(item, item if item.start_mark.index >= node.start_mark.index else node)
            items.append(value)
            size += more
            depth = max(depth, deep)
        return _Measure(items, size + 1, max(depth, 1) + 1)

    def _mapping(self, node: MappingNode) -> _Measure:
        if node.tag != MAP:
            self._tag(node)
        entries: dict[str, Value] = {}
        size = depth = 0
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                braces = isinstance(key_node, MappingNode) and bool(key_node.flow_style)
                expected = "a word, or quotes around a text with {{ }}" if braces else ""
                self._problem("a key must be a word, not a list or a mapping", key_node, expected)
                continue
            key = key_node.value
            if key == "<<" and key_node.style in (None, ""):
                self._problem("merge keys (<<) are not part of YAML 1.2", key_node, "the keys themselves, or `like:`")
                continue
            if key in entries:
                mark = next(first for first, _ in node.value if first.value == key).start_mark
                where = f"line {mark.line + 1}, column {mark.column + 1}"
                self._problem(f"duplicate key: the same key is already at {where}", key_node)
                continue
            size += 1
            if isinstance(value_node, ScalarNode):
                entries[key] = self._scalar(value_node)
                size += 1
                continue
            aliased = value_node.start_mark.index < key_node.end_mark.index
            entries[key], more, deep = self._convert(value_node, key_node if aliased else value_node)
            size += more
            depth = max(depth, deep)
        return _Measure(entries, size + 1, max(depth, 1) + 1)
