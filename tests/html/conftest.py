"""A real browser for the pages."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.html.browser import Browser, browser, executable


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    program = executable()
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI has to have Chromium: the page is looked at in a real browser")
        pytest.skip("Chromium is not installed (Debian: apt-get install chromium)")
    with browser(program) as opened:
        yield opened
