"""lab.yaml: defaults and shared descriptions for a tree of scenarios, and which value came from where."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import ValidationError, model_validator

from mtls_runner.errors import ScenarioError
from mtls_runner.language.certificate import Certificate, CertificateSettings
from mtls_runner.language.diagnose import diagnose
from mtls_runner.language.document import Document
from mtls_runner.language.endpoint import ClientSettings, ServerSettings
from mtls_runner.language.options import native
from mtls_runner.language.source import read
from mtls_runner.language.values import Id, Maybe, Strict, Text, about, bounded
from mtls_runner.registry import Registry
from mtls_runner.runtimes.container_options import ContainerOptions

__all__ = [
    "IMAGE_VARIABLE",
    "LAB_FILE",
    "Defaults",
    "EngineSettings",
    "LabFile",
    "LabYaml",
    "find_lab",
    "load_lab",
]

LAB_FILE = "lab.yaml"
IMAGE_VARIABLE = "MTLS_RUN_IMAGE"


class Defaults(Strict):
    """What every scenario of the tree starts from."""

    server: Maybe[ServerSettings] = about("For every server.", {"tls": ["TLSv1.2", "TLSv1.3"]})
    client: Maybe[ClientSettings] = about("For every client.", {"tool": "python", "timeout": 10})
    certificate: Maybe[CertificateSettings] = about(
        "For every authority and leaf that is generated.", {"key": "ec-p256"}
    )


class EngineSettings(Strict, ContainerOptions):
    """Containers."""

    image: Maybe[Text] = about("The image of containers.", "nginx:1.27")

    @model_validator(mode="before")
    @classmethod
    def _as_python_has_it(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: native(item) if key in ContainerOptions.model_fields else item for key, item in value.items()}


class LabFile(Strict):
    """Defaults and shared descriptions for a tree of scenarios."""

    defaults: Maybe[Defaults] = about("What every scenario starts from.", {"client": {"timeout": 10}})
    engine: Maybe[EngineSettings] = about("The container engine.", {"image": "nginx:1.27"})
    jobs: Annotated[int | None, bounded(1, 256)] = about("Cases that run at the same time; -j overrides it.", 1)
    artifacts: Maybe[Text] = about("Where --keep puts material, relative to lab.yaml.", ".mtls-run")
    authorities: Maybe[dict[Id, Certificate]] = about(
        "Authorities that scenarios may name.", {"corp": {"subject": "CN=Corp"}}
    )
    leaves: Maybe[dict[Id, Certificate]] = about("Leaves that scenarios may name.", {"monitor": {"issuer": "corp"}})


@dataclass(slots=True)
class LabYaml:
    """A lab.yaml that was read, or none."""

    document: Document | None = None
    file: LabFile = field(default_factory=LabFile)

    @property
    def defaults(self) -> Defaults:
        """What every scenario starts from."""
        return self.file.defaults or Defaults()

    @property
    def engine(self) -> EngineSettings:
        """The container engine's settings."""
        return self.file.engine or EngineSettings()


def find_lab(start: Path) -> Path | None:
    """The lab.yaml that a scenario at ``start`` belongs to: in its directory or above, up to the repository's root (the
    directory that holds ``.git``), the file system's boundary or the root."""
    directory = start.resolve().parent
    try:
        device = directory.stat().st_dev
    except OSError:
        return None
    for candidate in (directory, *directory.parents):
        try:
            if candidate.stat().st_dev != device:
                return None
        except OSError:
            return None
        if (candidate / LAB_FILE).is_file():
            return candidate / LAB_FILE
        if (candidate / ".git").exists():
            return None
    return None


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
    return _load(_shown(path), path, status.st_mtime_ns, status.st_size, known)


def _shown(path: Path) -> Path:
    """As a person would write it from where they are."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


@lru_cache(maxsize=16)
def _load(shown: Path, path: Path, modified: int, size: int, known: Registry) -> LabYaml:
    del path, modified, size  # only what the cache tells files apart by
    document = read(shown)
    try:
        file = LabFile.model_validate(document.value, context=known)
    except ValidationError as error:
        raise ScenarioError([*document.problems, *diagnose(error, document, LabFile)]) from None
    if document.problems:
        raise ScenarioError(document.problems)
    return LabYaml(document, file)
