"""A pytest of its own, as a user would call it."""

from __future__ import annotations

import pytest

__all__ = ["run_pytest"]

# Hypothesis' and anyio's plug-ins have nothing to do with what is tested, and take most of a start.
_QUIET = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:anyio")


def run_pytest(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run it in the tester's directory; a warning is an error there, and an unknown marker."""
    return pytester.runpytest_subprocess(*_QUIET, "-W", "error", "--strict-markers", *arguments, timeout=100)
