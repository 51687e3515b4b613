"""Makes docs/gallery.html, a report of scenarios worth a look, and docs/report.png, a picture of it.

``python -m tests.gallery`` runs the scenarios, nginx among them, and takes the picture with Chromium; ``--check`` only says
whether the page shows the cases that the scenarios have now.
"""

from __future__ import annotations

import html
import io
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mtls_runner.engine import run
from mtls_runner.language import Overrides, load
from mtls_runner.model.case import Plan
from mtls_runner.model.verdict import CaseFinished, Status
from mtls_runner.reporters.html.report import HtmlReporter

from ..html.browser import browser, executable

__all__ = ["PAGE", "PICTURE", "ROOT", "SIZE", "missing", "plans"]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/gallery.html"
PICTURE = ROOT / "docs/report.png"
SIZE = (1180, 740)
"""Of the picture, in pixels."""
_SHOWN = "expired"
"""The case in the picture, of the first scenario."""
_SCENARIOS = ("scenarios/wrong-certificates.yaml", "scenarios/basic.yaml", "docs/tutorial/*.yaml")
# Far-away cases have their size only once they come into view, so it takes a second look.
_OPEN = """(async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const one = [...document.querySelectorAll("details.case")].find(
    it => it.querySelector("h3").firstChild.textContent.trim() === NAME);
  document.querySelectorAll("details.case").forEach(it => { it.open = it === one; });
  for (let look = 0; look < 4; look++) {
    one.scrollIntoView();
    window.scrollBy(0, -110);
    await frame(); await frame();
  }
})()"""


def plans() -> list[Plan]:
    """The gallery's scenarios. Python's client leaves no path of this machine in the page, as curl's commands would."""
    paths = [path for pattern in _SCENARIOS for path in sorted(ROOT.glob(pattern))]
    return [load(path.relative_to(ROOT), Overrides(tool="python")) for path in paths]


def missing(page: str, wanted: Sequence[Plan]) -> set[str]:
    """Ids of cases that the page does not show though it should, or shows though there are none."""
    commands = (html.unescape(text) for text in re.findall(r"<pre class=cmd>(mtls-run .*?)</pre>", page))
    shown = {shlex.split(command)[-1] for command in commands}
    return shown ^ {case.id for plan in wanted for case in plan.cases}


def _make() -> None:
    stream = io.StringIO()
    reporter = HtmlReporter(stream)
    for event in run(plans()):
        reporter.handle(event)
        if isinstance(event, CaseFinished) and event.verdict.status is not Status.PASS:
            raise SystemExit(f"{event.verdict.case.id}: {event.verdict.status}")
    reporter.close()
    PAGE.write_text(stream.getvalue(), "utf-8")


def _picture() -> None:
    program = executable()
    if program is None:
        raise SystemExit("chromium is not installed")
    with browser(program) as tab:
        tab.look(width=SIZE[0], height=SIZE[1])
        tab.open(PAGE)
        tab.value(_OPEN.replace("NAME", repr(_SHOWN)))
        tab.picture(PICTURE)


def main() -> int:
    """Make both, or say what is missing."""
    if "--check" not in sys.argv[1:]:
        _make()
        _picture()
    stale = missing(PAGE.read_text("utf-8"), plans())
    sys.stdout.writelines(f"{case}\n" for case in sorted(stale))
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())
