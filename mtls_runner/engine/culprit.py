"""Which certificate, list or setting is to blame for a refusal, from the material that the lab holds: the hint's first words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mtls_runner.engine.what_to_mend import let_in
from mtls_runner.model import listed, sentence
from mtls_runner.model.blame import blame
from mtls_runner.model.case import Expectation, Plan
from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.chain import Verifier, client_verifies, presented, server_verifies
from mtls_runner.model.chain_faults import Fault
from mtls_runner.model.endpoint import ChainKind, ClientSpec, ServerSpec
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.tls import FIRST_WITH_ML_DSA
from mtls_runner.tls.classify import Judgement
from mtls_runner.tls.rules import offered_versions

if TYPE_CHECKING:
    from mtls_runner.pki import Store

__all__ = ["Culprit", "to_blame"]

_OF_LISTS = frozenset((Reason.NO_CRL, Reason.CRL_INVALID))
_CURVES = frozenset(("secp256r1", "secp384r1", "secp521r1"))
#: Reason → the keys that decide it, of the certificate or of the CRL.
_KEYS = {
    Reason.EXPIRED: ("not_after", "not_before", "days"),
    Reason.NOT_YET_VALID: ("not_before", "not_after"),
    Reason.CRL_EXPIRED: ("next_update",),
    Reason.CRL_NOT_YET_VALID: ("this_update",),
    Reason.CRL_INVALID: ("defects",),
    Reason.REVOKED: ("revoked",),
    Reason.WRONG_PURPOSE: ("usage",),
    Reason.NAME_MISMATCH: ("san",),
}
_LEAD_NOWHERE = frozenset((Reason.EXPIRED, Reason.REVOKED, Reason.NOT_YET_VALID))


def to_blame(
    plan: Plan,
    material: Store,
    server: ServerSpec,
    client: ClientSpec,
    files: ServerSpec,
    wanted: Expectation,
    judgement: Judgement,
) -> str:
    """The certificate, list or setting that is to blame, as a sentence; ``""``: nothing is, or the descriptions don't show it.

    Args:
        plan, material: of the case.
        server, client, files: as for :class:`Culprit`.
        wanted: what the author expects.
        judgement: what came of it.
    """
    told = _gap(client, wanted, judgement)
    if told:
        return sentence(told)
    if judgement.outcome is Outcome.NO_AGREEMENT and not material.users_files.own:
        return ""  # the lab's own keys fit the usual settings
    if plan.moved:  # people are told the dates that they wrote
        from mtls_runner.engine.moved import written

        plan = written(plan, plan.moved)
    if judgement.outcome is Outcome.ACCEPTED:
        return let_in(plan, server, client, wanted, material.start)
    return Culprit(plan, server, client, files, material).sentence(judgement)


def _gap(client: ClientSpec, wanted: Expectation, judgement: Judgement) -> str:
    """A hint about versions that the client allows but does not offer, where another version was expected; ``""``: none."""
    offered = offered_versions(client)
    kept_back = [version for version in client.tls if version not in offered]
    if judgement.outcome is Outcome.ACCEPTED:
        versions = {one.value for check in wanted.checks if check.path == "tls_version" for one in check.alternatives}
        missed = not versions.isdisjoint(kept_back)
    else:
        missed = judgement.outcome is Outcome.NO_AGREEMENT and judgement.reason is Reason.PROTOCOL_VERSION
    if not kept_back or not missed:
        return ""
    return (
        f"the client offers {listed(offered)} and not {listed(kept_back)}: OpenSSL's clients offer no version above one that "
        "is left out (client.tls)"
    )


class Culprit:
    """Looks for what is to blame for the refusal of one exchange.

    Args:
        plan: for certificates and CRLs.
        server: what the server has read, of the host that was meant.
        client: who connected.
        files: what the server's files hold by now.
        material: of the plan: what the user's own files hold, and from when relative times count.
    """

    def __init__(self, plan: Plan, server: ServerSpec, client: ClientSpec, files: ServerSpec, material: Store) -> None:
        self._plan = plan
        self._server = server
        self._client = client
        self._files = files
        self._material = material

    def sentence(self, judgement: Judgement) -> str:
        """What is to blame, with a full stop; ``""``: the descriptions don't show it."""
        looked_for = (self._renewed, self._dot, self._chain, self._curve, self._ml_dsa)
        told = next(filter(None, (look(judgement) for look in looked_for)), "")
        return sentence(told) if told else ""

    def _chain(self, judgement: Judgement) -> str:
        if judgement.outcome is Outcome.SERVER_REFUSED:
            shown: ServerSpec | ClientSpec = self._client
            verifier = server_verifies(self._server, self._plan.crls)
        elif judgement.outcome is Outcome.CLIENT_REFUSED:
            shown, verifier = self._server, client_verifies(self._client, self._plan.crls)
        else:
            return ""
        known, beside = self._material.users_files.described()
        if self._plan.moved:
            from mtls_runner.engine.moved import written

            known = written(known, self._plan.moved)
        certificates = presented(shown, known)
        if certificates is None or (not verifier.trust and judgement.outcome is Outcome.SERVER_REFUSED):
            return ""  # whom an own configuration, or a server that runs already, trusts is not in its description
        sent = certificates.ids
        if shown.certificate in beside and shown.chain.kind is ChainKind.FULL:
            sent = (sent[0], *(beside[sent[0]] or sent[1:]))
        trust = (*verifier.trust, *(one for id_ in verifier.trust for one in beside.get(id_, ())))
        verifier = replace(verifier, trust=trust)
        now = self._material.start + self._plan.moved + self._plan.clock
        for reason in judgement.reasons:
            told = self._list(reason, sent, verifier, known)
            if told:
                return told
            fault = blame(reason, sent, verifier, known, now)
            if fault is not None:
                return f"{fault}{self._line(fault, judgement.outcome)}"
        return ""

    def _line(self, fault: Fault, outcome: Outcome) -> str:
        """The line of the scenario that decides it: of a key, or else of the certificate, the CRL or the server."""
        places, keys = self._plan.places, (*_KEYS.get(fault.reason, ()), "")
        kind, id_ = ("crl", fault.crl) if fault.crl else ("certificate", fault.certificate)
        if fault.reason is Reason.NO_CRL:  # the verifier lacks something, not the certificate
            if outcome is not Outcome.SERVER_REFUSED:
                return ""
            kind, id_, keys = "server", self._server.id, ("crl", "crl_check", "")
        place = next((places[at] for key in keys if (at := (kind, id_, key)) in places), None)
        return f" (line {place.line})" if place is not None else ""

    def _list(
        self, reason: Reason, sent: tuple[str, ...], verifier: Verifier, known: Mapping[str, CertificateSpec]
    ) -> str:
        """A sentence about a CRL of the user's own that does not apply to the certificate that is looked up in it."""
        own = [crl.file for crl in verifier.crls if crl.file is not None]
        if reason not in _OF_LISTS or not own:
            return ""
        from mtls_runner.pki.own_lists import list_trouble

        ders = {id_: one.certificate for id_, one in self._material.users_files.own.items()}
        looked_up = sent if verifier.crl_check is RevocationCheck.CHAIN else sent[:1]
        for id_ in looked_up:
            issuer = known[id_].issuer if id_ in known else None
            if issuer is None or not {id_, issuer} <= {*ders, *self._plan.certificates}:
                continue
            pair = [ders[one] if one in ders else self._material.credential(one).der for one in (id_, issuer)]
            for file in own:
                trouble = list_trouble(file.read_bytes(), *pair) if file.is_file() else ""
                if trouble:
                    return f"the CRL in {file.name}, which `{id_}` is looked up in, {trouble}"
        return ""

    def _curve(self, judgement: Judgement) -> str:
        """A sentence about a key on a curve for which TLS 1.3 has no signature algorithm (RFC 8446 §4.2.3)."""
        own = self._material.users_files.own
        if judgement.outcome is Outcome.NO_AGREEMENT:
            shown = self._server.certificate
        elif judgement.reason is Reason.CERTIFICATE_WITHHELD:
            shown = self._client.certificate
        else:
            return ""
        mine = own.get(shown or "")
        if mine is None or not mine.certificate:
            return ""
        from mtls_runner.pki.public_keys import public_key

        key = public_key(mine.certificate)
        if key.kind != "ec" or key.curve in _CURVES:
            return ""
        return (
            f"the key of `{shown}` is on {key.curve}, for which TLS 1.3 has no signature algorithm (P-256, P-384 and P-521 are "
            "all), and which TLS 1.2 needs among the other end's groups"
        )

    def _ml_dsa(self, judgement: Judgement) -> str:
        """A sentence about an ML-DSA key that the client's OpenSSL does not know, and takes for one of 0 bits."""
        shown = self._plan.certificates.get(self._client.certificate or "")
        if shown is None or (judgement.outcome, judgement.reason) != (Outcome.CLIENT_UNUSABLE, Reason.WEAK_KEY):
            return ""
        algorithm = shown.key.algorithm
        if not algorithm.startswith("ml-dsa-"):
            return ""
        old = f"OpenSSL before {FIRST_WITH_ML_DSA}"
        return f"the key of `{shown.id}` is {algorithm}: {old} can't read it, and takes it for a weak one"

    def _renewed(self, judgement: Judgement) -> str:
        """A sentence about a certificate whose file was replaced, and which the server has not read again yet."""
        old, new = self._server.certificate, self._files.host(self._client.server_name).certificate
        if judgement.outcome is Outcome.CLIENT_REFUSED and old != new and judgement.reason in _LEAD_NOWHERE:
            return f"the server still shows `{old}`: it has not read its new files with `{new}` (reload)"
        return ""

    def _dot(self, judgement: Judgement) -> str:
        asked = self._client.server_name or ""
        leaf = self._plan.certificates.get(self._server.certificate or "")
        names = leaf.san or () if leaf is not None else ()
        if judgement.reason is Reason.NAME_MISMATCH and asked.endswith(".") and f"DNS:{asked[:-1]}" in names:
            return f"the client asks for {asked} with a dot at its end, which names in certificates and SNI don't have"
        return ""
