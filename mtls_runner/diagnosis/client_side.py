"""Why the client refuses the server, or can't use its own material."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mtls_runner.diagnosis.cause import Cause, Certainty
from mtls_runner.diagnosis.evidence import Evidence
from mtls_runner.diagnosis.inputs import PASSPHRASE
from mtls_runner.model import HINTS, MEANINGS, sentence
from mtls_runner.model.blame import blame
from mtls_runner.model.chain import lineage
from mtls_runner.model.chain_faults import Fault, faults
from mtls_runner.model.names import covers, is_address
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.pki.own_content import is_keystore, read_content
from mtls_runner.tls.context import Problem

__all__ = ["refused_by_client", "unusable"]

_R = Reason
_REFUSED = Outcome.CLIENT_REFUSED


def unusable(evidence: Evidence) -> Iterator[Cause]:
    """Its own files, as the client itself and the lab's reading of them say."""
    view, commands = evidence.view, evidence.commands
    reason = view.problem
    if reason is None:
        return
    problem = evidence.problem if evidence.problem is not None and evidence.problem.reason is reason else None
    text = problem.text if problem is not None else view.error
    lines: tuple[str, ...] = ()
    remedy = HINTS.get(reason, "")
    match reason:
        case _R.WRONG_PASSPHRASE:
            lines = (commands.own_key_opens(),)
            remedy = (
                "Compare it with what the key was encrypted with; a file's first line counts, without its line break."
            )
        case _R.PASSPHRASE_NEEDED:
            lines = (commands.own_key_opens(),)
            remedy = f"Give it with --passphrase-file, in {PASSPHRASE}, or type it when you are asked on a terminal."
        case _R.KEY_MISMATCH:
            lines = commands.own_key_matches()
            remedy = "Take the key that the certificate was requested with; the lines print the same where they belong together."
        case _R.WEAK_KEY | _R.WEAK_DIGEST:
            lines = (commands.own_algorithms(),)
        case _R.MISSING_FILE:
            lines = (commands.own_files(),)
            if evidence.inputs.key is None and evidence.inventory.sent:
                remedy = "Name the key's file with --key."
        case _R.MALFORMED if evidence.inputs.certificate is not None and is_keystore(evidence.inputs.certificate):
            lines, remedy = (commands.keystore(),), "Convert it."
        case _R.MALFORMED:
            file = _malformed(evidence)
            lines = commands.blocks(file) if file is not None else ()
    yield Cause(
        Outcome.CLIENT_UNUSABLE,
        reason,
        f"{text}." if text else sentence(MEANINGS[reason]),
        remedy,
        tuple(line for line in lines if line),
    )


def _malformed(evidence: Evidence) -> Path | None:
    """The first of the files that were named in which there is nothing of what it was named for."""
    inputs = evidence.inputs
    for file, key in ((inputs.ca, False), (inputs.key, True)):
        if file is not None:
            content = read_content(file)
            if isinstance(content, Problem) or not (content.keys if key else content.certificates):
                return file
    return inputs.certificate


def refused_by_client(evidence: Evidence) -> Iterator[Cause]:
    """What the client has to hold against the chain that the server sent."""
    held, client = evidence.inventory, evidence.client
    if not held.received or client.insecure:
        return
    yield from _name(evidence)
    verifier = held.client_verifies(client)
    found = faults(held.received, verifier, held.certificates, evidence.now)
    if evidence.observation.outcome is _REFUSED:
        blamed = (
            blame(reason, held.received, verifier, held.certificates, evidence.now)
            for reason in evidence.observation.reasons[:1]
        )
        found += tuple(fault for fault in blamed if fault is not None and fault not in found)
    for fault in found:
        if fault.reason is not _R.NAME_MISMATCH:
            yield _of_a_fault(evidence, fault)
    for id_ in held.received:
        if id_ in held.unreadable:
            text = f"`{id_}` has an extension whose content can't be read ({', '.join(held.unreadable[id_])})."
            yield Cause(_REFUSED, _R.MALFORMED, text, "Have it issued anew.", (evidence.commands.server_sends(),))


def _name(evidence: Evidence) -> Iterator[Cause]:
    held, asked = evidence.inventory, evidence.client.server_name or evidence.inputs.endpoint.address.host
    leaf = held.certificates.get(held.received[0])
    if leaf is None:
        return
    names = leaf.san or ()
    kind = "IP" if is_address(asked) else "DNS"
    known = [name.partition(":")[2] for name in names if name.startswith(f"{kind}:")]
    if any(covers(name.lower(), asked.lower()) for name in known):
        return
    dns = [name for name in names if name.startswith(("DNS:", "IP:"))]
    common = next((part[3:] for part in leaf.subject.split(",") if part.upper().startswith("CN=")), "")
    if not dns and covers(common.lower(), asked.lower()) and evidence.observation.outcome is not _REFUSED:
        return  # OpenSSL looks at the CN where there is no name at all
    whom = ", ".join(dns) or f"nothing but its subject {leaf.subject}"
    text = f"The server's certificate is for {whom}, and {asked} was asked for."
    remedy = "Use a name that it has, or have it issued with this one in its subjectAltName."
    if asked.endswith(".") and f"DNS:{asked[:-1]}" in names:
        text += " It is the dot at the end that makes the difference: names in certificates and SNI have none."
        remedy = "Leave the dot out."
    elif kind == "IP" and dns:
        remedy = "Use one of its names (curl's --resolve gives it this address), or have the address put in as IP:."
    elif any(covers(name.partition(":")[2].lower(), f"x.{asked.partition('.')[2]}") for name in dns if "*" in name):
        remedy = "A wildcard stands for one label only, and for the first. " + remedy
    yield Cause(
        _REFUSED,
        _R.NAME_MISMATCH,
        text,
        remedy,
        (evidence.commands.server_certificate("-subject", "-ext", "subjectAltName"),),
    )
    if kind == "DNS":
        yield Cause(
            _REFUSED,
            _R.NAME_MISMATCH,
            f"The server may have no host of the name {asked}, and answer with its default one's certificate.",
            "Look at the server's names (nginx server_name) and at what it does with SNI.",
            (evidence.commands.server_certificate("-subject", "-ext", "subjectAltName", name=False),),
            Certainty.POSSIBLE,
        )


def _of_a_fault(evidence: Evidence, fault: Fault) -> Cause:
    held, commands = evidence.inventory, evidence.commands
    text = sentence(str(fault))
    certificate = commands.server_certificate("-subject", "-issuer", "-dates")
    lines: tuple[str, ...] = (commands.server_verifies(), certificate)
    remedy = ""
    match fault.reason:
        case _R.UNKNOWN_CA | _R.SELF_SIGNED:
            text, remedy = _untrusted(evidence, fault, text)
            lines = (commands.server_sends(), commands.trusted()) if evidence.inputs.ca else (commands.server_sends(),)
        case _R.EXPIRED:
            remedy = "Renew it, and reload the server: what it shows may be older than the file beside it."
            lines = (certificate, "date -u")
        case _R.NOT_YET_VALID:
            lines = (certificate, "date -u")
        case _R.WRONG_PURPOSE:
            remedy = "It needs the EKU serverAuth (or none at all), and any intermediate that has an EKU likewise."
            lines = (commands.server_certificate("-ext", "keyUsage,extendedKeyUsage"),)
        case _R.WEAK_KEY | _R.WEAK_DIGEST:
            lines = (commands.server_certificate("-text") + " | grep -E 'Signature Algorithm|Public-Key'",)
    if fault.depth and fault.certificate in held.trusted and fault.reason in (_R.EXPIRED, _R.NOT_YET_VALID):
        remedy = "It is one of those that you trust: take the authority's new certificate into --cacert."
        lines = (commands.trusted(),)
    return Cause(_REFUSED, fault.reason, text, remedy or HINTS.get(fault.reason, ""), lines)


def _untrusted(evidence: Evidence, fault: Fault, text: str) -> tuple[str, str]:
    """In words that need no knowledge of the chain module's."""
    held = evidence.inventory
    leaf = held.certificates[held.received[0]]
    above = lineage(held.certificates, leaf.id)
    top = above[-1]
    trusting = evidence.inputs.ca.name if evidence.inputs.ca is not None else "this system's own authorities"
    trust = f"Trust {top.subject} with --cacert, if that is the authority that you mean."
    if fault.reason is _R.SELF_SIGNED:
        return (
            f"The server's certificate is signed by itself, and not in {trusting}.",
            "Trust it with --cacert, if it is the right one.",
        )
    if fault.certificate == top.id and top.id in held.unseen:
        alike = any(held.certificates[id_].subject == top.subject for id_ in held.trusted)
        if alike:
            return (
                (
                    f"The server's certificate leads to {top.subject}; {trusting} has an authority of that name with "
                    "another key."
                ),
                (
                    "Take the authority's certificate that belongs to the key which signed it: an older or newer one of "
                    "the same name."
                ),
            )
        below = above[-2]
        who = "The server's certificate" if below.id == leaf.id else f"`{below.id}`"
        sent = "alone" if len(held.received) == 1 else f"with {len(held.received) - 1} more"
        return (
            (
                f"{who} was issued by {top.subject}, which is not in {trusting}, and which the server did not send "
                f"(its certificate came {sent})."
            ),
            (
                f"{trust} If it is an intermediate, have the server send it: its file holds the certificate, then "
                "the intermediates (nginx ssl_certificate)."
            ),
        )
    if fault.certificate == top.id:
        return f"The server's certificate leads to {top.subject}, which is not in {trusting}.", trust
    return (
        text,
        "Have the server send it: its file holds the certificate, then the intermediates (nginx ssl_certificate).",
    )
