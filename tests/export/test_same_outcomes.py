"""The exported script of a scenario sees what the lab sees; ``python -m tests.scenarios`` does it with every scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..once import Answers
from .agreement import script_differences

_SCENARIOS = Path(__file__).parents[2] / "scenarios"

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    ("name", "backend"), [("wrong-certificates", "python"), ("passphrases", "python"), ("nginx/verify-client", "nginx")]
)
def test_as_openssl_s_server_or_nginx(
    name: str, backend: str, answers: Answers, request: pytest.FixtureRequest
) -> None:
    if backend == "nginx":
        request.getfixturevalue("nginx_engine")
    file = _SCENARIOS / f"{name}.yaml"
    assert script_differences(file, backend, answers(file, backend, "curl")) == []
