"""An embedded server as ``openssl s_server``: like it, it refuses in TLS."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mtls_runner.export.expected import answer
from mtls_runner.export.material import Workshop
from mtls_runner.model.endpoint import ClientAuth, ClientSpec, ServerSpec, VerifyFlag, has_gap
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import RevocationCheck

__all__ = ["arguments", "cannot", "pages"]

_VERIFY = {ClientAuth.REQUIRED: "-Verify", ClientAuth.OPTIONAL: "-verify"}
_FLAGS = {VerifyFlag.PARTIAL_CHAIN: "-partial_chain", VerifyFlag.STRICT: "-x509_strict"}
_PAGE = re.compile(r"/[A-Za-z0-9_-][A-Za-z0-9._-]*")
_DEPTH = "100"
_TAKEN = frozenset(("body", "bundles", "ca.cnf", "empty", "files", "nginx", "pki", "secrets", "serial"))
"""Names in the script's working directory, from where ``s_server -HTTP`` serves."""


def cannot(server: ServerSpec, client: ClientSpec | None) -> str | None:
    """What ``openssl s_server`` can't do that the case needs; ``None``: nothing."""
    if server.hosts or server.reject_handshake or server.other_certificates:
        return "openssl s_server has no virtual hosts and one certificate"
    if has_gap(server.tls):
        return "openssl s_server takes a lowest and a highest TLS version, and can't leave out one between them"
    if client is None:
        return None
    request = client.request
    if request.method != "GET" or request.body:
        return f"openssl s_server answers GET only, and the request is {request.method}"
    if "h2" in server.alpn and "h2" in client.alpn:
        return "openssl s_server does not speak HTTP/2"
    if server.alpn and client.alpn and not set(server.alpn) & set(client.alpn):
        return (
            "openssl s_server refuses a client with no ALPN protocol in common, where Python's ssl goes on without one"
        )
    if server.advertise is not None:
        return "openssl s_server always names the authorities that it trusts"
    if answer(server, client).status != 200 and not _is_page(request.path):
        return f"openssl s_server answers {request.path} with status 200 only"
    return None


def pages(server: ServerSpec, clients: Sequence[ClientSpec]) -> dict[str, bytes]:
    """Files that ``s_server -HTTP`` sends as they are, by name; none where its own page (``-www``) does.

    Args:
        server: what answers.
        clients: all that connect to it.
    """
    asked = {client.request.path for client in clients}
    if not all(map(_is_page, asked)):
        return {}
    found = {}
    for client in clients:
        reply = answer(server, client)
        lines = [f"HTTP/1.0 {reply.status} {reply.status}", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in reply.headers]
        found[client.request.path[1:]] = "\r\n".join([*lines, "", ""]).encode() + reply.body
    return found


def _is_page(path: str) -> bool:
    return _PAGE.fullmatch(path) is not None and path[1:] not in _TAKEN


def arguments(server: ServerSpec, shop: Workshop, material: Material, *, by_page: bool) -> list[str]:
    """For ``openssl s_server``, without ``-accept``."""
    words = ["-HTTP" if by_page else "-www"]
    if server.certificate is not None:
        words += ["-cert", shop.certificate(server.certificate), "-key", shop.key(server.certificate)]
        spec = shop.plan.certificates[server.certificate]
        if server.passphrase is not None:
            words += ["-pass", f"file:{shop.passphrase(server.passphrase, f'server-{server.id}')}"]
        elif spec.passphrase is not None:
            words += ["-pass", "file:/dev/null"]  # without it, openssl would ask on the terminal
        after = shop.after(server.certificate, server.chain, material)
        if after is not None:
            words += ["-cert_chain", after]
    words += _verification(server, shop)
    words += ["-min_protocol", server.tls[0], "-max_protocol", server.tls[-1]]
    if server.ciphers is not None or server.security_level != 2:
        words += ["-cipher", f"{server.ciphers or 'DEFAULT'}:@SECLEVEL={server.security_level}"]
    if server.ciphersuites is not None:
        words += ["-ciphersuites", server.ciphersuites]
    if server.groups:
        words += ["-groups", ":".join(server.groups)]
    if server.signature_algorithms:
        words += ["-sigalgs", ":".join(server.signature_algorithms)]
    if server.alpn:
        words += ["-alpn", ",".join(server.alpn)]
    return words


def _verification(server: ServerSpec, shop: Workshop) -> list[str]:
    words = ["-no-CAfile", "-no-CApath", "-no-CAstore"]
    if server.client_auth not in _VERIFY:
        return words
    words = [_VERIFY[server.client_auth], _DEPTH, "-verify_return_error", *words]
    trusted = [shop.bundle(server.trust)] if server.trust else []
    if server.crl:
        trusted.append(shop.crl(server.crl))
    if trusted:
        words += ["-verifyCAfile", trusted[0] if len(trusted) == 1 else shop.joined("trust", trusted)]
    if server.crl_check is not RevocationCheck.NONE:
        words.append("-crl_check" if server.crl_check is RevocationCheck.LEAF else "-crl_check_all")
    words += [option for flag, option in _FLAGS.items() if flag in server.verify_flags]
    return words
