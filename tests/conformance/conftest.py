"""Results of some files of the catalogue with the Python client, once a session; nginx's need a container engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.conformance.json_form import read_json
from mtls_runner.conformance.measurement import Measurement
from mtls_runner.model.endpoint import TlsVersion

from .results import SOME, Results, catalogue_results


@pytest.fixture(scope="session")
def on_python(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The embedded server's."""
    return catalogue_results("python", ("python",), tmp_path_factory, files=SOME)


@pytest.fixture(scope="session")
def on_nginx(nginx_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Results:  # noqa: ARG001
    """nginx's, with TLS 1.3; with 1.2, too, in ``whole.py``."""
    return catalogue_results("nginx", ("python",), tmp_path_factory, (TlsVersion.V1_3,), SOME)


@pytest.fixture(scope="session")
def published() -> Measurement:
    """docs/atlas.json."""
    return read_json(str(Path(__file__).parents[2] / "docs" / "atlas.json"))
