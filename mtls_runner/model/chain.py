"""Chains: who signed what, what an end sends, how the other end verifies, and which path it builds to what it trusts.

All of it follows from descriptions alone, by OpenSSL's rules (``crypto/x509/x509_vfy.c``). What a verifier would object to on
the path is in :mod:`mtls_runner.model.chain_faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from msgspec import Struct

from mtls_runner.model.certificate import AuthorityKeyIdentifier, CertificateSpec, Defect
from mtls_runner.model.endpoint import ChainKind, ChainSpec, ClientSpec, ServerSpec, VerifyFlag
from mtls_runner.model.revocation import CrlSpec, RevocationCheck

__all__ = [
    "Issuers",
    "Path",
    "PresentedChain",
    "Verifier",
    "ancestors",
    "client_verifies",
    "comes_round",
    "completed",
    "is_meant",
    "issued_by",
    "lineage",
    "presented",
    "same_key",
    "server_verifies",
    "way",
]

Certificates = Mapping[str, CertificateSpec]
_SUBJECT_KEY, _AUTHORITY_KEY = "2.5.29.14", "2.5.29.35"


def ancestors(start: str, issuer: Callable[[str], str | None]) -> tuple[str, ...]:
    """Ids of the issuers, nearest first, as far as they are known; it stops where it would go in a circle."""
    found: list[str] = []
    at = issuer(start)
    while at is not None and at not in (start, *found):
        found.append(at)
        at = issuer(at)
    return tuple(found)


def comes_round(start: str, onward: Callable[[str], str | None]) -> bool:
    """Whether going onward from ``start`` leads into a circle."""
    way = (start, *ancestors(start, onward))
    return onward(way[-1]) in way


class Issuers:
    """The issuers of a plan's certificates.

    Args:
        certificates: the plan's, by id; each names its issuer, or is a root.
        found: the issuers of the user's own certificates, as read from their files.
        roots: which of the user's own are roots.
    """

    def __init__(
        self,
        certificates: Certificates,
        found: Mapping[str, str | None] | None = None,
        roots: frozenset[str] = frozenset(),
    ) -> None:
        known = found or {}
        self._issuers = {id_: known.get(id_, spec.issuer) for id_, spec in certificates.items()}
        self._roots = roots.union(id_ for id_, spec in certificates.items() if spec.issuer is None and id_ not in known)

    def ancestors(self, certificate: str) -> tuple[str, ...]:
        """Ids of the issuers, nearest first, as far as the plan has them."""
        return ancestors(certificate, self._issuer)

    def intermediates(self, certificate: str) -> tuple[str, ...]:
        """The ancestors that are no roots: what ``chain: full`` sends (RFC 8446 §4.4.2 lets the trust anchor be left out)."""
        return tuple(issuer for issuer in self.ancestors(certificate) if issuer not in self._roots)

    def _issuer(self, certificate: str) -> str | None:
        issuer = self._issuers.get(certificate)
        return issuer if issuer in self._issuers else None


def lineage(certificates: Certificates, leaf: str) -> tuple[CertificateSpec, ...]:
    """The certificate and its issuers, nearest first; it ends at a root, or before it would go in a circle."""
    if leaf not in certificates:
        return ()
    return tuple(certificates[id_] for id_ in (leaf, *Issuers(certificates).ancestors(leaf)))


# --- what an end sends -------------------------------------------------------------------------------------------------


class PresentedChain(Struct, frozen=True):
    """What an end sends.

    Args:
        ids: its own certificate first.
        completed_from: the trusted issuer from which its TLS library goes on where it was given no intermediates (OpenSSL's
            ``ssl_add_cert_chain``); ``None``: it sends what it was told.
    """

    ids: tuple[str, ...]
    completed_from: str | None = None


def presented(end: ServerSpec | ClientSpec, certificates: Certificates) -> PresentedChain | None:
    """What a server or client sends; ``None``: it has no certificate.

    ``chain: full`` are the intermediates without the root. OpenSSL adds issuers that it trusts, the root among them, to a
    certificate that was given alone (``SSL_MODE_NO_AUTO_CHAIN`` switches that off, as nginx does).
    """
    if end.certificate is None:
        return None
    told = (end.certificate, *_told(end.certificate, end.chain, certificates))
    if len(told) > 1 or not _completes(end):
        return PresentedChain(told)
    more = tuple(_completion(end.certificate, end.trust, certificates))
    return PresentedChain((*told, *more), more[0] if more else None)


def _told(leaf: str, chain: ChainSpec, certificates: Certificates) -> tuple[str, ...]:
    match chain.kind:
        case ChainKind.LEAF:
            return ()
        case ChainKind.IDS:
            return chain.ids
        case ChainKind.FULL:
            return Issuers(certificates).intermediates(leaf)


def _completes(end: ServerSpec | ClientSpec) -> bool:
    if isinstance(end, ServerSpec):
        return end.backend.completes_chains
    # an insecure client loads nothing that it trusts
    return end.tool.completes_chains and not end.insecure


def _completion(leaf: str, trust: Sequence[str], certificates: Certificates) -> Iterator[str]:
    met = {leaf}
    at = certificates.get(leaf)
    while at is not None and at.issuer is not None:
        above = _issuer_among(at, trust, certificates)
        if above is None or above.id in met:
            return
        met.add(above.id)
        yield above.id
        at = above


# --- which way a verifier goes -----------------------------------------------------------------------------------------


def same_key(one: str, other: str, certificates: Certificates) -> bool:
    """Whether two certificates are for one key: their own, or one that they share."""
    return _key(one, certificates) == _key(other, certificates)


def _key(certificate: str, certificates: Certificates) -> str:
    seen = certificate
    while (spec := certificates.get(seen)) is not None and spec.key.same_as not in (None, certificate, seen):
        seen = str(spec.key.same_as)
    return seen


def issued_by(certificate: CertificateSpec, candidate: CertificateSpec, certificates: Certificates) -> bool:
    """Whether OpenSSL takes ``candidate`` for the issuer (``X509_check_issued``): by name, and by key identifier where both
    have one; signatures are not looked at.
    """
    issuer = certificates.get(certificate.issuer) if certificate.issuer is not None else certificate
    if issuer is None or candidate.id == certificate.id or Defect.WRONG_ISSUER_NAME in certificate.defects:
        return False
    if certificate.files is not None or candidate.files is not None:
        return candidate.id == issuer.id  # their names are in their files
    if candidate.subject != issuer.subject:
        return False
    if not _extended(certificate):
        return True
    if any(extension.oid == _AUTHORITY_KEY for extension in certificate.extensions):
        return _by_content(certificate, candidate, issuer, certificates)
    return is_meant(candidate, certificate.authority_key_identifier, issuer.id, certificates)


def is_meant(
    candidate: CertificateSpec, names: AuthorityKeyIdentifier | None, issuer: str, certificates: Certificates
) -> bool:
    """Whether an authority key identifier is of this certificate's (``X509_check_akid``): by key where both have one, and by
    issuer and serial number where it has them.

    Args:
        candidate: that may be meant.
        names: ``None``: nothing is named, so that anybody may be.
        issuer: id of the true issuer.
        certificates: the plan's.
    """
    if names is None:
        return True
    if names.serial is not None and not _is_numbered_as(candidate, names.serial or issuer, certificates):
        return False
    if names.key is None or not (candidate.subject_key_identifier and _extended(candidate)):
        return True
    borne = _identifier(candidate, _SUBJECT_KEY)
    return borne is None and same_key(candidate.id, names.key or issuer, certificates)


def _is_numbered_as(one: CertificateSpec, other: str, certificates: Certificates) -> bool:
    """Whether two certificates have the same issuer name and serial number."""
    same = certificates.get(other)
    if same is None or same.id == one.id:
        return same is not None
    return one.serial is not None and one.serial == same.serial and one.issuer == same.issuer


def _by_content(
    certificate: CertificateSpec, candidate: CertificateSpec, issuer: CertificateSpec, certificates: Certificates
) -> bool:
    """As :func:`is_meant`, where the extension is given by its content."""
    numbered = _numbered(certificate)
    if numbered is not None and candidate.serial is not None and numbered != candidate.serial:
        return False
    if not (candidate.subject_key_identifier and _extended(candidate)):
        return True
    named, borne = _identifier(certificate, _AUTHORITY_KEY), _identifier(candidate, _SUBJECT_KEY)
    if named is None and borne is None:  # those that the lab makes
        return same_key(candidate.id, issuer.id, certificates)
    return named == borne


def _identifier(spec: CertificateSpec, oid: str) -> bytes | None:
    """The key identifier in an extension that is given by its content (RFC 5280 §4.2.1.1, §4.2.1.2); ``None``: it is not."""
    value = next((extension.value for extension in spec.extensions if extension.oid == oid), b"")
    if oid == _AUTHORITY_KEY and value[:1] == b"\x30":
        value = value[2:]
    return value[2 : 2 + value[1]] if value[:1] in (b"\x04", b"\x80") and len(value) > 1 else None


def _numbered(spec: CertificateSpec) -> int | None:
    """The issuer's serial number in an authority key identifier that is given by its content; ``None``: it has none."""
    rest = next((extension.value for extension in spec.extensions if extension.oid == _AUTHORITY_KEY), b"")[2:]
    while len(rest) > 1:
        tag, size = rest[:2]
        if tag == 0x82:  # authorityCertSerialNumber
            return int.from_bytes(rest[2 : 2 + size], "big", signed=True)
        rest = rest[2 + size :]
    return None


def _extended(spec: CertificateSpec) -> bool:
    return Defect.NO_KEY_IDENTIFIERS not in spec.defects and Defect.VERSION_1 not in spec.defects


def _issuer_among(below: CertificateSpec, ids: Sequence[str], certificates: Certificates) -> CertificateSpec | None:
    found = (certificates[id_] for id_ in ids if id_ in certificates)
    return next((one for one in found if issued_by(below, one, certificates)), None)


class Path(Struct, frozen=True):
    """A path that a verifier builds, from a certificate as far up as it comes.

    Args:
        certificates: the leaf first.
        anchored: it ends in a certificate that the verifier takes for an anchor.
    """

    certificates: tuple[CertificateSpec, ...]
    anchored: bool

    @property
    def intermediates(self) -> int:
        """Certificates between the leaf and the anchor: what the verify depth counts."""
        return max(0, len(self.certificates) - 2)


def way(
    sent: Sequence[str], trust: Sequence[str], certificates: Certificates, *, partial_chain: bool = False
) -> Path | None:
    """The path that OpenSSL builds: trusted certificates come before those that were sent (``X509_V_FLAG_TRUSTED_FIRST``).

    Args:
        sent: ids, the leaf first.
        trust: ids that the verifier trusts.
        certificates: the plan's.
        partial_chain: a trusted certificate that is no root is an anchor.
    """
    if not sent or sent[0] not in certificates:
        return None
    path = [certificates[sent[0]]]
    while True:
        top = path[-1]
        if top.id in trust and (partial_chain or top.issuer is None):
            return Path(tuple(path), anchored=True)
        met = {one.id for one in path}
        above = _issuer_among(top, [id_ for id_ in trust if id_ not in met], certificates)
        if above is None and top.issuer is not None:
            above = _issuer_among(top, [id_ for id_ in sent[1:] if id_ not in met], certificates)
        if above is None or top.issuer is None:
            return Path(tuple(path), anchored=False)
        path.append(above)


def completed(server: ServerSpec, client: ClientSpec | None, certificates: Mapping[str, CertificateSpec]) -> str | None:
    """Why an end that is to send a bare leaf can't, for people; ``None``: it can, or is not to.

    OpenSSL completes a chain for which it was given no intermediates, from the certificates that the same context trusts
    (``ssl_add_cert_chain`` in ``ssl/statem/statem_lib.c``), unless that is switched off, as nginx does.

    Args:
        server, client: the two that meet.
        certificates: the plan's, by id.
    """
    for who, end in (("server", server), ("client", client)):
        if end is None or end.certificate is None or not _alone(end.chain):
            continue
        shown = presented(end, certificates)
        if shown is not None and shown.completed_from is not None:
            return (
                f"OpenSSL would send more than the {who}'s leaf: the {who} trusts its issuer, {shown.completed_from!r}"
            )
    return None


def _alone(chain: ChainSpec) -> bool:
    return chain.kind is ChainKind.LEAF or (chain.kind is ChainKind.IDS and not chain.ids)


class Verifier(Struct, frozen=True):
    """How one end verifies the other's chain.

    Args:
        who: ``server`` or ``client``.
        trust: ids that it trusts.
        purpose: the extended key usage that it demands: ``clientAuth`` or ``serverAuth``.
        depth: intermediates that it allows; ``None``: not known.
        level: its security level.
        partial_chain, strict: whether any trusted certificate is an anchor; whether it holds chains to all of RFC 5280.
        crls: those that it has loaded, with the certificates on them.
        crl_check: which certificates it looks up in them.
        name: the one that it asked for and checks; ``None``: it checks none.
    """

    who: str
    trust: tuple[str, ...]
    purpose: str
    depth: int | None
    level: int
    partial_chain: bool = False
    strict: bool = False
    crls: tuple[CrlSpec, ...] = ()
    crl_check: RevocationCheck = RevocationCheck.NONE
    name: str | None = None


def server_verifies(server: ServerSpec, crls: Mapping[str, CrlSpec]) -> Verifier:
    """How a server, or one of its virtual hosts, verifies clients."""
    own = server.backend.verify_depth if server.verify_depth is None else server.verify_depth
    return Verifier(
        who="server",
        trust=server.trust,
        purpose="clientAuth",
        depth=server.verify_depth if server.option("config") else own,
        level=server.security_level,
        partial_chain=VerifyFlag.PARTIAL_CHAIN in server.verify_flags,
        strict=VerifyFlag.STRICT in server.verify_flags,
        crls=tuple(crls[id_] for id_ in server.crl if id_ in crls),
        crl_check=server.crl_check,
    )


def client_verifies(client: ClientSpec, crls: Mapping[str, CrlSpec]) -> Verifier:
    """How a client verifies its server."""
    return Verifier(
        who="client",
        trust=client.trust,
        purpose="serverAuth",
        depth=None,
        level=client.security_level,
        partial_chain=client.tool.partial_chain or VerifyFlag.PARTIAL_CHAIN in client.verify_flags,
        strict=VerifyFlag.STRICT in client.verify_flags,
        crls=tuple(crls[id_] for id_ in client.crl if id_ in crls),
        crl_check=client.crl_check,
        name=client.server_name,
    )
