"""The page's templates: everything that goes into them is escaped for HTML, and made visible first."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib import resources

from jinja2 import Environment
from markupsafe import Markup, escape

from mtls_runner import text_templates
from mtls_runner.model.certificate import minute
from mtls_runner.reporters import for_xml, one_line, visible
from mtls_runner.snippet import width

__all__ = ["Lines", "environment", "static", "underlined"]

_PACKAGE = "mtls_runner.reporters.html"


class Lines(str):
    """A text whose line feeds and tabs are shown as they are; in any other text they are escapes."""

    __slots__ = ()


def environment() -> Environment:
    """The page's template environment: what goes in is made visible and escaped."""
    return text_templates.environment(
        _PACKAGE, html=True, finalize=_made_visible, breakable=_breakable, digest=_digest, minute=minute
    )


def _breakable(text: str) -> Markup:
    """A value that may be broken behind the underscores of TLS's words, so that it is not broken within one."""
    return Markup("_<wbr>").join(escape(_made_visible(part)) for part in text.split("_"))


_CARET = re.compile(r"^ *\| ( *)(\^+)$", re.MULTILINE)
_SOURCE = re.compile(r"^ *[0-9]+ \| ")


def underlined(text: str) -> Markup:
    """A snippet, of which what the caret points at is marked instead: its lines may be broken where there is little room."""
    shown: list[Markup] = []
    for line in text.split("\n"):
        caret = _CARET.match(line)
        source = _SOURCE.match(shown[-1]) if caret and shown else None
        if caret is None or source is None:
            shown.append(escape(_made_visible(Lines(line))))
            continue
        begin, cells = source.end() + len(caret[1]), len(caret[2])
        plain = str(shown.pop().unescape())
        start = _index(plain, begin)
        end = _index(plain, begin + cells)
        shown.append(Markup("{}<mark>{}</mark>{}").format(plain[:start], plain[start:end], plain[end:]))
    return Markup("\n").join(shown)


def _index(text: str, cells: int) -> int:
    """The index of the character that has so many cells of a terminal before it."""
    at = 0
    for index, character in enumerate(text):
        if at >= cells:
            return index
        at += width(character)
    return len(text)


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
