"""YAML text → PyYAML's nodes, read by YAML 1.2's core schema (YAML 1.2.2 §10.3), with a bounded depth.

PyYAML's own resolver is YAML 1.1's, in which ``no`` is false and ``12:30`` is 750. libyaml composes about 15 times
faster than the pure Python composer; where it is absent, the pure one does the same.
"""

from __future__ import annotations

import re
from typing import Protocol, cast

import yaml
from yaml.composer import Composer
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

try:
    from yaml._yaml import CParser
except ImportError:  # PyYAML built without libyaml
    CParser = None  # type: ignore[assignment,misc]

__all__ = ["BOOL", "FLOAT", "INT", "MAP", "MAX_DEPTH", "NULL", "SEQ", "STR", "Composed", "TooDeep", "compose"]

NULL, BOOL, INT, FLOAT, STR, SEQ, MAP = (
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "str", "seq", "map")
)

#: Deeper than any scenario needs; libyaml's composer is recursive C, which a file of ``[[[[…`` would overflow.
MAX_DEPTH = 40

_WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), NULL),
    **dict.fromkeys(("true", "True", "TRUE", "false", "False", "FALSE"), BOOL),
    **dict.fromkeys((".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), FLOAT),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), FLOAT),
}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NUMERIC = frozenset("0123456789+-.")


class TooDeep(yaml.MarkedYAMLError):
    """More than :data:`MAX_DEPTH` mappings and lists within each other."""


class Composed(Protocol):
    """What both composers give."""

    def get_single_node(self) -> Node | None:
        """The document's root; ``None`` for an empty file."""
        ...


class _CoreSchema:
    """The methods that a composer asks for tags, and tells where it is."""

    depth = 0

    def resolve(self, kind: type[Node], value: str | None, implicit: tuple[bool, bool]) -> str:
        """The tag of a node that has none: for a scalar, ``implicit[0]`` says that it is plain."""
        if kind is not ScalarNode:
            return MAP if kind is MappingNode else SEQ
        if not implicit[0] or value is None:
            return STR
        word = _WORDS.get(value)
        if word is not None:
            return word
        if value[0] in _NUMERIC:
            if _INT.fullmatch(value):
                return INT
            if _FLOAT.fullmatch(value):
                return FLOAT
        return STR

    def descend_resolver(self, current_node: Node | None, current_index: object) -> None:  # noqa: ARG002 - PyYAML's
        """Called before each node."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TooDeep(None, None, "too deep", current_node.start_mark if current_node is not None else None)

    def ascend_resolver(self) -> None:
        """Called after each node."""
        self.depth -= 1


class _PureComposer(_CoreSchema, Reader, Scanner, Parser, Composer):
    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)
        Composer.__init__(self)


if CParser is not None:

    class _FastComposer(_CoreSchema, CParser):
        def __init__(self, text: str) -> None:
            CParser.__init__(self, text)


#: Whether libyaml is there; ``compose(text, fast=…)`` chooses otherwise.
FAST = CParser is not None


def compose(text: str, *, fast: bool = FAST) -> Node | None:
    """The one document of ``text``.

    Raises:
        yaml.YAMLError: it is not YAML, not one document, or too deep.
    """
    composer = _FastComposer(text) if fast else _PureComposer(text)
    return cast(Composed, composer).get_single_node()


def is_collection(node: Node) -> bool:
    """A mapping or a list."""
    return isinstance(node, MappingNode | SequenceNode)
