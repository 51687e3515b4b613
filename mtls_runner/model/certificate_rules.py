"""What OpenSSL holds against one certificate, whatever stands above it: names, key usage, strength, RFC 5280's rules."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from mtls_runner.model.certificate import CertificateSpec, Defect, KeyAlgorithm, NameConstraints

__all__ = [
    "KNOWN_EXTENSIONS",
    "broken_rules",
    "covers",
    "is_address",
    "may_authenticate",
    "outside",
    "weak_digest",
    "weak_key",
]

#: Bits of security (NIST SP 800-57 part 1, as ``SSL_CTX_set_security_level`` counts them).
_BITS: Mapping[KeyAlgorithm, int] = {
    KeyAlgorithm.RSA_1024: 80,
    KeyAlgorithm.RSA_2048: 112,
    KeyAlgorithm.RSA_3072: 128,
    KeyAlgorithm.RSA_4096: 152,
    KeyAlgorithm.EC_P256: 128,
    KeyAlgorithm.EC_P384: 192,
    KeyAlgorithm.EC_P521: 256,
    KeyAlgorithm.EC_SECP256K1: 128,
    KeyAlgorithm.EC_BRAINPOOL_P256R1: 128,
    KeyAlgorithm.ED25519: 128,
    KeyAlgorithm.ED448: 224,
}
_LEVELS = (0, 80, 112, 128, 192, 256)
_HASHES = {"md5": 39, "sha1": 63}
#: Critical extensions that OpenSSL handles (``X509_supported_extension`` in ``crypto/x509/v3_purp.c``).
KNOWN_EXTENSIONS = frozenset(
    (
        *(f"2.5.29.{arc}" for arc in (15, 17, 19, 30, 31, 32, 33, 36, 37, 54)),
        *(f"1.3.6.1.5.5.7.1.{arc}" for arc in (7, 8, 14)),
        "2.16.840.1.113730.1.1",
    )
)
_TYPES = ("DNS", "IP", "email")


def weak_key(algorithm: KeyAlgorithm, level: int) -> bool:
    """Whether a key has too few bits for a security level of OpenSSL's."""
    return _BITS[algorithm] < _LEVELS[level]


def weak_digest(name: str | None, level: int) -> bool:
    """Whether a signature with that hash is too weak for a security level of OpenSSL's."""
    return _HASHES.get(name or "", _LEVELS[level]) < _LEVELS[level]


def broken_rules(one: CertificateSpec) -> Iterator[str]:
    """What ``X509_V_FLAG_X509_STRICT`` holds against it (``check_extensions``), with its verb."""
    if Defect.VERSION_1 in one.defects:
        return
    constraints, bare = one.basic_constraints, Defect.NO_KEY_IDENTIFIERS in one.defects
    if constraints is not None and constraints.ca:
        if Defect.BASIC_CONSTRAINTS_NOT_CRITICAL in one.defects or not constraints.critical:
            yield "has no critical basicConstraints (§4.2.1.9)"
        if one.key_usage is None:
            yield "has no keyUsage (§4.2.1.3)"
        if bare or not one.subject_key_identifier:
            yield "has no subjectKeyIdentifier (§4.2.1.2)"
        if not one.subject:
            yield "has no subject (§4.1.2.6)"
    else:
        if constraints is not None and constraints.path_length is not None:
            yield "is no authority and has a path length (§4.2.1.9)"
        if one.key_usage is not None and "keyCertSign" in one.key_usage:
            yield "is no authority and has the key usage keyCertSign (§4.2.1.3)"
        if not one.subject and one.san and not one.san_critical:
            yield "has no subject and no critical subjectAltName (§4.2.1.6)"
    if one.issuer is not None and (bare or not one.authority_key_identifier):
        yield "has no authorityKeyIdentifier (§4.2.1.1)"


def may_authenticate(one: CertificateSpec, purpose: str) -> bool:
    """Whether its key usage lets it prove who it is (``check_purpose_ssl_client``, ``check_purpose_ssl_server``)."""
    able = {"digitalSignature", "keyAgreement"} | ({"keyEncipherment"} if purpose == "serverAuth" else set())
    return not able.isdisjoint(one.key_usage or ())


def is_address(text: str) -> bool:
    """Whether it is an IP address, and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def covers(known: str, asked: str) -> bool:
    """Whether a DNS name of a certificate is for the one that was asked for; a wildcard stands for the first label
    (RFC 6125 §6.4.3).
    """
    if known.startswith("*."):
        return asked.partition(".")[2] == known[2:] and bool(asked.partition(".")[0])
    return known == asked


def outside(one: CertificateSpec, limits: NameConstraints) -> str:
    """A name of a certificate that is not permitted, or excluded; ``""``: none, as far as that is known."""
    for name in one.san or ():
        kind, _, value = name.partition(":")
        if kind not in _TYPES:
            continue
        if any(_within(kind, value, limit) for limit in limits.excluded):
            return name
        permitted = [limit for limit in limits.permitted if limit.partition(":")[0] == kind]
        if permitted and not any(_within(kind, value, limit) for limit in permitted):
            return name
    return ""


def _within(kind: str, value: str, limit: str) -> bool:
    """RFC 5280 §4.2.1.10."""
    limited, _, bound = limit.partition(":")
    if limited != kind:
        return False
    if kind == "IP":
        return is_address(value) and ipaddress.ip_address(value) in ipaddress.ip_network(bound)
    value, bound = value.lower(), bound.lower()
    if kind == "email" and "@" in bound:
        return value == bound
    host = value.rpartition("@")[2]
    if bound.startswith("."):
        return host.endswith(bound)
    return host == bound or (kind == "DNS" and host.endswith(f".{bound}")) or not bound
