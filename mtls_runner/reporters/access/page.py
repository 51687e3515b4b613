"""Who gets in where, as one HTML page: for a review; no network, no script."""

from __future__ import annotations

from markupsafe import Markup

from mtls_runner import __version__
from mtls_runner.model import plural
from mtls_runner.model.verdict import RunFinished
from mtls_runner.reporters.access.grid import UNTRIED, alarm, grid, headline, public, said, unproved
from mtls_runner.reporters.access.report import AccessFile
from mtls_runner.reporters.access.table import AccessTable
from mtls_runner.reporters.html.environment import environment, static

__all__ = ["AccessHtml"]


class AccessHtml(AccessFile):
    """Writes the page."""

    def write(self, tables: list[AccessTable], end: RunFinished) -> None:
        """All of a run."""
        templates = environment()
        templates.filters["said"] = said
        alarms = sum(len(table.alarms) for table in tables)
        unproven = sum(len(table.unproved) for table in tables)
        pieces = templates.get_template("access.html").generate(
            style=Markup("").join((static("style.css"), static("access.css"))),
            version=__version__,
            started=self._started,
            verdict=_verdict(alarms, unproven),
            status="fail" if alarms else "error" if unproven else "pass",
            files=[(table, grid(table), headline(table)) for table in tables],
            alarm=alarm,
            unproved=unproved,
            public=public,
            untried=UNTRIED,
            broken=bool(end.error or end.interrupted),
            versions=list(end.versions.items()),
        )
        self._stream.writelines(pieces)


def _verdict(alarms: int, unproven: int) -> str:
    """What a reviewer wants to know first."""
    if alarms:
        return f"{plural(alarms, 'client gets', 'clients get')} in though something speaks against it"
    if unproven:
        return f"{plural(unproven, 'door is', 'doors are')} not proved to be open to some and closed to others"
    return "Every door is proved to be open to some and closed to others"
