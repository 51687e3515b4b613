"""What a verifier would object to in a chain: which certificate, at which depth, and why; found from descriptions alone.

The checks are those of OpenSSL's ``X509_verify_cert`` (``crypto/x509/x509_vfy.c``), in its order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from mtls_runner.model import plural
from mtls_runner.model.certificate import CertificateSpec, Defect, moment
from mtls_runner.model.chain import Certificates, Path, Verifier, issued_by, lineage, same_key, way
from mtls_runner.model.names import covers, is_address
from mtls_runner.model.observation import Reason
from mtls_runner.model.revocation import CrlSpec, RevocationCheck, RevocationReason

__all__ = ["ANOTHER_NAME", "Fault", "faults", "on_crl"]

_R = Reason
_LEVELS = (0, 80, 112, 128, 192, 256)
"""Bits that OpenSSL's security levels ask for."""
_HASHES = {"md5": 39, "sha1": 63}
"""Bits of security of the weak ones."""
#: Critical extensions that OpenSSL handles (``X509_supported_extension`` in ``crypto/x509/v3_purp.c``).
_KNOWN_EXTENSIONS = frozenset(
    (
        *(f"2.5.29.{arc}" for arc in (15, 17, 19, 30, 31, 32, 33, 36, 37, 54)),
        *(f"1.3.6.1.5.5.7.1.{arc}" for arc in (7, 8, 14)),
        "2.16.840.1.113730.1.1",
    )
)
_PROXY_CERTIFICATE = "1.3.6.1.5.5.7.1.14"
"""proxyCertInfo (RFC 3820): a certificate that a leaf issued on its own behalf."""
ANOTHER_NAME = "its certificate is for another name"


class Fault(Struct, frozen=True):
    """One thing that a verifier objects to.

    Args:
        certificate: id of the certificate to blame; where no path leads to a trusted one, of the last on the path.
        depth: 0 is the leaf.
        reason: by which the verifier refuses it.
        why: in a few words, beside the certificate.
        told: the rest of a sentence that begins with its name: "has only the EKU serverAuth; the server wants clientAuth".
        role: ``certificate``, ``intermediate`` or ``root``.
        link: it is not the certificate itself but the link to what stands above it (its issuer, or the trust store).
        crl: id of the CRL to blame, where it is one.
    """

    certificate: str
    depth: int
    reason: Reason
    why: str
    told: str
    role: str = "certificate"
    link: bool = False
    crl: str = ""

    def __str__(self) -> str:
        place = f" (depth {self.depth})" if self.depth else ""
        return f"the {self.role} `{self.certificate}`{place} {self.told}"


def faults(sent: Sequence[str], verifier: Verifier, certificates: Certificates, now: datetime) -> tuple[Fault, ...]:
    """All that the verifier objects to in a chain, in the order in which OpenSSL looks; empty: it accepts the chain.

    Args:
        sent: ids as sent, the leaf first.
        verifier: who looks.
        certificates: the plan's. Of the user's own files only the issuer is known.
        now: aware.
    """
    path = way(sent, verifier.trust, certificates, partial_chain=verifier.partial_chain)
    if path is None:
        return ()
    return tuple(_Look(path, verifier, certificates, now).all(sent))


class _Look:
    def __init__(self, path: Path, verifier: Verifier, certificates: Certificates, now: datetime) -> None:
        self.path = path.certificates
        self._anchored = path.anchored
        self._between = path.intermediates
        self._verifier = verifier
        self._certificates = certificates
        self._now = now

    def all(self, sent: Sequence[str]) -> Iterator[Fault]:
        yield from self._untrusted(sent)
        known = [(depth, one) for depth, one in enumerate(self.path) if one.files is None]
        for depth, one in known:
            yield from self._extensions(depth, one)
            if self._verifier.strict:
                yield from self._strict(depth, one)
        for depth, one in known:
            yield from self._strength(depth, one)
        yield from self._name()
        yield from self._names()
        yield from self._revocation()
        for depth, one in reversed(known):
            yield from self._signature(depth, one)
            yield from self._validity(depth, one)

    def _fault(
        self, depth: int, reason: Reason, why: str, told: str, *, link: bool = False, crl: CrlSpec | None = None
    ) -> Fault:
        one = self.path[depth]
        role = "root" if one.issuer is None and depth else "intermediate" if depth else "certificate"
        link = link or crl is not None
        return Fault(one.id, depth, reason, why, told, role, link, crl.id if crl is not None else "")

    def _untrusted(self, sent: Sequence[str]) -> Iterator[Fault]:
        who, top, last = self._verifier.who, self.path[-1], len(self.path) - 1
        if self._anchored:
            depth = self._verifier.depth
            if depth is not None and self._between > depth:
                allowed = f"{plural(depth, 'intermediate')} (verify depth), there are {self._between}"
                yield self._fault(
                    last - 1,
                    _R.UNKNOWN_CA,
                    f"the {who} allows {allowed}",
                    f"is too far up: the {who} allows {allowed}",
                    link=True,
                )
            return
        if Defect.WRONG_ISSUER_NAME in top.defects:
            yield self._fault(
                last, _R.UNKNOWN_CA, "it names another issuer", "names an issuer that nobody is", link=True
            )
            return
        above = lineage(self._certificates, top.id)
        root = above[-1]
        namesake = self._namesake(root)
        if not any(one.id in self._verifier.trust for one in above):
            reason = _R.SELF_SIGNED if len(self.path) == len(above) == 1 else _R.UNKNOWN_CA
            also = f"; it trusts `{namesake}`, which has its name and another key" if namesake else ""
            role = "root" if len(above) > 1 else "self-signed certificate"
            untrusted = f"is not among what the {who} trusts"
            depth = last + len(above) - 1
            yield Fault(root.id, depth, reason, f"{root.id} {untrusted}", f"{untrusted}{also}", role, link=True)
        elif len(above) > 1 and above[1].id not in (*sent, *self._verifier.trust):
            missing = above[1].id
            if top.id in self._verifier.trust:
                told = f"is trusted, but is no root, and its issuer `{missing}` is neither sent nor trusted (partial_chain)"
            else:
                told = f"was sent without its issuer `{missing}`, which the {who} does not trust either"
            yield self._fault(last, _R.UNKNOWN_CA, f"{missing} was not sent", told, link=True)
        elif self._misidentified(top, above, sent):
            names = top.authority_key_identifier
            if names is not None and names.serial is not None and names.key is None:
                what = "another issuer and serial number"
                told = f"names {what} (authorityKeyIdentifier) than `{above[1].id}` has"
            else:
                what = "another key of its issuer's"
                told = f"names another key of `{above[1].id}`'s (authorityKeyIdentifier) than that one has (subjectKeyIdentifier)"
            told = f"{told}, so that the {who} does not take it for the issuer"
            yield self._fault(last, _R.UNKNOWN_CA, f"it names {what}", told, link=True)
        else:
            told = f"leads to nothing that the {who} trusts"
            yield self._fault(last, _R.UNKNOWN_CA, f"the {who} found no way to what it trusts", told, link=True)

    def _misidentified(self, top: CertificateSpec, above: Sequence[CertificateSpec], sent: Sequence[str]) -> bool:
        """Whether the issuer of ``top`` is at hand, but OpenSSL does not recognise it, by its key identifier."""
        at_hand = len(above) > 1 and above[1].id in (*sent, *self._verifier.trust)
        return at_hand and top.authority_key_identifier is not None and not issued_by(top, above[1], self._certificates)

    def _namesake(self, wanted: CertificateSpec | None) -> str | None:
        """Id of a trusted certificate with the same name and another key."""
        if wanted is None or wanted.files is not None:
            return None
        for id_ in self._verifier.trust:
            one = self._certificates.get(id_)
            if one is None or one.files is not None or one.id == wanted.id or one.subject != wanted.subject:
                continue
            if not same_key(one.id, wanted.id, self._certificates):
                return one.id
        return None

    def _extensions(self, depth: int, one: CertificateSpec) -> Iterator[Fault]:
        for extension in one.extensions:
            if extension.critical and extension.oid not in _KNOWN_EXTENSIONS:
                told = f"has the critical extension {extension.oid}, which OpenSSL does not know"
                yield self._fault(depth, _R.UNHANDLED_EXTENSION, f"critical extension {extension.oid}", told)
            if extension.oid == _PROXY_CERTIFICATE:
                told = "is a proxy certificate (RFC 3820), issued by one that is no authority: none is taken unless told to"
                yield self._fault(depth, _R.INVALID_CA, "it is a proxy certificate", told)
        wanted, usages = self._verifier.purpose, one.extended_key_usage
        who = self._verifier.who
        if Defect.VERSION_1 not in one.defects:
            if usages is not None and wanted not in usages:
                named = ", ".join(usages) or "nothing"
                told = f"has only the EKU {named}; the {who} wants {wanted}, in every certificate that has an EKU"
                yield self._fault(depth, _R.WRONG_PURPOSE, f"its usage is {named}, not {wanted}", told)
            if depth == 0 and one.key_usage is not None and not _may_authenticate(one, wanted):
                named = ", ".join(one.key_usage) or "nothing"
                told = f"has only the key usage {named}, and has to sign (digitalSignature)"
                yield self._fault(depth, _R.WRONG_PURPOSE, f"its key usage is {named}", told)
        if depth:
            yield from self._issuing(depth, one)

    def _strict(self, depth: int, one: CertificateSpec) -> Iterator[Fault]:
        from mtls_runner.model.certificate_rules import broken_rules

        for broken in broken_rules(one):
            yield self._fault(depth, _R.NOT_COMPLIANT, broken, f"{broken}: strict checking holds it to RFC 5280")

    def _issuing(self, depth: int, one: CertificateSpec) -> Iterator[Fault]:
        if Defect.VERSION_1 in one.defects:
            if one.issuer is not None:
                told = "is of version 1 and has no basicConstraints, and so may not issue certificates"
                yield self._fault(depth, _R.INVALID_CA, "it may not issue certificates", told)
            return
        constraints = None if Defect.NO_BASIC_CONSTRAINTS in one.defects else one.basic_constraints
        lacks = []
        if constraints is None or not constraints.ca:
            lacks.append("basicConstraints CA:TRUE")
        if one.key_usage is not None and "keyCertSign" not in one.key_usage:
            lacks.append("the key usage keyCertSign")
        if lacks:
            told = f"lacks {' and '.join(lacks)}, and so may not issue certificates"
            yield self._fault(depth, _R.INVALID_CA, "it may not issue certificates", told)
        limit = constraints.path_length if constraints is not None else None
        if limit is not None and depth - 1 > limit:
            allowed = f"{limit} authorities below it, there are {depth - 1}"
            told = f"allows {allowed} (pathLenConstraint)"
            yield self._fault(depth, _R.PATH_LENGTH, f"it allows {allowed}", told)

    def _strength(self, depth: int, one: CertificateSpec) -> Iterator[Fault]:
        level = self._verifier.level
        owner = self._certificates.get(one.key.same_as or "", one)
        if one.key.explicit and len(self.path) > 1:
            told = "has a key whose curve is written out parameter by parameter, not named (RFC 5480 §2.1.1)"
            yield self._fault(depth, _R.NOT_COMPLIANT, "its curve is not named", told)
        algorithm = owner.key.algorithm
        if algorithm.bits < _LEVELS[level]:
            told = f"has an {algorithm} key, which is too weak for the {self._verifier.who}'s security level {level}"
            yield self._fault(depth, _R.WEAK_KEY, f"its key is {algorithm}", told)
        digest = one.signature.hash
        if one.issuer is not None and _HASHES.get(digest or "", _LEVELS[level]) < _LEVELS[level]:
            told = f"is signed with {digest}, which is too weak for the {self._verifier.who}'s security level {level}"
            yield self._fault(depth, _R.WEAK_DIGEST, f"signed with {digest}", told, link=True)

    def _name(self) -> Iterator[Fault]:
        leaf, asked = self.path[0], self._verifier.name
        if asked is None or leaf.files is not None:
            return
        names = leaf.san or ()
        dns = [name.partition(":")[2] for name in names if name.startswith("DNS:")]
        if not dns:
            return  # an address, or the subject's CN: who asks decides
        if not any(covers(name.lower(), asked.lower().rstrip(".")) for name in dns) and not is_address(asked):
            told = f"names {', '.join(names)}, and the client asks for {asked}"
            yield self._fault(0, _R.NAME_MISMATCH, ANOTHER_NAME, told)

    def _names(self) -> Iterator[Fault]:
        for depth, one in enumerate(self.path[1:], 1):
            limits = one.name_constraints
            if limits is None or one.files is not None:
                continue
            from mtls_runner.model.certificate_rules import outside

            for number, below in enumerate(self.path[:depth]):
                wrong = outside(below, limits)
                if wrong:
                    told = f"has the name {wrong}, which `{one.id}` may not certify (nameConstraints)"
                    yield self._fault(
                        number, _R.NAME_CONSTRAINTS, f"{one.id} may not certify its names", told, link=True
                    )

    def _revocation(self) -> Iterator[Fault]:
        check, crls = self._verifier.crl_check, self._verifier.crls
        if check is RevocationCheck.NONE or any(crl.file is not None for crl in crls):
            return
        from mtls_runner.model.crl_choice import bearing_the_name, chosen, passed_over  # few plans have any

        looked_up = self.path if check is RevocationCheck.CHAIN else self.path[:1]
        for depth, one in enumerate(looked_up):
            issuer = one.issuer if one.issuer is not None else one.id
            mine = bearing_the_name(crls, issuer, self._certificates)
            if all(passed_over(crl, issuer, self._certificates) for crl in mine):
                why = " and ".join(f"`{crl.id}` {passed_over(crl, issuer, self._certificates)}" for crl in mine)
                told = f"is looked up in a CRL of `{issuer}`, and {why or f'the {self._verifier.who} has none'}"
                yield self._fault(depth, _R.NO_CRL, f"there is no CRL of {issuer}", told, link=True)
            for crl in chosen(mine, one, issuer, self._certificates, self._now):
                yield from self._crl(depth, one, issuer, crl)

    def _crl(self, depth: int, one: CertificateSpec, issuer_id: str, crl: CrlSpec) -> Iterator[Fault]:
        from mtls_runner.model.crl_choice import is_about, is_understood

        looked_up = f"is looked up in the CRL `{crl.id}`, "
        begin, end = crl.this_update.resolve(self._now), crl.next_update.resolve(self._now)
        issuer = self._certificates.get(issuer_id)
        if issuer is not None and issuer.key_usage is not None and "cRLSign" not in issuer.key_usage:
            told = f"{looked_up}whose issuer `{issuer_id}` lacks the key usage cRLSign"
            yield self._fault(depth, _R.CRL_INVALID, f"{issuer_id} may not sign CRLs", told, crl=crl)
        if not is_about(crl, one):
            told = f"{looked_up}which is about other certificates only (issuingDistributionPoint: {crl.only_contains})"
            yield self._fault(depth, _R.CRL_INVALID, f"the CRL {crl.id} is not about it", told, crl=crl)
        if not is_understood(crl):
            told = f"{looked_up}which has a critical extension that nobody knows"
            yield self._fault(depth, _R.CRL_INVALID, f"nobody understands the CRL {crl.id}", told, crl=crl)
        forged = {Defect.WRONG_SIGNATURE_KEY, Defect.CORRUPTED_SIGNATURE} & set(crl.defects)
        if forged or not same_key(crl.issuer, issuer_id, self._certificates):
            told = f"{looked_up}whose signature is not that of `{issuer_id}`"
            yield self._fault(depth, _R.CRL_INVALID, f"the CRL {crl.id} is not signed by {issuer_id}", told, crl=crl)
        if begin > self._now:
            why = f"not valid before {moment(begin, self._now)}"
            yield self._fault(
                depth, _R.CRL_NOT_YET_VALID, f"the CRL {crl.id} is {why}", f"{looked_up}which is {why}", crl=crl
            )
        if end <= self._now:
            why = f"expired {moment(end, self._now)}"
            yield self._fault(depth, _R.CRL_EXPIRED, f"the CRL {crl.id} {why}", f"{looked_up}which {why}", crl=crl)
        reason = one.revoked.reason if one.revoked is not None else RevocationReason.UNSPECIFIED
        if one.id in crl.revoked and reason is not RevocationReason.REMOVE_FROM_CRL:
            yield self._fault(depth, _R.REVOKED, f"revoked: {reason}", f"is on the CRL `{crl.id}` ({reason})")

    def _signature(self, depth: int, one: CertificateSpec) -> Iterator[Fault]:
        wrong = "its signature does not verify"
        if Defect.WRONG_SIGNATURE_KEY in one.defects:
            told = f"is not signed by the key of `{one.issuer or one.id}`, whose name it bears"
            yield self._fault(depth, _R.BAD_SIGNATURE, wrong, told, link=True)
        elif Defect.CORRUPTED_SIGNATURE in one.defects:
            yield self._fault(depth, _R.BAD_SIGNATURE, wrong, "was changed after it was signed", link=True)
        if depth + 1 < len(self.path) and one.issuer is not None:
            above = self.path[depth + 1]
            if not same_key(above.id, one.issuer, self._certificates):
                who = self._verifier.who
                why = f"the {who} trusts another key under the name of {one.issuer}"
                told = f"is signed by `{one.issuer}`; the {who} goes on with `{above.id}`, which has its name and another key"
                yield self._fault(depth, _R.BAD_SIGNATURE, why, told, link=True)

    def _validity(self, depth: int, one: CertificateSpec) -> Iterator[Fault]:
        begin, end = one.not_before.resolve(self._now), one.not_after.resolve(self._now)
        if begin > self._now:
            when = moment(begin, self._now)
            yield self._fault(depth, _R.NOT_YET_VALID, f"not valid before {when}", f"is not valid before {when}")
        if end <= self._now:
            when = moment(end, self._now)
            yield self._fault(depth, _R.EXPIRED, f"expired {when}", f"expired {when}")


def _may_authenticate(one: CertificateSpec, purpose: str) -> bool:
    """Whether its key usage lets it prove who it is (``check_purpose_ssl_client``, ``check_purpose_ssl_server``)."""
    able = {"digitalSignature", "keyAgreement"} | ({"keyEncipherment"} if purpose == "serverAuth" else set())
    return not able.isdisjoint(one.key_usage or ())


def on_crl(chain: Sequence[str], crls: Sequence[CrlSpec]) -> CrlSpec | None:
    """The first CRL that one of these certificates is on."""
    return next((crl for crl in crls if not set(crl.revoked).isdisjoint(chain)), None)
