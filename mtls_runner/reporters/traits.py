"""What the reporters that write files say of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

from mtls_runner.model.traits import ReporterTraits

if TYPE_CHECKING:
    from mtls_runner.model.port import Reporter

__all__ = ["ACCESS_HTML", "ACCESS_MARKDOWN", "HTML", "JSON", "JUNIT"]


def _json(stream: TextIO) -> Reporter:
    from mtls_runner.reporters.json_report import JsonReporter

    return JsonReporter(stream)


def _junit(stream: TextIO) -> Reporter:
    from mtls_runner.reporters.junit import JunitReporter

    return JunitReporter(stream)


def _html(stream: TextIO) -> Reporter:
    from mtls_runner.reporters.html.report import HtmlReporter

    return HtmlReporter(stream)


def _access_html(stream: TextIO) -> Reporter:
    from mtls_runner.reporters.access.page import AccessHtml

    return AccessHtml(stream)


def _access_markdown(stream: TextIO) -> Reporter:
    from mtls_runner.reporters.access.markdown import AccessMarkdown

    return AccessMarkdown(stream)


JSON = ReporterTraits(name="json", sentence="a JSON report", make=_json)
JUNIT = ReporterTraits(name="junit", sentence="a JUnit XML report", make=_junit)
HTML = ReporterTraits(name="html", sentence="one HTML page to read, print and send", make=_html)
ACCESS_HTML = ReporterTraits(name="access-html", sentence="who gets in where, as one HTML page", make=_access_html)
ACCESS_MARKDOWN = ReporterTraits(
    name="access-markdown", sentence="who gets in where, as Markdown", make=_access_markdown
)
