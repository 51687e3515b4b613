"""Declarations in a scenario's tree: ``implementations/NAME/implementation.yaml`` beside it or above."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mtls_runner.errors import UsageError
from mtls_runner.model.traits import BackendTraits, ClientTraits
from mtls_runner.registry import DECLARATION, DECLARED, Registry, declared_backend, declared_client, registry

if TYPE_CHECKING:
    from mtls_runner.model.implementation import Implementation

__all__ = ["FOLDER", "known_to", "of_tree"]

FOLDER = "implementations"


def _above(start: Path) -> Iterator[Path]:
    """The scenario's directory and those above it, up to the repository's root or the file system's boundary, as for lab.yaml."""
    directory = start.resolve().parent
    device = directory.stat().st_dev if directory.is_dir() else None
    for candidate in (directory, *directory.parents):
        if not candidate.is_dir() or candidate.stat().st_dev != device:
            return
        yield candidate
        if (candidate / ".git").exists():
            return


def of_tree(start: Path) -> dict[str, Path]:
    """Name → file, of the declarations that a scenario at ``start`` can name; the nearest counts."""
    found: dict[str, Path] = {}
    shipped = Path(DECLARED).resolve()  # above the catalogue of `conformance`
    for directory in _above(start):
        folder = directory / FOLDER
        if folder.is_dir() and folder != shipped:
            for path in sorted(folder.glob(f"*/{DECLARATION}")):
                found.setdefault(path.parent.name, path)
    return found


def known_to(start: Path, *, consent: bool) -> Registry:
    """What a scenario at ``start`` can name.

    Args:
        start: the scenario file.
        consent: commands that the tree brings may run.

    Raises:
        UsageError: a declaration of the tree takes a name that is taken.
    """
    known = registry(consent=consent)
    tree = of_tree(start)
    if not tree:
        return known
    for name, path in tree.items():
        if name in known.backends or name in known.clients:
            raise UsageError(
                f"{path}: the name {name!r} is taken, by one that comes with mtls-run or was installed; call it otherwise"
            )
    read: dict[str, Implementation] = {}

    def declaration(name: str) -> Implementation:
        from mtls_runner.language.implementations.reading import read_implementation

        if name not in read:
            read[name] = read_implementation(tree[name])
        return read[name]

    def backend(name: str) -> BackendTraits:
        return declared_backend(declaration(name), consent=consent)

    def client(name: str) -> ClientTraits:
        return declared_client(declaration(name), consent=consent)

    # Which of the two it is only its file says; that is read when the name is used.
    backends: dict[str, Callable[[], BackendTraits]] = {name: partial(backend, name) for name in tree}
    clients: dict[str, Callable[[], ClientTraits]] = {name: partial(client, name) for name in tree}
    return Registry(known.backends.extended(backends), known.clients.extended(clients))
