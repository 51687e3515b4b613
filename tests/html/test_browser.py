"""The page in a real browser: what people see, in both colour schemes, on a phone, without script, from the keyboard."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.html import labs
from tests.html.browser import CONTRASTS, Browser, Json
from tests.reporters.test_access import LAB as ACCESS

pytestmark = pytest.mark.timeout(300)

_VISIBLE = "(each) => each.checkVisibility({visibilityProperty: true})"


def written(directory: Path, html: str) -> Path:
    path = directory / "report.html"
    path.write_text(html, "utf-8")
    return path


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("one")
    return written(directory, labs.page(directory, labs.everyday(1, variants=False)))


@pytest.fixture(scope="module")
def twenty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("twenty")
    return written(directory, labs.page(directory, labs.everyday(10, wrong=1)))


@pytest.fixture(scope="module")
def five_hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("many")
    return written(directory, labs.page(directory, labs.everyday(250, wrong=3)))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("hostile")
    return written(directory, labs.page(directory, labs.HOSTILE))


@pytest.fixture(scope="module")
def access(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("access")
    return written(directory, labs.access(directory, ACCESS))


@pytest.fixture(scope="module")
def hostile_access(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("hostile-access")
    return written(directory, labs.access(directory, labs.HOSTILE))


def shown(tab: Browser, selector: str) -> int:
    """How many of these are visible."""
    count = tab.value(f"[...document.querySelectorAll('{selector}')].filter({_VISIBLE}).length")
    assert isinstance(count, int)
    return count


def texts(tab: Browser, selector: str) -> list[Json]:
    found = tab.value(f"[...document.querySelectorAll('{selector}')].map((each) => each.innerText.trim())")
    assert isinstance(found, list)
    return found


def press(tab: Browser, key: str, code: int, text: str = "") -> None:
    for kind in ("keyDown", "keyUp"):
        tab.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, text=text)


def complaints(tab: Browser) -> list[str]:
    """What the browser had against the page, and dialogs that its content opened."""
    bad = ("Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Page.javascriptDialogOpening")
    return [f"{name}: {params}" for name, params in tab.events if name in bad]


DRAWN = "getComputedStyle(document.querySelector('.case')).contentVisibility"


def test_nothing_is_fetched_and_nothing_complains(tab: Browser, twenty: Path) -> None:
    tab.events.clear()
    tab.look(width=1280, height=900)
    tab.open(twenty)
    tab.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    fetched = [params["request"] for name, params in tab.events if name == "Network.requestWillBeSent"]
    addresses = [request["url"] for request in fetched if isinstance(request, dict)]
    assert [url for url in addresses if not str(url).startswith("data:")] == [twenty.as_uri()]
    assert complaints(tab) == []


def test_the_structure(tab: Browser, twenty: Path) -> None:
    tab.look(width=1280, height=900)
    tab.open(twenty)
    assert tab.value("document.documentElement.lang") == "en"
    assert tab.value("document.compatMode") == "CSS1Compat"
    assert texts(tab, "h1") == ["2 failed of 20 cases"]
    assert texts(tab, "main h2 small") == [str(twenty.with_name("lab.scenario.yaml"))]
    assert shown(tab, ".case") == 20
    assert shown(tab, ".case.fail") == 2
    assert tab.value(DRAWN) == "visible", "a picture of the whole page has all cases"
    assert shown(tab, "nav li") == 1, "two variants with the same fault are one thing to look at"
    assert shown(tab, "nav li a") == 2
    assert shown(tab, ".tree li") == 10
    levels = tab.value("[...document.querySelectorAll('h1, h2, h3, h4')].map((each) => Number(each.tagName[1]))")
    assert isinstance(levels, list)
    assert levels[0] == 1
    steps = [int(str(below)) - int(str(above)) for above, below in pairwise(levels)]
    assert max(steps) == 1, "a level of headings is left out"


def test_one_case_stands_open_and_needs_no_filters(tab: Browser, one: Path) -> None:
    tab.look(width=1280, height=900)
    tab.open(one)
    assert texts(tab, "h1") == ["The case passed"]
    assert tab.value("document.querySelector('.case').open") is True
    assert tab.value("document.querySelector('.filters')") is None
    assert shown(tab, ".held tr") == 3


def test_on_a_phone_no_word_is_broken_and_what_is_wrong_is_in_sight(tab: Browser, twenty: Path) -> None:
    tab.look(width=360, height=800)
    tab.open(twenty)
    tab.value("""document.querySelectorAll('.case').forEach((each) => {
      each.open = true; each.style.contentVisibility = 'visible';  // as if each were scrolled to
    })""")
    words = tab.value("""
        [...document.querySelectorAll('.held :is(th, td)')].filter((each) => each.checkVisibility()).flatMap((each) => {
          const found = [];
          for (const node of [...each.childNodes].filter((one) => one.nodeType === 3)) {
            for (const word of node.data.matchAll(/[A-Za-z]+/g)) {
              const range = document.createRange();
              range.setStart(node, word.index); range.setEnd(node, word.index + word[0].length);
              if (range.getClientRects().length > 1) found.push(word[0]);
            }
          }
          return found;
        })""")
    assert words == []
    marks = tab.value(
        "[...document.querySelectorAll('pre.trouble mark')].map((each) => each.getBoundingClientRect().right)"
    )
    assert isinstance(marks, list)
    assert len(marks) == 2
    assert all(float(str(right)) <= 360 for right in marks)
    assert texts(tab, "pre.trouble mark") == ["revoked", "revoked"]


def test_the_ladder_is_drawn_with_the_alert_in_red_at_its_place(tab: Browser, one: Path) -> None:
    tab.look(width=1280, height=900)
    tab.open(one)
    box = tab.value(
        "(({width, height}) => [width, height])(document.querySelector('figure use').getBoundingClientRect())"
    )
    assert isinstance(box, list)
    assert all(float(str(side)) > 200 for side in box), "the drawing is empty"
    ends = tab.value("[...document.querySelectorAll('figcaption span')].map((each) => each.textContent.split(' ')[0])")
    assert ends == ["client", "server"]
    labels = tab.value("[...document.querySelectorAll('.ladder text')].map((each) => each.textContent)")
    assert isinstance(labels, list)
    assert labels[0] == "ClientHello"
    assert labels[-1] == "⊘ alert certificate_required"
    assert labels.index("CertificateRequest") < labels.index("GET /") < len(labels) - 1
    tops = tab.value("[...document.querySelectorAll('.ladder text')].map((each) => Number(each.getAttribute('y')))")
    assert isinstance(tops, list)
    assert tops == sorted(tops, key=lambda top: float(str(top)))
    red = tab.value(
        "['.alert text', '.alert path', '.handshake path'].map((each) => getComputedStyle(document.querySelector('.ladder '"
        " + each))).map((style) => [style.fill, style.stroke])"
    )
    assert isinstance(red, list)
    assert red[0] == ["rgb(179, 38, 30)", "none"]
    assert red[1] == ["none", "rgb(179, 38, 30)"]
    assert red[2] != red[1]


def test_a_refusal_that_was_expected_is_no_red_cross(tab: Browser, twenty: Path) -> None:
    tab.look(width=1280, height=900)
    tab.open(twenty)
    hues = tab.value(
        "['.case.pass use', '.case.fail use', '.tree li.pass > .cert .blame b', '.tree li.fail > .cert .blame.fail b']"
        ".map((each) => getComputedStyle(document.querySelector(each)))"
        ".map((style) => style.getPropertyValue('--refusal').trim() + ' ' + style.color)"
    )
    assert isinstance(hues, list)
    good, bad = "#17693e", "#b3261e"
    assert [str(hue).partition(" ")[0] for hue in hues] == [good, bad, good, bad]
    assert [str(hue).partition(" ")[2] for hue in hues[2:]] == ["rgb(23, 105, 62)", "rgb(179, 38, 30)"]


@pytest.mark.parametrize(("page", "texts"), [("twenty", 300), ("access", 50)])
@pytest.mark.parametrize("dark", [False, True])
def test_contrast_in_both_schemes(
    tab: Browser, request: pytest.FixtureRequest, page: str, texts: int, dark: bool
) -> None:
    path = request.getfixturevalue(page)
    tab.look(width=1280, height=900, dark=dark)
    tab.open(path)
    tab.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    paper = tab.value("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(20, 23, 26)" if dark else "rgb(246, 246, 243)")
    ratios = tab.value(CONTRASTS)
    assert isinstance(ratios, list)
    assert len(ratios) > texts
    worst = ratios[0]
    assert isinstance(worst, list)
    assert float(str(worst[0])) >= 4.5, f"WCAG AA wants 4.5: {worst}"


@pytest.mark.parametrize("page", ["one", "twenty", "hostile", "access", "hostile_access"])
@pytest.mark.parametrize("width", [320, 390, 1280])
def test_nothing_sticks_out_at_the_side(tab: Browser, request: pytest.FixtureRequest, page: str, width: int) -> None:
    path = request.getfixturevalue(page)
    tab.look(width=width, height=844)
    tab.open(path)
    tab.value("[...document.querySelectorAll('details')].slice(0, 80).forEach((each) => { each.open = true; })")
    assert tab.value("document.documentElement.scrollWidth") == width


def test_without_script_all_of_it_can_be_read(tab: Browser, twenty: Path) -> None:
    tab.look(width=1280, height=900)
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(twenty)
        assert shown(tab, ".tools") == 0, "controls that do nothing"
        assert shown(tab, ".case.pass") == 18
        point = tab.value("(({x, y}) => [x + 5, y + 5])(document.querySelector('#show-pass').getBoundingClientRect())")
        assert isinstance(point, list)
        for kind in ("mousePressed", "mouseReleased"):
            tab.call("Input.dispatchMouseEvent", type=kind, x=point[0], y=point[1], button="left", clickCount=1)
        assert shown(tab, ".case.pass") == 0, "the filter works without script"
        assert shown(tab, ".case.fail") == 2
        tab.open(twenty, "#c3")
        assert tab.value("document.querySelector('#c3').closest('details').open") is True, "a link opens its case"
        assert shown(tab, "#c3 h4") >= 3
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)


def test_five_hundred_cases_are_usable(tab: Browser, five_hundred: Path) -> None:
    assert five_hundred.stat().st_size < 2_000_000
    tab.look(width=1280, height=900)
    tab.open(five_hundred)
    assert texts(tab, "h1") == ["6 failed of 500 cases"]
    assert shown(tab, ".group") == 250
    assert tab.value(DRAWN) == "auto", "so many are drawn as they are scrolled to"
    assert shown(tab, ".group:not([open]) .case") == 0
    assert shown(tab, "nav li") == 3
    tab.value("document.querySelector('#show-pass').click()")
    assert shown(tab, ".group") == 3
    tab.value("document.querySelector('#show-pass').click()")
    assert shown(tab, ".group") == 250

    def find(text: str) -> None:
        tab.value(
            f"((box) => {{ box.value = '{text}'; box.dispatchEvent(new Event('input')); }})(document.getElementById('find'))"
        )

    find("UNKNOWN-CA intermediate")
    assert texts(tab, "#found") == ["62 of 500"]
    assert shown(tab, ".group") == 31
    find("no such thing")
    assert shown(tab, ".file") == 0
    find("")
    assert shown(tab, ".group") == 250
    tab.value("location.hash = '#c123'")
    tab.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert shown(tab, "#c123 h4") >= 3, "a link opens the group and the case"
    assert complaints(tab) == []


def test_open_all_and_close_all(tab: Browser, twenty: Path) -> None:
    tab.look(width=1280, height=900)
    tab.open(twenty)
    tab.value("document.querySelector('#show-fail').click(); document.getElementById('collapse').click()")
    assert shown(tab, ".case[open]") == 0
    tab.value("document.getElementById('expand').click(); document.querySelector('#show-fail').click()")
    assert shown(tab, ".case.pass[open]") == 18
    assert shown(tab, ".case.fail[open]") == 0, "what the filter hides stays as it was"


def test_from_the_keyboard(tab: Browser, twenty: Path) -> None:
    tab.look(width=1280, height=900)
    tab.open(twenty)
    for _ in range(60):
        press(tab, "Tab", 9)
        if tab.value("document.activeElement.matches('.case > summary')"):
            break
    assert tab.value("document.activeElement.matches('.case:not([open]) > summary')") is True
    assert tab.value("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    press(tab, "Enter", 13, "\r")
    assert tab.value("document.activeElement.parentElement.open") is True


def test_hostile_text_does_nothing(tab: Browser, hostile: Path) -> None:
    tab.events.clear()
    tab.look(width=390, height=844)
    tab.open(hostile)
    tab.value("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert tab.value("typeof hacked") == "undefined"
    assert tab.value("document.querySelectorAll('script').length") == 1
    assert tab.value("document.querySelectorAll('img, iframe, object, embed, form, b b').length") == 0
    assert "<script>hacked=1</script>" in str(texts(tab, "main h2")[0])
    assert complaints(tab) == []


def test_who_gets_in_where(tab: Browser, access: Path, hostile_access: Path) -> None:
    """A table on a screen; on a phone each row by itself, with the headings beside its cells."""
    tab.events.clear()
    for path in (hostile_access, access):
        tab.look(width=1280, height=900)
        tab.open(path)
        assert tab.value("typeof hacked") == "undefined"
        assert tab.value("document.querySelectorAll('script, img, iframe').length") == 0
    assert texts(tab, "thead th") == ["door", "none", "good", "gone", "stale", "foreign"]
    assert texts(tab, "td.alarm") == ["OPEN!\nthough it is revoked"]
    tab.look(width=360, height=844)
    tab.open(access)
    assert tab.value("document.documentElement.scrollWidth") == 360
    label = "getComputedStyle(document.querySelector('td.alarm'), '::before').content"
    assert tab.value(label) == '"gone"'
    assert complaints(tab) == []


def test_on_paper(tab: Browser, twenty: Path) -> None:
    tab.look(width=800, height=900, dark=True, media="print")
    tab.open(twenty)
    assert tab.value("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert shown(tab, ".filters") == 0
    assert shown(tab, ".case") == 20
    assert tab.value("document.documentElement.scrollWidth") == 800
    tab.look(width=800, height=900)
    assert shown(tab, ".filters") == 1
