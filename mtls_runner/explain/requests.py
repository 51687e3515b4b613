"""What a client asks for, and what the server says to that: by path, by name, after the handshake."""

from __future__ import annotations

from collections.abc import Iterator

from mtls_runner.explain.words import listed, quoted
from mtls_runner.model import plural
from mtls_runner.model.endpoint import ClientAuth, ClientSpec, Request, Response, ServerSpec, TlsVersion
from mtls_runner.model.observation import Reason

__all__ = ["answer_for", "answers", "asked", "asks", "demanded_by_path", "refused_by_path"]

_FORBIDDEN = 403


def asked(client: ClientSpec) -> str:
    """A request that is not just GET /, as the end of a sentence; ``""``: it is."""
    request = client.request
    if not client.protocol.asks or (request == Request() and client.location is None):
        return ""
    return f"; asks {client.says}{''.join(_more(request))}{_onward(client)}"


def _more(request: Request) -> Iterator[str]:
    if request.host is not None:
        yield f" of {request.host} (Host)"
    if request.body:
        rate = f", {request.limit_rate} a second" if request.limit_rate else ""
        yield f" with {plural(len(request.body), 'byte')}{rate}"


def asks(client: ClientSpec) -> str:
    """What it says once it is connected."""
    if not client.protocol.asks:
        return f"The client says {client.says}." if client.says else "The client says nothing."
    return f"The client asks: {client.says}{''.join(_more(client.request))}{_onward(client)}."


def _onward(client: ClientSpec) -> str:
    """That it follows redirects, and whom it meets there."""
    if client.location is None:
        return ""
    met = listed(f"{quoted(server.id)} at {name}" for name, server in client.location) if client.location else ""
    return f", and goes where redirects lead with all that it has{f', to {met}' if met else ''}"


def answers(server: ServerSpec, client: ClientSpec, tls: TlsVersion | None) -> str:
    """What the server says to that, unless it refuses."""
    if client.location is not None:
        return "What comes of it is said by the server that redirects lead to."
    if not client.protocol.asks and not client.says:
        return "The server speaks first." if client.until else "The client leaves."
    response = answer_for(server, client)
    if client.protocol.asks and client.request.host not in (None, client.server_name):
        met = client.server_name or "no name"
        return f"The handshake was for {met}, and the request is for {client.request.host}: the server answers."
    if client.protocol.asks and response is not None and response.client_auth is not None:
        when = (
            "which it asked everybody for in the handshake"
            if tls is TlsVersion.V1_2
            else "and asks for it now, after the handshake"
        )
        return f"For {response.path} the server {_wants(response)} a client certificate, {when}."
    status = f" with status {response.status}" if response is not None and client.protocol.asks else ""
    return f"The server answers{status}."


def answer_for(server: ServerSpec, client: ClientSpec) -> Response | None:
    """What is said on the path that it asks for; ``None``: nobody here knows."""
    if server.option("config") or server.address is not None:
        return None
    return server.response_to(client.request.path)


def demanded_by_path(server: ServerSpec) -> str:
    """What some paths want of a client, as a sentence; ``""``: nothing."""
    told = [f"for {each.path} it {_wants(each)} one" for each in server.responses if each.client_auth is not None]
    if not told:
        return ""
    how = ", once the handshake is done (TLS 1.3)" if server.client_auth is ClientAuth.NONE else ""
    return f"But {listed(told)}{how}."


def _wants(response: Response) -> str:
    return "demands" if response.client_auth is ClientAuth.REQUIRED else "asks for"


def refused_by_path(server: ServerSpec, client: ClientSpec, reason: Reason | None) -> str:
    """How who has no certificate for a path that wants one is told so; ``""``: otherwise than by HTTP."""
    response = answer_for(server, client)
    if response is None or response.client_auth is None or reason is not Reason.NO_CERTIFICATE:
        return ""
    given = server.refusal.status if server.refusal is not None else ()
    return f"It says so by HTTP, status {given[0].value if given else _FORBIDDEN}."
