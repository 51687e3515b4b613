"""Rules of RFC 5280 that few scenarios hold a certificate to: those of strict checking, and name constraints."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from mtls_runner.model.certificate import CertificateSpec, Defect, NameConstraints
from mtls_runner.model.names import is_address

__all__ = ["broken_rules", "outside"]

_TYPES = ("DNS", "IP", "email")


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
