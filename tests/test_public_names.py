"""The public names: listed, importable, and free of charge until used."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mtls_runner


@pytest.mark.parametrize("name", mtls_runner.__all__)
def test_every_listed_name_is_there(name: str) -> None:
    assert getattr(mtls_runner, name) is not None
    assert name in dir(mtls_runner)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        mtls_runner.lode  # noqa: B018


HEAVY = ("pydantic", "docker", "rich", "cryptography", "jinja2", "yaml", "h11", "pytest", "ssl")


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import mtls_runner", HEAVY),
        ("import mtls_runner.cli", tuple(name for name in HEAVY if name != "ssl")),
    ],
)
def test_importing_loads_nothing_heavy(code: str, unwanted: tuple[str, ...]) -> None:
    script = f"{code}; import sys; print(*sorted(set(sys.modules) & set({unwanted!r})))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
