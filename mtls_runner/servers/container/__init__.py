"""Containers on a local Docker Engine; nothing outside this package knows the ``docker`` package."""

from mtls_runner.servers.container.connection import Connection
from mtls_runner.servers.container.engine import Container, ContainerFile, ContainerSpec, Engine, sweep
from mtls_runner.servers.container.image import Image, PullProgress
from mtls_runner.servers.container.log_stream import LogStream

__all__ = [
    "Connection",
    "Container",
    "ContainerFile",
    "ContainerSpec",
    "Engine",
    "Image",
    "LogStream",
    "PullProgress",
    "sweep",
]
