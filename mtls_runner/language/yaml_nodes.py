"""YAML text → PyYAML's nodes, read by YAML 1.2's core schema (YAML 1.2.2 §10.3), with a bounded depth; errors in plain words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple, Protocol, cast

import yaml
from yaml.composer import Composer
from yaml.events import Event
from yaml.nodes import MappingNode, Node, ScalarNode
from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner
from yaml.tokens import Token

from mtls_runner.errors import Diagnostic, Span

try:
    from yaml._yaml import CParser
except ImportError:  # PyYAML built without libyaml
    CParser = None  # type: ignore[assignment,misc]

__all__ = [
    "BOOL",
    "FAST",
    "FLOAT",
    "INT",
    "MAP",
    "MAX_DEPTH",
    "NULL",
    "SEQ",
    "STR",
    "Composed",
    "TooDeep",
    "compose",
    "explain",
    "parser",
]

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
    """What both composers give; each gives one of these only."""

    def get_single_node(self) -> Node | None:
        """The document's root; ``None`` for an empty file."""
        ...

    def get_event(self) -> Event | None:
        """The next event; ``None``: there are no more."""
        ...

    def get_token(self) -> Token | None:
        """The next token; ``None``: there are no more."""
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
    return parser(text, fast=fast).get_single_node()


def parser(text: str, *, fast: bool = FAST) -> Composed:
    """What reads the text: as nodes, as events, or as tokens."""
    return cast(Composed, _FastComposer(text) if fast else _PureComposer(text))


# Parts of PyYAML's texts, both parsers', and what they mean for an author. First match counts.
_COLON, _ALIAS = "mapping values are not allowed", "scanning an alias"
_DOCUMENT = "<document start>"
_PHRASES: tuple[tuple[str, str, str], ...] = (
    (
        _COLON,
        "a ':' can't stand here",
        "quotes around a text that holds ': ', braces around a mapping, or the right indentation",
    ),
    ("unexpected ':'", "a ':' can't stand here", "what belongs behind it, or quotes around the whole text"),
    (_DOCUMENT, "the file's one mapping or text ends before this", "keys in one column"),
    ("duplicate anchor", "an anchor of this name was defined before", ""),
    ("undefined alias", "no anchor of this name was defined before", ""),
    ("another document", "a second document begins here", "one document in a file"),
    ("unexpected end of stream", "this quoted text has no end", "a closing quote"),
    ("unknown escape character", "not an escape that double quotes know", "single quotes, or \\\\ for a backslash"),
    ("could not find expected ':'", "a ':' is missing after this key, or the text before is not indented", ""),
    ("found a tab character", "a tab can't indent", "spaces"),
    ("incompatible YAML document", "this YAML version is not known", "YAML 1.2, without a %YAML line"),
)
_CONTEXTS: tuple[tuple[str, str, str], ...] = (
    ("flow sequence", "this list has no end, or a comma is missing in it", "',' or ']'"),
    ("flow mapping", "this mapping has no end, or a comma is missing in it", "',' or '}'"),
    ("flow node", "a value is missing here, between brackets or braces", ""),
    (
        "block collection",
        "not an item of the list above: the indentation differs",
        "'- ' in the column of the list's other items, or the column of the keys of the item above",
    ),
    (
        "block mapping",
        "not a key of the mapping above: the indentation differs",
        "a key in the column of the mapping's other keys",
    ),
    (_ALIAS, "an alias needs a name", "*name"),
    ("scanning an anchor", "an anchor needs a name", "&name"),
    (
        "block scalar",
        "the first line of this text block can't be read",
        "'|' or '>', and the text on the next lines, indented",
    ),
    ("tag", "this tag can't be read", "a value without a tag"),
)
#: A line that is neither empty nor a comment: without its dashes, and without a comment behind it.
_CONTENT = re.compile(r"^[ ]*(?:- +)*(?P<rest>[^\s#].*?)[ \t\r]*(?: #.*)?$", re.MULTILINE)
_UNSTARTABLE = "that cannot start any token"
_SHORT_OUTCOME = re.compile(r"(?:^|[\s{,])([a-z-]+)$")
_PLAIN_WORD = re.compile(r"\s*([a-z-]+)\s*(?:[,}]|$)")
_BRACES = re.compile(r"\{\{[^{}\n]*\}\}")
_WILDCARD = re.compile(r"\*\.[\w.-]+")


def explain(error: yaml.YAMLError, text: str, path: Path) -> Diagnostic:
    """What the author should read instead."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Diagnostic("not YAML", Span(path, 1, 1, 1, 1), readable=False)
    mark = error.problem_mark or error.context_mark
    problem, context = error.problem or "", error.context or ""
    at_end = mark is None or mark.index >= len(text.rstrip())
    if error.context_mark is not None and (at_end or _left_open(context, error.context_mark, mark, text)):
        mark = error.context_mark  # where it began tells more than where its end is missed
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    index = mark.index if mark is not None else 0
    slip = _line_before(text, index) if _COLON in problem or _DOCUMENT in problem else None
    if slip is not None:
        return slip.diagnostic(text, path)
    message, expected = _words(error, problem, context, text, index)
    length = 1
    if _ALIAS in context and text[index - 1 : index] == "*":  # the mark is behind the asterisk
        found = _WILDCARD.match(text, index - 1)
        column, length = column - 1, len(found[0]) if found is not None else 1
    return Diagnostic(message, Span(path, line, column, line, column + length), expected, readable=False)


class _Slip(NamedTuple):
    """A key without its colon, or a colon without its space: the parser goes on with the next line, and minds that one."""

    start: int
    end: int
    message: str
    expected: str

    def diagnostic(self, text: str, path: Path) -> Diagnostic:
        """At the slip itself."""
        line, column = text.count("\n", 0, self.start) + 1, self.start - text.rfind("\n", 0, self.start)
        span = Span(path, line, column, line, column + self.end - self.start)
        return Diagnostic(self.message, span, self.expected, readable=False)


def _line_before(text: str, index: int) -> _Slip | None:
    """A slip on the line before the one at ``index``, where that line is a key of its own, and no continued text's."""
    lines = list(_CONTENT.finditer(text, 0, max(index, text.find("\n", index))))
    if len(lines) < 2:
        return None
    above, here = lines[-2], lines[-1]
    if above.start("rest") - above.start() > here.start("rest") - here.start() or ": " in above["rest"]:
        return None
    column = above.start("rest") - above.start()
    for outer in reversed(lines[:-2]):
        if outer.start("rest") - outer.start() < column:
            if not outer["rest"].endswith(":"):  # its text goes on
                return None
            break
    colon = re.match(r"[\w.-]+(:)\S", above["rest"])
    if colon is not None:
        at = above.start("rest") + colon.start(1)
        return _Slip(at, at + 1, "a space is missing behind this ':'", "key: value")
    key = re.match(r"[\w.-]+(?!\S)", above["rest"])
    if key is None:
        return None
    at = above.start("rest")
    return _Slip(at, at + key.end(), "a ':' is missing behind this key", "key: value")


def _left_open(context: str, begin: yaml.Mark, found: yaml.Mark | None, text: str) -> bool:
    """Whether a list or mapping in brackets has no end: on its own line there is none, or another's stands in its place."""
    if found is None or "flow" not in context:
        return False
    return found.line != begin.line or text[found.index : found.index + 1] in ("]", "}")


def _advice(phrase: str, message: str, context: str, text: str, index: int) -> tuple[str, str] | None:
    """What is better said with the text around it; it is quoted only where it is made of the language's own words."""
    if phrase == _COLON:
        from mtls_runner.model.observation import Outcome, Reason

        line = text[text.rfind("\n", 0, index) + 1 :].partition("\n")[0]
        before = _SHORT_OUTCOME.search(text[text.rfind("\n", 0, index) + 1 : index])
        if before is not None and before[1] in {outcome.value for outcome in Outcome}:
            after = _PLAIN_WORD.match(line[line.index(":", before.end(1)) + 1 :])
            reason = after[1] if after is not None and after[1] in {reason.value for reason in Reason} else "…"
            return message, f"{{{before[1]}: {reason}}}, in braces"
    if any(index in found.span() for found in _BRACES.finditer(text)):
        return "a text with {{ }} is a mapping to YAML where no quotes are around it", "quotes around the whole text"
    if phrase == _ALIAS and text[index - 1 : index] == "*":
        found = _WILDCARD.match(text, index - 1)
        quoted = f': "{found[0]}"' if found is not None else ""
        return "a '*' at the beginning makes an alias of it", f"quotes around it{quoted}"
    line = text[text.rfind("\n", 0, index) + 1 : index]
    if "block mapping" in context and line.rstrip()[-1:] in ("'", '"'):
        return "text behind the end of a quoted one", "the other kind of quotes around all of it"
    item = re.match(r"-\s", text[index : index + 2]) is not None
    if "flow node" in context and item:
        return "a list item ('- ') between brackets or braces", "their end before it, or a value"
    if "block mapping" in context and item:
        return "a list item ('- ') among the keys of a mapping", "a key without '- ', or a list under a key of its own"
    return None


def _words(error: yaml.YAMLError, problem: str, context: str, text: str, index: int) -> tuple[str, str]:
    if isinstance(error, TooDeep) or "maximum nesting depth" in problem:
        return f"more than {MAX_DEPTH} mappings and lists within each other", ""
    if _UNSTARTABLE in problem:
        character = text[index : index + 1]
        if character == "\t":
            return "a tab can't indent", "spaces"
        return f"a value can't begin with '{character}'", "quotes around it"
    if "flow mapping" in context and text[index : index + 1] == ":":
        problem = _COLON  # of a text within braces the parser says only that they are not closed there
    for phrase, message, expected in _PHRASES:
        if phrase in problem or phrase in context:
            return _advice(phrase, message, context, text, index) or (message, expected)
    for phrase, message, expected in _CONTEXTS:
        if phrase in context:
            return _advice(phrase, message, context, text, index) or (message, expected)
    return f"not YAML: {problem or context}", ""
