"""What a server answers, as ``location`` blocks."""

from __future__ import annotations

from collections.abc import Iterator

from mtls_runner.model.endpoint import Response, ServerSpec
from mtls_runner.servers.nginx.write.files import Copies
from mtls_runner.servers.nginx.write.syntax import LONGEST, expanding, literal

__all__ = ["locations_of", "matches", "plain_text"]

_FILED = 418
"""Status by which a location hands over to the file that holds its body; it never leaves nginx."""
_SPECIAL = frozenset((301, 302, 303, 307, 308, 444, *range(494, 500)))
"""``return`` takes the text for an address, or the code has a meaning of nginx's own."""


def matches(server: ServerSpec) -> dict[str, Response]:
    """What a ``location`` begins with → what it answers: one for each path with a response of its own, one for the rest."""
    responses = {response.path: response for response in server.responses}
    responses.setdefault(None, Response(status=404))
    return {
        "location /" if path is None else f"location = {literal(path)}": response
        for path, response in responses.items()
    }


def locations_of(server: ServerSpec, files: Copies) -> Iterator[str]:
    """Lines that answer byte for byte; bodies that need it are files."""
    for number, (match, response) in enumerate(matches(server).items()):
        yield ""
        text = plain_text(response)
        if text is not None:
            yield from (f"{match} {{", *_fields(response), f"    return {response.status} {text};", "}")
            continue
        inside = f"/.mtls-run/body/{number}"
        file = files.put(f"body/{number}", response.body)
        yield from (
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
        )


def plain_text(response: Response) -> str | None:
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
