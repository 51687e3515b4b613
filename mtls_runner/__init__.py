"""A declarative, YAML-driven mutual TLS lab that says who refused whom, and why.

The public names are those of ``__all__``; each is imported from its room at its first use, so that importing this package
costs nothing.

>>> from pathlib import Path
>>> from mtls_runner import load, run
>>> plan = load(Path("scenarios/basic.yaml"))
>>> events = list(run([plan]))
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing's own costs an import
if TYPE_CHECKING:
    from mtls_runner.engine import RunOptions, run
    from mtls_runner.engine.lab import Lab
    from mtls_runner.errors import (
        DeadlineExceeded,
        EngineError,
        LabError,
        MaterialError,
        MtlsRunError,
        ScenarioError,
        ServerUnusable,
        UsageError,
    )
    from mtls_runner.language import Overrides, load
    from mtls_runner.model.case import Case, Plan
    from mtls_runner.model.observation import ClientView, Observation, Outcome, Reason, ServerView
    from mtls_runner.model.port import Client, Reporter, ServerBackend
    from mtls_runner.model.verdict import (
        CaseFinished,
        CaseStarted,
        Event,
        Mismatch,
        Noted,
        PlanFinished,
        PlanStarted,
        Progress,
        RunFinished,
        RunStarted,
        Status,
        Verdict,
    )

__all__ = [
    "Case",
    "CaseFinished",
    "CaseStarted",
    "Client",
    "ClientView",
    "DeadlineExceeded",
    "EngineError",
    "Event",
    "Lab",
    "LabError",
    "MaterialError",
    "Mismatch",
    "MtlsRunError",
    "Noted",
    "Observation",
    "Outcome",
    "Overrides",
    "Plan",
    "PlanFinished",
    "PlanStarted",
    "Progress",
    "Reason",
    "Reporter",
    "RunFinished",
    "RunOptions",
    "RunStarted",
    "ScenarioError",
    "ServerBackend",
    "ServerUnusable",
    "ServerView",
    "Status",
    "UsageError",
    "Verdict",
    "__version__",
    "load",
    "run",
]

_HOMES = {
    "Case": "model.case",
    "CaseFinished": "model.verdict",
    "CaseStarted": "model.verdict",
    "Client": "model.port",
    "ClientView": "model.observation",
    "DeadlineExceeded": "errors",
    "EngineError": "errors",
    "Event": "model.verdict",
    "Lab": "engine.lab",
    "LabError": "errors",
    "MaterialError": "errors",
    "Mismatch": "model.verdict",
    "MtlsRunError": "errors",
    "Noted": "model.verdict",
    "Observation": "model.observation",
    "Outcome": "model.observation",
    "Overrides": "language",
    "Plan": "model.case",
    "PlanFinished": "model.verdict",
    "PlanStarted": "model.verdict",
    "Progress": "model.verdict",
    "Reason": "model.observation",
    "Reporter": "model.port",
    "RunFinished": "model.verdict",
    "RunOptions": "engine",
    "RunStarted": "model.verdict",
    "ScenarioError": "errors",
    "ServerBackend": "model.port",
    "ServerUnusable": "errors",
    "ServerView": "model.observation",
    "Status": "model.verdict",
    "UsageError": "errors",
    "Verdict": "model.verdict",
    "load": "language",
    "run": "engine",
}

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
