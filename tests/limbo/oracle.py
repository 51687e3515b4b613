"""What OpenSSL's command line says: whether an end can load the material, and how the other end's verification ends."""

from __future__ import annotations

import errno
import re
import ssl
from functools import cache
from pathlib import Path

from ..pki import openssl

__all__ = ["LEVEL", "WORDS", "disagreeing_versions", "load_error", "verify", "version"]

LEVEL = 2
"""The security level that the lab sets on both ends (``-auth_level``)."""

#: What a person would call each verify code that the suite brings about (``openssl verify``'s manual, DIAGNOSTICS).
WORDS = {
    1: "other",
    2: "unknown-ca",
    7: "bad-signature",
    9: "not-yet-valid",
    10: "expired",
    18: "self-signed",
    19: "unknown-ca",
    20: "unknown-ca",
    23: "revoked",
    25: "path-length",
    26: "wrong-purpose",
    32: "invalid-ca",
    34: "unhandled-extension",
    35: "crl-invalid",
    36: "crl-invalid",
    41: "malformed",
    47: "name-constraints",
    48: "name-constraints",
    51: "name-constraints",
    52: "name-constraints",
    53: "name-constraints",
    62: "name-mismatch",
    64: "name-mismatch",
    66: "weak-key",
    67: "weak-key",
    68: "weak-digest",
    79: "invalid-ca",
    **dict.fromkeys(range(80, 95), "not-compliant"),  # what -x509_strict alone refuses
}

#: OpenSSL's packed error codes (``include/openssl/sslerr.h``, ``x509v3err.h``) for material that can't be loaded.
_UNUSABLE = {
    "0A00018F": "weak-key",  # SSL_R_EE_KEY_TOO_SMALL
    "0A00018D": "weak-key",  # SSL_R_CA_KEY_TOO_SMALL
    "0A00018E": "weak-digest",  # SSL_R_CA_MD_TOO_WEAK
    "1100009E": "malformed",  # X509V3_R_INVALID_CERTIFICATE
}


@cache
def version() -> str:
    """Of the command."""
    return openssl.output("version").split()[1]


@cache
def disagreeing_versions() -> str:
    """Why the command is no oracle for this Python; ``""``: it is one."""
    linked = ssl.OPENSSL_VERSION.removeprefix("OpenSSL ").split()[0]
    if linked.split(".")[:2] == version().split(".")[:2]:
        return ""
    return f"the openssl command is {version()}, Python's ssl is linked with {linked}"


def verify(
    directory: Path,
    purpose: str,
    *,
    name: tuple[str, str] | None = None,
    partial_chain: bool = False,
    strict: bool = False,
    untrusted: bool = False,
    crls: bool = False,
) -> int:
    """The verify code of ``peer.pem``; 0: it is good.

    Args:
        directory: holds ``peer.pem``, ``trusted.pem``, and ``untrusted.pem`` and ``crls.pem`` where they count.
        purpose: ``sslserver`` or ``sslclient``.
        name: its kind, ``DNS`` or ``IP``, and the name.
        partial_chain: a trusted certificate that is no root ends a chain.
        strict: RFC 5280 to the letter.
        crls: every certificate of the chain is looked up.
    """
    arguments: list[str | Path] = ["-auth_level", str(LEVEL), "-purpose", purpose]
    if name is not None:
        kind, value = name
        arguments += ["-verify_ip" if kind == "IP" else "-verify_hostname", value]
    if partial_chain:
        arguments.append("-partial_chain")
    if strict:
        arguments.append("-x509_strict")
    if crls:
        arguments += ["-crl_check_all", "-CRLfile", directory / "crls.pem"]
    return openssl.verify(
        directory / "peer.pem",
        directory / "trusted.pem",
        *arguments,
        untrusted=directory / "untrusted.pem" if untrusted else None,
    )


def load_error(directory: Path, level: int) -> str:
    """Why no end can present ``sent.pem`` with ``peer.key`` at that security level; ``""``: it can.

    ``SSL_CONF_cmd(3)``'s ``Certificate`` calls what Python's ``ssl`` and curl call, SSL_CTX_use_certificate_chain_file(3).
    """
    settings = directory / f"present-{level}.cnf"
    settings.write_text(
        "openssl_conf = lab\n[lab]\nssl_conf = ends\n[ends]\npresent = material\n[material]\n"
        f"CipherString = DEFAULT:@SECLEVEL={level}\n"
        f"Certificate = {directory / 'sent.pem'}\nPrivateKey = {directory / 'peer.key'}\n"
    )
    # nothing listens on port 1: it ends at once, with or without having loaded the material
    result = openssl.run("s_client", "-ssl_config", "present", "-connect", "127.0.0.1:1", settings=settings)
    said = result.stderr.decode()
    codes = re.findall(r":error:([0-9A-F]{8}):", said)
    if f"{0x80000000 | errno.ECONNREFUSED:08X}" in codes:  # it came as far as connect(2)
        return ""
    reasons = {_UNUSABLE[code] for code in codes if code in _UNUSABLE}
    assert len(reasons) == 1, said
    return reasons.pop()
