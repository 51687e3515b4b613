from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner.clients.curl.client import CurlClient
from mtls_runner.model.certificate import Defect, KeyAlgorithm, KeySpec, Moment, OwnFiles, SignatureSpec
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool

from ..pki.describe import GOOD, PASSPHRASE, PAST, SERVER, USUAL, plan


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, pool: KeyPool) -> Store:
    """The usual material, and more of which each differs from ``good`` or ``server`` in one thing."""
    specs = (
        *USUAL,
        replace(GOOD, id="locked", passphrase=PASSPHRASE),
        replace(GOOD, id="mismatch", defects=(Defect.KEY_MISMATCH,)),
        replace(GOOD, id="other_type", defects=(Defect.KEY_TYPE_MISMATCH,)),
        replace(GOOD, id="small", key=KeySpec(KeyAlgorithm.RSA_1024)),
        replace(GOOD, id="sha1", signature=SignatureSpec(hash="sha1")),
        replace(SERVER, id="server_expired", not_before=Moment(timedelta(days=-2)), not_after=PAST),
        replace(SERVER, id="server_usage", extended_key_usage=("clientAuth",)),
        replace(SERVER, id="server_elsewhere", san=("DNS:elsewhere.test",)),
        replace(SERVER, id="server_cn", subject="CN=localhost", san=None),
        replace(
            GOOD, id="gone", files=OwnFiles(certificate=Path("/nonexistent/c.crt"), key=Path("/nonexistent/c.key"))
        ),
    )
    return Store(tmp_path_factory.mktemp("lab"), plan(*specs), start=datetime.now(UTC), pool=pool)


@pytest.fixture(scope="session")
def curl() -> CurlClient:
    return CurlClient()
