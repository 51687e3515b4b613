"""Warnings that the lab ignores: for a block of one thread, and for nobody else."""

from __future__ import annotations

import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from mtls_runner.errors import without_warnings


def _odd(_: int) -> None:
    with without_warnings():
        time.sleep(0.0002)  # so that others come to theirs meanwhile
        warnings.warn("odd on purpose", DeprecationWarning, stacklevel=1)


def test_threads_that_ignore_warnings_leave_each_other_and_the_process_as_they_were() -> None:
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(_odd, range(400)))  # a warning is an error here
    assert warnings.filters == before
    with pytest.raises(DeprecationWarning):
        warnings.warn("told as before", DeprecationWarning, stacklevel=1)


def test_a_block_within_a_block_is_the_same_threads() -> None:
    with without_warnings():
        _odd(0)
        warnings.warn("still ignored", DeprecationWarning, stacklevel=1)
