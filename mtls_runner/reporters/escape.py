"""Text from elsewhere (logs, names, bodies) made safe to show: a terminal must not obey it, XML must be able to hold it."""

from __future__ import annotations

import re
from functools import cache

from mtls_runner.cells import width

__all__ = ["for_xml", "one_line", "shortened", "visible"]

_CONTROLS = [*range(0x20), *range(0x7F, 0xA0)]
# Bidirectional overrides and isolates, and line separators: they make a terminal show something else than what is there.
_DECEIVING = [0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A)]
_ESCAPES = {code: f"\\x{code:02x}" for code in _CONTROLS} | {code: f"\\u{code:04x}" for code in _DECEIVING}
_ONE_LINE = {**_ESCAPES, ord("\t"): " ", ord("\n"): "\\n", ord("\r"): "\\r"}
_LINES = {code: text for code, text in _ESCAPES.items() if code not in (ord("\t"), ord("\n"))}


@cache
def _not_xml() -> re.Pattern[str]:
    """Everything but the Char production of XML 1.0 (https://www.w3.org/TR/xml/#charsets); compiling it takes some ms."""
    return re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def visible(text: str) -> str:
    """Control characters as escapes, line feeds and tabs left as they are."""
    return text if text.isascii() and text.isprintable() else text.translate(_LINES)


def one_line(text: str) -> str:
    """Control characters and line feeds as escapes."""
    return text if text.isascii() and text.isprintable() else text.translate(_ONE_LINE)


def for_xml(text: str) -> str:
    """What XML 1.0 can't hold as escapes (``\\x1b``)."""
    return _not_xml().sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def shortened(text: str, cells: int) -> str:
    """The text, cut to that many cells with an ellipsis."""
    if width(text) <= cells:
        return text
    kept = ""
    for character in text:
        if width(kept + character) > cells - 1:
            break
        kept += character
    return kept.rstrip() + "…"
