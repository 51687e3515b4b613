"""What a server may mind of the chain that the client sends, as the material shows it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from mtls_runner.diagnosis.cause import Cause, Certainty, few
from mtls_runner.diagnosis.evidence import Evidence
from mtls_runner.diagnosis.keys import fits
from mtls_runner.diagnosis.server_knowledge import HAVE_IT_SIGNED, HAVE_IT_TRUSTED, known_to_the_server
from mtls_runner.model import HINTS, sentence
from mtls_runner.model.chain import Verifier, lineage
from mtls_runner.model.chain_faults import Fault, faults
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.pki.certificate_facts import facts
from mtls_runner.pki.public_keys import public_key

__all__ = ["refused_for_the_chain"]

_R = Reason
_REFUSED = Outcome.SERVER_REFUSED
_NAME_CONSTRAINTS = "2.5.29.30"
_HIGH = 3
"""OpenSSL's security level that wants RSA 3072 or more."""
_TICKET_BYTES = 0xFFFF
"""A session ticket's length has 16 bits (RFC 8446 §4.6.1)."""
_REMEDIES: Mapping[Reason, str] = {
    _R.EXPIRED: "Renew it, and have the program read the new file; if the date is right, look at the server's clock.",
    _R.WRONG_PURPOSE: "Issue it with the EKU clientAuth (or none at all), and any intermediate that has an EKU likewise.",
    _R.BAD_SIGNATURE: (
        "Compare the key identifiers: take a certificate that the authority signed which the server has, or give the "
        "server the one that signed this."
    ),
}


def refused_for_the_chain(evidence: Evidence) -> Iterator[Cause]:
    """What a server may mind of the chain that the client sends, what shows first and what only the server knows last."""
    held = evidence.inventory
    if not held.sent:
        return
    verifier = held.server_verifies()
    found = faults(held.sent, verifier, held.certificates, evidence.now)
    yield from _unreadable(evidence)
    for fault in found:
        # of a certificate that can't be read, what else seems wrong is only that
        if fault.certificate not in held.unreadable:
            yield from _of_a_fault(evidence, fault)
    yield from _large(evidence)
    yield from _demanding(evidence, verifier, found)
    yield from _withheld_by_type(evidence)
    yield from _curve(evidence)
    yield from _left_out(evidence)
    if not any(fault.reason is _R.NAME_CONSTRAINTS for fault in found):
        yield from _constrained(evidence)
    if evidence.view.sent_chain and evidence.refused and not evidence.taken:
        yield from known_to_the_server(evidence, sound=not found)


def _unreadable(evidence: Evidence) -> Iterator[Cause]:
    """Extensions whose content can't be read, at any depth."""
    held = evidence.inventory
    for depth, id_ in enumerate(held.sent):
        if id_ not in held.unreadable:
            continue
        what = f"`{id_}` has an extension whose content can't be read ({', '.join(held.unreadable[id_])})"
        lines = (evidence.commands.own_text(),)
        if depth:
            text = f"{what}: OpenSSL takes it for nobody's issuer."
            yield Cause(_REFUSED, _R.UNKNOWN_CA, text, "Have it issued anew.", lines)
        yield Cause(_REFUSED, _R.MALFORMED, f"{what}.", "Issue it anew.", lines)


def _large(evidence: Evidence) -> Iterator[Cause]:
    """More than an end keeps of a client."""
    held = evidence.inventory
    size = sum(len(held.ders[id_]) for id_ in held.sent if id_ in held.ders)
    if size > _TICKET_BYTES:
        yield Cause(
            Outcome.PROTOCOL_ERROR,
            _R.ALERT,
            f"The client's certificates have {size:,} bytes: a server on OpenSSL puts the client's certificate into its session "
            f"ticket, which holds {_TICKET_BYTES:,}, and others take no more than 100 kB.",
            "Take a smaller certificate, or turn session tickets off at the server (nginx ssl_session_tickets off).",
            (evidence.commands.own_text(),),
        )


def _of_a_fault(evidence: Evidence, fault: Fault) -> Iterator[Cause]:
    commands = evidence.commands
    text = sentence(str(fault))
    if fault.reason in (_R.UNKNOWN_CA, _R.SELF_SIGNED):
        yield from _untrusted(evidence, fault, text)
        return
    lines: dict[Reason, tuple[str, ...]] = {
        _R.EXPIRED: (commands.own_dates(),),
        _R.NOT_YET_VALID: (commands.own_dates(),),
        _R.WRONG_PURPOSE: (commands.own_usages(),),
        _R.WEAK_KEY: (commands.own_algorithms(),),
        _R.WEAK_DIGEST: (commands.own_algorithms(),),
        _R.BAD_SIGNATURE: (commands.own_verifies(), commands.own_identifiers()),
    }
    if fault.depth:
        lines = dict.fromkeys(lines, (commands.own_chain(), commands.own_verifies()))
    yield Cause(
        _REFUSED,
        fault.reason,
        text,
        _REMEDIES.get(fault.reason, HINTS.get(fault.reason, "")),
        lines.get(fault.reason, (commands.own_text(),)),
    )


def _untrusted(evidence: Evidence, fault: Fault, text: str) -> Iterator[Cause]:
    held, commands = evidence.inventory, evidence.commands
    asked = (commands.own_names(), commands.server_asks())
    named = few(held.named or ())
    leaf = held.certificates[held.sent[0]]
    if fault.reason is _R.SELF_SIGNED:
        yield Cause(
            _REFUSED,
            _R.SELF_SIGNED,
            f"`{leaf.id}` is signed by itself, and not among the authorities that the server asks for: {named}.",
            HAVE_IT_SIGNED,
            asked,
        )
        return
    blamed = held.certificates.get(fault.certificate)
    above = lineage(held.certificates, leaf.id)
    top = next((one for one in above[1:] if one.id not in held.sent), above[-1])
    if fault.certificate == top.id and top.id in held.unseen and len(above) > 1:
        below = above[above.index(top) - 1]
        another = any(held.certificates[id_].subject == top.subject for id_ in held.named or ())
        if another:
            text = (
                f"`{below.id}` was issued by {top.subject}, and the server does ask for an authority of that name; "
                "the one that is at hand has another key, though: it did not sign this."
            )
        else:
            text = f"`{below.id}` was issued by {top.subject}, and the server asks for others: {named}."
        yield Cause(_REFUSED, _R.UNKNOWN_CA, text, HAVE_IT_TRUSTED, asked)
        if not another and facts(held.ders[below.id]).self_issued is False:
            yield Cause(
                _REFUSED,
                _R.UNKNOWN_CA,
                f"{top.subject} may be an intermediate below one of them that was not sent along: `{leaf.id}` came "
                f"{'alone' if len(held.sent) == 1 else f'with {len(held.sent) - 1} more'}.",
                "Append the intermediate's certificate to the file of the certificate.",
                (commands.own_chain(),),
                Certainty.LIKELY,
            )
        return
    remedy = (
        HAVE_IT_TRUSTED
        if blamed is not None and blamed.issuer is None
        else "Append the missing certificate to the file."
    )
    yield Cause(_REFUSED, fault.reason, text, remedy, (commands.own_chain(), commands.server_asks()))


def _withheld_by_type(evidence: Evidence) -> Iterator[Cause]:
    """It was sent, though by its key it should not have been."""
    offered = evidence.view.requested_algorithms
    if not evidence.view.sent_chain or not offered:
        return
    key = public_key(evidence.inventory.ders[evidence.leaf])
    if not fits(key, offered, evidence.view.tls_version):
        yield Cause(
            _REFUSED,
            _R.SIGNATURE_ALGORITHM,
            f"The key of `{evidence.leaf}` ({key}) fits none of the signature algorithms that the server offers: "
            f"{few(offered)}.",
            commands=(evidence.commands.own_algorithms(), evidence.commands.server_asks()),
        )


def _curve(evidence: Evidence) -> Iterator[Cause]:
    key = public_key(evidence.inventory.ders[evidence.leaf]) if evidence.leaf in evidence.inventory.ders else None
    if key is None or key.kind != "ec":
        return
    if key.curve not in ("secp256r1", "explicit") and evidence.view.tls_version == TlsVersion.V1_2:
        yield Cause(
            _REFUSED,
            _R.WRONG_CURVE,
            f"The key of `{evidence.leaf}` is on {key}, and TLS 1.2 holds that against the server's groups, too (RFC "
            "8422 §5.1): they may be fewer.",
            "Allow the curve at the server (nginx ssl_ecdh_curve), or take a key on P-256.",
            (evidence.commands.handshake("-groups", "P-384"),),
            Certainty.LIKELY if evidence.observation.alert == "illegal_parameter" else Certainty.POSSIBLE,
        )


def _left_out(evidence: Evidence) -> Iterator[Cause]:
    """The client's own file holds what does not come after the certificate in order, or comes too deep."""
    held = evidence.inventory
    sent = held.sent
    for below, above in itertools.pairwise(sent):
        issuer = held.certificates[below].issuer if below in held.certificates else None
        if issuer is not None and issuer != above:
            yield Cause(
                _REFUSED,
                _R.UNKNOWN_CA,
                f"The chain is sent out of order: after `{below}` comes `{above}`, which is not its issuer "
                f"({issuer}); some servers take no other order (RFC 5246 §7.4.2).",
                "Put the certificate first and each issuer behind what it issued.",
                (evidence.commands.own_chain(),),
                Certainty.LIKELY,
            )
            break
    between = [id_ for id_ in sent[1:] if id_ in held.certificates and held.certificates[id_].issuer is not None]
    if len(between) > 1:
        yield Cause(
            _REFUSED,
            _R.UNKNOWN_CA,
            f"There are {len(between)} intermediates between `{sent[0]}` and the root: nginx allows one unless it is "
            "told (ssl_verify_depth), Apache none (SSLVerifyDepth).",
            "Raise the verify depth at the server.",
            (evidence.commands.own_chain(),),
            Certainty.LIKELY,
        )


def _demanding(evidence: Evidence, verifier: Verifier, found: tuple[Fault, ...]) -> Iterator[Cause]:
    """What only a server minds that is stricter than most."""
    held = evidence.inventory
    strict = faults(held.sent, replace(verifier, strict=True, level=_HIGH), held.certificates, evidence.now)
    for fault in strict:
        if fault.certificate in held.unseen or any(
            (known.reason, known.certificate) == (fault.reason, fault.certificate) for known in found
        ):
            continue
        whom = "Servers that hold chains to all of RFC 5280 refuse this (Python 3.13's ssl does by default)"
        if fault.reason is not _R.NOT_COMPLIANT:
            whom = f"Servers at security level {_HIGH} refuse this"
        yield Cause(
            _REFUSED,
            fault.reason,
            f"{whom}: {fault}.",
            HINTS.get(fault.reason, ""),
            (evidence.commands.own_text(),),
            # who refuses by HTTP is a proxy on OpenSSL as it comes, which is not strict
            Certainty.LIKELY if fault.reason is _R.NOT_COMPLIANT and evidence.status is None else Certainty.POSSIBLE,
        )


def _constrained(evidence: Evidence) -> Iterator[Cause]:
    """An authority may only certify some names, and whether these are among them is more than the chain module knows."""
    held = evidence.inventory
    for one in lineage(held.certificates, held.sent[0])[1:]:
        if any(extension.oid == _NAME_CONSTRAINTS for extension in one.extensions):
            yield Cause(
                _REFUSED,
                _R.NAME_CONSTRAINTS,
                f"`{one.id}` has nameConstraints: the subject or a name of `{held.sent[0]}` may lie outside of them.",
                HINTS[_R.NAME_CONSTRAINTS],
                (evidence.commands.own_verifies(), evidence.commands.own_text()),
                Certainty.LIKELY,
            )
