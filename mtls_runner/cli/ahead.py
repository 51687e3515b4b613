"""What takes long begins while the scenario is still to be read, if a glance at it shows that it will be needed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from mtls_runner.cli import STOP
from mtls_runner.errors import UsageError
from mtls_runner.model.traits import Runtime
from mtls_runner.registry import registry

__all__ = ["begun"]

_PLAIN_ONLY = ("config", "files", "upstreams", "port", "options", "ocsp", "stapling", "virtual_hosts")
"""Of a server: with any of these it needs more than an image."""


@contextmanager
def begun(paths: Sequence[str], backend: str | None, image: str | None, runtime: str | None) -> Iterator[None]:
    """In this block it is on its way, or here; what nobody has needed is gone at the end.

    Args:
        paths: as typed; something begins only for one file alone.
        backend, image, runtime: as typed.
    """
    path = Path(paths[0].partition("::")[0]) if len(paths) == 1 else None
    beginning = _foreseen(path, backend, image, runtime) if path is not None and path.is_file() else None
    if beginning is None:
        yield
        return
    with STOP.cleanly(), beginning:
        yield


def _foreseen(
    path: Path, backend: str | None, image: str | None, runtime: str | None
) -> AbstractContextManager[None] | None:
    from mtls_runner.language.glance import at_scenario

    seen = at_scenario(path, backend_is_known=backend is not None)
    if seen is None or any(key in seen.server for key in _PLAIN_ONLY) or seen.engine.keys() - {"image"}:
        return None
    name = backend or seen.server.get("backend")
    try:
        traits = registry().backends.named(name) if isinstance(name, str) else None
    except UsageError:
        return None
    if traits is None or traits.ahead is None:
        return None
    if (runtime or seen.server.get("runtime") or Runtime.CONTAINER) != Runtime.CONTAINER:
        return None
    named = image or os.environ.get(traits.image_variable) or seen.server.get("image") or seen.engine.get("image")
    return traits.ahead(str(named or traits.image))
