"""A client whose certificate nobody can verify: whether a server lets one through its handshake is seen, not read from its
configuration.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from mtls_runner.clients import TRAITS
from mtls_runner.errors import LabError
from mtls_runner.model.case import Plan
from mtls_runner.model.certificate import CertificateSpec, KeySpec, Moment
from mtls_runner.model.endpoint import ChainSpec, ClientSpec, ServerSpec
from mtls_runner.model.objections import reasons_against
from mtls_runner.model.observation import ClientView, Phase, Reason
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool

__all__ = ["Strangers"]

_ID = "stranger"
_DAYS = timedelta(days=3650)

_Connect = Callable[[ClientSpec, Store], ClientView]


class Strangers:
    """The connections of strangers to the servers of one plan, one for each server and request.

    Args:
        plan: for CRLs, and how far its clocks are moved.
        material: the plan's.
        directory: for the stranger's certificate.
        keys: where its key comes from.
    """

    def __init__(self, plan: Plan, material: Store, directory: Path, keys: KeyPool) -> None:
        issuer = _certificate("nobody", "CN=Nobody", None)
        stranger = _certificate(_ID, "CN=Stranger", issuer.id)
        self._plan = plan
        self._material = material
        self._own = Store(directory, {one.id: one for one in (issuer, stranger)}, start=datetime.now(UTC), pool=keys)
        self._lock = threading.Lock()
        self._made: dict[tuple[object, ClientSpec], bool] = {}

    def held(self, server: object, host: ServerSpec, client: ClientSpec, connect: _Connect) -> frozenset[Reason] | None:
        """What a server can hold against a client's certificate that it took in the handshake, where it refuses a stranger's
        there: what the descriptions of certificates and lists show, of which it may have been told to take no notice, and not
        whom it trusts. ``None``: it takes a stranger's, or that can't be seen.

        Args:
            server, host: the running one; what was seen of it is kept. How it is described.
            client: who came, and whose request the stranger makes.
            connect: makes one connection to it, with this material.
        """
        if not self._refused(server, client, connect):
            return None
        plan, (known, _) = self._plan, self._material.users_files.described()
        if plan.moved:
            from mtls_runner.engine.moved import written

            known = written(known, plan.moved)
        return reasons_against(host, client, known, plan.crls, self._material.start + plan.moved + plan.clock)

    def _refused(self, server: object, client: ClientSpec, connect: _Connect) -> bool:
        """Whether a certificate that leads to no authority is refused in the handshake. That of TLS 1.3 is over for a client
        before its certificate is looked at: then it gets no answer.
        """
        if not client.request.safe or not client.protocol.encrypted:
            return False
        stranger = replace(
            client,
            tool=TRAITS,  # which sends its certificate whatever authorities the server names
            certificate=_ID,
            key=None,
            passphrase=None,
            chain=ChainSpec(),
            trust=(),
            insecure=True,
            crl=(),
            crl_check=RevocationCheck.NONE,
            cert_status=False,
            location=None,
            repeat=1,
        )
        with self._lock:
            key = (server, stranger)
            if key not in self._made:
                try:
                    self._made[key] = _is_refused(connect(stranger, self._own))
                except LabError:  # it can't connect at all: that says nothing
                    self._made[key] = False
            return self._made[key]


def _is_refused(seen: ClientView) -> bool:
    ended = seen.phase in (Phase.HANDSHAKE, Phase.REQUEST) and not seen.timed_out
    return ended and seen.sent_certificate and not seen.answered


def _certificate(id_: str, subject: str, issuer: str | None) -> CertificateSpec:
    return CertificateSpec(
        id=id_,
        authority=issuer is None,
        subject=subject,
        issuer=issuer,
        key=KeySpec(),
        passphrase=None,
        not_before=Moment(-_DAYS),
        not_after=Moment(_DAYS),
    )
