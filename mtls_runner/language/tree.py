"""What a scenario's tree says above it: lab.yaml, with defaults and shared descriptions, and ``implementations/``."""

import os
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from pydantic import ValidationError

from mtls_runner.errors import Diagnostic, ScenarioError, UsageError
from mtls_runner.language.document import Document, EmptyFile, read
from mtls_runner.language.glance import above, find_lab
from mtls_runner.model.traits import BackendTraits, ClientTraits
from mtls_runner.registry import DECLARATION, DECLARED, Registry, declared_backend, declared_client, registry

if TYPE_CHECKING:
    from mtls_runner.language.certificate import CertificateSettings
    from mtls_runner.language.endpoint import ClientSettings, ServerSettings
    from mtls_runner.language.scenario import Defaults, EngineSettings, LabFile
    from mtls_runner.model.implementation import Implementation

__all__ = [
    "FOLDER",
    "LabYaml",
    "TreeSettings",
    "as_shown",
    "known_to",
    "load_lab",
    "of_tree",
    "tree_settings",
]


class LabYaml(Struct):
    """A lab.yaml that was read, or none.

    Args:
        document: with the places.
        file: what it says.
    """

    document: Document | None = None
    file: "LabFile | None" = None

    @property
    def server(self) -> "ServerSettings | None":
        """What every server starts from."""
        return self._defaults.server if self._defaults is not None else None

    @property
    def client(self) -> "ClientSettings | None":
        """What every client starts from."""
        return self._defaults.client if self._defaults is not None else None

    @property
    def certificate(self) -> "CertificateSettings | None":
        """What every authority and leaf that is generated starts from."""
        return self._defaults.certificate if self._defaults is not None else None

    @property
    def engine(self) -> "EngineSettings | None":
        """The container engine's settings."""
        return self.file.engine if self.file is not None else None

    @property
    def _defaults(self) -> "Defaults | None":
        return self.file.defaults if self.file is not None else None


def load_lab(start: Path, known: Registry) -> LabYaml:
    """The lab.yaml above a scenario; an empty one where there is none.

    Args:
        start: the scenario.
        known: what it can name.

    Raises:
        ScenarioError: it is invalid; with every mistake that is in it.
    """
    path = find_lab(start)
    if path is None:
        return LabYaml()
    status = path.stat()
    return _load(as_shown(path), path, status.st_mtime_ns, status.st_size, known)


def as_shown(path: Path) -> Path:
    """As a person would write it from where they are."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@lru_cache(maxsize=16)
def _load(shown: Path, path: Path, modified: int, size: int, known: Registry) -> LabYaml:
    from mtls_runner.language.scenario import LabFile  # few trees have one

    del path, modified, size  # only what the cache tells files apart by
    try:
        document = read(shown)
    except EmptyFile:
        return LabYaml()
    if document.value is None:  # '---' alone
        return LabYaml()
    try:
        file = LabFile.model_validate(document.value, context=known)
    except ValidationError as error:
        from mtls_runner.language.diagnose import diagnose

        raise ScenarioError([*document.problems, *diagnose(error, document, LabFile)]) from None
    key = file.defaults.certificate.key if file.defaults is not None and file.defaults.certificate is not None else None
    if key is not None and (key.file is not None or key.same_as is not None):
        place = document.span(("defaults", "certificate", "key"))
        document.problems.append(Diagnostic("a default key is an algorithm", place, "such as rsa-2048"))
    if document.problems:
        raise ScenarioError(document.problems)
    return LabYaml(document, file)


FOLDER = "implementations"


def of_tree(start: Path) -> dict[str, Path]:
    """Name → file, of the declarations that a scenario at ``start`` can name; the nearest counts."""
    found: dict[str, Path] = {}
    shipped = Path(DECLARED).resolve()  # above the catalogue of `conformance`
    for directory in above(start):
        folder = directory / FOLDER
        if folder.is_dir() and folder != shipped:
            for path in sorted(one / DECLARATION for one in folder.glob("*")):
                if os.path.lexists(path):  # a link that leads nowhere is told to whoever names it
                    found.setdefault(path.parent.name, as_shown(path))
    return found


def known_to(start: Path, *, consent: bool) -> Registry:
    """What a scenario at ``start`` can name.

    Args:
        start: the scenario file.
        consent: commands that the tree brings may run.

    A declaration of the tree whose name is taken is told to whoever names it: a new version of mtls-run may bring one of that
    name, and the tree's other scenarios have nothing to do with it.
    """
    known = registry(consent=consent)
    tree = of_tree(start)
    if not tree:
        return known
    from mtls_runner.registry.additions import CONNECTS, SERVES, has_section

    read: dict[str, Implementation] = {}

    def declaration(name: str) -> "Implementation":
        from mtls_runner.language.implementations.reading import read_implementation

        if name in known.backends or name in known.clients:
            raise UsageError(
                f"{tree[name]}: the name {name!r} is taken, by one that comes with mtls-run or was installed; call it otherwise"
            )
        if name not in read:
            read[name] = read_implementation(tree[name])
        return read[name]

    def backend(name: str) -> BackendTraits:
        return declared_backend(declaration(name), consent=consent)

    def client(name: str) -> ClientTraits:
        return declared_client(declaration(name), consent=consent)

    backends: dict[str, Callable[[], BackendTraits]] = {
        name: partial(backend, name) for name, path in tree.items() if has_section(SERVES, path)
    }
    clients: dict[str, Callable[[], ClientTraits]] = {
        name: partial(client, name) for name, path in tree.items() if has_section(CONNECTS, path)
    }
    return Registry(known.backends.extended(backends), known.clients.extended(clients))


class TreeSettings(Struct, frozen=True):
    """What lab.yaml says to the command line; ``None`` where it says nothing.

    Args:
        jobs: cases at a time.
        artifacts: an absolute directory for what is kept.
    """

    jobs: int | None = None
    artifacts: Path | None = None


def tree_settings(path: Path) -> TreeSettings:
    """Of the lab.yaml above the scenario at ``path``.

    Raises:
        ScenarioError: lab.yaml is invalid.
    """
    lab = load_lab(path, known_to(path, consent=False))
    if lab.document is None or lab.file is None:
        return TreeSettings()
    artifacts = lab.file.artifacts
    return TreeSettings(lab.file.jobs, (lab.document.path.parent / artifacts).resolve() if artifacts else None)
