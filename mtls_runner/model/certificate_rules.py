"""Rules of RFC 5280 that few scenarios hold a certificate to: those of strict checking, and name constraints."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from functools import lru_cache

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
    permitted, excluded = _subtrees(limits.permitted), _subtrees(limits.excluded)
    for name in one.san or ():
        kind, _, value = name.partition(":")
        if kind not in _TYPES:
            continue
        if excluded.hold(kind, value) or (permitted.any(kind) and not permitted.hold(kind, value)):
            return name
    return ""


class _Subtrees:
    """Names in which others can be looked up: certificates exist that have thousands of both.

    Args:
        limits: ``DNS:lab.test``, ``email:lab.test``, ``IP:10.0.0.0/8``.
    """

    def __init__(self, limits: tuple[str, ...]) -> None:
        self._bounds: dict[str, set[str]] = {}
        self._networks: dict[int, set[ipaddress.IPv4Network | ipaddress.IPv6Network]] = {}
        for limit in limits:
            kind, _, bound = limit.partition(":")
            self._bounds.setdefault(kind, set()).add(bound.lower())
            if kind == "IP":
                network = ipaddress.ip_network(bound)
                self._networks.setdefault(network.prefixlen, set()).add(network)

    def any(self, kind: str) -> bool:
        """Whether there is one of this kind of name."""
        return kind in self._bounds

    def hold(self, kind: str, value: str) -> bool:
        """Whether a name lies within one of them (RFC 5280 §4.2.1.10)."""
        if kind == "IP":
            return is_address(value) and any(
                ipaddress.ip_network((value, length), strict=False) in found for length, found in self._of(value)
            )
        bounds, value = self._bounds.get(kind, set()), value.lower()
        host = value.rpartition("@")[2]
        if not bounds.isdisjoint(("", host, value) if kind == "email" else ("", host)):
            return True
        dots = [place for place, letter in enumerate(host) if letter == "."]
        # ".lab.test" is what lies below; "lab.test" of a DNS name is that, too
        return any(host[place:] in bounds or (kind == "DNS" and host[place + 1 :] in bounds) for place in dots)

    def _of(self, address: str) -> Iterator[tuple[int, set[ipaddress.IPv4Network | ipaddress.IPv6Network]]]:
        longest = ipaddress.ip_address(address).max_prefixlen
        yield from ((length, found) for length, found in self._networks.items() if length <= longest)


@lru_cache(maxsize=8)
def _subtrees(limits: tuple[str, ...]) -> _Subtrees:
    return _Subtrees(limits)
