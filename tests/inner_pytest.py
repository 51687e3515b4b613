"""A pytest of its own, as a user would call it."""

from __future__ import annotations

import os
import time

import pytest

from .warm import run_warm

__all__ = ["WARNINGS", "run_pytest"]

# Hypothesis' and anyio's plug-ins have nothing to do with what is tested, and take most of a start.
_QUIET = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:anyio")
# It is forked from a process that has imported the plug-ins already.
WARNINGS = ("-W", "error", "-W", "ignore::pytest.PytestAssertRewriteWarning")


def run_pytest(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run it in the tester's directory; a warning is an error there, and an unknown marker."""
    began = time.monotonic()
    here = pytester.mkdir(f"inner-{time.monotonic_ns()}")
    fixed = (f"--basetemp={here}", *_QUIET, *WARNINGS, "--strict-markers")
    environment = {**os.environ, "PYTHONPATH": str(pytester.path)}
    done = run_warm("pytest", [*fixed, *arguments], cwd=pytester.path, env=environment)
    print(done.stdout, done.stderr, sep="\n")
    return pytest.RunResult(
        done.returncode, done.stdout.splitlines(), done.stderr.splitlines(), time.monotonic() - began
    )
