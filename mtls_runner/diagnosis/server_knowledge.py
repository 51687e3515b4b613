"""What only a server knows of a client whose chain shows no fault: whom it trusts, whom it lets in, who is revoked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mtls_runner.diagnosis.cause import Cause, Certainty
from mtls_runner.diagnosis.evidence import Evidence
from mtls_runner.model import HINTS
from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.chain import lineage
from mtls_runner.model.observation import Outcome, Reason

__all__ = ["HAVE_IT_SIGNED", "HAVE_IT_TRUSTED", "known_to_the_server"]

_R = Reason
_REFUSED = Outcome.SERVER_REFUSED
HAVE_IT_TRUSTED = (
    "Have the server trust that authority (nginx ssl_client_certificate, Apache SSLCACertificateFile, HAProxy "
    "ca-file, Go ClientCAs), or take a certificate of one that it names."
)
HAVE_IT_SIGNED = "Have one of the server's authorities sign it, or have the server trust this very certificate."
_COMPARE = (
    "Compare the certificate in the server's trust file with the authority's: subject, key identifier, fingerprint."
)
_AT_THE_SERVER: Mapping[Reason, str] = {
    # what no client can see
    _R.CRL_EXPIRED: "The CRL that the server looks clients up in may have expired: then it refuses everybody.",
    _R.NO_CRL: "The server may check CRLs, and have none of one of the authorities: then it refuses everybody below that one.",
    _R.OCSP_UNAVAILABLE: "The server may ask an OCSP responder that does not answer.",
    _R.NOT_AUTHORIZED: "The certificate may be fine, and its holder not be among those whom the server lets in.",
}


def known_to_the_server(evidence: Evidence, *, sound: bool) -> Iterator[Cause]:
    """What nobody but the server knows; ``sound``: the material shows nothing that is wrong."""
    held, commands = evidence.inventory, evidence.commands
    reasons = evidence.observation.reasons
    leaf = held.certificates.get(held.sent[0])
    above = lineage(held.certificates, held.sent[0])
    top = above[-1] if above else None
    likely = Certainty.LIKELY if sound else Certainty.POSSIBLE
    if evidence.forbidden:
        yield Cause(
            _REFUSED,
            _R.NOT_AUTHORIZED,
            f"The handshake is fine, and the server answered {evidence.status}: it knows "
            f"{leaf.subject if leaf else 'the client'} and does not let it in there.",
            "Look at the server's rules for this subject, fingerprint or path.",
            (commands.own_names(),),
            likely,
        )
    for one in above[1:]:
        if one.key_usage is not None and "cRLSign" not in one.key_usage:
            text = (
                f"`{one.id}` may not sign CRLs (its key usage lacks cRLSign): a server that looks clients up in one refuses "
                "all that it issued."
            )
            yield Cause(
                _REFUSED,
                _R.CRL_INVALID,
                text,
                "Have it issued with the key usage cRLSign.",
                (commands.own_chain(),),
                Certainty.LIKELY,
            )
    if top is not None and evidence.refused:
        yield from _trusts_another(evidence, above, likely)
    yield Cause(
        _REFUSED,
        _R.REVOKED,
        f"`{held.sent[0]}` may be revoked: only the server's CRL or OCSP responder knows.",
        "Look its serial number up in the authority's CRL (openssl crl -noout -text) or ask its responder (openssl "
        "ocsp).",
        (commands.own_serial(),),
        Certainty.POSSIBLE,
    )
    for reason, text in _AT_THE_SERVER.items():
        if reason in reasons:
            yield Cause(_REFUSED, reason, text, HINTS[reason], certainty=Certainty.POSSIBLE)


def _trusts_another(evidence: Evidence, above: tuple[CertificateSpec, ...], certainty: Certainty) -> Iterator[Cause]:
    """Nothing at hand is wrong but that the server may not trust whom the chain leads to, or knows another key by that
    name.
    """
    held, commands = evidence.inventory, evidence.commands
    reasons = evidence.observation.reasons
    leaf, top = above[0], above[-1]
    by_name = bool(reasons) and _R.UNKNOWN_CA not in reasons and _R.SELF_SIGNED not in reasons
    if len(above) == 1:
        text = f"`{leaf.id}` is signed by itself: it is taken only where the server trusts this very certificate."
        yield Cause(_REFUSED, _R.SELF_SIGNED, text, HAVE_IT_SIGNED, (commands.own_names(),), Certainty.LIKELY)
        return
    alike = next((id_ for id_ in held.trusted if id_ != top.id and held.certificates[id_].subject == top.subject), None)
    where = evidence.inputs.ca.name if evidence.inputs.ca is not None else "what this system trusts"
    lines = (commands.own_verifies(), commands.own_identifiers())
    told = _R.BAD_SIGNATURE if by_name else _R.UNKNOWN_CA
    if alike is not None and held.named is None:
        text = (
            f"`{above[-2].id}` was issued by {top.subject}, and did not come from the authority of that name in "
            f"{where}: another key signed it. The server may know only that one, too."
        )
        yield Cause(_REFUSED, told, text, _COMPARE, lines, Certainty.LIKELY)
    elif held.named is None and not by_name:
        text = (
            f"The server may not trust {top.subject}, which `{leaf.id}` leads to: it names nobody whom it would trust."
        )
        yield Cause(_REFUSED, told, text, HAVE_IT_TRUSTED, (commands.own_chain(),), certainty)
    elif held.named is None or top.id in held.named:
        text = (
            f"The certificate that the server has under the name {top.subject} may have another key than the one "
            f"that signed `{above[-2].id}`: an older one, or another authority's of the same name."
        )
        yield Cause(_REFUSED, told, text, _COMPARE, lines, certainty)
