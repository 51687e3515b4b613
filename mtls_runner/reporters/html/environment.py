"""The page's templates: everything that goes into them is escaped for HTML, and made visible first."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from mtls_runner.model.certificate import minute
from mtls_runner.reporters import for_xml, one_line, visible

__all__ = ["Lines", "environment", "static"]

_PACKAGE = "mtls_runner.reporters.html"


class Lines(str):
    """A text whose line feeds and tabs are shown as they are; in any other text they are escapes."""

    __slots__ = ()


def environment() -> Environment:
    """Autoescaping and strict: a name that a template mistypes is an error."""
    made = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_made_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters |= {"digest": _digest, "minute": minute}
    return made


def static(name: str) -> Markup:
    """A file of the package that goes into the page as it is."""
    return Markup(resources.files(_PACKAGE).joinpath("templates", name).read_text("utf-8"))  # noqa: S704 - our own


def _digest(text: str) -> str:
    """What a Content-Security-Policy allows an inline script or style by (CSP 3 §2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _made_visible(value: object) -> object:
    """Control characters and what deceives about the direction of writing as escapes, unpaired surrogates too."""
    if not isinstance(value, str) or isinstance(value, Markup) or (value.isascii() and value.isprintable()):
        return value
    return for_xml(visible(value) if isinstance(value, Lines) else one_line(value))
