"""Is there a container engine with an nginx image? Without one a laptop runs everything else; CI must have one."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from mtls_runner.errors import EngineError

if TYPE_CHECKING:
    from docker.api.client import APIClient

__all__ = ["DEBIAN", "IMAGE", "absent", "containers_of", "docker_client", "events_of", "not_here"]

#: What ``.ci/nginx-image`` makes of the Debian package that this machine has, too.
DEBIAN = "mtls-run/nginx:debian"
#: ``MTLS_RUN_IMAGE`` names another one.
IMAGE = os.environ.get("MTLS_RUN_IMAGE", DEBIAN)


@cache
def absent(image: str = IMAGE) -> str | None:
    """Why nginx can't be run in a container here; ``None``: it can."""
    from mtls_runner.servers.container.engine import Engine

    try:
        Engine.connect().image(image)
    except EngineError as error:
        return str(error)
    return None


def not_here(message: str) -> NoReturn:
    """Without an engine, a browser or an editor a laptop runs everything else; CI must have them."""
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(f"not run here: {message}")


@contextmanager
def docker_client() -> Iterator[APIClient]:
    """The docker package's, on the engine that the lab finds: to look at containers with other eyes than the lab's."""
    import docker

    from mtls_runner.servers.container.connection import EngineConnection

    found = EngineConnection.find()
    with closing(docker.APIClient(found.base_url, version=found.api_version, tls=found.tls or False)) as client:
        yield client


def containers_of(pid: int) -> list[str]:
    """Ids of the containers that a lab in that process has, or left."""
    from mtls_runner.servers.container.engine import OWNER_LABEL

    with docker_client() as client:
        found = client.containers(all=True, filters={"label": OWNER_LABEL})
        return [each["Id"] for each in found if each["Labels"][OWNER_LABEL].split("/")[3] == str(pid)]


def events_of(pid: int, since: float) -> Counter[str]:
    """What the engine says has become of the containers of a lab in that process; each has an owner's label."""
    from mtls_runner.servers.container.engine import OWNER_LABEL
    from mtls_runner.servers.container.owner import Owner

    seen: Counter[str] = Counter()
    until: Any = time.time()  # docker's stubs want whole seconds, the engine does not
    filters = {"type": "container", "label": OWNER_LABEL}
    with docker_client() as client:
        for event in client.events(since=int(since), until=until, filters=filters, decode=True):
            owner = Owner.parse(event["Actor"]["Attributes"][OWNER_LABEL])
            if owner is not None and owner.pid == pid:
                seen[event["Action"]] += 1
    return seen
