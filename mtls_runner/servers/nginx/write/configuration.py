"""The configuration that is generated when the scenario brings none of its own."""

from __future__ import annotations

import contextlib
import hashlib
import string
import urllib.parse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mtls_runner.model.client import ClientSpec
from mtls_runner.model.endpoint import VerifyFlag
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.server import ClientAuth, ServerSpec
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.nginx.write.access_log import DIRECTIVES, FORMAT_DEFINITION
from mtls_runner.servers.nginx.write.locations import locations_of
from mtls_runner.servers.nginx.write.relays import responder_relay
from mtls_runner.servers.nginx.write.sessions import sessions_of
from mtls_runner.servers.nginx.write.syntax import DOLLAR_DEFINITION, LONGEST, Lines, literal

__all__ = [
    "DIRECTORY",
    "FIRST_PORT",
    "MAIN_FILE",
    "Generated",
    "generate",
    "generate_together",
    "inexpressible",
    "port_inside",
]

DIRECTORY = "/etc/mtls-run"
MAIN_FILE = f"{DIRECTORY}/nginx.conf"
FIRST_PORT = 443
"""Inside, of several servers in one container."""

_VERIFY = {
    ClientAuth.NONE: "off",
    ClientAuth.OPTIONAL: "optional",
    ClientAuth.OPTIONAL_NO_CA: "optional_no_ca",
    ClientAuth.REQUIRED: "on",
}
_OCSP = {RevocationCheck.NONE: "off", RevocationCheck.LEAF: "leaf", RevocationCheck.CHAIN: "on"}
_NO_LIMIT = 100
"""``ssl_verify_depth`` where none is asked for: OpenSSL's own default; nginx's is 1."""
_FLAGS = {
    VerifyFlag.PARTIAL_CHAIN: "X509_V_FLAG_PARTIAL_CHAIN",
    VerifyFlag.STRICT: "X509_V_FLAG_X509_STRICT",
}
_ALPN = ((), ("http/1.1",), ("h2", "http/1.1"))
"""What ``ngx_http_ssl_alpn_select`` answers with; without ALPN in a description, what nginx does of its own accord."""
_OWN_HEADERS = frozenset(("connection", "content-length", "date", "server", "transfer-encoding"))
_TOKEN = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")


@dataclass(frozen=True, slots=True)
class Generated:
    """A configuration and everything that it refers to."""

    text: str
    files: tuple[ContainerFile, ...]


def port_inside(server: ServerSpec) -> int:
    """The port that nginx listens on in its container."""
    return int(server.option("port", "443"))


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
        return f"nginx needs an authority to trust (ssl_client_certificate) for ssl_verify_client {_VERIFY[server.client_auth]}"
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
        if "\0" in urllib.parse.unquote(response.path or ""):
            return "nginx's configuration can't hold a NUL byte"
        for name, value in response.headers:
            if name.lower() in _OWN_HEADERS:
                return f"nginx sets the {name} field itself"
            if not name or not _TOKEN.issuperset(name) or not value.isprintable():
                return f"nginx can't send {name!r} as a response field"
            if len(value.encode()) > LONGEST:
                return f"the value of {name} is too long for nginx's configuration"
    return None


def generate(server: ServerSpec, material: Material) -> Generated:
    """The configuration for ``server``, and its files.

    Raises:
        MaterialError: something can't be made.
    """
    return _configuration(
        list(_blocks(server, material, DIRECTORY, port_inside(server))), responder_relay(server.responders)
    )


def generate_together(servers: Sequence[ServerSpec], material: Material) -> Generated:
    """One configuration for several servers, each with a directory and a port of its own: :data:`FIRST_PORT` and on.

    Raises:
        MaterialError: something can't be made.
    """
    return _configuration(
        [
            block
            for number, server in enumerate(servers)
            for block in _blocks(server, material, f"{DIRECTORY}/{number}", FIRST_PORT + number)
        ],
        "",
    )


@dataclass(frozen=True, slots=True)
class _Block:
    """A ``server`` block and the files that it refers to."""

    lines: tuple[str, ...]
    files: tuple[ContainerFile, ...]


def _blocks(server: ServerSpec, material: Material, directory: str, port: int) -> Iterator[_Block]:
    """The server's own, which is the default one of its port, and one for each virtual host."""
    yield _block(server, material, directory, port, server.names)
    for host in server.hosts:
        yield _block(host.server, material, f"{directory}/hosts/{host.id}", port, host.names)


def _block(server: ServerSpec, material: Material, directory: str, port: int, names: Sequence[str]) -> _Block:
    tls = Lines(directory)
    if names:
        tls.add("server_name", *map(literal, names))
    if server.reject_handshake:
        tls.add("ssl_reject_handshake", "on")
    files = [*_credential(server, material, tls), *_client_verification(server, material, tls)]
    files += _stapling(server, material, tls)
    files += sessions_of(server, material, tls, port)
    _handshake(server, tls)
    locations = Lines(directory)
    files += locations_of(server, locations)
    return _Block(
        (f"listen {_listen(server, port)};", DIRECTIVES, "", *tls.lines, "", *locations.lines),
        tuple(files),
    )


def _configuration(blocks: Sequence[_Block], relay: str) -> Generated:
    needs_dollar = any("$" in line for block in blocks for line in block.lines if line != DIRECTIVES)
    text = "\n".join(
        (
            "# Generated from the scenario's server."
            if len(blocks) == 1
            else "# Generated from the scenario's servers.",
            "worker_processes 1;",
            "error_log stderr notice;",
            "pid /tmp/nginx.pid;",
            "",
            "events {",
            "    worker_connections 512;",
            "}",
            "",
            "http {",
            f"    {FORMAT_DEFINITION}",
            *([f"    {DOLLAR_DEFINITION}"] if needs_dollar else []),
            "    server_tokens on;",
            *([f"    {relay}"] if relay else []),
            *(
                line
                for block in blocks
                for line in (
                    "",
                    "    server {",
                    *(f"        {line}" if line else "" for line in block.lines),
                    "    }",
                )
            ),
            "}",
            "",
        )
    )
    files = [file for block in blocks for file in block.files]
    return Generated(text, (*files, ContainerFile(MAIN_FILE, text.encode())))


def _listen(server: ServerSpec, port: int) -> str:
    # nginx knows `http2 on` from 1.25.1 on only; the older form works everywhere.
    return f"{port} ssl{' http2' if 'h2' in server.alpn else ''}"


def _file(path: str, source: Path, mode: int = 0o644) -> Iterator[ContainerFile]:
    """A copy of a file that the author may have brought; without it, nginx itself says that it is missing."""
    with contextlib.suppress(OSError):
        yield ContainerFile(path, source.read_bytes(), mode)


def _credential(server: ServerSpec, material: Material, out: Lines) -> Iterator[ContainerFile]:
    if server.certificate is None:
        return
    credential = material.credential(server.certificate)
    yield from _file(f"{out.directory}/server.crt", material.chain(server.certificate, server.chain))
    out.add("ssl_certificate", f"{out.directory}/server.crt")
    # Without a key file of its own, the key lies beside the certificate.
    yield from _file(f"{out.directory}/server.key", credential.key_path or credential.certificate_path, 0o600)
    out.add("ssl_certificate_key", f"{out.directory}/server.key")
    passphrases = [server.passphrase]
    for number, other in enumerate(server.other_certificates, 2):
        credential = material.credential(other)
        yield from _file(f"{out.directory}/server-{number}.crt", credential.chain_path)
        out.add("ssl_certificate", f"{out.directory}/server-{number}.crt")
        yield from _file(
            f"{out.directory}/server-{number}.key", credential.key_path or credential.certificate_path, 0o600
        )
        out.add("ssl_certificate_key", f"{out.directory}/server-{number}.key")
        passphrases.append(credential.passphrase)
    # nginx tries every line with every key
    lines = [passphrase.reveal() for passphrase in dict.fromkeys(passphrases) if passphrase is not None]
    if lines:
        yield ContainerFile(f"{out.directory}/server.pass", "".join(f"{line}\n" for line in lines).encode(), 0o600)
        out.add("ssl_password_file", f"{out.directory}/server.pass")


def _client_verification(server: ServerSpec, material: Material, out: Lines) -> Iterator[ContainerFile]:
    out.add("ssl_verify_client", _VERIFY[server.client_auth])
    if server.client_auth is ClientAuth.NONE:
        return
    out.add("ssl_verify_depth", str(_NO_LIMIT if server.verify_depth is None else server.verify_depth))
    advertised = server.trust if server.advertise is None else server.advertise
    if advertised:
        yield from _file(f"{out.directory}/client-ca.crt", material.bundle(advertised))
        out.add("ssl_client_certificate", f"{out.directory}/client-ca.crt")
    if set(server.trust) - set(advertised):
        yield from _file(f"{out.directory}/trusted.crt", material.bundle(server.trust))
        out.add("ssl_trusted_certificate", f"{out.directory}/trusted.crt")
    if server.crl_check is RevocationCheck.CHAIN:
        yield from _file(f"{out.directory}/revoked.crl", material.crl(server.crl))
        out.add("ssl_crl", f"{out.directory}/revoked.crl")
    if server.ocsp is not RevocationCheck.NONE:
        out.add("ssl_ocsp", _OCSP[server.ocsp])
        if server.ocsp_responder is not None:
            out.add("ssl_ocsp_responder", literal(server.ocsp_responder))
        if server.ocsp_cache:
            # nginx's key of an answer does not tell who gave it: each block has a cache of its own.
            out.add("ssl_ocsp_cache", f"shared:mtls_run_ocsp{_zone(out.directory)}:1m")


def _zone(directory: str) -> str:
    """What tells a shared memory zone of one block from another's, the same after a reload."""
    return f"_{hashlib.sha256(directory.encode()).hexdigest()[:12]}"


def _stapling(server: ServerSpec, material: Material, out: Lines) -> Iterator[ContainerFile]:
    stapling = server.stapling
    if stapling is None:
        return
    out.add("ssl_stapling", "on")
    if server.client_auth is ClientAuth.NONE and server.trust:
        yield from _file(f"{out.directory}/trusted.crt", material.bundle(server.trust))
        out.add("ssl_trusted_certificate", f"{out.directory}/trusted.crt")
    if stapling.responder is not None:
        out.add("ssl_stapling_responder", literal(stapling.responder))
    if stapling.verify:
        out.add("ssl_stapling_verify", "on")
    if stapling.file is not None and server.certificate is not None:
        request = material.ocsp_request(server.certificate)
        response = material.ocsp_response(stapling.file, request, stapling.file.answers[0])
        yield ContainerFile(f"{out.directory}/staple.der", response)
        out.add("ssl_stapling_file", f"{out.directory}/staple.der")


def _handshake(server: ServerSpec, out: Lines) -> None:
    out.add("ssl_protocols", *server.tls)
    out.add("ssl_ciphers", literal(f"{server.ciphers or 'DEFAULT'}:@SECLEVEL={server.security_level}"))
    if server.groups:
        out.add("ssl_ecdh_curve", literal(":".join(server.groups)))
    if server.ciphersuites is not None:
        out.add("ssl_conf_command", "Ciphersuites", literal(server.ciphersuites))
    if server.signature_algorithms:
        algorithms = literal(":".join(server.signature_algorithms))
        out.add("ssl_conf_command", "SignatureAlgorithms", algorithms)
