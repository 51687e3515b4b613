"""A terminal: colours, and one live line for what is going on. Nobody else imports rich, but ``snippet`` for widths of texts."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.text import Text

from mtls_runner.reporters import Piece, Style

__all__ = ["RichPage"]

_LOOKS = {
    Style.TEXT: "",
    Style.STRONG: "bold",
    Style.DIM: "dim",
    Style.PASS: "green",
    Style.FAIL: "bold red",
    Style.ERROR: "bold magenta",
    Style.SKIP: "yellow",
    Style.WARNING: "yellow",
    Style.COMMAND: "",
}


_WHOLE = re.compile(r" *[0-9]* \||  (?:again|by hand): ")
"""Begins a line that is not broken: a snippet's, or a command, which is copied."""
_LABEL = re.compile(r"  ([a-z ]{4,8}: +| {10})(?=\S)|    = (expected: )?")
_WORD = re.compile(r"(?:\d+ )?\S+\s*")
"""What is not broken: a word, with a number before it."""
_BAR_CELLS = 16
_ECHO = 3
"""Cells that stay free at the end of the live line: a terminal writes ``^C`` there, and would go on to the next one."""
_PACE = 2000
"""How many of the last steps the pace is taken from."""
_TELLING = 0.5
"""Seconds; over less than that a pace says nothing."""


class RichPage:
    """Lines through rich.

    Args:
        stream: where to.
        color: whether to colour (``NO_COLOR`` leaves the live line).
        live: whether to show the live line; only sensible on a terminal.
        clock: seconds, monotonic.
    """

    def __init__(self, stream: TextIO, *, color: bool, live: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._color = color
        self._terminal = stream.isatty()
        # An explicit terminal and colour system: the caller has decided, from --color, NO_COLOR and isatty().
        self._console = Console(
            file=stream,
            force_terminal=True,
            color_system="standard" if color else None,
            no_color=not color,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )
        self._live: Live | None = None
        if live:
            self._live = Live(console=self._console, transient=True, auto_refresh=True, refresh_per_second=8)
        self._clock = clock
        self._pace: deque[tuple[float, int]] = deque(maxlen=_PACE)

    @property
    def columns(self) -> int | None:
        """Cells of the terminal; ``None``: colours were asked for, but there is none."""
        return self._console.width if self._terminal else None

    @property
    def color(self) -> bool:
        """Whether blocks may hold ANSI colours."""
        return self._color

    def line(self, *pieces: Piece) -> None:
        """One line, above the live one; one that is too long goes on below, broken between words, unless it is a command."""
        text = Text.assemble(*((text, _LOOKS[style]) for text, style in pieces))
        whole = any(style is Style.COMMAND for _, style in pieces)
        for part in [text] if whole else _wrapped(text, self.columns):
            self._console.print(part, soft_wrap=True)

    def block(self, text: str) -> None:
        """Lines that may be coloured already; those of a snippet stay whole, and commands."""
        for line in Text.from_ansi(text.rstrip("\n")).split("\n"):
            for part in [line] if _WHOLE.match(line.plain) else _wrapped(line, self.columns):
                self._console.print(part, soft_wrap=True)

    def progress(self, doing: str, done: int, total: int) -> None:
        """Renew the live line."""
        if self._live is None:
            return
        if not self._live.is_started:
            self._live.start()
        parts = []
        if total:
            parts.append(f"{_bar(done, total)} {done}/{total}")
            left = self._seconds_left(done, total)
            if left is not None:
                parts.append(f"about {left:.0f} s left")
        parts.append(doing)  # last: it may be too long for the line
        line = Text("  " + "  ".join(parts), style="dim", no_wrap=True)
        line.truncate(max(1, self._console.width - _ECHO), overflow="ellipsis")
        self._live.update(line)

    def _seconds_left(self, done: int, total: int) -> float | None:
        """At the pace of late; ``None`` while that says too little, or when it is not worth telling.

        What came before the first of all is not part of the pace: keys are made then, servers started.
        """
        if done and (not self._pace or self._pace[-1][1] != done):
            self._pace.append((self._clock(), done))
        if len(self._pace) < 2:
            return None
        (began, first), (ended, last) = self._pace[0], self._pace[-1]
        if last <= first or ended - began < _TELLING:
            return None
        left = (ended - began) / (last - first) * (total - last)
        return left if left >= 1 else None

    def close(self) -> None:
        """Remove the live line."""
        if self._live is not None and self._live.is_started:
            self._live.stop()


def _wrapped(text: Text, cells: int | None) -> list[Text]:
    """Parts of at most that many cells, where a word allows it; what goes on stands under what it goes on from."""
    plain = text.plain
    if cells is None or cell_len(plain) <= cells:
        return [text]
    label = _LABEL.match(plain)
    hang = label.end() if label is not None else len(plain) - len(plain.lstrip()) + 4
    hang = min(hang, cells // 3)
    breaks: list[int] = []
    start, room = 0, cells
    for word in _WORD.finditer(plain):
        if word.start() > start and cell_len(plain[start : word.end()].rstrip()) > room:
            breaks.append(word.start())
            start, room = word.start(), cells - hang
    first, *rest = text.divide(breaks)
    first.rstrip()
    margin = " " * hang
    found = [first]
    for part in rest:
        part.rstrip()
        found.append(Text.assemble(margin, part))
    return found


def _bar(done: int, total: int) -> str:
    full = _BAR_CELLS * done // total
    return "━" * full + "╌" * (_BAR_CELLS - full)
