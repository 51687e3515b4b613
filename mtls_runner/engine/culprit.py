"""Which certificate, list or setting is to blame for a refusal, from the material that the lab holds: the hint's first words."""

from __future__ import annotations

from datetime import UTC, datetime

from mtls_runner.model.case import Plan
from mtls_runner.model.chain import client_verifies, presented, server_verifies
from mtls_runner.model.chain_faults import blame
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.tls.classify import Judgement

__all__ = ["Culprit"]

_LEAD_NOWHERE = frozenset((Reason.EXPIRED, Reason.REVOKED, Reason.NOT_YET_VALID))


class Culprit:
    """Of one exchange.

    Args:
        plan: for certificates and CRLs.
        server: what the server has read, of the host that was meant.
        client: who connected.
        files: what the server's files hold by now.
    """

    def __init__(self, plan: Plan, server: ServerSpec, client: ClientSpec, files: ServerSpec) -> None:
        self._plan = plan
        self._server = server
        self._client = client
        self._files = files

    def sentence(self, judgement: Judgement) -> str:
        """With a full stop; ``""``: the descriptions don't show it."""
        told = self._renewed(judgement) or self._dot(judgement) or self._chain(judgement)
        return f"{told[0].upper()}{told[1:]}." if told else ""

    def _chain(self, judgement: Judgement) -> str:
        if judgement.outcome is Outcome.SERVER_REFUSED:
            shown, verifier = self._client, server_verifies(self._server, self._plan.crls)
            certificates = presented(shown, self._plan.certificates)
        elif judgement.outcome is Outcome.CLIENT_REFUSED:
            verifier = client_verifies(self._client, self._plan.crls)
            certificates = presented(self._server, self._plan.certificates)
        else:
            return ""
        if certificates is None or (not verifier.trust and judgement.outcome is Outcome.SERVER_REFUSED):
            return ""  # an own configuration, or a server that runs already, says itself whom it trusts
        now = datetime.now(UTC)
        for reason in judgement.reasons:
            fault = blame(reason, certificates.ids, verifier, self._plan.certificates, now)
            if fault is not None:
                return str(fault)
        return ""

    def _renewed(self, judgement: Judgement) -> str:
        """A certificate that was replaced, by a server that has not read it yet."""
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
