"""Where a redirect leads, as curl --location goes there (curl's ``lib/transfer.c``, ``Curl_follow``)."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from msgspec.structs import replace

from mtls_runner.model.endpoint import Address, ClientSpec, Request
from mtls_runner.model.names import ascii_host
from mtls_runner.model.observation import HttpResponse
from mtls_runner.model.traits import ClientProtocol
from mtls_runner.tls.http import PORTS, host_header

__all__ = ["MOST_REDIRECTS", "NOWHERE", "LeadsNowhere", "location", "onward", "url"]

MOST_REDIRECTS = 50
"""curl's ``--max-redirs``."""
NOWHERE = Address("127.0.0.1", 1)
"""Where a client connects that is sent to somebody whom the scenario does not name: nobody listens there (tcpmux)."""

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_TO_GET = frozenset((301, 302))
_SEE_OTHER = 303
_SCHEMES = {protocol.value: protocol for protocol in (ClientProtocol.HTTP, ClientProtocol.HTTPS)}
_OF_ONE_HOST = frozenset(("authorization", "cookie", "host"))
_ASCII = "".join(map(chr, range(0x21, 0x7F)))
_ABSOLUTE = re.compile(r"(https?):((?:/{1,3}(?!/))?)", re.IGNORECASE)
"""Of an absolute URL; curl takes one slash for two, and three."""
_NO_HOST = frozenset(" !\"#$&'()*+,/;<=>?@[]\\^`{|}%")


class LeadsNowhere(Exception):
    """A redirect leads to no place that is asked by HTTP.

    Args:
        message: why.
        exit_code: curl's for it.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def url(client: ClientSpec, here: Address) -> str:
    """What it asks for; a request's own ``Host`` does not count.

    Args:
        client: who.
        here: where it connects.
    """
    return f"{client.protocol}://{host_header(client.server_name or here.host, here.port, client.protocol)}{client.request.path}"


def location(response: HttpResponse) -> str | None:
    """The ``Location`` field; of several the first that is not empty, as curl does before 8.17 (later: an error)."""
    return next((value for name, value in response.headers if name == "location" and value), None)


def onward(client: ClientSpec, here: Address, response: HttpResponse | None) -> ClientSpec | None:
    """The client as it goes on, ``connect`` included; ``None``: it is not sent on.

    Args:
        client: who was answered.
        here: where it had connected.
        response: the answer; ``None``: none came.

    Raises:
        LeadsNowhere: it is sent to what is no URL, or none of HTTP.
    """
    to = location(response) if response is not None else None
    if response is None or to is None or response.status not in _REDIRECTS:
        return None
    target, name, port = _target(url(client, here), to)
    protocol = _SCHEMES[target.scheme]
    port = port or PORTS[protocol]
    same = name == (client.server_name or here.host).lower()
    stays = same and port == here.port
    known = dict(client.reached)
    address = here if stays else known.get(f"{name}:{port}") or known.get(name) or NOWHERE
    request = _request(client.request, response.status, f"{target.path or '/'}{'?' * bool(target.query)}{target.query}")
    if not same:
        kept = ((field, value) for field, value in request.headers if field.lower() not in _OF_ONE_HOST)
        request = replace(request, headers=tuple(kept))
    # the port of the URL is not the one that is connected to, so that it is the Host field's by being given
    if not stays:
        headers = (("Host", host_header(name, port, protocol)), *request.headers)
        request = replace(request, headers=headers)
    return replace(client, protocol=protocol, server_name=name, connect=address, request=request)


def _target(here: str, to: str) -> tuple[SplitResult, str, int | None]:
    """The target's URL, host name and port; characters that a URL can't have are percent-encoded, as curl does it."""
    try:
        absolute = _ABSOLUTE.match(to)
        if absolute is not None and not absolute[2]:
            raise ValueError("one to three slashes have to follow its scheme")
        path, mark, query = (f"{absolute[1]}://{to[absolute.end() :]}" if absolute is not None else to).partition("?")
        encoded = quote(f"{path}{mark}{query.replace(' ', '+')}".encode("latin-1"), safe=_ASCII)
        target = urlsplit(urljoin(here, encoded))
        name, port = ascii_host(unquote(target.hostname or "")).lower(), target.port
    except ValueError as error:
        raise LeadsNowhere(f"{to!r} is no URL: {error}", 3) from None
    if target.scheme not in _SCHEMES:
        raise LeadsNowhere(f"{to!r} is no URL of HTTP", 1)
    if not name or not _NO_HOST.isdisjoint(name):
        raise LeadsNowhere(f"{to!r} has no name of a host", 3)
    return target, name, port


def _request(request: Request, status: int, path: str) -> Request:
    if (status == _SEE_OTHER and request.method != "HEAD") or (status in _TO_GET and request.method == "POST"):
        return replace(request, method="GET", path=path, body=b"")
    return replace(request, path=path)
