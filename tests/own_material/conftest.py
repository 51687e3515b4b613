from __future__ import annotations

import pytest

from .issuer import Issuer


@pytest.fixture(scope="session")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("mine"))
