"""A server's description as the ``nginx.conf`` that a person would write for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mtls_runner.model.endpoint import Response, ServerSpec
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.servers.nginx.write.files import Files
from mtls_runner.servers.nginx.write.locations import matches, plain_text
from mtls_runner.servers.nginx.write.syntax import Directive, literal, rendered
from mtls_runner.servers.nginx.write.tls import listen, tls_directives

__all__ = ["plain_configuration", "without_lab"]

_WIDTH = 22


def without_lab(server: ServerSpec) -> str | None:
    """What of the description takes more than nginx and files; ``None``: nothing."""
    for host in server.hosts:
        reason = without_lab(host.server)
        if reason is not None:
            return reason
    if server.ocsp is not RevocationCheck.NONE or server.stapling is not None or server.responders:
        return "it needs an OCSP responder that answers as the scenario says"
    if server.session_ticket_key is not None:
        return "its session tickets are encrypted with a key that each run makes anew"
    return None


def plain_configuration(server: ServerSpec, port: int, files: Callable[[str], Files]) -> str:
    """A server's ``nginx.conf`` as a person would write it.

    Args:
        server: one that :func:`without_lab` has nothing against.
        port: to listen on.
        files: of the server (``""``) and of each virtual host, by its id.

    Raises:
        MaterialError: a file can't be made.
    """
    lines = [
        "# What the scenario's server is, as an nginx.conf.",
        "error_log stderr info;",
        "events {}",
        "http {",
        "    access_log off;",
        *_block(server, server.names, files(""), port),
    ]
    for host in server.hosts:
        lines += _block(host.server, host.names, files(host.id), port)
    return "\n".join((*lines, "}")) + "\n"


def _block(server: ServerSpec, names: tuple[str, ...], files: Files, port: int) -> Iterator[str]:
    yield "    server {"
    yield f"        {rendered(listen(server, str(port)))}"
    if names:
        yield f"        {rendered(('server_name', *map(literal, names)))}"
    yield "        error_log stderr info;              # at info, nginx says why it refuses a client certificate"
    yield ""
    for directive in tls_directives(server, files, ""):
        if not _goes_without_saying(directive, server):
            yield f"        {rendered(directive, _WIDTH)}"
    yield ""
    for match, response in matches(server).items():
        yield f"        {match} {{ default_type text/plain; return {_answer(response)}; }}"
    yield "    }"


def _goes_without_saying(directive: Directive, server: ServerSpec) -> bool:
    return directive[0] == "ssl_ciphers" and server.ciphers is None and server.security_level == 2


def _answer(response: Response) -> str:
    """Bodies are sent where ``return`` takes them as they are; nobody compares them."""
    text = plain_text(response)
    return f"{response.status} {text}" if text is not None and response.body else str(response.status)
