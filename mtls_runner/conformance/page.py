"""The document as one HTML page: no network, no script; texts are escaped."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from mtls_runner.conformance.table import COLUMNS, OutcomeTable

__all__ = ["page"]


def page(document: OutcomeTable) -> str:
    """The whole page."""
    environment = Environment(
        loader=PackageLoader("mtls_runner.conformance"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    return environment.get_template("outcomes.html").render(document=document, columns=COLUMNS)
