"""The page of the atlas in a real browser: explored, on a phone, in the dark, printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.conformance.case import by_file
from mtls_runner.conformance.catalogue import plans
from mtls_runner.conformance.from_verdicts import measured
from mtls_runner.conformance.measurement import MeasuredEnd
from mtls_runner.conformance.page import page
from tests.html.browser import CONTRASTS, Browser

from ..cells import cells_of
from ..verdicts import verdicts_of

pytestmark = pytest.mark.timeout(300)

FAULT = "the client's authority is not trusted"
ROWS = "[...document.querySelectorAll('tbody tr:not(.file) th')].map((each) => each.textContent)"


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file of the catalogue, really run; the same text would be of more ends."""
    plan = next(plans(("python",), ("python",)))
    end = MeasuredEnd("python", "Python's ssl </script>", "openssl", {"python": "3.11.7"})
    cells = cells_of(plan, verdicts_of(plan))
    told = measured(by_file([plan]), {"python": "3.11.7"}, cells, servers={"python": end}, clients={"python": end})
    path = tmp_path_factory.mktemp("atlas") / "atlas.html"
    path.write_text(page(told), "utf-8")
    return path


def test_it_is_explored(tab: Browser, atlas: Path) -> None:
    tab.look(width=1280, height=900)
    tab.open(atlas)
    rows = tab.value(ROWS)
    assert isinstance(rows, list)
    assert FAULT in rows
    assert "both ends trust the other's authority" not in rows  # a control
    assert "the server's authority is not trusted" not in rows  # the client's to judge
    tab.open(atlas, "#text=self-signed&controls=1")
    rows = tab.value(ROWS)
    assert isinstance(rows, list)
    assert {
        "the client's certificate is self-signed",
        "the client's certificate is self-signed, and trusted itself",
    } <= set(rows)
    assert FAULT not in rows
    tab.open(atlas, "#view=client&reason=unknown-ca")
    rows = tab.value(ROWS)
    assert isinstance(rows, list)
    assert "the server's authority is not trusted" in rows
    assert "the server's certificate is self-signed" not in rows
    tab.value("document.querySelector('[name=controls]').click()")
    assert tab.value("location.hash") == "#view=client&reason=unknown-ca&controls=1"  # to be passed on
    tab.open(atlas, "#differ=1")
    assert tab.value(ROWS) == []  # one server differs from no other


def test_a_cell_tells_what_was_seen_and_how_to_see_it_again(tab: Browser, atlas: Path) -> None:
    tab.open(atlas, "#text=authority+is+not+trusted")
    tab.value("document.querySelector('td button').click()")
    text = tab.value("document.querySelector('dialog[open]').innerText")
    assert isinstance(text, str)
    assert "server-refused: unknown-ca" in text
    assert "CERTIFICATE_VERIFY_FAILED" in text
    assert "both ends trust the other's authority: \u2713 accepted" in text
    assert 'mtls-run conformance --servers python --fault "the client\'s authority is not trusted"' in text
    assert "server: {backend: python, certificate: good, trust: [root, bare-root]}" in text
    assert "expect: {server-refused: unknown-ca}" in text
    tab.value("document.querySelector('dialog .close').click()")
    assert tab.value("document.querySelector('dialog[open]')") is None


@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_read_in_either_scheme_and_on_a_phone(tab: Browser, atlas: Path, dark: bool) -> None:
    tab.look(width=360, height=740, dark=dark)
    tab.open(atlas, "#controls=1")
    assert tab.value("document.documentElement.scrollWidth <= innerWidth")
    for what in ("", "document.querySelector('td button').click()"):
        tab.value(what)
        ratios = tab.value(CONTRASTS)
        assert isinstance(ratios, list)
        assert len(ratios) > 20
        worst = ratios[0]
        assert isinstance(worst, list)
        assert float(str(worst[0])) >= 4.5, f"WCAG AA wants 4.5: {worst}"


def test_printed_it_is_the_table(tab: Browser, atlas: Path) -> None:
    tab.look(width=1000, height=900, media="print")
    tab.open(atlas)
    assert tab.value("getComputedStyle(document.querySelector('form')).display") == "none"
    assert tab.value("document.querySelector('.wide').scrollHeight <= document.querySelector('.wide').clientHeight")


def test_it_is_one_file_that_asks_for_nothing(tab: Browser, atlas: Path) -> None:
    tab.events.clear()
    tab.open(atlas)
    asked = [params["request"] for name, params in tab.events if name == "Network.requestWillBeSent"]
    assert [request["url"] for request in asked if isinstance(request, dict)] == [atlas.as_uri()]
    assert not [params for name, params in tab.events if name in ("Runtime.exceptionThrown", "Log.entryAdded")]
