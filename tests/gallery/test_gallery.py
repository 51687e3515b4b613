"""The gallery shows the scenarios as they are."""

from __future__ import annotations

import os
import re
import struct

import pytest

from .__main__ import PAGE, PICTURE, ROOT, SIZE, main, missing, plans

TEXT = PAGE.read_text("utf-8")


@pytest.fixture(autouse=True)
def _where_ids_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_what_it_lacks_is_found_out() -> None:
    wanted = plans()
    assert missing(TEXT, wanted[1:]) == {case.id for case in wanted[0].cases}
    assert missing(TEXT.replace("::expired[", "::expied["), wanted) != set()


def test_it_shows_every_case_that_there_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["tests.gallery", "--check"])
    assert (main(), capsys.readouterr().out) == (0, ""), "python -m tests.gallery makes it anew"


def test_it_is_whole_small_and_names_no_place_on_a_machine() -> None:
    assert len(TEXT.encode()) < 500_000
    assert "https://" not in re.sub(r"https://localhost\S*", "", TEXT)
    assert not re.findall(rf"(?:/tmp|/home|/root|{re.escape(os.path.expanduser('~'))})/\S+", TEXT)  # noqa: PTH111
    assert str(ROOT) not in TEXT


def test_the_picture_is_one() -> None:
    data = PICTURE.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", data[16:24]) == SIZE
    assert len(data) < 300_000
