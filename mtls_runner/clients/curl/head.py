"""The head of curl's response, from its ``--dump-header``, and what curl does not mind in it though it is not HTTP/1.1."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mtls_runner.clients.curl.binary import Kept
from mtls_runner.clients.curl.trace import CurlTrace
from mtls_runner.model.client import ClientSpec
from mtls_runner.model.observation import HttpResponse
from mtls_runner.tls.http_response import LONGEST_HEAD

__all__ = ["Head"]

_BEGIN = re.compile(rb"^HTTP/", re.MULTILINE)
_END = re.compile(rb"\n\r?\n")
_SWITCHING = b"HTTP/1.1 101"
_SHOWN = 32


@dataclass(frozen=True, slots=True)
class Head:
    """The last of those that came (informational ones come before it, RFC 9110 §15.2), trailers behind it.

    Args:
        octets: as curl wrote them.
        whole: nothing of them was left out.
    """

    octets: bytes
    whole: bool

    @classmethod
    def last(cls, dumped: bytes, *, whole: bool) -> Head:
        """Of everything that ``--dump-header`` wrote."""
        begins = [match.start() for match in _BEGIN.finditer(dumped)]
        return cls(dumped[begins[-1] :] if begins else b"", whole)

    @property
    def cut(self) -> bool:
        """Whether the server closed the connection before its end, which is no error to curl."""
        return bool(self.octets) and self.whole and _END.search(self.octets) is None

    def switched(self, client: ClientSpec) -> bool:
        """Whether the server took the offer of another protocol, which curl knows nothing of: to it no response came."""
        return self.octets.startswith(_SWITCHING) and not self.cut and _offers(client)

    def fault(self, client: ClientSpec, trace: CurlTrace) -> str:
        """What makes it no answer in HTTP/1.1; ``""``: nothing."""
        if not self.whole:
            return f"the head of the response is longer than {LONGEST_HEAD} bytes"
        if self.octets.startswith(b"HTTP/2") and trace.alpn != "h2":
            return f"the answer does not begin as HTTP/1.1 does, but with {self.octets[:_SHOWN]!r}"
        if self.octets.startswith(_SWITCHING) and not _offers(client):
            return "the server switches to another protocol (101), which nobody offered"
        return ""

    def response(self, status: int, body: Kept) -> HttpResponse | None:
        """With the body that came."""
        if not status:
            return None
        fields = [line.partition(":") for line in self.octets.decode("latin-1").split("\n")[1:]]
        headers = tuple((name.strip().lower(), value.strip()) for name, colon, value in fields if colon)
        return HttpResponse(status, headers, bytes(body.data), body.size)


def _offers(client: ClientSpec) -> bool:
    return any(name.lower() == "upgrade" for name, _ in client.request.headers)
