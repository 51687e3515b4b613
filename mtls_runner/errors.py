"""Every exception that this package raises on purpose.

::

    MtlsRunError
    ├── UsageError            the command line, or a call of the API, is wrong        (exit 2)
    ├── ScenarioError         scenario files or lab.yaml are invalid: .diagnostics    (exit 2)
    └── LabError              the lab itself is broken: no verdict can be given       (exit 3)
        ├── MaterialError     keys or certificates can't be made, read or stored
        │   └── FileUnusable  an end can't be given a file of the user's: .reason
        ├── EngineError       the container engine can't be reached or refuses
        ├── ServerUnusable    a server can't start with what it was given: .reason
        └── DeadlineExceeded  a time limit of the lab's own passed

A refusal by a server or a client is never an exception: it is what the lab is there to observe.
"""

from __future__ import annotations

from collections.abc import Sequence

from mtls_runner.reason import Reason
from mtls_runner.span import Diagnostic

__all__ = [
    "DeadlineExceeded",
    "EngineError",
    "FileUnusable",
    "LabError",
    "MaterialError",
    "MtlsRunError",
    "ScenarioError",
    "ServerUnusable",
    "UsageError",
]


class MtlsRunError(Exception):
    """Base of all."""

    exit_code = 3


class UsageError(MtlsRunError):
    """The command line, or a call of the API, is wrong."""

    exit_code = 2


class ScenarioError(MtlsRunError):
    """A file that a person wrote is invalid; all its mistakes are in ``diagnostics``."""

    exit_code = 2

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("; ".join(f"{d.span}: {d.message}" if d.span else d.message for d in self.diagnostics))


class LabError(MtlsRunError):
    """The lab itself is broken, so that no verdict can be given."""


class MaterialError(LabError):
    """Keys or certificates can't be made, read or stored."""


class FileUnusable(MaterialError):
    """An end can't be given a file of the user's: it would hang there, or nothing can convert it to what the end loads.

    Args:
        message: with the file's name.
        reason: ``missing-file``, …
    """

    def __init__(self, message: str, *, reason: Reason) -> None:
        self.reason = reason
        super().__init__(message)


class EngineError(LabError):
    """The container engine can't be reached, lacks the image or refuses; the text names the next step."""


class ServerUnusable(LabError):
    """A server can't start with the configuration or material it was given.

    Args:
        message: what the server itself said.
        reason: ``wrong-passphrase``, …
        log: the server's own words, line by line.
    """

    def __init__(self, message: str, *, reason: Reason, log: Sequence[str] = ()) -> None:
        self.reason = reason
        self.log = tuple(log)
        super().__init__(message)


class DeadlineExceeded(LabError):
    """A time limit of the lab's own passed."""
