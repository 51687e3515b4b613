"""The catalogue's results, once a session; nginx's need a container engine."""

from __future__ import annotations

import pytest

from .results import Results, run_catalogue


@pytest.fixture(scope="session")
def on_python(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The embedded server's."""
    return run_catalogue("python", tmp_path_factory.mktemp("python") / "kept")


@pytest.fixture(scope="session")
def on_nginx(nginx_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Results:  # noqa: ARG001
    """nginx's."""
    return run_catalogue("nginx", tmp_path_factory.mktemp("nginx") / "kept")
