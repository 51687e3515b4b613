"""Certificates that the lab did not make → descriptions of them, so that the chain module can look at real chains.

Issuers that are only known by their name get a description, too: a root of that name whose key nobody has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace

from mtls_runner.model.certificate import (
    AuthorityKeyIdentifier,
    BasicConstraints,
    CertificateSpec,
    Defect,
    Extension,
    KeyAlgorithm,
    KeySpec,
    Moment,
    NameConstraints,
    SignatureSpec,
)
from mtls_runner.pki.certificate_facts import facts
from mtls_runner.pki.extensions import EXTENDED_KEY_USAGES, KEY_USAGES
from mtls_runner.pki.lenient import attempt, load_certificate
from mtls_runner.pki.public_keys import PublicKeyFacts, public_key
from mtls_runner.pki.signatures import signed_by
from mtls_runner.tls import asn1
from mtls_runner.tls.messages import issuer as issuer_text
from mtls_runner.tls.messages import subject as subject_text

if TYPE_CHECKING:
    from mtls_runner.pki.own import Own

__all__ = ["Described", "describe", "unseen", "unused_id", "with_own"]

_Found = TypeVar("_Found")
_ALWAYS = timedelta(days=36500)
_USAGES = {oid.dotted_string: name for name, oid in EXTENDED_KEY_USAGES.items()}
_BITS = {bit: name for name, bit in KEY_USAGES.items()}
_BY_NAME = {str(algorithm): algorithm for algorithm in KeyAlgorithm}
_RSA = ((2048, KeyAlgorithm.RSA_1024), (3072, KeyAlgorithm.RSA_2048), (4096, KeyAlgorithm.RSA_3072))
_EC = ((384, KeyAlgorithm.EC_P256), (521, KeyAlgorithm.EC_P384))
_GENERAL_NAMES = {"dns_name": "DNS", "ip_address": "IP", "rfc822_name": "email", "uniform_resource_identifier": "URI"}
_SUBJECT_KEY, _CONSTRAINTS = "2.5.29.14", "2.5.29.19"


class Described(Struct, frozen=True):
    """Descriptions of real certificates.

    Args:
        certificates: by id, those of unseen issuers among them.
        unseen: ids of issuers that nobody holds the certificate of.
        unreadable: OIDs of extensions whose content can't be read, by id.
    """

    certificates: dict[str, CertificateSpec] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()
    unreadable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def describe(ders: Mapping[str, bytes]) -> Described:
    """What is known of each, and of whoever issued it.

    Args:
        ders: DER by id; what can't be read is left out.
    """
    made: dict[str, CertificateSpec] = {}
    unknown: dict[tuple[str, bytes | None], CertificateSpec] = {}
    for id_, der in ders.items():
        certificate = load_certificate(der)
        if certificate is None:
            continue
        issuer, defect = _issuer(id_, der, ders)
        if issuer is None and defect is None and not facts(der).self_issued:
            key = (issuer_text(der), facts(der).authority_key)
            if key not in unknown:
                taken = key[0] in ders or any(other[0] == key[0] for other in unknown)
                unknown[key] = unseen(key[0], f"{key[0]} (another key)" if taken else key[0], key[1])
            issuer = unknown[key].id
        made[id_] = _spec(id_, der, certificate, issuer, defect)
    others = {spec.id: spec for spec in unknown.values()}
    broken = {id_: tuple(_unreadable(der)) for id_, der in ders.items()}
    return Described(made | others, frozenset(others), {id_: oids for id_, oids in broken.items() if oids})


def _unreadable(der: bytes) -> Iterator[str]:
    certificate = load_certificate(der)
    for extension in _extensions(certificate) if certificate is not None else ():
        if attempt(lambda: bool(extension["extn_value"].parsed.dump() and str(extension["extn_value"].native))) is None:  # noqa: B023
            yield str(extension["extn_id"].dotted)


def unseen(subject: str, id_: str, key: bytes | None = None) -> CertificateSpec:
    """A root that is known by its name only.

    Args:
        subject: RFC 4514.
        id_: for it.
        key: its key's identifier, where somebody names that.
    """
    known = (Extension(_SUBJECT_KEY, asn1.core.OctetString(key).dump()),) if key is not None else ()
    return CertificateSpec(
        id=id_,
        authority=True,
        subject=subject,
        issuer=None,
        key=KeySpec(),
        passphrase=None,
        not_before=Moment(-_ALWAYS),
        not_after=Moment(_ALWAYS),
        basic_constraints=BasicConstraints(ca=True),
        subject_key_identifier=key is not None,
        extensions=known,
    )


# --- who issued it -----------------------------------------------------------------------------------------------------


def _issuer(id_: str, der: bytes, ders: Mapping[str, bytes]) -> tuple[str | None, Defect | None]:
    """The id of its issuer among those that are here, and what is wrong with its signature."""
    known = facts(der)
    if known.self_issued and signed_by(der, der) is not False:
        return None, None
    named = [other for other, held in ders.items() if known.issuer is not None and facts(held).subject == known.issuer]
    named = [other for other in named if other != id_]
    for other in named:
        if signed_by(der, ders[other]):
            return other, None
    for other in named:
        identified = known.authority_key is not None and known.authority_key == facts(ders[other]).subject_key
        if identified or signed_by(der, ders[other]) is None:
            return other, Defect.CORRUPTED_SIGNATURE if identified else None
    return None, Defect.CORRUPTED_SIGNATURE if known.self_issued and not named else None


# --- what it says ------------------------------------------------------------------------------------------------------


def _spec(id_: str, der: bytes, certificate: Any, issuer: str | None, defect: Defect | None) -> CertificateSpec:
    known, key = facts(der), public_key(der)
    given = {str(extension["extn_id"].dotted): extension for extension in _extensions(certificate)}
    names = attempt(lambda: _given(certificate.subject_alt_name_value, _names))
    usages = attempt(lambda: _given(certificate.extended_key_usage_value, lambda found: map(_usage, found)))
    bits = attempt(lambda: _given(certificate.key_usage_value, lambda found: sorted(found.native)))
    limits = attempt(lambda: certificate.basic_constraints_value)
    authority = limits is not None and bool(attempt(lambda: limits["ca"].native))
    defects = [defect] if defect is not None else []
    if not given and attempt(lambda: certificate["tbs_certificate"]["version"].native) == "v1":
        defects.append(Defect.VERSION_1)
    return CertificateSpec(
        id=id_,
        authority=authority,
        subject=subject_text(der),
        issuer=issuer,
        key=KeySpec(_algorithm(key), explicit=key.curve == "explicit"),
        passphrase=None,
        not_before=Moment(absolute=known.begin or datetime.min.replace(tzinfo=UTC)),
        not_after=Moment(absolute=known.end or datetime.max.replace(tzinfo=UTC)),
        san=names,
        san_critical=_critical(given.get("2.5.29.17")),
        extended_key_usage=usages,
        key_usage=tuple(_BITS[bit] for bit in bits if bit in _BITS) if bits is not None else None,
        basic_constraints=BasicConstraints(
            authority,
            attempt(lambda: limits["path_len_constraint"].native),
            critical=_critical(given.get(_CONSTRAINTS)),
        )
        if limits is not None
        else None,
        name_constraints=_constraints(certificate),
        subject_key_identifier=known.subject_key is not None,
        authority_key_identifier=AuthorityKeyIdentifier() if known.authority_key is not None else None,
        signature=_signature(certificate),
        extensions=tuple(
            Extension(oid, attempt(lambda: extension["extn_value"].contents) or b"", _critical(extension))  # noqa: B023
            for oid, extension in given.items()
        ),
        defects=tuple(defects),
        ocsp=tuple(attempt(lambda: certificate.ocsp_urls) or ()),
    )


def _given(found: _Found | None, what: Callable[[_Found], Iterable[str]]) -> tuple[str, ...] | None:
    return tuple(what(found)) if found is not None else None


def _extensions(certificate: Any) -> list[Any]:
    return attempt(lambda: list(certificate["tbs_certificate"]["extensions"])) or []


def _critical(extension: Any | None) -> bool:
    return extension is not None and bool(attempt(lambda: extension["critical"].native))


def _usage(one: Any) -> str:
    return _USAGES.get(str(one.dotted), str(one.dotted))


def _names(names: Iterable[Any]) -> Iterator[str]:
    for name in names:
        kind, text = _GENERAL_NAMES.get(name.name), _text(name)
        if kind is not None and text is not None:
            yield f"{kind}:{text}"


def _text(name: Any) -> str | None:
    return attempt(lambda: str(name.native))


def _constraints(certificate: Any) -> NameConstraints | None:
    found = attempt(lambda: certificate.name_constraints_value)
    if found is None:
        return None
    return NameConstraints(tuple(_subtrees(found, "permitted_subtrees")), tuple(_subtrees(found, "excluded_subtrees")))


def _subtrees(constraints: Any, side: str) -> Iterator[str]:
    yield from attempt(lambda: tuple(_names([subtree["base"] for subtree in constraints[side]]))) or ()


def _signature(certificate: Any) -> SignatureSpec:
    method = certificate["signature_algorithm"]
    digest = attempt(lambda: str(method.hash_algo))
    return SignatureSpec(digest, pss=attempt(lambda: method.signature_algo) == "rsassa_pss")


def _algorithm(key: PublicKeyFacts) -> KeyAlgorithm:
    """The one whose strength is nearest below."""
    if key.kind in _BY_NAME:
        return _BY_NAME[key.kind]
    if key.kind == "ec":
        return next((known for below, known in _EC if key.bits < below), KeyAlgorithm.EC_P521)
    return next((known for below, known in _RSA if key.bits < below), KeyAlgorithm.RSA_4096)


def unused_id(der: bytes, taken: Container[str], name: str = "") -> str:
    """What a certificate is called beside others: ``name``, or its subject; with a number where that is taken."""
    wanted = name or subject_text(der) or "(no subject)"
    id_, number = wanted, 2
    while id_ in taken:
        id_, number = f"{wanted} ({number})", number + 1
    return id_


# --- the user's own material of a plan -----------------------------------------------------------------------------------


def with_own(
    certificates: Mapping[str, CertificateSpec], own: Mapping[str, Own]
) -> tuple[dict[str, CertificateSpec], dict[str, tuple[str, ...]]]:
    """A plan's certificates, the user's own as their files say, and what else those files hold, by id.

    Args:
        certificates: the plan's.
        own: the user's own of them.
    """
    ders = {id_: one.certificate for id_, one in own.items() if one.certificate}
    ids = {der: id_ for id_, der in ders.items()}
    beside: dict[str, tuple[str, ...]] = {}
    for id_, one in own.items():
        for der in one.more:
            if der not in ids:
                name = unused_id(der, ders.keys() | certificates.keys())
                ids[der], ders[name] = name, der
        beside[id_] = tuple(ids[der] for der in one.more)
    described = describe(ders)
    found = {**described.certificates, **{id_: spec for id_, spec in certificates.items() if id_ not in own}}
    for id_, spec in certificates.items():
        mine = described.certificates.get(id_)
        if mine is not None and mine.issuer in described.unseen and spec.issuer in certificates:
            found[id_] = replace(mine, issuer=spec.issuer)
        elif mine is None:
            found[id_] = spec
    return found, beside
