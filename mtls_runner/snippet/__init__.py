"""A message and its place → the lines that a person reads, without secrets; here, what counts as one, and how wide a text is.

Slips of the pen that look like a word for a secret count, too.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["FAR", "MASK", "is_near", "is_plausible", "is_secret", "is_slip", "plain", "width"]

MASK = "***"
_WHOLE = frozenset(
    {
        "pass",
        "pw",
        "pwd",
        "pin",
        "passwd",
        "secret",
        "secrets",
        "token",
        "authorization",
        "proxyauthorization",
        "cookie",
    }
)
_WITHIN = ("passph", "passw", "secret", "phrase", "pwd", "apikey")
_LIKE = ("passphrase", "password", "passwd", "passcode")
#: How alike a slip of the pen is: ``pasphrase`` 0.95, ``psswrd`` 0.86; ``path_length`` 0.48.
_ALIKE = 0.72
FAR = 3
_SLIPS = 2
_SHORT = 6
#: What those have; a word of other letters is no slip of them.
_LETTERS = frozenset("passphrasewordcode")
_COMMON = 4


@lru_cache(maxsize=4096)
def is_secret(key: str) -> bool:
    """Whether a key, or the name of a header field, is, or nearly is, one of those that hold secrets (``passphrase``,
    ``pasphrase``, ``key_password``, ``Authorization``, ``X-Api-Key``, ``Cookie``)."""
    return any(is_near(part) or any(map(is_near, re.split(r"[-_ ]", part))) for part in key.lower().split("."))


def is_near(word: str) -> bool:
    """Whether one word, without dots and hyphens, is a word for a secret, or a misspelling of one."""
    letters = plain(word)
    return letters in _WHOLE or any(part in letters for part in _WITHIN) or is_slip(letters)


def plain(word: str) -> str:
    """Its letters and digits, small ones; full-width ones (NFKC) are letters, too."""
    return re.sub(r"[^a-z0-9]", "", (word if word.isascii() else unicodedata.normalize("NFKC", word)).lower())


def is_plausible(letters: str) -> bool:
    """Whether it is worth a closer look."""
    return letters.isascii() and len(letters) >= 4 and len(_LETTERS & {*letters}) >= _COMMON


def is_slip(letters: str) -> bool:
    """Whether it is, or nearly is, ``passphrase`` or a word for it."""
    return is_plausible(letters) and any(
        abs(len(letters) - len(like)) <= FAR and _alike(letters, like) for like in _LIKE
    )


def _alike(word: str, like: str) -> bool:
    """Whether two words have most of their letters in common, or are at most two typing errors apart."""
    from difflib import SequenceMatcher  # only where a key is unknown

    if SequenceMatcher(None, word, like, autojunk=False).ratio() >= _ALIKE:
        return True
    return len(like) > _SHORT and _slips(word, like) <= _SLIPS


def _slips(word: str, like: str) -> int:
    """Letters added, left out, changed, or swapped with their neighbours (optimal string alignment)."""
    before: list[int] = []
    row = list(range(len(like) + 1))
    for at, letter in enumerate(word, 1):
        before, last, row = row, before, [at]
        for other, wanted in enumerate(like, 1):
            cost = min(before[other] + 1, row[-1] + 1, before[other - 1] + (letter != wanted))
            if at > 1 and other > 1 and letter == like[other - 2] and word[at - 2] == wanted:
                cost = min(cost, last[other - 2] + 1)
            row.append(cost)
    return row[-1]


def width(text: str) -> int:
    """Cells that the text takes: wide East Asian characters take two, combining marks none (Unicode's UAX #11)."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # the library is loaded for other texts only

    return cell_len(text)
