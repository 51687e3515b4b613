"""A server's description as the TLS directives of its ``server`` block: for the lab and for people, they are these."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from mtls_runner.model.endpoint import ChainSpec, ClientAuth, ServerSpec
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.servers.nginx.write.files import Files
from mtls_runner.servers.nginx.write.syntax import Directive, literal

__all__ = ["VERIFY_CLIENT", "listen", "tls_directives"]

VERIFY_CLIENT = {
    ClientAuth.NONE: "off",
    ClientAuth.OPTIONAL: "optional",
    ClientAuth.OPTIONAL_NO_CA: "optional_no_ca",
    ClientAuth.REQUIRED: "on",
}
_OCSP = {RevocationCheck.NONE: "off", RevocationCheck.LEAF: "leaf", RevocationCheck.CHAIN: "on"}
_CIPHERS = "HIGH:!aNULL:!MD5"
"""nginx's own ``ssl_ciphers``; written out since the security level stands in the same directive."""


def listen(server: ServerSpec, address: str) -> Directive:
    """``address`` is a port, or an address with one."""
    # nginx knows `http2 on` from 1.25.1 on only; the older form works everywhere.
    return ("listen", address, "ssl", *(("http2",) if "h2" in server.alpn else ()))


def tls_directives(server: ServerSpec, files: Files, zone: str) -> Iterator[Directive]:
    """All of them, in the order in which a person would write them.

    Args:
        server: or one of its virtual hosts.
        files: of this block.
        zone: what tells the shared memory of servers from each other that have nothing in common; virtual hosts of one server
            have the same.

    Raises:
        MaterialError: a file can't be made.
    """
    if server.reject_handshake:
        yield ("ssl_reject_handshake", "on")
    yield from _credentials(server, files)
    yield from _client_verification(server, files)
    yield from _stapling(server, files)
    yield from _sessions(server, files, zone)
    yield from _handshake(server)


def _credentials(server: ServerSpec, files: Files) -> Iterator[Directive]:
    if server.certificate is None:
        return
    pairs = [files.pair("server", server, server.certificate, server.chain)]
    for number, other in enumerate(server.other_certificates, 2):
        pairs.append(files.pair(f"server-{number}", server, other, ChainSpec()))
    for certificate, key in pairs:
        yield ("ssl_certificate", certificate)
        yield ("ssl_certificate_key", key)
    passphrases = files.passphrases("server.pass", server)
    if passphrases is not None:
        yield ("ssl_password_file", passphrases)


def _client_verification(server: ServerSpec, files: Files) -> Iterator[Directive]:
    yield ("ssl_verify_client", VERIFY_CLIENT[server.client_auth])
    if server.client_auth is ClientAuth.NONE:
        return
    if server.verify_depth is not None:
        yield ("ssl_verify_depth", str(server.verify_depth))
    advertised = server.trust if server.advertise is None else server.advertise
    if advertised:
        yield ("ssl_client_certificate", files.bundle("client-ca.crt", advertised))
    if set(server.trust) - set(advertised):
        yield ("ssl_trusted_certificate", files.bundle("trusted.crt", server.trust))
    if server.crl_check is RevocationCheck.CHAIN:
        yield ("ssl_crl", files.crl("revoked.crl", server.crl))
    if server.ocsp is not RevocationCheck.NONE:
        yield ("ssl_ocsp", _OCSP[server.ocsp])
        if server.ocsp_responder is not None:
            yield ("ssl_ocsp_responder", literal(server.ocsp_responder))
        if server.ocsp_cache:
            # nginx's key of an answer does not tell who gave it: each block has a cache of its own.
            own = hashlib.sha256(files.directory.encode()).hexdigest()[:12]
            yield ("ssl_ocsp_cache", f"shared:mtls_run_ocsp_{own}:1m")


def _stapling(server: ServerSpec, files: Files) -> Iterator[Directive]:
    stapling = server.stapling
    if stapling is None:
        return
    yield ("ssl_stapling", "on")
    if server.client_auth is ClientAuth.NONE and server.trust:
        yield ("ssl_trusted_certificate", files.bundle("trusted.crt", server.trust))
    if stapling.responder is not None:
        yield ("ssl_stapling_responder", literal(stapling.responder))
    if stapling.verify:
        yield ("ssl_stapling_verify", "on")
    if stapling.file is not None and server.certificate is not None:
        yield ("ssl_stapling_file", files.staple("staple.der", server.certificate, stapling.file))


def _sessions(server: ServerSpec, files: Files, zone: str) -> Iterator[Directive]:
    """Nothing where the description says nothing: tickets, and no cache, are nginx's defaults."""
    if server.session_cache is not None:
        kind, colon, rest = server.session_cache.partition(":")
        shared = kind == "shared" and colon
        yield ("ssl_session_cache", literal(f"shared:{zone}{rest}" if shared else server.session_cache))
    if not server.session_tickets:
        yield ("ssl_session_tickets", "off")
    if server.session_ticket_key is not None:
        yield ("ssl_session_ticket_key", files.ticket_key("ticket.key", server.session_ticket_key))


def _handshake(server: ServerSpec) -> Iterator[Directive]:
    yield ("ssl_protocols", *server.tls)
    yield ("ssl_ciphers", literal(f"{server.ciphers or _CIPHERS}:@SECLEVEL={server.security_level}"))
    if server.groups:
        yield ("ssl_ecdh_curve", literal(":".join(server.groups)))
    if server.ciphersuites is not None:
        yield ("ssl_conf_command", "Ciphersuites", literal(server.ciphersuites))
    if server.signature_algorithms:
        yield ("ssl_conf_command", "SignatureAlgorithms", literal(":".join(server.signature_algorithms)))
