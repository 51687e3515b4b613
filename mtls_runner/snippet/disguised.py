"""Keys of secrets that YAML takes for none: another character stands in place of their colon, or one too many within them.

``passphrase; hunter2``, ``"passphrase' hunter2"``, ``pass;phrase: hunter2``, ``passp hrase: hunter2``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mtls_runner.snippet import FAR, is_plausible, is_slip, plain

__all__ = ["disguised"]

#: Where a key could stand: at the start of a line, in a flow collection, or as a value, where a colon was forgotten.
_PLACE = re.compile(r"""(?m)(?:^[ \t]*(?:[-?] +)*|[{\[,][ \t]*|:[ \t]+)["']?(?=[^\W_])""")
_WORD = re.compile(r"(?<![^\W_])(?=[^\W_])")
#: A word, and what may have been put into it.
_PART = re.compile(r"[^\W_]+")
_WRONG = re.compile(r"(?:[^\w\s]{1,2}|_| )(?=[^\W_])")
_PARTS = 4
_LINE = re.compile(r"(?m)^")
_PATIENCE = 5000
"""Different words of a text that are looked at closely; a text that has more is not shown from there on."""
_LONGEST = len("passphrase") + FAR
#: A whole key with its colon, which is what it should be.
_KEY = re.compile(r"""[\w.\-]+["']?[ \t]*(?:=|:(?=[ \t\r\n]|$))""")
#: What may stand behind the word where it is a value: the end, a comment, the next key of a flow mapping.
_NOTHING = re.compile(r"""["']?[\s,}\]]*(?:#.*)?$|["']?\s*,\s*["']?[^\W\d][\w.\-]*["']?\s*:(?=\s|$)""", re.MULTILINE)
#: What ``masking`` looks at itself (a blank, a dot), and the rest of the reason ``passphrase-needed``.
_MORE = re.compile(r"[ \t]+[^\s:=#,}\]]|\.\w|-needed\b")
_FREE = re.compile(r"""(?<![\w.\-])(?:name|description)["']?[ \t]*:[ \t]+["']?$""")
_LONGEST_FREE = 20


def disguised(text: str, *, everywhere: bool) -> Iterator[int]:
    """Where what follows such a key begins.

    Args:
        text: to look at.
        everywhere: at every word; otherwise only where a key could stand, and where no proper key does.
    """
    known: dict[str, bool] = {}
    for match in (_WORD if everywhere else _PLACE).finditer(text):
        at = match.end()
        if len(known) > _PATIENCE:
            yield from (line.start() for line in _LINE.finditer(text, at))
            return
        if not everywhere and (_KEY.match(text, at) or _FREE.search(text, max(0, at - _LONGEST_FREE), at)):
            continue
        end = _end(text, at, known)
        if end is not None and (everywhere or not (_NOTHING.match(text, end) or _MORE.match(text, end))):
            yield end


def _end(text: str, at: int, known: dict[str, bool]) -> int | None:
    """Where the longest key that begins at ``at`` ends; ``None``: it is none."""
    letters = ""
    end = None
    for _ in range(_PARTS):
        part = _PART.match(text, at, at + _LONGEST + 1)
        if part is None:
            break
        letters += plain(part[0])
        if len(letters) > _LONGEST:
            break
        if is_plausible(letters):
            if letters not in known:
                known[letters] = is_slip(letters)
            if known[letters]:
                end = part.end()
        wrong = _WRONG.match(text, part.end())
        if wrong is None:
            break
        at = wrong.end()
    return end
