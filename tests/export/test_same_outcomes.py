"""The exported script of a scenario sees what the lab sees; ``python -m tests.export`` does it with every scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.language import Overrides, load

from ..container_engine import IMAGE
from ..once import Answers
from .agreement import differences, in_one_version

_SCENARIOS = Path(__file__).parents[2] / "scenarios"

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("name", ["wrong-certificates", "passphrases"])
def test_as_openssl_s_server(name: str, tmp_path: Path, answers: Answers) -> None:
    file = _SCENARIOS / f"{name}.yaml"
    plan = load(file, Overrides(backend="python", tool="curl"))
    assert differences(plan, answers(file, "python", "curl"), tmp_path) == []


@pytest.mark.usefixtures("nginx_engine")
@pytest.mark.parametrize("name", ["nginx/verify-client", "wrong-certificates"])
def test_as_nginx(name: str, tmp_path: Path, answers: Answers) -> None:
    file = _SCENARIOS / f"{name}.yaml"
    plan = in_one_version(load(file, Overrides(backend="nginx", tool="curl", image=IMAGE)))
    assert differences(plan, answers(file, "nginx", "curl"), tmp_path) == []
