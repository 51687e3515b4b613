from __future__ import annotations

import pytest

from .issuer import Issuer, issuer


@pytest.fixture(scope="session")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return issuer(tmp_path_factory, tmp_path_factory.mktemp("own") / "mine")
