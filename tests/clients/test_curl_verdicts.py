"""Refusals that curl words in its own way: OpenSSL's verdict without a class, and curl's own checks after OpenSSL's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from mtls_runner.clients.curl.client import CurlClient
from mtls_runner.deadlines import Deadline
from mtls_runner.model.certificate import NameConstraints
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.observation import ClientView, Outcome, Phase, Reason
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool
from mtls_runner.tls.classify import Facts, classify
from tests.named import backend, tool

from ..pki import openssl
from ..pki.describe import authority, leaf, plan
from .tls_peer import context, tls_peer

_MANY = 1025
"""Squared, more names than OpenSSL compares with constraints (``NAME_CHECK_MAX`` in crypto/x509/v3_ncons.c: 2**20)."""


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Store:
    names = tuple(f"DNS:t{number}.test" for number in range(_MANY))
    server = leaf("server", extended_key_usage=("serverAuth",))
    return Store(
        tmp_path_factory.mktemp("verdicts"),
        plan(
            authority("ca"),
            authority("nameless", subject=""),
            authority("bounded", name_constraints=NameConstraints(permitted=(*names, "DNS:localhost"))),
            server,
            replace(server, id="of_nobody", issuer="nameless"),
            replace(server, id="many_names", issuer="bounded", san=("DNS:localhost", *names)),
            replace(server, id="few_names", issuer="bounded"),
        ),
        start=datetime.now(UTC),
        pool=KeyPool(),
    )


def judged(
    curl: CurlClient, store: Store, certificate: str, trust: str
) -> tuple[ClientView, Outcome | None, Reason | None]:
    spec = ClientSpec(tool=tool("curl"), trust=(trust,))
    with tls_peer(context(store.credential(certificate))) as (address, _):
        view = curl.probe(spec, address, store, Deadline.after(10))
    judgement = classify(
        Facts(ServerSpec(id="s", backend=backend("external"), certificate=None, passphrase=None), spec, view, None)
    )
    return view, judgement.outcome, judgement.reason


def verified(store: Store, certificate: str, trust: str) -> int:
    path = store.credential(certificate).certificate_path
    return openssl.verify(path, store.bundle([trust]), "-partial_chain", "-purpose", "sslserver")


def test_a_verdict_without_a_class(curl: CurlClient, verdicts: Store) -> None:
    view, outcome, reason = judged(curl, verdicts, "many_names", "bounded")
    assert (outcome, reason) == (Outcome.CLIENT_REFUSED, Reason.OTHER)
    assert view.verify_code == verified(verdicts, "many_names", "bounded") == 1
    assert not view.name_mismatch
    assert view.exit_code == 60
    _, outcome, _ = judged(curl, verdicts, "few_names", "bounded")
    assert outcome is Outcome.ACCEPTED


def test_an_issuer_without_a_name(curl: CurlClient, verdicts: Store) -> None:
    """curl alone refuses it: OpenSSL, which trusts that issuer, has nothing against it."""
    view, outcome, reason = judged(curl, verdicts, "of_nobody", "nameless")
    assert verified(verdicts, "of_nobody", "nameless") == 0
    assert (outcome, reason) == (Outcome.CLIENT_REFUSED, Reason.NOT_COMPLIANT)
    assert (view.phase, view.exit_code, view.verify_code, view.name_mismatch) == (Phase.HANDSHAKE, 60, 0, False)
    _, outcome, _ = judged(curl, verdicts, "server", "ca")
    assert outcome is Outcome.ACCEPTED
