"""``.ci/debian-image``: an image once all of it is there, and otherwise none, and a failure."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest

from .container_engine import docker_client

pytestmark = pytest.mark.usefixtures("nginx_engine")

SCRIPT = Path(__file__).parents[1] / ".ci" / "debian-image"
#: All that it calls, but for the program that fetches Debian.
PROGRAMS = ("bash", "cat", "cut", "docker", "mktemp", "rm", "sha256sum", "tar", "touch")
#: In its place; the last argument is where Debian goes to.
HALF = '#!/bin/bash\ntouch etc; tar --create --file="${!#}" etc; exit 1\n'
WHOLE = HALF.replace("exit 1", "exit 0")


@pytest.fixture
def name() -> Iterator[str]:
    """Of an image that is not there, before or after."""
    name = f"mtls-run/test:{uuid.uuid4().hex}"
    yield name
    with docker_client() as client:
        for image in client.images(name):
            client.remove_image(image["Id"])


def _make(name: str, programs: Path, debian: str | None) -> tuple[int, str]:
    for program in PROGRAMS:
        found = which(program)
        assert found is not None
        (programs / program).unlink(missing_ok=True)
        (programs / program).symlink_to(found)
    if debian is not None:
        (programs / "mmdebstrap").write_text(debian)
        (programs / "mmdebstrap").chmod(0o700)
    done = subprocess.run(
        ["bash", SCRIPT, name, "bookworm", "nginx"],
        cwd=programs,
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("debian", "code"), [(None, 127), (HALF, 1)])
def test_there_is_none_where_debian_does_not_come(name: str, debian: str | None, code: int, tmp_path: Path) -> None:
    failed, said = _make(name, tmp_path, debian)
    assert failed == code, said
    assert f"made {name}" not in said
    with docker_client() as client:
        assert client.images(name) == []


def test_it_is_made_once(name: str, tmp_path: Path) -> None:
    assert _make(name, tmp_path, WHOLE) == (0, f"debian-image: made {name}\n")
    assert _make(name, tmp_path, WHOLE) == (0, f"debian-image: {name} is current\n")
    with docker_client() as client:
        assert len(client.images(name)) == 1
