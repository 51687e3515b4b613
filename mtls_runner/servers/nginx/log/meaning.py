"""What a person can do about nginx's words when a configuration of their own does not start."""

from __future__ import annotations

import re

__all__ = ["meaning"]

_MEANINGS = (
    (
        r'unknown directive "|dlopen\(\) |is not binary compatible|invalid parameter "|invalid event type|unknown "\$?\w+" auth',
        "this nginx lacks a module, or is too old or too new for it: name an image that has it (--image)",
    ),
    (
        r'unknown "\w+" variable',
        "another file (with a map, geo or set), or a module, defines that variable. Give the nginx.conf that includes both",
    ),
    (
        r'zero size shared memory zone|unknown (limit_\w+|\w*cache) zone|"\w+" zone .* is unknown|cache "[^"]+" is unknown',
        "another file (of conf.d, or nginx.conf) defines that zone. Give the nginx.conf that includes both, or put it beside",
    ),
    (
        r"open\(\) .* failed \(2:",
        "that file is needed and is not here: put it beside the configuration, where its path leads from there",
    ),
    (r"host not found", "that name can't be resolved in the lab: nothing here stands for it"),
)


def meaning(said: str) -> str:
    """What a person can do about nginx's words when it does not start; ``""``: they say all."""
    return next((text for pattern, text in _MEANINGS if re.search(pattern, said)), "")
