"""PyYAML's errors → diagnostics in plain words. Its own texts differ between libyaml and the pure parser."""

from __future__ import annotations

from pathlib import Path

import yaml

from mtls_runner.language.yaml_nodes import MAX_DEPTH, TooDeep
from mtls_runner.span import Diagnostic, Span

__all__ = ["explain"]

# Parts of PyYAML's texts, both parsers', and what they mean for an author. First match counts.
_PHRASES: tuple[tuple[str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "a ':' can't stand here",
        "quotes around a text that holds ': ', or the right indentation",
    ),
    ("duplicate anchor", "an anchor of this name was defined before", ""),
    ("undefined alias", "no anchor of this name was defined before", ""),
    ("another document", "a second document begins here", "one document in a file"),
    ("unexpected end of stream", "this quoted text has no end", "a closing quote"),
    ("unknown escape character", "not an escape that double quotes know", "single quotes, or \\\\ for a backslash"),
    ("could not find expected ':'", "a ':' is missing after this key, or the text before is not indented", ""),
    ("incompatible YAML document", "this YAML version is not known", "YAML 1.2, without a %YAML line"),
)
_CONTEXTS: tuple[tuple[str, str, str], ...] = (
    ("flow sequence", "this list has no end, or a comma is missing in it", "',' or ']'"),
    ("flow mapping", "this mapping has no end, or a comma is missing in it", "',' or '}'"),
    (
        "block collection",
        "not an item of the list above: the indentation differs",
        "'- ' in the column of the list's other items",
    ),
    (
        "block mapping",
        "not a key of the mapping above: the indentation differs",
        "a key in the column of the mapping's other keys",
    ),
    ("scanning an alias", "an alias needs a name", "*name"),
    ("scanning an anchor", "an anchor needs a name", "&name"),
    (
        "block scalar",
        "the first line of this text block can't be read",
        "'|' or '>', and the text on the next lines, indented",
    ),
    ("tag", "this tag can't be read", "a value without a tag"),
)
_UNSTARTABLE = "that cannot start any token"


def explain(error: yaml.YAMLError, text: str, path: Path) -> Diagnostic:
    """What the author should read instead."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Diagnostic("not YAML", Span(path, 1, 1, 1, 1))
    mark = error.problem_mark or error.context_mark
    problem, context = error.problem or "", error.context or ""
    at_end = mark is None or mark.index >= len(text.rstrip())
    if at_end and error.context_mark is not None:  # where it began tells more than the end of the file
        mark = error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    message, expected = _words(error, problem, context, text, mark.index if mark is not None else 0)
    return Diagnostic(message, Span(path, line, column, line, column + 1), expected)


def _words(error: yaml.YAMLError, problem: str, context: str, text: str, index: int) -> tuple[str, str]:
    if isinstance(error, TooDeep) or "maximum nesting depth" in problem:
        return f"more than {MAX_DEPTH} mappings and lists within each other", ""
    if _UNSTARTABLE in problem:
        character = text[index : index + 1]
        if character == "\t":
            return "a tab can't indent", "spaces"
        return f"a value can't begin with '{character}'", "quotes around it"
    for phrase, message, expected in _PHRASES:
        if phrase in problem or phrase in context:
            return message, expected
    for phrase, message, expected in _CONTEXTS:
        if phrase in context:
            return message, expected
    return f"not YAML: {problem or context}", ""
