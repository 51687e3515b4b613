"""CRLs of the user's own: why one does not count for a certificate that is looked up in it (RFC 5280 §5.2, §6.3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from mtls_runner.pki.certificate_facts import facts
from mtls_runner.pki.lenient import attempt
from mtls_runner.pki.pem import blocks
from mtls_runner.tls import asn1
from mtls_runner.tls.messages import issuer as issuer_text

__all__ = ["list_trouble", "on_list"]

_SCOPES = {
    "only_contains_user_certs": "end entities",
    "only_contains_ca_certs": "authorities",
    "only_contains_attribute_certs": "attribute certificates",
    "only_some_reasons": "some reasons",
    "distribution_point": "one distribution point",
}


_OFF_HOLD = "remove_from_crl"


def on_list(data: bytes, certificates: Mapping[str, bytes]) -> tuple[str, ...]:
    """Which of some certificates (DER, by id) a file of CRLs has, but those that it only takes off hold."""
    listed = {(_list_issuer(one), serial) for one in _lists(data) for serial in _serials(one)}
    return tuple(id_ for id_, der in certificates.items() if listed and (facts(der).issuer, _serial(der)) in listed)


def _serials(one: Any) -> Iterator[int]:
    for entry in attempt(lambda: list(one["tbs_cert_list"]["revoked_certificates"])) or ():
        reason = attempt(partial(getattr, entry, "crl_reason_value"))
        if reason is None or reason.native != _OFF_HOLD:
            yield int(entry["user_certificate"].native)


def _serial(der: bytes) -> int | None:
    return attempt(lambda: int(asn1.x509.Certificate.load(der).serial_number))


def _lists(data: bytes) -> list[Any]:
    texts = [block.der for block in blocks(data) if block.label == "X509 CRL" and block.der is not None] or [data]
    return [found for found in map(_list, texts) if found is not None]


def list_trouble(data: bytes, certificate: bytes, issuer: bytes) -> str:
    """Why a CRL does not count for a certificate, as words that go on behind the list's name; ``""``: it is not seen why.

    Args:
        data: the list's file.
        certificate: that is looked up, DER.
        issuer: of that, DER.
    """
    mine = [one for one in _lists(data) if _list_issuer(one) == facts(certificate).issuer]
    if not mine:
        return f"is of another authority; the certificate was issued by {issuer_text(certificate)}"
    one = mine[0]
    key = attempt(lambda: one.authority_key_identifier)
    if key is not None and facts(issuer).subject_key not in (None, key):
        return (
            "names another key (authorityKeyIdentifier) than its issuer's, so that it does not count: an authority of the same "
            "name made it, or an older key"
        )
    scope = attempt(lambda: one.issuing_distribution_point_value)
    if scope is not None:
        given = attempt(lambda: dict(scope.native)) or {}
        only = [words for name, words in _SCOPES.items() if given.get(name)]
        return f"is for {' and '.join(only) or 'one distribution point'} only (issuingDistributionPoint)"
    return ""


def _list(der: bytes) -> Any:
    return attempt(lambda: asn1.crl.CertificateList.load(der))


def _list_issuer(one: Any) -> str | None:
    return attempt(lambda: str(one.issuer.hashable))
