"""The files that an nginx configuration sends by itself: an index, and its error pages. Document roots are not copied."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from mtls_runner.servers.nginx.read.configuration import Directive, Reading, ServerBlock, places
from mtls_runner.servers.nginx.read.files import ROOT

__all__ = ["files_of"]

_ROOTS = (f"{ROOT}/html", "/usr/share/nginx/html")
"""What is served where no ``root`` stands: compiled in, as the prefix of a relative one."""
_PAGE, _PASSWORDS = "page.html", "htpasswd"
_BESIDE = {
    _PAGE: "<!doctype html>\n<title>page</title>\n<p>A page of the lab's.\n",
    _PASSWORDS: "lab:{PLAIN}lab\n",
}
_MOST = 24
_ANSWERING = re.compile(r"return|rewrite|\w+_pass|stub_status|empty_gif|alias")


def files_of(reading: Reading, blocks: Sequence[ServerBlock]) -> tuple[dict[str, Path | str], dict[str, str]]:
    """Path → the file of that path here, or the name of one that is written beside the scenario; and the texts of these.

    Without them, somebody who is refused would get 404 in the place of an error page, as anybody might, and somebody who is let
    in 403 for a directory without an index.

    Args:
        reading: the whole configuration.
        blocks: those that speak TLS.
    """
    found: dict[str, Path | str] = {}
    for block in blocks:
        for path in _pages(block):
            if len(found) < _MOST:
                found.setdefault(path, _here(reading, path) or _PAGE)
        for directive in (*block.all("auth_basic_user_file"), *block.nested("auth_basic_user_file")):
            if directive.arguments and "$" not in directive.arguments[0]:
                found[str(ROOT / directive.arguments[0])] = _PASSWORDS
    beside = {name: text for name, text in _BESIDE.items() if name in found.values()}
    return found, beside


def _here(reading: Reading, path: str) -> Path | None:
    for place, _ in places(reading.main, ROOT / path, reading.whole):
        # not the page that a packaged nginx of this machine says hello with
        if place.is_file() and not str(place).startswith(_ROOTS):
            return place
    return None


def _pages(block: ServerBlock) -> Iterator[str]:
    uris = dict.fromkeys(
        directive.arguments[-1].partition("?")[0]
        for directive in (*block.all("error_page"), *block.nested("error_page"))
        if directive.arguments and directive.arguments[-1].startswith("/") and "$" not in directive.arguments[-1]
    )
    indexes = [name for directive in block.all("index") for name in directive.arguments if "$" not in name]
    index = next((name for name in indexes if not name.startswith("/")), "index.html")
    roots = [*block.all("root"), *block.nested("root")]
    answers = not uris and any(_ANSWERING.fullmatch(directive.name) for directive in block.inside)
    usual = () if answers else _ROOTS
    for root in dict.fromkeys(base for directive in roots for base in _bases(directive)) or usual:
        for uri in (*uris, f"/{index}"):
            yield posixpath.normpath(f"{root}/{uri}")
    locations = {d.opens: d.arguments for d in block.inside if d.name == "location" and d.arguments}
    for directive in block.nested("alias"):
        prefix = locations.get(directive.around[-1], ("~",))
        for base in _bases(directive) if not prefix[0].startswith("~") else ():
            if base.endswith("/") or prefix[-1] not in uris:
                yield posixpath.join(base, index)
            yield from (base + uri.removeprefix(prefix[-1]) for uri in uris if uri.startswith(prefix[-1]))


def _bases(directive: Directive) -> tuple[str, ...]:
    value = directive.arguments[0] if directive.arguments else "$"
    if "$" in value:
        return ()
    return (value,) if value.startswith("/") else tuple(f"{posixpath.dirname(root)}/{value}" for root in _ROOTS)
