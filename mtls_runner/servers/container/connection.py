"""How the engine is reached, and its failures in the lab's own words.

The engine is found as the docker CLI finds it: ``DOCKER_HOST``, then ``DOCKER_CONTEXT`` or the current context, then the
default socket.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import DeadlineExceeded, EngineError
from mtls_runner.servers.container.answer import NoAnswer
from mtls_runner.servers.container.api import EngineApi, Refused

if TYPE_CHECKING:
    from docker.tls import TLSConfig

__all__ = ["EngineConnection", "translated"]

_LOCAL = (
    "unix://",
    "http+unix://",
    *(f"{s}://{h}" for s in ("tcp", "http", "https") for h in ("127.0.0.1", "localhost", "[::1]")),
)
_DEFAULT_SOCKET = "unix:///var/run/docker.sock"
_TLS = ("DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")
_SECONDS = 60.0
_NO_ENGINE = (
    "start Docker (Docker Desktop, or `sudo systemctl start docker`), install it if it is missing, "
    "or point DOCKER_HOST or `docker context use` at a running local engine"
)
_NO_PERMISSION = (
    "add yourself to the docker group (`sudo usermod -aG docker $USER`, then log in again), or use rootless Docker"
)


class EngineConnection(Struct, frozen=True):
    """Where the engine listens, and the API version that it speaks.

    Args:
        base_url: as ``DOCKER_HOST``.
        tls: how to speak TLS with it; ``None``: plain.
        api_version: of the Engine API.
        engine_version: of the engine itself.
    """

    base_url: str
    tls: TLSConfig | None = None
    api_version: str = ""
    engine_version: str = ""

    @classmethod
    def find(cls, deadline: Deadline | None = None) -> EngineConnection:
        """The engine that the docker CLI would use, asked for its version.

        Raises:
            EngineError: there is none, no permission, or it is on another machine.
            DeadlineExceeded: it does not answer.
        """
        found = cls(*_endpoint())
        with translated(f"connecting to {found.base_url}"):
            told = found.api(deadline).ask("GET", "/_ping").headers()
        # "Server: Docker/20.10.24 (linux)"
        version = told.get("server", "").partition("/")[2].partition(" ")[0]
        return cls(found.base_url, found.tls, told.get("api-version", ""), version)

    def api(self, deadline: Deadline | None = None) -> EngineApi:
        """To ask it; each answer comes until the deadline."""
        seconds = _SECONDS if deadline is None else max(1.0, deadline.remaining())
        return EngineApi(self.base_url, self.tls, self.api_version, seconds)


def _endpoint() -> tuple[str, TLSConfig | None]:
    base_url, tls = os.environ.get("DOCKER_HOST", ""), None
    if any(os.environ.get(name) for name in _TLS) if base_url else _names_a_context():
        base_url, tls = _as_docker_has_it()
    if "://" in base_url and not base_url.startswith(_LOCAL):
        raise EngineError(
            f"the container engine {base_url} is on another machine: ports published on its loopback can't be reached "
            "from here. Next: use a local engine (`docker context use default`, or unset DOCKER_HOST)"
        )
    return base_url or _DEFAULT_SOCKET, tls


def _names_a_context() -> bool:
    """Whether there may be one; it is for the docker package to say which."""
    if os.environ.get("DOCKER_CONTEXT"):
        return True
    try:
        settings = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
        return json.loads(settings.read_bytes()).get("currentContext") not in (None, "", "default")
    except (FileNotFoundError, RuntimeError):
        return False
    except (OSError, ValueError, AttributeError):
        return True


def _as_docker_has_it() -> tuple[str, TLSConfig | None]:
    from docker.context import ContextAPI
    from docker.errors import DockerException
    from docker.utils import kwargs_from_env

    name = os.environ.get("DOCKER_CONTEXT") or None
    try:
        if os.environ.get("DOCKER_HOST"):
            found = kwargs_from_env()
            return found["base_url"], found.get("tls")
        context = ContextAPI.get_context(name)
    except (DockerException, OSError, ValueError) as error:
        raise EngineError(f"it can't be told which container engine to use: {error}") from error
    if context is None:
        raise EngineError(f"there is no docker context {name or '(the current one)'}; `docker context ls` lists them")
    return context.Host or "", context.TLSConfig


@contextlib.contextmanager
def translated(doing: str) -> Iterator[None]:
    """The engine's failures as the lab's own, each with its next step.

    Raises:
        EngineError: it can't be reached or refuses.
        DeadlineExceeded: it took too long.
    """
    try:
        yield
    except TimeoutError as error:
        raise DeadlineExceeded(f"the container engine took too long while {doing}") from error
    except Refused as error:
        raise EngineError(f"the container engine refused while {doing}: {error.message}") from error
    except (OSError, NoAnswer) as error:
        raise EngineError(_explain(error, doing)) from error


def _explain(error: Exception, doing: str) -> str:
    if not isinstance(error, OSError) or error.errno is None:
        return f"the container engine failed while {doing}: {error!r}. Next: {_NO_ENGINE}"
    if error.errno in {errno.EACCES, errno.EPERM}:
        return f"no permission to use the container engine ({error.strerror}) while {doing}. Next: {_NO_PERMISSION}"
    return f"no container engine answers ({error.strerror or error}) while {doing}. Next: {_NO_ENGINE}"
