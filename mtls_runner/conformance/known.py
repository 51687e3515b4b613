"""What the catalogue can be run on: what comes with packages, and by name what the tree of the working directory declares."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from msgspec.structs import replace

from mtls_runner.language import Overrides
from mtls_runner.language.implementations.reading import read_implementation, shipped
from mtls_runner.language.tree import known_to, of_tree
from mtls_runner.model.implementation import Implementation
from mtls_runner.registry import Registry
from mtls_runner.registry.additions import declaration_files

__all__ = ["declaration", "declaration_file", "nameable", "of_this_tree"]


def nameable() -> Registry:
    """All of them. Who names one of the tree's has it run: that is consent enough."""
    return _known(_here())


def of_this_tree(overrides: Overrides) -> Overrides:
    """The same for a file of the catalogue, which lies elsewhere."""
    here = _here()
    if not _declared(here):
        return overrides
    return replace(overrides, allow_commands=True, tree=here)


def declaration_file(name: str) -> Path | None:
    """The file that declares it; ``None``: none does."""
    path = declaration_files().get(name)
    return Path(path) if path is not None else _declared(_here()).get(name)


def declaration(name: str) -> Implementation | None:
    """What a file says of a server or client; ``None``: none does.

    Raises:
        ScenarioError: the file is invalid.
    """
    path = declaration_file(name)
    if path is None:
        return None
    return shipped(path, name) if name in declaration_files() else read_implementation(path)


def _here() -> Path:
    return Path.cwd() / "scenario.yaml"


@lru_cache(maxsize=2)
def _declared(here: Path) -> Mapping[str, Path]:
    return of_tree(here)


@lru_cache(maxsize=2)
def _known(here: Path) -> Registry:
    return known_to(here, consent=bool(_declared(here)))
