"""Path → plan: read, validate, plan, check."""

from pathlib import Path

from pydantic import ValidationError

from mtls_runner.errors import ScenarioError
from mtls_runner.language.context import Context
from mtls_runner.language.diagnose import diagnose
from mtls_runner.language.lab import Lab
from mtls_runner.language.overrides import Overrides
from mtls_runner.language.plan import Planner
from mtls_runner.language.scenario import Scenario
from mtls_runner.language.source import read
from mtls_runner.model.case import Plan

__all__ = ["load_plan"]


def load_plan(path: Path, overrides: Overrides) -> Plan:
    """See :func:`mtls_runner.language.load`."""
    document = read(path)
    try:
        scenario = Scenario.model_validate(document.value)
    except ValidationError as error:
        raise ScenarioError([*document.problems, *diagnose(error, document, Scenario)]) from None
    context = Context(document, scenario, Lab(), overrides)
    context.problems.add(document.problems)
    plan = Planner(context).plan()
    if context.problems.errors:
        raise ScenarioError(context.problems.errors)
    return plan
