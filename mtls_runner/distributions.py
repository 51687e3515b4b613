"""What installed distributions say that they add to the lab; ``--help`` asks, too, so that nothing else is loaded here."""

from __future__ import annotations

import os
import sys
from functools import cache

__all__ = ["GROUP", "declarations"]

GROUP = "mtls_run."
"""What the groups of their entry points begin with."""


@cache
def declarations() -> tuple[str, ...]:
    """The ``entry_points.txt`` of all distributions on the path that mention the lab."""
    found: dict[str, str] = {}
    for directory in dict.fromkeys(sys.path):
        try:
            names = os.listdir(directory or ".")  # noqa: PTH208 - in every start: pathlib is several times slower
        except OSError:
            continue
        for name in names:
            if not name.endswith((".dist-info", ".egg-info")):
                continue
            path = f"{directory or '.'}/{name}/entry_points.txt"
            try:
                with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                    text = file.read()
            except OSError:
                continue
            if GROUP in text:
                found[path] = text
    return tuple(found.values())
