"""A file's text → plain values and the places where they stand.

The result of YAML's core schema is kept beside what the author typed: a plain ``0777`` or ``1.2`` is a
:class:`Plain`, which is its text and knows its number.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from mtls_runner.errors import ScenarioError
from mtls_runner.language.document import Document, Plain, Value
from mtls_runner.language.yaml_nodes import BOOL, FAST, FLOAT, INT, MAP, MAX_DEPTH, NULL, SEQ, STR, compose, explain
from mtls_runner.span import Diagnostic, Span

__all__ = ["MAX_ALIASED", "MAX_BYTES", "parse", "read"]

MAX_BYTES = 1 << 20
#: How many values aliases may add to a file, all together: enough for any sharing, not for a "billion laughs".
MAX_ALIASED = 100_000
_MAX_DIGITS = 64

# What YAML 1.1 (and so libyaml) takes for line breaks and YAML 1.2 and editors don't, and what neither allows.
_STRAY_BREAKS = re.compile("[\x85\u2028\u2029]")
_NOT_PRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LINE_BREAK = re.compile("\r\n|\n|\r")
_STANDARD_TAGS = frozenset((NULL, BOOL, INT, FLOAT, STR, SEQ, MAP))


def read(path: Path) -> Document:
    """A file of at most 1 MiB of UTF-8.

    Raises:
        ScenarioError: it can't be read, is no such file or not YAML.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ScenarioError([Diagnostic(f"{path}: {error.strerror or error}")]) from error
    start = Span(path, 1, 1, 1, 1)
    if len(data) > MAX_BYTES:
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
        raise ScenarioError(
            [Diagnostic("the file is empty", Span(path, 1, 1, 1, 1), "name, ca, leaves, server and cases")]
        )
    return _Converter(path, text, root).document()


def _at(path: Path, text: str, index: int) -> Span:
    lines = _LINE_BREAK.split(text[:index])
    line, column = len(lines), len(lines[-1]) + 1
    return Span(path, line, column, line, column + 1)


class _Measure(NamedTuple):
    """Of a converted list or mapping: how many values and how deep, with its aliases in place."""

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
            if self._aliased > MAX_ALIASED:
                raise self._fatal(f"aliases make more than {MAX_ALIASED} values of this file", place)
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
                self._problem("a key must be a word, not a list or a mapping", key_node)
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
