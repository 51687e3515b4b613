from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool

from .describe import plan

MakeStore = Callable[..., Store]


@pytest.fixture
def make(tmp_path: Path, pool: KeyPool) -> MakeStore:
    """Forge descriptions into a directory of their own."""
    number = itertools.count(1)

    def make(*specs: CertificateSpec) -> Store:
        return Store(tmp_path / f"lab-{next(number)}", plan(*specs), start=datetime.now(UTC), pool=pool)

    return make
