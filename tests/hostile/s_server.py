"""openssl s_server, with material that is right and too much for a client."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

__all__ = ["EXCESSIVE", "excessive_servers"]

#: By server: what both clients say. OpenSSL's client takes 100 kB of certificates (``SSL_set_max_cert_list``); its server
#: finds no room for more than 64 kB of names, and says internal_error.
EXCESSIVE = {
    "a certificate of 133 kB": "protocol-error: handshake",
    "700 authorities in the CertificateRequest": "protocol-error: alert",
}


def _certificate(key: ec.EllipticCurvePrivateKey, name: str, names: list[str]) -> bytes:
    kinds = (x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME)
    subject = x509.Name([x509.NameAttribute(kind, name) for kind in kinds])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False
        )
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)


@contextmanager
def _serve(directory: Path, certificate: bytes, authorities: bytes) -> Iterator[int]:
    directory.mkdir()
    (directory / "server.crt").write_bytes(certificate)
    (directory / "authorities.crt").write_bytes(authorities)
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cert", "server.crt", "-key", "../server.key"]
    if authorities:
        command += ["-CAfile", "authorities.crt", "-Verify", "1"]
    with subprocess.Popen(
        command, cwd=directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = next(int(found[1]) for line in process.stdout if (found := re.search(r"^ACCEPT .*:(\d+)$", line)))
            yield port
        finally:
            process.kill()


@contextmanager
def excessive_servers(directory: Path) -> Iterator[dict[str, int]]:
    """Both of them; yields their ports."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "server.key").write_bytes(private)
    plain = _certificate(key, "localhost", ["localhost"])
    large = _certificate(key, "localhost", [f"number-{number:06}.example.com" for number in range(4900)])
    many = b"".join(
        _certificate(key, f"A long name for one of seven hundred authorities: {number}", []) for number in range(700)
    )
    with _serve(directory / "large", large, b"") as one, _serve(directory / "many", plain, many) as other:
        yield dict(zip(EXCESSIVE, (one, other), strict=True))
