from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner.clients.curl.client import CurlClient
from mtls_runner.model.certificate import Defect, KeyAlgorithm, KeySpec, Moment, OwnFiles, Secret, SignatureSpec
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool

from ..pki.describe import authority, leaf, plan

PASSPHRASE = Secret('a "quoted" \\ passphrase: #1')


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, pool: KeyPool) -> Store:
    """Good and bad material; each bad certificate differs from ``good`` or ``server`` in one thing."""
    past = Moment(timedelta(days=-1))
    good = leaf("good", extended_key_usage=("clientAuth",))
    server = leaf("server", extended_key_usage=("serverAuth",))
    specs = (
        authority("ca"),
        authority("other"),
        authority("twin", subject="CN=ca", subject_key_identifier=False),
        authority("middle", issuer="ca"),
        good,
        replace(good, id="foreign", issuer="other"),
        replace(good, id="twin_leaf", issuer="twin", authority_key_identifier=None),
        replace(good, id="expired", not_before=Moment(timedelta(days=-2)), not_after=past),
        replace(good, id="future", not_before=Moment(timedelta(days=1))),
        replace(good, id="wrong_usage", extended_key_usage=("serverAuth",)),
        replace(good, id="own", issuer=None),
        replace(good, id="below", issuer="middle"),
        replace(good, id="locked", passphrase=PASSPHRASE),
        replace(good, id="mismatch", defects=(Defect.KEY_MISMATCH,)),
        replace(good, id="other_type", defects=(Defect.KEY_TYPE_MISMATCH,)),
        replace(good, id="small", key=KeySpec(KeyAlgorithm.RSA_1024)),
        replace(good, id="sha1", signature=SignatureSpec(hash="sha1")),
        server,
        replace(server, id="server_expired", not_before=Moment(timedelta(days=-2)), not_after=past),
        replace(server, id="server_usage", extended_key_usage=("clientAuth",)),
        replace(server, id="server_elsewhere", san=("DNS:elsewhere.test",)),
        replace(server, id="server_cn", subject="CN=localhost", san=None),
        replace(
            good, id="gone", files=OwnFiles(certificate=Path("/nonexistent/c.crt"), key=Path("/nonexistent/c.key"))
        ),
    )
    return Store(tmp_path_factory.mktemp("lab"), plan(*specs), start=datetime.now(UTC), pool=pool)


@pytest.fixture(scope="session")
def curl() -> CurlClient:
    return CurlClient()
