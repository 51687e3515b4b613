"""One description of a certificate, whole → :class:`~mtls_runner.model.certificate.CertificateSpec`, defaults in place."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from mtls_runner.language.certificate import Absent, Basic, Certificate, Constraints
from mtls_runner.language.merge import by_name
from mtls_runner.model.certificate import (
    BasicConstraints,
    CertificateSpec,
    Extension,
    KeyAlgorithm,
    KeyCipher,
    KeyFormat,
    KeySpec,
    Moment,
    NameConstraints,
    OwnFiles,
    SignatureSpec,
)
from mtls_runner.model.credential import Secret
from mtls_runner.model.revocation import Revocation, RevocationReason

__all__ = ["certificate_spec"]

#: "A little in the past", so that clocks may differ.
_BEFORE = timedelta(hours=-1)
_DAYS = 365
_SERVER_SAN = ("DNS:localhost", "IP:127.0.0.1")
_BOTH = ("serverAuth", "clientAuth")


def certificate_spec(
    id_: str,
    model: Certificate,
    *,
    authority: bool,
    issuer: str | None,
    algorithm: KeyAlgorithm,
    passphrase: Secret | None,
    presented: bool,
    ocsp: tuple[str, ...] = (),
) -> CertificateSpec:
    """What the PKI is to make.

    Args:
        id_: its id.
        model: with everything that it takes over; own files by absolute path.
        authority: declared as one.
        issuer: id of the certificate that signs it; ``None``: itself.
        algorithm: of its key, or of the key that it shares.
        passphrase: found.
        presented: a server presents it, so that it gets a SAN by default.
        ocsp: URIs of its responders.

    Raises:
        OverflowError: it would end after the year 9999.
    """
    key, signature = model.key, model.signature
    not_before, not_after = _validity(model)
    san = model.san.names if model.san is not None else _SERVER_SAN if presented and not authority else ()
    given: dict[str, Any] = by_name(model, CertificateSpec) | {
        "id": id_,
        "authority": authority,
        "subject": model.subject if model.subject is not None else f"CN={id_}",
        "issuer": issuer,
        "key": KeySpec(
            algorithm,
            (key.format if key else None) or KeyFormat.PKCS8,
            (key.cipher if key else None) or KeyCipher.AES_256_CBC,
            key.same_as if key else None,
        ),
        "passphrase": passphrase,
        "not_before": not_before,
        "not_after": not_after,
        "san": tuple(san) or None,
        "san_critical": bool(model.san and model.san.critical),
        "extended_key_usage": _extended_key_usage(model, authority),
        "extended_key_usage_critical": bool(model.usage and model.usage.critical),
        "key_usage": _key_usage(model, authority, algorithm),
        "key_usage_critical": not (model.key_usage and model.key_usage.critical is False),
        "basic_constraints": _basic(model, authority),
        "name_constraints": _name_constraints(model.name_constraints),
        "signature": SignatureSpec(signature.hash, bool(signature.pss)) if signature else SignatureSpec(),
        "extensions": tuple(
            Extension(oid, extension.der, bool(extension.critical))
            for oid, extension in (model.extensions or {}).items()
        ),
        "defects": tuple(dict.fromkeys(model.defects or ())),
        "revoked": _revocation(model),
        "ocsp": ocsp,
        "files": _files(model),
    }
    return CertificateSpec(**given)


def _validity(model: Certificate) -> tuple[Moment, Moment]:
    not_before = model.not_before or Moment(_BEFORE)
    if model.not_after is not None:
        return not_before, model.not_after
    length = timedelta(days=model.days or _DAYS)
    if not_before.absolute is None:
        return not_before, Moment(not_before.offset + length)
    return not_before, Moment(absolute=not_before.absolute + length)


def _revocation(model: Certificate) -> Revocation | None:
    if model.revoked is None:
        return None
    return Revocation(model.revoked.reason or RevocationReason.UNSPECIFIED, model.revoked.date or Moment(_BEFORE))


def _files(model: Certificate) -> OwnFiles | None:
    if model.certificate is None and model.pkcs12 is None:
        return None
    paths = (model.certificate, model.key.file if model.key else None, model.chain, model.pkcs12)
    return OwnFiles(*(Path(path) if path is not None else None for path in paths))


def _basic(model: Certificate, authority: bool) -> BasicConstraints | None:
    basic = model.basic_constraints
    if isinstance(basic, Absent):
        return None
    if isinstance(basic, Basic):
        ca = authority if basic.ca is None else basic.ca
        return BasicConstraints(ca, basic.path_length, basic.critical is not False)
    return BasicConstraints(authority, model.path_length)


def _extended_key_usage(model: Certificate, authority: bool) -> tuple[str, ...] | None:
    if model.usage is None:
        return None if authority else _BOTH
    return tuple(dict.fromkeys(name for names in model.usage.names for name in names)) or None


def _key_usage(model: Certificate, authority: bool, algorithm: KeyAlgorithm) -> tuple[str, ...] | None:
    if model.key_usage is not None:
        return tuple(dict.fromkeys(model.key_usage.names)) or None
    if authority:
        return ("keyCertSign", "cRLSign")
    # RSA key transport (TLS 1.2 and older) needs keyEncipherment; other keys can't encipher.
    return ("digitalSignature", "keyEncipherment") if algorithm.value.startswith("rsa") else ("digitalSignature",)


def _name_constraints(model: Constraints | Absent | None) -> NameConstraints | None:
    if not isinstance(model, Constraints):
        return None
    return NameConstraints(tuple(model.permitted or ()), tuple(model.excluded or ()), model.critical is not False)
