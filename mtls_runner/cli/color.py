"""Whether to colour."""

from __future__ import annotations

import os
from typing import TextIO

__all__ = ["colored", "is_terminal"]


def is_terminal(stream: TextIO) -> bool:
    """A terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def colored(when: str, stream: TextIO) -> bool:
    """For ``always``, ``never`` or ``auto``: then on a terminal, unless ``NO_COLOR`` is set (https://no-color.org)."""
    if when == "auto":
        return is_terminal(stream) and not os.environ.get("NO_COLOR")
    return when == "always"
