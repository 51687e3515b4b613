"""A client's description as an ``openssl s_client`` command, for people to type; the lab itself never runs it.

``s_client`` is OpenSSL's own test client (``openssl-s_client(1)``): it shows more of a handshake than any other, and does as
little by itself as any.
"""

from __future__ import annotations

import itertools
import os
import re
import shlex
from pathlib import Path

from mtls_runner.clients.curl.command import locked
from mtls_runner.model.endpoint import Address, ClientSpec, Request, TlsVersion, VerifyFlag, has_gap
from mtls_runner.model.names import is_address
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.snippet import is_secret

__all__ = ["cannot", "command"]

_OPENSSLS_OWN = (TlsVersion.V1_2, TlsVersion.V1_3)
"""What it offers of its own accord at the security level of 2 that Debian and others have."""
_MOST_TYPED = 2000
"""Octets of a request that stand in the command itself; of a longer one they are in a file."""
_END = b"-----END CERTIFICATE-----"
_PLAIN = re.compile(rb"[ !\"#$&(-\[\]-~]")  # without ' (the shell's), % and \ (printf's)


def cannot(client: ClientSpec) -> str | None:
    """Why ``s_client`` can't do as described, for people; ``None``: it can."""
    if has_gap(client.tls):
        return "openssl s_client takes a lowest and a highest TLS version, and can't leave out one between them"
    if "h2" in client.alpn:
        return "openssl s_client speaks no HTTP/2"
    if client.proxy_protocol is not None:
        return "openssl s_client does not speak the PROXY protocol"
    if client.request.limit_rate:
        return "openssl s_client sends what it has at once (limit_rate)"
    if client.cert_status:
        return "openssl s_client shows a stapled OCSP response, but does not insist on a good one"
    return None


def command(client: ClientSpec, address: Address, material: Material) -> str:
    """The command, a request in front of it.

    Args:
        client: what to do.
        address: of the server, unless the description says where to connect.
        material: names the files, and keeps those that only this needs: 0600, in its own directory.

    Raises:
        MaterialError: something can't be made.
    """
    address = client.connect or address
    place = material.directory.absolute() / "s_client"
    options = [*_name(client, address), *_trust(client, material, place)]
    options += _certificate(client, material, place)
    options += _negotiation(client)
    typed = shlex.join(["openssl", "s_client", "-quiet", *options])
    request = _octets(client.request, client.server_name or address.host)
    if len(request) > _MOST_TYPED or any(is_secret(name) for name, _ in client.request.headers):
        return f"{typed} < {shlex.quote(str(_kept(place, 'request', request)))}"
    return f"printf {_printf(request)} | {typed}"


def _name(client: ClientSpec, address: Address) -> list[str]:
    name = client.server_name if client.server_name is not None else address.host
    literal = is_address(name)
    if (client.server_name, address.host) == ("localhost", "127.0.0.1"):  # as people type it: the name is sent, too
        options = ["-connect", f"localhost:{address.port}"]
    else:
        options = ["-connect", str(address)]
        options += ["-noservername"] if client.server_name is None or literal else ["-servername", name]
    if not client.insecure:
        options += ["-verify_ip" if literal else "-verify_hostname", name, "-verify_return_error"]
    return options


def _trust(client: ClientSpec, material: Material, place: Path) -> list[str]:
    if client.insecure or not client.trust:
        return ["-no-CAfile", "-no-CApath", "-no-CAstore"]
    path = material.bundle(client.trust).absolute()
    options: list[str] = []
    if client.crl:
        # -CRL reads the first CRL of a file only; among the trusted certificates all are found.
        path = _kept(place, "trust.pem", path.read_bytes() + material.crl(client.crl).read_bytes())
    if client.crl_check is not RevocationCheck.NONE:
        options.append("-crl_check")
    if client.crl_check is RevocationCheck.CHAIN:
        options.append("-crl_check_all")
    if VerifyFlag.PARTIAL_CHAIN in client.verify_flags:
        options.append("-partial_chain")
    if VerifyFlag.STRICT in client.verify_flags:
        options.append("-x509_strict")
    return ["-CAfile", str(path), *options]


def _certificate(client: ClientSpec, material: Material, place: Path) -> list[str]:
    if client.certificate is None:
        return []
    presented = material.presented(client.certificate, client.chain, client.key, client.passphrase)
    chain = presented.certificate.absolute()
    options = ["-cert", str(chain)]  # of which s_client reads the first
    _leaf, *issuers = _certificates(chain)
    if issuers:
        options += ["-cert_chain", str(_kept(place, f"{chain.name.partition('.')[0]}.issuers.pem", b"".join(issuers)))]
    if presented.key is not None:
        options += ["-key", str(presented.key.absolute())]
    if client.passphrase is not None:
        content = client.passphrase.reveal().encode() + b"\n"
        path = chain.with_name(f"{chain.name.partition('.')[0]}.passphrase")  # the leaf's own, where it is that
        if not (path.is_file() and path.read_bytes() == content):
            path = _kept(place, path.name, content)
        options += ["-pass", f"file:{path}"]
    elif locked(client, material):
        options += ["-pass", "pass:"]  # no passphrase, and no question for one either
    return options


def _certificates(chain: Path) -> list[bytes]:
    try:
        *found, _ = chain.read_bytes().split(_END)
    except OSError:  # the user's own, which is not there: that is for openssl to say
        found = []
    return [part.lstrip() + _END + b"\n" for part in found] or [b""]


def _negotiation(client: ClientSpec) -> list[str]:
    options: list[str] = []
    if client.tls != _OPENSSLS_OWN:
        options += ["-min_protocol", str(client.tls[0]), "-max_protocol", str(client.tls[-1])]
    if client.post_handshake_auth:
        options.append("-enable_pha")
    if client.ciphers is not None or client.security_level != 2:
        options += ["-cipher", f"{client.ciphers or 'DEFAULT'}:@SECLEVEL={client.security_level}"]
    for option, value in (
        ("-ciphersuites", client.ciphersuites),
        ("-groups", ":".join(client.groups)),
        ("-sigalgs", ":".join(client.signature_algorithms)),
        ("-alpn", ",".join(client.alpn)),
    ):
        if value:
            options += [option, value]
    return options


def _octets(request: Request, host: str) -> bytes:
    """The HTTP/1.1 request (RFC 9112)."""
    given = {name.lower() for name, _ in request.headers}
    lines = [f"{request.method} {request.path} HTTP/1.1"]
    lines += [f"Host: {host}"] if "host" not in given else []
    lines += [f"{name}: {value}" for name, value in request.headers]
    lines += ["Connection: close"] if "connection" not in given else []
    lines += [f"Content-Length: {len(request.body)}"] if request.body and "content-length" not in given else []
    return "\r\n".join([*lines, "", ""]).encode() + request.body


def _printf(octets: bytes) -> str:
    """As ``printf``'s format, in the shell's single quotes."""
    return "'" + "".join(_escaped(octets[at : at + 1]) for at in range(len(octets))) + "'"


def _escaped(octet: bytes) -> str:
    if octet == b"%":
        return "%%"
    if octet in (b"\r", b"\n"):
        return "\\r" if octet == b"\r" else "\\n"
    return octet.decode("ascii") if _PLAIN.fullmatch(octet) else f"\\{octet[0]:03o}"


def _kept(place: Path, name: str, content: bytes) -> Path:
    """A 0600 file with this content, one for each content; numbered where several would have one name."""
    place.mkdir(mode=0o700, exist_ok=True)
    for number in itertools.count(1):
        path = place / (name if number == 1 else f"{number}-{name}")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            if path.read_bytes() == content:
                break
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        break
    return path
