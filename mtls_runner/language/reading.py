"""Path → plan: read, validate, plan, check."""

from pathlib import Path

from pydantic import ValidationError

from mtls_runner.errors import ScenarioError
from mtls_runner.language.context import Context
from mtls_runner.language.diagnose import diagnose
from mtls_runner.language.implementations.discovery import known_to
from mtls_runner.language.lab import LabYaml, load_lab
from mtls_runner.language.overrides import Overrides
from mtls_runner.language.plan import plan
from mtls_runner.language.problems import Problems
from mtls_runner.language.salvage import salvage
from mtls_runner.language.scenario import Scenario
from mtls_runner.language.source import read
from mtls_runner.model.case import Plan
from mtls_runner.registry import Registry
from mtls_runner.runtimes.consent import given

__all__ = ["load_plan"]


def load_plan(path: Path, overrides: Overrides) -> Plan:
    """See :func:`mtls_runner.language.load`."""
    consent = overrides.allow_commands or given()
    known = known_to(path, consent=consent)
    _check_names(overrides, known)
    document = read(path)
    found = list(document.problems)
    lab, scenario, indices = LabYaml(), None, None
    try:
        lab = load_lab(path, known)
    except ScenarioError as error:
        found += error.diagnostics
    try:
        scenario = Scenario.model_validate(document.value, context=known)
    except ValidationError as error:
        found += diagnose(error, document, Scenario)
        scenario, indices = salvage(document.value, error, known)
    if scenario is None:
        raise ScenarioError(found)
    context = Context(document, scenario, lab, overrides, known, Problems(partial=bool(found)), indices)
    context.problems.add(found)
    result = plan(context)
    if context.problems.errors:
        raise ScenarioError(context.problems.errors)
    return result


def _check_names(overrides: Overrides, known: Registry) -> None:
    if overrides.backend is not None:
        known.backends.named(overrides.backend)
    if overrides.tool is not None:
        known.clients.named(overrides.tool)
