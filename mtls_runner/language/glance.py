"""What is seen of a scenario before it is read and checked: where its lab.yaml is, and at a glance what serves its cases.

The glance is for who begins early what takes long. Where it is wrong, that was in vain, and nothing else comes of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from msgspec import Struct

from mtls_runner.errors import ScenarioError, UsageError
from mtls_runner.language.document import Value, read
from mtls_runner.model.traits import Runtime
from mtls_runner.registry import registry

__all__ = ["IMAGE_VARIABLE", "LAB_FILE", "Glance", "above", "find_lab", "foreseen"]

LAB_FILE = "lab.yaml"
IMAGE_VARIABLE = "MTLS_RUN_IMAGE"
"""The environment variable of the image that ``engine:`` of lab.yaml names."""
_LONGEST = 1 << 16
"""Bytes of a file that is looked at: it will be read once more."""
_KEY = b"backend"


def find_lab(start: Path) -> Path | None:
    """The lab.yaml that a scenario at ``start`` belongs to: the nearest one above it."""
    return next((directory / LAB_FILE for directory in above(start) if (directory / LAB_FILE).is_file()), None)


def above(start: Path) -> Iterator[Path]:
    """The scenario's directory and those above it, up to the repository's root (the directory that holds ``.git``), the file
    system's boundary or the root."""
    directory = start.resolve().parent
    try:
        device = directory.stat().st_dev
        for candidate in (directory, *directory.parents):
            if candidate.stat().st_dev != device:
                return
            yield candidate
            if (candidate / ".git").exists():
                return
    except OSError:
        return


class Glance(Struct, frozen=True):
    """The one server of a scenario.

    Args:
        server: what is written of it; what lab.yaml has for every server is in it.
        engine: lab.yaml's settings of containers.
    """

    server: Mapping[str, Value]
    engine: Mapping[str, Value]


def _at_scenario(path: Path, *, backend_is_known: bool) -> Glance | None:
    """The server that all cases of a scenario have; ``None``: they have several, it can't be told, or nothing names a backend.

    Args:
        path: the scenario.
        backend_is_known: somebody else names it.
    """
    try:
        files = [file for file in (path, find_lab(path)) if file is not None]
        if any(file.stat().st_size > _LONGEST for file in files):
            return None
        if not backend_is_known and not any(_KEY in file.read_bytes() for file in files):
            return None
        documents = [read(file) for file in files]
    except (OSError, ScenarioError):
        return None
    if any(document.problems for document in documents):
        return None
    scenario, *above_it = (_mapping(document.value) for document in documents)
    lab = above_it[0] if above_it else {}
    cases = scenario.get("cases")
    varied = [scenario, *map(_mapping, cases if isinstance(cases, list) else ())]
    if "server" not in scenario or "servers" in scenario or any(map(_varies, varied)) or any(map(_has_own, varied[1:])):
        return None
    defaults = _mapping(_mapping(lab.get("defaults")).get("server"))
    return Glance({**defaults, **_mapping(scenario["server"])}, _mapping(lab.get("engine")))


def _mapping(value: Value) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}


def _has_own(case: Mapping[str, Value]) -> bool:
    return "server" in case


def _varies(holder: Mapping[str, Value]) -> bool:
    """Whether a matrix makes several servers of it."""
    return any(axis.partition(".")[0] == "server" for axis in _mapping(holder.get("matrix")))


_PLAIN_ONLY = ("config", "files", "upstreams", "port", "options", "ocsp", "stapling", "virtual_hosts")
"""Of a server: with any of these it needs more than an image."""


def foreseen(
    paths: Sequence[str], backend: str | None, image: str | None, runtime: str | None
) -> AbstractContextManager[None] | None:
    """What takes long and may begin before the scenario is read: in its block it is on its way, or here, and what nobody has
    needed is gone at the end; ``None``: nothing does.

    Args:
        paths: as typed; something begins only for one file alone.
        backend, image, runtime: as typed.
    """
    path = Path(paths[0].partition("::")[0]) if len(paths) == 1 else None
    if path is None or not path.is_file():
        return None
    seen = _at_scenario(path, backend_is_known=backend is not None)
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
