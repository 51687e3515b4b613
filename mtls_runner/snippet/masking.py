"""Which parts of a YAML text could be secret: found in the text itself, since a file that is shown may be no YAML at all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache

from msgspec.structs import replace

from mtls_runner.errors import Diagnostic
from mtls_runner.snippet import FAR, MASK, is_near, is_secret, is_slip, plain
from mtls_runner.snippet.disguised import disguised

__all__ = ["discreet", "masked", "without_secrets"]


# Only whole words: within a long one, looking for a key at each letter would take forever.
_KEY = re.compile(r"""(?<![\w.\-])(?P<key>[\w.\-]+)(?P<quote>["']?)(?P<sign>[ \t]*(?:\r?\n[ \t]*(?=:))?[:=])""")
# Where a key could stand: at the start of a line, in a flow collection, or as a value, where a colon was forgotten.
_START = r"""(?m)(?:^[ \t]*(?:[-?] +)*|[{\[,][ \t]*|:[ \t]+)["']?"""
_BARE = re.compile(_START + r"(?P<key>[^\W\d][\w.\-]*+)[ \t]++(?=[^\s:=#,}\]])")
_DOTTED = re.compile(_START + r"(?P<key>[\w\-]++(?:\.[^\s.,:=\[\]{}\"']++)+)")
#: What may be called after a secret, and how a secret may be given.
_ENDINGS = frozenset(
    {
        "cer",
        "conf",
        "crt",
        "der",
        "env",
        "file",
        "json",
        "key",
        "p12",
        "pem",
        "pfx",
        "text",
        "toml",
        "txt",
        "yaml",
        "yml",
    }
)
#: Free texts: what they begin with is no key.
_FREE = re.compile(r"""(?<![\w.\-])(?:name|description)["']?$""")
_LONGEST_FREE = 16
_COMMENT = re.compile(r"(?:^|[ \t])#")
_DOUBLE = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_SINGLE = re.compile(r"'(?:[^']|'')*'", re.DOTALL)
_NEXT_KEY = re.compile(r"""\s*,\s*["']?[^\W\d][\w.\-]*["']?\s*:(?=\s|$)""")
_ONLY_CLOSERS = re.compile(r"[\s,}\]]*(?:#.*)?$")
_STRUCTURE = re.compile(r"""[ \t]*(?:- |-$|#|[\]}]|["']?[^\W\d][\w.\-/ ]*["']?[ \t]*:(?:\s|$))""")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)(?:-----END|\Z)", re.DOTALL)
_LINE_START = re.compile(r"(?m)^|(?<=\r)(?!\n)")
_EDGES = re.compile(r"^\W+|\W+$")
_ALIAS = re.compile(r"\s*\*([^\s,\[\]{}]+)")
_ANCHOR = re.compile(r"&([^\s,\[\]{}]+)")
_LONGEST = 2000
"""Columns up to which a line is looked at closely; from a secret key behind them on, the rest of the line is masked."""


@lru_cache(maxsize=4096)
def _is_compound(key: str) -> bool:
    """``wrong-passphrase`` may be an id with a description behind it; ``passphrase`` has a secret behind it."""
    last = key.lower().rpartition(".")[2]
    letters = plain(last)
    return len(letters) > len("passphrase") + FAR or not is_near(letters)


class _Patience:
    """How many characters are still looked at for closing brackets: a text of nothing but opening ones must not take forever."""

    def __init__(self) -> None:
        self.left = 5_000_000


@lru_cache(maxsize=8)
def masked(text: str, *, readable: bool = True) -> tuple[tuple[int, int], ...]:
    """Half-open ranges of ``text`` that are not to be shown, in order.

    Args:
        text: all of a file, or a part of it.
        readable: it is YAML; otherwise whole lines are masked, since nobody knows where a value ends.
    """
    found: list[tuple[int, int]] = []
    patience = _Patience()
    keys = (match for match in _KEY.finditer(text) if is_secret(match["key"]))
    if readable:
        for match in keys:
            found.extend(_value(text, match["key"], match.start("key"), match.end(), patience))
    else:
        found.extend(_whole_lines(text, (match.end() for match in keys)))
    found.extend(_whole_lines(text, disguised(text, everywhere=not readable)))
    for match in _BARE.finditer(text):
        if is_secret(match["key"]) and not _is_free(text, match.start()):
            found.extend(_behind(text, match, patience))
    for match in _DOTTED.finditer(text):
        if not _is_free(text, match.start()):
            found.extend(_behind_dot(match["key"], match.start("key")))
    found.extend(match.span(1) for match in _PRIVATE_KEY.finditer(text))
    return tuple(_merged(sorted(_trimmed(text, low, high) for low, high in found)))


def _whole_lines(text: str, places: Iterable[int]) -> Iterator[tuple[int, int]]:
    """The rest of each place's line, and the lines that may belong to it: where a value ends nobody knows.

    Args:
        text: all of it.
        places: in order.
    """
    done = 0
    for at in places:
        if at < done:
            continue
        line_at = max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1
        done = _line_end(text, at)
        yield at, done
        line = text[line_at : min(done, line_at + _LONGEST)]
        for low, high in _following(text, done, len(line) - len(line.lstrip(" \t")), empty=True):
            yield low, high
            done = high


def without_secrets(text: str) -> str:
    """What an author typed, as a message may quote it."""
    shown, at = "", 0
    for low, high in masked(text):
        shown, at = f"{shown}{text[at:low]}{MASK}", high
    return shown + text[at:]


@lru_cache(maxsize=4)
def _line_starts(text: str) -> list[int]:
    return [match.start() for match in _LINE_START.finditer(text)]


def discreet(diagnostic: Diagnostic, text: str) -> Diagnostic:
    """A message that quotes nothing of what is masked at its place in the text."""
    span = diagnostic.span
    starts = _line_starts(text)
    if span is None or span.end_line > len(starts):
        return diagnostic
    start, end = starts[span.line - 1] + span.column - 1, starts[span.end_line - 1] + span.end_column - 1
    message = diagnostic.message
    for low, high in masked(text, readable=diagnostic.readable):
        quoted = _EDGES.sub("", text[max(low, start) : min(high, end)])
        if quoted:
            message = re.sub(rf"(?<!\w){re.escape(quoted)}(?!\w)", MASK, message)
    if message == diagnostic.message:
        return diagnostic
    return replace(diagnostic, message=message, suggestion="")


def _is_free(text: str, at: int) -> bool:
    """Whether the colon there stands behind the key of a free text."""
    return text.startswith(":", at) and bool(_FREE.search(text[max(0, at - _LONGEST_FREE) : at]))


def _behind(text: str, bare: re.Match[str], patience: _Patience) -> list[tuple[int, int]]:
    """Where the value behind a secret key without a colon stands."""
    if text[bare.start()] in "{[,:":  # not at the start of its line
        return _value(text, bare["key"], bare.start("key"), bare.end(), patience)
    return [(bare.end(), _line_end(text, bare.end()))]


def _behind_dot(key: str, at: int) -> Iterator[tuple[int, int]]:
    """What stands behind the dot of ``passphrase.hunter2``; a matrix's ``client.passphrase`` has nothing there."""
    part, rest = key.partition(".")[::2]
    while rest:
        at += len(part) + 1
        if is_slip(plain(part)) and rest.lower() not in _ENDINGS:
            yield at, at + len(rest)
            return
        part, _, rest = rest.partition(".")


def _merged(ranges: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Ranges that overlap or touch as one, so that a text has no more of them than it has characters."""
    start, stop = -1, -1
    for low, high in ranges:
        if low > stop:
            if start >= 0:
                yield start, stop
            start, stop = low, high
        stop = max(stop, high)
    if start >= 0:
        yield start, stop


@lru_cache(maxsize=8)
def _anchors(text: str) -> dict[str, list[int]]:
    """Where the values of all anchors begin, by name."""
    found: dict[str, list[int]] = {}
    for anchor in _ANCHOR.finditer(text):
        found.setdefault(anchor[1], []).append(anchor.end())
    return found


def _trimmed(text: str, low: int, high: int) -> tuple[int, int]:
    while low < high and text[low] in " \t":
        low += 1
    return low, high


def _line_end(text: str, at: int) -> int:
    return min((found for found in (text.find("\n", at), text.find("\r", at)) if found >= 0), default=len(text))


def _value(text: str, key: str, key_at: int, at: int, patience: _Patience) -> list[tuple[int, int]]:
    """Where the value behind a secret key stands; ``at`` is behind its colon."""
    line_at = max(text.rfind("\n", 0, key_at), text.rfind("\r", 0, key_at)) + 1
    end = _line_end(text, at)
    if key_at - line_at > _LONGEST:
        return [(at, end), *_following(text, end, 0, empty=True)]
    before, rest = text[line_at:key_at], text[at:end]
    value = rest.strip()
    if _COMMENT.search(before):
        return [(at, end)]
    if _is_compound(key) and (
        value.startswith("{") or (not value.partition("#")[0].strip() and _is_mapping(text, end, len(before)))
    ):
        return []
    found: list[tuple[int, int]] = []
    alias = _ALIAS.match(text, at)
    if alias is not None:
        found += [(value_at, _line_end(text, value_at)) for value_at in _anchors(text).get(alias[1], ())]
    if value[:1] in ('"', "'"):
        quoted = (_DOUBLE if value[0] == '"' else _SINGLE).match(text, at + rest.index(value[0]))
        if quoted is not None:
            return [*found, (at, quoted.end()), *_tail(text, quoted.end())]
    elif value[:1] in ("{", "["):
        closed = _closing(text, at + rest.index(value[0]), patience)
        if closed is not None:
            return [*found, (at, closed), *_tail(text, closed)]
    elif before.count("{") + before.count("[") > before.count("}") + before.count("]"):
        stop = re.compile(r"[,}\]]").search(text, at, end)
        if stop is not None and not _tail(text, stop.start()):
            return [*found, (at, stop.start())]
    return [
        *found,
        (at, end),
        *_following(text, end, len(before), empty=not value.partition("#")[0].strip(" |>+-0123456789")),
    ]


def _tail(text: str, at: int) -> list[tuple[int, int]]:
    """What else to mask on the line where a value ends: nothing only before another key, or before nothing."""
    end = _line_end(text, at)
    rest = text[at:end]
    following = _NEXT_KEY.match(rest)
    comment = _COMMENT.search(rest)
    if following is None and not (_ONLY_CLOSERS.match(rest)):
        return [(at, end)]
    return [(at + comment.start(), end)] if comment else []


def _closing(text: str, at: int, patience: _Patience) -> int | None:
    depth = 0
    while at < len(text):
        patience.left -= 1
        if patience.left < 0:
            return len(text)
        character = text[at]
        if character in "\"'":
            quoted = (_DOUBLE if character == '"' else _SINGLE).match(text, at)
            if quoted is None:
                return None
            at = quoted.end()
            continue
        depth += (character in "{[") - (character in "}]")
        at += 1
        if depth == 0:
            return at
    return None


def _is_mapping(text: str, end: int, column: int) -> bool:
    for low, high in _lines_after(text, end):
        line = text[low:high]
        if line.strip():
            return len(line) - len(line.lstrip(" ")) > column and bool(_STRUCTURE.match(line))
    return False


def _lines_after(text: str, end: int) -> Iterator[tuple[int, int]]:
    """Where the lines behind the line that ends at ``end`` start and end; only as many as any value has."""
    at = end
    for _ in range(500):
        if at >= len(text):
            return
        at += 2 if text.startswith("\r\n", at) else 1
        stop = _line_end(text, at)
        yield at, stop
        at = stop


def _following(text: str, end: int, column: int, *, empty: bool) -> list[tuple[int, int]]:
    """The lines that belong to a value: those that are indented more than its key, and, where nothing stood behind the
    key, a list in the key's own column and lines that look like no structure at all."""
    found: list[tuple[int, int]] = []
    for low, high in _lines_after(text, end):
        line = text[low:high]
        if not line.strip():
            continue
        indent = len(line) - len(line.lstrip(" \t"))
        belongs = indent > column or (
            empty and (not _STRUCTURE.match(line) or (indent == column and line[indent : indent + 1] == "-"))
        )
        if not belongs:
            break
        found.append((low + indent, high))
    return found
