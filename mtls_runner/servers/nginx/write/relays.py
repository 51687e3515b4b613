"""How nginx in its container reaches the lab's stubs: it relays to their Unix sockets itself.

Inside the container each name of an application is an address of its loopback (``/etc/hosts``), and what arrives there goes to
the stub's socket with every header as it came. The URIs of OCSP responders lie on that loopback, too; so a certificate can name
its responder before anything runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from mtls_runner.model.revocation import OcspAnswer, ResponderSpec
from mtls_runner.servers.stubs import ocsp_responder, upstream

__all__ = ["RESPONDERS_AT", "UPSTREAM_AT", "listens", "relay_hosts", "responder_relay", "upstream_relay"]

UPSTREAM_AT = "/run/mtls-run"
"""Where the upstream stub's directory is mounted."""
RESPONDERS_AT = "/run/mtls-run-ocsp"
"""Where the OCSP responders' directory is mounted."""


def relay_hosts(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Each name's loopback address inside the container; its own, so that it can't meet the author's ``listen``."""
    return tuple((name, f"127.0.66.{number}") for number, name in enumerate(names, 1))


def listens(names: Sequence[str], texts: Sequence[str]) -> Iterator[str]:
    """For each name its ``listen`` directives: on port 80 and on every port that the texts name."""
    for name, address in relay_hosts(names):
        ports = {80} | {int(port) for text in texts for port in re.findall(rf"\b{re.escape(name)}:(\d{{1,5}})\b", text)}
        yield " ".join(f"listen {address}:{port};" for port in sorted(ports) if 0 < port < 65536)


def upstream_relay(names: Sequence[str], texts: Sequence[str]) -> str:
    """One line for the ``http`` level: a server for each name."""
    return " ".join(
        f"server {{ {listen} access_log off; error_log /dev/null crit; client_max_body_size 0; "
        "underscores_in_headers on; ignore_invalid_headers off; large_client_header_buffers 8 64k; location / { "
        f"proxy_pass http://unix:{UPSTREAM_AT}/{upstream.SOCKET}:; proxy_http_version 1.1; proxy_redirect off; "
        "proxy_set_header Host $http_host; proxy_set_header Connection $http_connection; } }"
        for listen in listens(names, texts)
    )


def responder_relay(responders: Sequence[ResponderSpec]) -> str:
    """One line for the ``http`` level: a server at every address where somebody answers."""
    somebody = (one for one in responders if one.answers != (OcspAnswer.NOBODY,))
    addresses = sorted({urlsplit(one.uri).netloc for one in somebody})
    if not addresses:
        return ""
    listen = " ".join(f"listen {address};" for address in addresses)
    return (
        f"server {{ {listen} access_log off; error_log /dev/null crit; location / {{ "
        f"proxy_pass http://unix:{RESPONDERS_AT}/{ocsp_responder.SOCKET}:; proxy_read_timeout 1h; error_page 502 @closed; }} "
        "location @closed { return 444; } }"  # a responder that hangs up: so does the relay
    )
