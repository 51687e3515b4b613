"""Why a client was accepted although it is revoked or expired: its session was resumed, its connection was kept open, or the
server has not read its new files."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mtls_runner.model.case import Plan
from mtls_runner.model.certificate import Credential
from mtls_runner.model.chain_faults import on_crl
from mtls_runner.model.endpoint import ClientAuth, ClientSpec, ServerSpec
from mtls_runner.model.observation import ClientView
from mtls_runner.model.revocation import RevocationCheck

if TYPE_CHECKING:
    from mtls_runner.pki import Store

__all__ = ["despite", "not_after"]


def despite(
    client: ClientSpec, loaded: ServerSpec, files: ServerSpec, material: Store, plan: Plan, seen: ClientView
) -> tuple[str, ...]:
    """Sentences that follow "accepted".

    Args:
        client: who connects.
        loaded: what the server has read.
        files: what its files hold by now.
        material: the plan's.
        plan: for the certificates that are on each CRL.
        seen: what the client saw; it may have resumed a session, or kept a connection open.
    """
    old = tuple(_old_files(client, loaded, files, material, seen))
    if client.certificate is None or loaded.host(client.server_name).client_auth is ClientAuth.NONE:
        return old
    unverified = ""
    if seen.request_number > 1:
        unverified = "a connection that lives on is not verified again"
    elif seen.resumed:
        unverified = "a resumed session is not verified again"
    return (*_said(client, loaded, files, material, plan, unverified), *old)


def _old_files(
    client: ClientSpec, loaded: ServerSpec, files: ServerSpec, material: Store, seen: ClientView
) -> Iterator[str]:
    """What the connection would have been like with the server's new files."""
    before, now = loaded.host(client.server_name), files.host(client.server_name)
    if seen.request_number > 1 or seen.resumed:
        return
    if before.certificate != now.certificate and before.certificate is not None:
        shown = seen.received_chain[0] if seen.received_chain else None
        if shown == material.credential(before.certificate).der:
            yield f"though the server's files hold `{now.certificate}` by now: it still shows `{before.certificate}`"
    if client.certificate is None or before.client_auth is ClientAuth.NONE or set(before.trust) <= set(now.trust):
        return
    if not {client.certificate, *material.credential(client.certificate).ancestors} & set(now.trust):
        trusted = ", ".join(f"`{one}`" for one in now.trust) or "nobody"
        yield f"though the server's files trust {trusted} by now: it has not read them"


def _said(
    client: ClientSpec, loaded: ServerSpec, files: ServerSpec, material: Store, plan: Plan, unverified: str
) -> Iterator[str]:
    now = _revoked_by(client, loaded, material, plan)
    if now is not None and unverified:
        yield f"though its certificate is revoked (CRL {now}): {unverified}"
    soon = _revoked_by(client, files, material, plan)
    if now is None and soon is not None:
        yield f"though its certificate is revoked (CRL {soon}): the server has not read its new files"
    if unverified and _expired(client, material, plan.clock):
        yield f"though its certificate has expired: {unverified}"


def _revoked_by(client: ClientSpec, server: ServerSpec, material: Store, plan: Plan) -> str | None:
    """Id of the first of the server's CRLs that lists the client, or an authority that the server would look up."""
    host = server.host(client.server_name)
    if host.crl_check is RevocationCheck.NONE or client.certificate is None:
        return None
    chain = [client.certificate]
    if host.crl_check is RevocationCheck.CHAIN:
        chain += material.credential(client.certificate).ancestors
    found = on_crl(chain, [plan.crls[id_] for id_ in host.crl if id_ in plan.crls])
    return found.id if found is not None else None


def _expired(client: ClientSpec, material: Store, clock: timedelta) -> bool:
    end = not_after(material.credential(client.certificate)) if client.certificate is not None else None
    return end is not None and end < datetime.now(UTC) + clock


def not_after(credential: Credential) -> datetime | None:
    """When a certificate's validity ends; ``None``: that can't be read."""
    from mtls_runner.pki.certificate_facts import facts

    return facts(credential.der).end
