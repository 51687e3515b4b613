"""Backends and clients by name, for tests that describe an end themselves."""

from __future__ import annotations

from mtls_runner.model.traits import BackendTraits, ClientTraits
from mtls_runner.registry import registry


def backend(name: str) -> BackendTraits:
    return registry().backends[name]


def tool(name: str) -> ClientTraits:
    return registry().clients[name]
