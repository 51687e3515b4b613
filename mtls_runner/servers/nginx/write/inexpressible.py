"""What of a description nginx has no directive for."""

from __future__ import annotations

import string

from mtls_runner.model.endpoint import ClientAuth, ClientSpec, ServerSpec, VerifyFlag
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.servers.nginx.write.syntax import LONGEST
from mtls_runner.servers.nginx.write.tls import VERIFY_CLIENT

__all__ = ["inexpressible"]

_FLAGS = {
    VerifyFlag.PARTIAL_CHAIN: "X509_V_FLAG_PARTIAL_CHAIN",
    VerifyFlag.STRICT: "X509_V_FLAG_X509_STRICT",
}
_ALPN = ((), ("http/1.1",), ("h2", "http/1.1"))
"""What ``ngx_http_ssl_alpn_select`` answers with; without ALPN in a description, what nginx does of its own accord."""
_OWN_HEADERS = frozenset(("connection", "content-length", "date", "server", "transfer-encoding"))
_TOKEN = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")


def inexpressible(server: ServerSpec, client: ClientSpec | None) -> str | None:
    """What of a description nginx has no directive for, for people; ``None``: nothing."""
    for flag in sorted(server.verify_flags):
        return f"nginx has no directive for {_FLAGS[flag]}"
    if server.passphrase is not None and set(server.passphrase.reveal()) & set("\r\n"):
        return "nginx reads one passphrase from each line of its password file, so none can hold a line break"
    for host in server.hosts:
        reason = inexpressible(host.server, None)
        if reason is not None:
            return reason
    return _trust_inexpressible(server) or _alpn_inexpressible(server, client) or _responses_inexpressible(server)


def _trust_inexpressible(server: ServerSpec) -> str | None:
    if server.client_auth is ClientAuth.NONE:
        return None
    if not server.trust and server.client_auth is not ClientAuth.OPTIONAL_NO_CA:
        word = VERIFY_CLIENT[server.client_auth]
        return f"nginx needs an authority to trust (ssl_client_certificate) for ssl_verify_client {word}"
    # ngx_ssl_crl sets X509_V_FLAG_CRL_CHECK and X509_V_FLAG_CRL_CHECK_ALL, always both, and wants a file with a CRL.
    if server.crl_check is RevocationCheck.LEAF:
        return "nginx checks the whole chain for revocation, or nothing (ssl_crl)"
    if server.crl_check is RevocationCheck.CHAIN and not server.crl:
        return "nginx checks for revocation only with a CRL (ssl_crl)"
    if server.ocsp is not RevocationCheck.NONE and server.client_auth is ClientAuth.OPTIONAL_NO_CA:
        return "nginx has no ssl_ocsp with ssl_verify_client optional_no_ca"
    if server.advertise is None or server.advertise == server.trust:
        return None
    if not server.advertise:
        # ngx_http_ssl_merge_srv_conf; which version an image holds is not known before it runs
        return "nginx before 1.27.2 advertises at least one CA name (ssl_client_certificate)"
    if not set(server.advertise) <= set(server.trust):
        return "nginx trusts every authority that it advertises (ssl_client_certificate)"
    return None


def _alpn_inexpressible(server: ServerSpec, client: ClientSpec | None) -> str | None:
    if server.alpn not in _ALPN:
        return "nginx has http/1.1, or with HTTP/2 h2 before http/1.1, for ALPN"
    if not server.alpn and client is not None and client.alpn and "http/1.1" not in client.alpn:
        return "nginx can't be told to ignore ALPN"
    return None


def _responses_inexpressible(server: ServerSpec) -> str | None:
    for response in server.responses:
        if "\0" in (response.path or ""):
            return "nginx's configuration can't hold a NUL byte"
        for name, value in response.headers:
            if name.lower() in _OWN_HEADERS:
                return f"nginx sets the {name} field itself"
            if not name or not _TOKEN.issuperset(name) or not value.isprintable():
                return f"nginx can't send {name!r} as a response field"
            if len(value.encode()) > LONGEST:
                return f"the value of {name} is too long for nginx's configuration"
    return None
