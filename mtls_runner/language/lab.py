"""lab.yaml: defaults and shared descriptions for a tree of scenarios, and which value came from where."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from mtls_runner.language.certificate import Certificate
from mtls_runner.language.endpoint import ClientSettings, ServerSettings
from mtls_runner.language.source import Document
from mtls_runner.language.values import Id, Maybe, Seconds, Strict, Text, about, bounded, word

__all__ = ["DEFAULT_IMAGE", "IMAGE_VARIABLE", "LAB_FILE", "Defaults", "EngineSettings", "Lab", "LabFile", "find_lab"]

LAB_FILE = "lab.yaml"
DEFAULT_IMAGE = "nginx:1.27"
IMAGE_VARIABLE = "MTLS_RUN_IMAGE"
_PULL = {name: name for name in ("missing", "never", "always")}


class Defaults(Strict):
    """What every scenario of the tree starts from."""

    server: Maybe[ServerSettings] = about("For every server.", {"tls": ["TLSv1.2", "TLSv1.3"]})
    client: Maybe[ClientSettings] = about("For every client.", {"tool": "python", "timeout": 10})
    certificate: Maybe[Certificate] = about("For every authority and leaf that is generated.", {"key": "ec-p256"})


class EngineSettings(Strict):
    """The container engine."""

    image: Maybe[Text] = about("The image of containers.", "nginx:1.27")
    pull: Annotated[str | None, word(_PULL, "a way to pull")] = about("When the image is pulled.", "missing")
    memory: Maybe[Text] = about("Memory limit of a container.", "128m")
    pids: Annotated[int | None, bounded(1, 4096)] = about("Process limit of a container.", 64)
    start_timeout: Maybe[Seconds] = about("Seconds within which a container is ready.", 20)


class LabFile(Strict):
    """Defaults and shared descriptions for a tree of scenarios."""

    defaults: Maybe[Defaults] = about("What every scenario starts from.", {"client": {"timeout": 10}})
    engine: Maybe[EngineSettings] = about("The container engine.", {"image": "nginx:1.27"})
    jobs: Annotated[int | None, bounded(1, 256)] = about("Cases that run at the same time; -j overrides it.", 1)
    artifacts: Maybe[Text] = about("Where --keep puts material, relative to lab.yaml.", ".mtls-run")
    authorities: Maybe[dict[Id, Certificate]] = about("Authorities that scenarios may name.", {"corp": {"subject": "CN=Corp"}})
    leaves: Maybe[dict[Id, Certificate]] = about("Leaves that scenarios may name.", {"monitor": {"issuer": "corp"}})


@dataclass(slots=True)
class Lab:
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
