"""nginx's configuration text as statements with their places in it; crossplane reads the tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress

import crossplane  # type: ignore[import-untyped]
from crossplane.errors import NgxParserBaseException  # type: ignore[import-untyped]
from msgspec import Struct
from msgspec.structs import replace

__all__ = ["Statement", "Unreadable", "is_whole", "readable", "statements"]


class Unreadable(Exception):
    """The text is no nginx configuration, or none that can be read here; nginx itself will say what it thinks of it."""


class Statement(Struct, frozen=True):
    """One directive.

    Args:
        name, arguments: without quotes.
        start: offset of its first character.
        end: offset after its ``;`` or ``{``.
        opens: whether it is a block.
        path: names of the blocks around it, outermost first.
        block: offset after the ``{`` of the block around it; 0 at the top.
        close: of a block: offset after its ``}``.
    """

    name: str
    arguments: tuple[str, ...]
    start: int
    end: int
    opens: bool
    path: tuple[str, ...]
    block: int
    close: int = 0


def statements(text: str) -> list[Statement]:
    """All statements, in the text's order.

    Raises:
        Unreadable: quotes or braces don't match.
    """
    found: list[Statement] = []
    _read(text, found)
    return found


def readable(text: str) -> list[Statement]:
    """The statements before an unmatched quote or brace: nginx reads that far, too, before it complains."""
    found: list[Statement] = []
    with suppress(Unreadable):
        _read(text, found)
    return found


def _read(text: str, found: list[Statement]) -> None:
    words: list[str] = []
    start = 0
    path: list[str] = []
    blocks = [0]
    opened: list[int] = []
    for word, quoted, begin, end in _words(text):
        mark = "" if quoted else word
        if mark == "}":
            if len(blocks) > 1:
                blocks.pop()
                path.pop()
                if (number := opened.pop()) >= 0:
                    found[number] = replace(found[number], close=end)
            words = []
        elif mark in {";", "{"}:
            if words:
                opens = mark == "{"
                found.append(Statement(words[0], tuple(words[1:]), start, end, opens, tuple(path), blocks[-1]))
            if mark == "{":
                path.append(words[0] if words else "")
                blocks.append(end)
                opened.append(len(found) - 1 if words else -1)
            words = []
        else:
            if not words:
                start = begin
            words.append(word)


def is_whole(found: list[Statement]) -> bool:
    """Whether it is a whole ``nginx.conf`` (it has ``http`` or ``events``), not a file for ``conf.d``."""
    return any(statement.opens and not statement.path and statement.name in {"http", "events"} for statement in found)


#: At the beginning of a word only, as nginx reads them. A comment ends with its line.
_COMMENT_OR_QUOTED = re.compile(r"""(?:(?<=[\s;{}])|\A)(?:\#[^\n]*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""", re.DOTALL)


def _words(text: str) -> Iterator[tuple[str, bool, int, int]]:
    """Tokens with their offsets: the library gives only their lines, so the text is walked along with it."""
    # For the library a backslash escapes a comment's end, for nginx (ngx_conf_read_token) nothing does.
    text = _COMMENT_OR_QUOTED.sub(lambda found: found[0].replace("\\", " ") if found[0][0] == "#" else found[0], text)
    at = 0
    lua = False
    try:
        for token, _, quoted in crossplane.lex_string(text):
            if lua:  # the ';' that the library adds after a Lua block
                lua = False
                yield token, False, at, at
                continue
            while at < len(text) and text[at].isspace():
                at += 1
            begin = at
            if quoted and text.startswith("{", at):
                at = _end_of_lua(text, at)
                lua = True
            elif quoted:
                at = _end_of_quoted(text, at)
            elif text.startswith(token, at):
                at += len(token)
            else:
                raise Unreadable(f"can't follow the configuration at {text[at : at + 20]!r}")
            if quoted or not token.startswith("#"):
                yield token, quoted, begin, at
    except NgxParserBaseException as error:
        raise Unreadable(str(error.strerror)) from error
    except RuntimeError as error:  # a StopIteration inside the library's generators: the text ends too early
        raise Unreadable("unexpected end of file") from error


def _end_of_quoted(text: str, at: int) -> int:
    quote = text[at]
    at += 1
    while at < len(text) and text[at] != quote:
        at += 2 if text[at] == "\\" else 1
    return at + 1


def _end_of_lua(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        char = text[at]
        if char in "\"'":
            at = _end_of_quoted(text, at)
            continue
        if text.startswith("--", at):
            line_end = text.find("\n", at)
            at = len(text) if line_end < 0 else line_end
            continue
        depth += (char == "{") - (char == "}")
        at += 1
        if not depth:
            break
    return at
