"""Certificates with two independent faults: servers differ in which one they name."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from mtls_runner.language.certificates import Certificates
from mtls_runner.language.context import Context
from mtls_runner.model.case import Case
from mtls_runner.model.certificate import CertificateSpec, Defect, KeyAlgorithm
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.server import ClientAuth

__all__ = ["check_faults"]

_WEAK_HASHES = ("sha1", "md5")
#: Defects that a verifier sees; the others are about the key that is handed out, or harmless.
_SEEN = frozenset({Defect.WRONG_SIGNATURE_KEY, Defect.CORRUPTED_SIGNATURE, Defect.WRONG_ISSUER_NAME})


def check_faults(
    context: Context, certificates: Certificates, specs: Mapping[str, CertificateSpec], cases: Sequence[Case]
) -> None:
    """A warning for each certificate that would be refused for two reasons, unless the author allows for both."""
    warned: set[str] = set()
    known: dict[tuple[str, tuple[str, ...], str, bool], tuple[str, ...]] = {}
    now = datetime.now(UTC)
    for case in cases:
        client, server = case.client, case.server
        if client is None:
            continue
        presented = []
        if client.certificate is not None and server.client_auth is not ClientAuth.NONE:
            checked = any(check is not RevocationCheck.NONE for check in (server.crl_check, server.ocsp))
            presented.append((client.certificate, server.trust, "clientAuth", checked))
        if server.certificate is not None and not client.insecure:
            checked = client.crl_check is not RevocationCheck.NONE
            presented.append((server.certificate, client.trust, "serverAuth", checked))
        for id_, trust, purpose, checked in presented:
            if id_ in warned or id_ not in specs:
                continue
            key = (id_, trust, purpose, checked)
            if key not in known:
                revoked = ("revoked",) if checked and specs[id_].revoked is not None else ()
                known[key] = (*_faults(certificates, specs, id_, trust, purpose, now), *revoked)
            faults = known[key]
            if len(faults) < 2 or _allows_both(case):
                continue
            warned.add(id_)
            declared = certificates.get(id_)
            if declared is not None:
                context.problems.warning(
                    declared.document,
                    declared.loc,
                    f"'{id_}' has {len(faults)} independent faults ({', '.join(faults)}), and servers differ in which they name",
                    "one fault, or several reasons to expect",
                    key=True,
                )


def _allows_both(case: Case) -> bool:
    return any(check.path == "reason" and len(check.alternatives) > 1 for check in case.expect.checks)


def _faults(
    certificates: Certificates,
    specs: Mapping[str, CertificateSpec],
    id_: str,
    trust: Sequence[str],
    purpose: str,
    now: datetime,
) -> Iterator[str]:
    spec = specs[id_]
    if spec.files is not None:
        return
    if spec.not_after.resolve(now) < now:
        yield "expired"
    elif spec.not_before.resolve(now) > now:
        yield "not yet valid"
    usages = spec.extended_key_usage
    if usages is not None and purpose not in usages:
        yield f"not for {purpose}"
    if trust and not {id_, *certificates.ancestors(id_)}.intersection(trust):
        yield "of an authority that is not trusted"
    if spec.key.algorithm is KeyAlgorithm.RSA_1024:
        yield "a weak key"
    if spec.signature.hash in _WEAK_HASHES:
        yield "a weak hash"
    if any(extension.critical for extension in spec.extensions):
        yield "a critical extension that nobody knows"
    yield from (defect.value for defect in spec.defects if defect in _SEEN)
