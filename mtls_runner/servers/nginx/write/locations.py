"""What a server answers, as ``location`` blocks."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator

from mtls_runner.model.server import Response, ServerSpec
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.nginx.write.syntax import LONGEST, Lines, expanding, literal

__all__ = ["locations_of"]

_FILED = 418
"""Status by which a location hands over to the file that holds its body; it never leaves nginx."""
_SPECIAL = frozenset((301, 302, 303, 307, 308, 444, *range(494, 500)))
"""``return`` takes the text for an address, or the code has a meaning of nginx's own."""


def locations_of(server: ServerSpec, out: Lines) -> Iterator[ContainerFile]:
    """One for each path that has a response of its own, and one for the rest; bodies that need it as files."""
    responses = {response.path: response for response in server.responses}
    responses.setdefault(None, Response(status=404))
    for number, (path, response) in enumerate(responses.items()):
        if out.lines:
            out.lines.append("")
        match = "location /" if path is None else f"location = {literal(urllib.parse.unquote(path))}"
        text = _plain_text(response)
        if text is not None:
            out.lines += [f"{match} {{", *_fields(response), f"    return {response.status} {text};", "}"]
            continue
        file = f"{out.directory}/body/{number}"
        inside = f"/.mtls-run/body/{number}"
        yield ContainerFile(file, response.body)
        out.lines += [
            f"{match} {{",
            f"    error_page {_FILED} ={response.status} {inside};",
            f"    return {_FILED};",
            "}",
            f"location = {inside} {{",
            "    internal;",
            f"    alias {file};",
            "    etag off;",
            "    if_modified_since off;",
            "    max_ranges 0;",
            '    add_header Last-Modified "";',
            *_fields(response),
            "}",
        ]


def _plain_text(response: Response) -> str | None:
    """The body as an argument of ``return``, where that sends exactly these bytes; ``None``: it needs a file."""
    if response.status in _SPECIAL or b"$" in response.body or len(response.body) > LONGEST:
        return None
    if not response.body and response.status >= 400:  # nginx would send a page of its own
        return None
    try:
        text = response.body.decode("ascii")
    except UnicodeDecodeError:
        return None
    return literal(text) if text.isprintable() else None


def _fields(response: Response) -> list[str]:
    given = {name.lower(): value for name, value in response.headers}
    lines = [f"    default_type {literal(given.pop('content-type', 'text/plain; charset=utf-8'))};"]
    for name, value in response.headers:
        if name.lower() in given:
            lines.append(f"    add_header {literal(name)} {expanding(value)} always;")
    return lines
