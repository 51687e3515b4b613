"""The public names: listed, importable, and free of charge until used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

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


def test_no_two_public_classes_of_the_package_have_one_name() -> None:
    homes: dict[str, list[str]] = {}
    for path in sorted(Path(mtls_runner.__file__).parent.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(str(path))
    assert len(homes) > 300  # they were looked for
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}
