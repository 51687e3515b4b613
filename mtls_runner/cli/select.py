"""``-k`` expressions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from msgspec import Struct

from mtls_runner.errors import UsageError

__all__ = ["compile_expression"]

Predicate = Callable[[str], bool]

_TOKEN = re.compile(r"""\s*(?:(?P<paren>[()])|(?P<quoted>"[^"]*"|'[^']*')|(?P<word>[^\s()"']+))""")


_DEEPEST = 50
_SHOWN = 100
"""Characters of an expression beside a mistake in it."""


class _Token(Struct, frozen=True):
    kind: str
    text: str
    column: int


def compile_expression(expression: str) -> Predicate:
    """A predicate on case ids from an expression as pytest's ``-k`` takes it.

    Words and quoted texts occur in the id, whatever their case; ``not``, ``and``, ``or`` and parentheses combine them,
    in that order of strength.

    Raises:
        UsageError: it can't be read; the text points at the place.
    """
    return _Parser(expression).whole()


class _Parser:
    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = list(self._scan())
        self._at = 0

    def whole(self) -> Predicate:
        predicate = self._either()
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            advice = "" if token.text == ")" else "; put a text with blanks in quotes, join words with 'and' or 'or'"
            raise self._wrong(f"unexpected {token.text!r}{advice}", token.column)
        return predicate

    def _scan(self) -> Iterator[_Token]:
        end = len(self._expression.rstrip())
        position = 0
        while position < end:
            found = _TOKEN.match(self._expression, position)
            if found is None or found.lastgroup is None:
                column = position + len(self._expression[position:]) - len(self._expression[position:].lstrip())
                raise self._wrong("a quote that is never closed", column)
            yield _Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup))
            position = found.end()

    def _word(self) -> str:
        """The keyword or parenthesis that comes next, or ``""``."""
        if self._at < len(self._tokens) and self._tokens[self._at].kind != "quoted":
            return self._tokens[self._at].text
        return ""

    def _either(self, depth: int = 0) -> Predicate:
        found = [self._both(depth)]
        while self._word() == "or":
            self._at += 1
            found.append(self._both(depth))
        return found[0] if len(found) == 1 else lambda case_id: any(one(case_id) for one in found)

    def _both(self, depth: int) -> Predicate:
        found = [self._one(depth)]
        while self._word() == "and":
            self._at += 1
            found.append(self._one(depth))
        return found[0] if len(found) == 1 else lambda case_id: all(one(case_id) for one in found)

    def _one(self, depth: int) -> Predicate:
        if self._at >= len(self._tokens):
            raise self._wrong("something is missing here", len(self._expression))
        token = self._tokens[self._at]
        self._at += 1
        if depth > _DEEPEST:
            raise self._wrong(f"more than {_DEEPEST} parentheses and 'not' within each other", token.column)
        if token.kind == "quoted":
            return _contains(token.text[1:-1])
        if token.text == "not":
            return _not(self._one(depth + 1))
        if token.text == "(":
            inner = self._either(depth + 1)
            if self._word() != ")":
                raise self._wrong("this parenthesis is never closed", token.column)
            self._at += 1
            return inner
        if token.text in (")", "and", "or"):
            raise self._wrong(f"unexpected {token.text!r}", token.column)
        return _contains(token.text)

    def _wrong(self, message: str, column: int) -> UsageError:
        start = max(0, column - _SHOWN // 2) if len(self._expression) > _SHOWN else 0
        shown = self._expression[start : start + _SHOWN]
        return UsageError(f"-k, column {column + 1}: {message}\n    {shown}\n    {' ' * (column - start)}^")


def _contains(text: str) -> Predicate:
    folded = text.casefold()
    return lambda case_id: folded in case_id.casefold()


def _not(inner: Predicate) -> Predicate:
    return lambda case_id: not inner(case_id)
