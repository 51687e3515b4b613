"""A real browser for the pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.container_engine import not_here
from tests.html.browser import Browser, browser, executable


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    program = executable()
    if program is None:
        not_here("Chromium is not installed (Debian: apt-get install chromium)")
    with browser(program) as opened:
        yield opened
