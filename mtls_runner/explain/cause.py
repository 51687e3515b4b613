"""Why one end should refuse, from what the scenario says of both."""

from __future__ import annotations

from datetime import datetime

from mtls_runner.explain.expected import ExpectedInWords
from mtls_runner.explain.words import listed, tls_names
from mtls_runner.model import MEANINGS
from mtls_runner.model.blame import blame
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.chain import client_verifies, presented, server_verifies
from mtls_runner.model.endpoint import ClientAuth, ClientSpec, ServerSpec
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.tls.rules import offered_versions

__all__ = ["cause"]

_NOTHING = "OpenSSL's own choice"


def cause(plan: Plan, case: Case, wanted: ExpectedInWords, now: datetime) -> str:
    """A clause without a full stop; ``""`` where the scenario names no reason."""
    if wanted.reason is None or wanted.outcome is None:
        return ""
    client, server = case.client, case.server
    if client is not None:
        special = _special(plan, client, server, wanted)
        if special:
            return special
    facts = _broken(plan, case, wanted, now)
    meaning = MEANINGS[wanted.reason]
    return f"{meaning} ({facts})" if facts else meaning


def _special(plan: Plan, client: ClientSpec, server: ServerSpec, wanted: ExpectedInWords) -> str:
    match wanted.reason:
        case Reason.NO_CERTIFICATE | Reason.CERTIFICATE_WITHHELD:
            return "it demands one" if server.client_auth is ClientAuth.REQUIRED else "it wants one for this"
        case Reason.NAME_MISMATCH:
            spec = plan.certificates.get(server.certificate or "")
            asked = client.server_name or "the address that it connects to"
            if spec is None or spec.files is not None:
                return f"the server's certificate does not name {asked}"
            names = listed(spec.san) if spec.san else f"nothing but its subject, {spec.subject}"
            return f"the client wants {asked}, and the certificate names {names}"
        case Reason.PROTOCOL_VERSION:
            both = f"the client allows {tls_names(client.tls)}, the server {tls_names(server.tls)}"
            offered = offered_versions(client)
            if offered != client.tls:
                both += f"; OpenSSL offers {tls_names(offered)} alone, nothing above a version that is left out"
            if set(offered) & set(server.tls):
                return f"{both}, and what they share OpenSSL does not speak at security level 1 or above"
            return both
        case Reason.CIPHER:
            return _pair("ciphers", client.ciphers or client.ciphersuites, server.ciphers or server.ciphersuites)
        case Reason.GROUP:
            return _pair("groups", ":".join(client.groups), ":".join(server.groups))
        case Reason.SIGNATURE_ALGORITHM:
            return _pair(
                "signature algorithms", ":".join(client.signature_algorithms), ":".join(server.signature_algorithms)
            )
        case Reason.ALPN:
            return _pair("application protocols", ", ".join(client.alpn), ", ".join(server.alpn))
        case _:
            return ""


def _pair(what: str, client: str | None, server: str | None) -> str:
    return f"{what}: the client has {client or _NOTHING}, the server {server or _NOTHING}"


def _broken(plan: Plan, case: Case, wanted: ExpectedInWords, now: datetime) -> str:
    """The certificate, or the link above it, that is to blame."""
    client, server = case.client, case.server
    if client is None or wanted.reason is None:
        return ""
    if wanted.outcome is Outcome.CLIENT_REFUSED:
        shown, verifier = presented(server, plan.certificates), client_verifies(client, plan.crls)
    else:
        shown, verifier = presented(client, plan.certificates), server_verifies(server, plan.crls)
    if shown is None:
        return ""
    fault = blame(wanted.reason, shown.ids, verifier, plan.certificates, now)
    return str(fault) if fault is not None else ""
