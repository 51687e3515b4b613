"""What in the file has to be mended: the setting that would have refused, the line for which a server did not start."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

from mtls_runner.errors import EngineError, LabError, ServerUnusable, Span
from mtls_runner.model import sentence
from mtls_runner.model.case import Expectation, Plan
from mtls_runner.model.certificate import moment
from mtls_runner.model.chain import lineage
from mtls_runner.model.endpoint import ClientAuth, ClientSpec, ServerSpec
from mtls_runner.model.observation import Outcome, Reason

__all__ = ["blamed", "let_in"]


def let_in(plan: Plan, server: ServerSpec, client: ClientSpec, wanted: Expectation, start: datetime) -> str:
    """Which setting would have refused a client that was let in, as a sentence; ``""``: no refusal was expected.

    Args:
        plan: for certificates.
        server: of the host that was meant.
        client: who connected.
        wanted: what the author expects of it.
        start: from when relative times count; aware.
    """
    told = _let_in(plan, server, client, wanted, start)
    return sentence(told) if told else ""


def _let_in(plan: Plan, server: ServerSpec, client: ClientSpec, expectation: Expectation, start: datetime) -> str:
    wanted = {check.path: [one.value for one in check.alternatives] for check in expectation.checks}
    outcomes, reasons = wanted.get("outcome", []), wanted.get("reason", [])
    if Outcome.ACCEPTED in outcomes or Outcome.ANSWERED in outcomes:
        return ""
    if Outcome.CLIENT_REFUSED in outcomes:
        if client.insecure:
            return "the client looks at nothing of the server (insecure: true)"
        return _taken(plan, reasons, server.certificate, "client", client.trust, bool(client.crl), start)
    if Outcome.SERVER_REFUSED in outcomes:
        told = _own_configuration(plan, server, client, reasons)
        if told:
            return told
        mode = server.client_auth
        if mode is ClientAuth.NONE:
            return "the server verifies nobody (client_auth: none): client_auth: required would refuse"
        if mode is ClientAuth.OPTIONAL_NO_CA:
            return "the server takes any certificate, whoever issued it (client_auth: optional_no_ca)"
        if client.certificate is None:
            return f"the server can do without a certificate (client_auth: {mode}): client_auth: required would refuse"
        if Reason.NO_CERTIFICATE in reasons:
            return f"the client has a certificate, `{client.certificate}`: client: {{}} has none"
        return _taken(plan, reasons, client.certificate, "server", server.trust, bool(server.crl), start)
    return ""


def _own_configuration(plan: Plan, server: ServerSpec, client: ClientSpec, reasons: Sequence[object]) -> str:
    """Likewise, in the words of a configuration of one's own: what the file says of it is no setting, and may not be so."""
    says = server.directives
    if says is None:
        return ""
    if client.certificate is None:
        return f"the configuration lets in who has no certificate: `{says.certificate}` would refuse"
    if Reason.REVOKED in reasons:
        return f"the configuration looks `{client.certificate}` up in no CRL that it is on: `{says.crl}` would refuse"
    strange = {one.id for one in lineage(plan.certificates, client.certificate)}.isdisjoint(server.trust)
    if strange and {Reason.UNKNOWN_CA, Reason.SELF_SIGNED} & set(reasons):
        return f"the configuration takes `{client.certificate}`: look at `{says.certificate}` and `{says.trust}`"
    return ""


def _taken(
    plan: Plan,
    reasons: Sequence[object],
    shown: str | None,
    who: str,
    trust: tuple[str, ...],
    lists: bool,
    start: datetime,
) -> str:
    """What a verifier has found right, for the first of the reasons that it was to refuse by."""
    chain = lineage(plan.certificates, shown or "")
    if not chain or chain[0].files is not None:
        return ""
    leaf, now = chain[0], start + plan.moved + plan.clock
    match next(iter(reasons), None):
        case Reason.UNKNOWN_CA | Reason.SELF_SIGNED | Reason.BAD_SIGNATURE:
            anchor = next((one.id for one in chain if one.id in trust), None)
            return f"`{leaf.id}` leads to `{anchor}`, which the {who} trusts" if anchor is not None else ""
        case Reason.EXPIRED | Reason.NOT_YET_VALID:
            begin, end = (one.resolve(now) for one in (leaf.not_before, leaf.not_after))
            told = f"from {moment(begin, now)} to {moment(end, now)}"
            if begin <= now <= end:
                return f"`{leaf.id}` is valid, {told}"
            return f"`{leaf.id}` is valid {told} only: the {who} looks at no dates, or is told to pass over them"
        case Reason.REVOKED if not lists:
            return f"the {who} looks at no CRL (crl:)"
        case Reason.REVOKED:
            return f"`{leaf.id}` is on none of the CRLs that the {who} has loaded (revoked: true at it)"
        case Reason.WRONG_PURPOSE:
            usages = leaf.extended_key_usage
            has = f"whose EKU is {', '.join(usages)}" if usages else "which has no EKU, and so is good for all"
            return f"the {who} takes `{leaf.id}`, {has}"
        case Reason.NAME_MISMATCH:
            return f"`{leaf.id}` names {', '.join(leaf.san or ()) or 'nothing but its subject'}"
    return f"the {who} has nothing against `{leaf.id}`"


#: Where a server that did not start is to be mended: its own keys first, then those of its leaf.
_KEYS = {
    Reason.WRONG_PASSPHRASE: ("passphrase",),
    Reason.PASSPHRASE_NEEDED: ("passphrase",),
    Reason.KEY_MISMATCH: ("key", "certificate"),
    Reason.MISSING_FILE: ("config", "files", "certificate", "key"),
    Reason.MALFORMED: ("config", "certificate", "key"),
    Reason.ADDRESS_IN_USE: ("port", "address"),
    Reason.WEAK_KEY: ("key", "certificate"),
    Reason.WEAK_DIGEST: ("signature", "certificate"),
}
_SETTINGS = {Reason.CIPHER: ("ciphers", "ciphersuites"), Reason.PROTOCOL_VERSION: ("tls",)}
"""The same of what is no material: only where nothing that the author has written there is named."""


def _written(server: ServerSpec) -> Mapping[str, Sequence[str]]:
    """Setting → the parts of what the author has written there, which a program's message may name."""
    return {
        "ciphersuites": re.findall("[^:, ]+", server.ciphersuites or ""),
        "ciphers": re.findall("[^:, ]+", server.ciphers or ""),
        "groups": server.groups,
        "signature_algorithms": server.signature_algorithms,
        "alpn": server.alpn,
        "config": [server.option("config")] if server.option("config") else [],
        "upstreams": server.upstreams,
        "files": [file.path for file in server.files],
    }


def blamed(plan: Plan, server: ServerSpec, error: LabError) -> Span | None:
    """The line of the file that a server did not start for; ``None``: it is not that, or the line is unknown."""
    if isinstance(error, EngineError) and error.image:
        return plan.places.get(("server", server.id, "image"))
    if not isinstance(error, ServerUnusable):
        return None
    said = " ".join((str(error), *error.log))
    named = [key for key, parts in _written(server).items() if any(_names(said, part) for part in parts)]
    for key in (*_KEYS.get(error.reason, ()), *named, *_SETTINGS.get(error.reason, ())):
        for place in (("server", server.id, key), ("certificate", server.certificate or "", key)):
            if place in plan.places:
                return plan.places[place]
    return plan.places.get(("server", server.id, ""))


def _names(said: str, part: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(part)}(?!\w)", said, re.IGNORECASE) is not None
