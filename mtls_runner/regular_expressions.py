"""Searches with a regular expression that somebody wrote, and never goes on for ever.

Python's ``re`` backtracks: ``(a|aa)+$`` takes longer than the universe on some texts of a line, holds the interpreter's lock
meanwhile, and can't be interrupted. An engine that takes linear time knows another language (no lookahead, no references
back). So what could take long is searched by a process of its own, which can be ended; that costs some 15 ms.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

from mtls_runner.errors import DeadlineExceeded

__all__ = ["SECONDS", "occurs"]

SECONDS = 5.0
"""Of computing, that a search may take: a busy machine is not the pattern's fault."""
_WAIT_SECONDS = 60.0
"""For a process that hardly gets to compute."""
_FEW = 1_000_000
"""Steps that are done in a moment."""
_REPEATED_GROUP = re.compile(r"\)[*+?{]")
_REPETITION = re.compile(r"[*+?{]")
_CHILD = """
import json, re, signal, sys
pattern, texts, seconds = json.load(sys.stdin)
signal.setitimer(signal.ITIMER_PROF, seconds)
print(int(any(re.search(pattern, text) for text in texts)))
"""


def occurs(pattern: str, texts: Sequence[str]) -> bool:
    """Whether the pattern is found in one of the texts.

    Args:
        pattern: Python's syntax; one that compiles.
        texts: to search in.

    Raises:
        DeadlineExceeded: nobody knows, after :data:`SECONDS`.
    """
    if _steps(pattern, texts) <= _FEW:
        return any(re.search(pattern, text) for text in texts)
    import json  # both only where they are needed: a run starts without them
    import signal
    import subprocess

    command = [sys.executable, "-I", "-S", "-c", _CHILD]
    try:
        told = subprocess.run(
            command,
            input=json.dumps([pattern, texts, SECONDS]).encode(),
            capture_output=True,
            timeout=_WAIT_SECONDS,
            check=True,
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        if isinstance(error, subprocess.TimeoutExpired) or error.returncode == -signal.SIGPROF:
            raise DeadlineExceeded(f"the regular expression gave no answer within {SECONDS:g} s") from None
        raise DeadlineExceeded("the regular expression takes more memory than there is") from None
    return told.stdout.strip() == b"1"


def _steps(pattern: str, texts: Sequence[str]) -> float:
    """At most so many; a guess that is too high where the pattern is not simple."""
    if _REPEATED_GROUP.search(pattern):
        return float("inf")
    repetitions, alternatives = len(_REPETITION.findall(pattern)), pattern.count("|")
    if repetitions > 8 or alternatives > 16:
        return float("inf")
    return float(sum((len(text) + 2) ** (1 + repetitions) for text in texts) << alternatives)
