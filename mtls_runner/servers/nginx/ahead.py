"""A container that is asked for before anybody has read the scenario: that takes as long as the engine needs to start one.

Its nginx waits at the gate (:mod:`~mtls_runner.servers.nginx.gate`). Who turns out to need just such a container takes it; if
nobody does, it goes again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from importlib import import_module

from msgspec import Struct

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.private_files import private_directory
from mtls_runner.servers.container.engine import Engine
from mtls_runner.servers.container.image import Image
from mtls_runner.servers.container.spec import ContainerSpec
from mtls_runner.servers.nginx.gate import WaitingContainer
from mtls_runner.servers.nginx.surroundings import CAPABILITIES, FIRST_PORT

__all__ = ["begun", "connected", "plain", "taken"]

_START_SECONDS = 60.0
_PATIENCE = 1.0
"""Seconds in which an engine says that it is there: whoever needs it waits longer."""


class _Begun(Struct):
    engine: Engine
    spec: ContainerSpec
    waiting: WaitingContainer | None


_BEGUN: list[_Begun] = []
"""One at most: a process runs one scenario after the other."""
_LOCK = threading.Lock()


@contextlib.contextmanager
def begun(reference: str) -> Iterator[None]:
    """In this block the container of one generated server is on its way, if there are an engine, which can share files, and that
    image; nothing is pulled, and nobody is told what is wrong with them.

    Args:
        reference: the image's.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(LabError):
            engine = Engine.connect(Deadline.after(_PATIENCE))
            image = engine.image(reference, pull=False)
            if engine.may_share_files and image.runs_as_root:
                spec = plain(image)
                directory = stack.enter_context(private_directory())
                waiting = WaitingContainer(engine, spec, directory, Deadline.after(_START_SECONDS))
                stack.callback(waiting.close)
                import_module("mtls_runner.servers.nginx.backend")  # will be needed, and the engine is still making it
                waiting.start()
                _BEGUN.append(_Begun(engine, spec, waiting))
                stack.callback(_BEGUN.clear)
        yield


def connected() -> Engine | None:
    """The engine that was asked; ``None``: none was."""
    with _LOCK:
        return _BEGUN[0].engine if _BEGUN else None


def taken(spec: ContainerSpec) -> WaitingContainer | None:
    """The container, if it is such a one; it is given once, and whoever has it closes it."""
    with _LOCK:
        for one in _BEGUN:
            if one.spec == spec:
                waiting, one.waiting = one.waiting, None
                return waiting
    return None


def plain(image: Image) -> ContainerSpec:
    """What one server whose configuration is generated runs in, but for its files."""
    return ContainerSpec(image=image.reference, port=FIRST_PORT, user=image.user, capabilities=CAPABILITIES)
