"""How the engine is reached, and its failures in the lab's own words.

The engine is found as the docker CLI finds it: ``DOCKER_HOST``, then ``DOCKER_CONTEXT`` or the current context, then the
default socket.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import docker
import requests
from docker import errors as docker_errors
from docker.constants import DEFAULT_DOCKER_API_VERSION
from docker.context import ContextAPI
from docker.utils import kwargs_from_env

from mtls_runner.errors import Deadline, DeadlineExceeded, EngineError

if TYPE_CHECKING:
    from docker.api.client import APIClient
    from docker.tls import TLSConfig

__all__ = ["EngineConnection", "translated"]

_UNIX = ("unix://", "http+unix://")
_LOCAL = (
    *_UNIX,
    "npipe://",
    *(f"{s}://{h}" for s in ("tcp", "http", "https") for h in ("127.0.0.1", "localhost", "[::1]")),
)
_DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_SECONDS = 60.0
_NO_ENGINE = (
    "start Docker (Docker Desktop, or `sudo systemctl start docker`), install it if it is missing, "
    "or point DOCKER_HOST or `docker context use` at a running local engine"
)
_NO_PERMISSION = (
    "add yourself to the docker group (`sudo usermod -aG docker $USER`, then log in again), or use rootless Docker"
)


@dataclass(frozen=True, slots=True)
class EngineConnection:
    """Where the engine listens, and the API version that it speaks.

    Args:
        base_url: as ``DOCKER_HOST``.
        tls: how to speak TLS with it; ``None``: plain.
        api_version: of the Engine API.
        engine_version: of the engine itself.
    """

    base_url: str
    tls: TLSConfig | None = None
    api_version: str = DEFAULT_DOCKER_API_VERSION
    engine_version: str = ""

    @classmethod
    def find(cls) -> EngineConnection:
        """The engine that the docker CLI would use, asked for its version.

        Raises:
            EngineError: there is none, no permission, or it is on another machine.
        """
        found = cls(*_endpoint())
        with found.client() as client, translated("asking for the engine's version"):
            versions = client.version(api_version=False)
        return cls(found.base_url, found.tls, str(versions["ApiVersion"]), str(versions.get("Version", "")))

    @contextlib.contextmanager
    def client(self, deadline: Deadline | None = None) -> Iterator[APIClient]:
        """An API client of one's own: a session must not be shared by threads, nor its time limit.

        Raises:
            EngineError: nothing answers, or no permission.
        """
        seconds = _SECONDS if deadline is None else max(1.0, deadline.remaining())
        with translated(f"connecting to {self.base_url}"):
            _knock(self.base_url)
            # With a version given, this talks to nobody: nothing is left open when it fails.
            client = docker.APIClient(
                self.base_url, version=self.api_version, tls=self.tls or False, timeout=int(seconds + 1)
            )
        try:
            yield client
        finally:
            client.close()


def _endpoint() -> tuple[str, TLSConfig | None]:
    if os.environ.get("DOCKER_HOST"):
        found = kwargs_from_env()
        base_url, tls = found["base_url"], found.get("tls")
    else:
        name = os.environ.get("DOCKER_CONTEXT") or None
        context = ContextAPI.get_context(name)
        if context is None:
            raise EngineError(
                f"there is no docker context {name or '(the current one)'}; `docker context ls` lists them"
            )
        base_url, tls = context.Host or _DEFAULT_SOCKET, context.TLSConfig
    if "://" in base_url and not base_url.startswith(_LOCAL):
        raise EngineError(
            f"the container engine {base_url} is on another machine: ports published on its loopback can't be reached "
            "from here. Next: use a local engine (`docker context use default`, or unset DOCKER_HOST)"
        )
    return base_url, tls


def _knock(base_url: str) -> None:
    """Fail with the operating system's own error where a socket is absent, closed to us or dead.

    The docker package wraps that error deeply and leaks its own socket.
    """
    if not base_url.startswith(_UNIX):
        return
    with socket.socket(socket.AF_UNIX) as knock:
        knock.settimeout(_SECONDS)
        try:
            knock.connect(base_url.partition("://")[2])
        except OSError as error:
            raise EngineError(_explain(error, f"connecting to {base_url}")) from error


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """The engine's failures as the lab's own, each with its next step.

    Raises:
        EngineError: it can't be reached or refuses.
        DeadlineExceeded: it took too long.
    """
    try:
        yield
    except requests.exceptions.Timeout as error:
        raise DeadlineExceeded(f"the container engine took too long while {doing}") from error
    except (docker_errors.DockerException, requests.exceptions.RequestException) as error:
        raise EngineError(_explain(error, doing)) from error


def _explain(error: Exception, doing: str) -> str:
    if isinstance(error, docker_errors.APIError) and error.explanation:
        return f"the container engine refused while {doing}: {error.explanation}"
    cause = _os_error(error)
    if cause is not None and cause.errno in {errno.EACCES, errno.EPERM}:
        return f"no permission to use the container engine ({cause.strerror}) while {doing}. Next: {_NO_PERMISSION}"
    if cause is not None:
        return f"no container engine answers ({cause.strerror or cause}) while {doing}. Next: {_NO_ENGINE}"
    return f"the container engine failed while {doing}: {error}. Next: {_NO_ENGINE}"


def _os_error(error: BaseException) -> OSError | None:
    """The operating system's error somewhere below; the libraries put it into causes, contexts, reasons and arguments."""
    seen: set[int] = set()
    pending: list[object] = [error]
    while pending:
        one = pending.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, OSError) and one.errno is not None:
            return one
        pending += [one.__cause__, one.__context__, *one.args, getattr(one, "reason", None)]
    return None
