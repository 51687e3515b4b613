"""Path → plan: read, validate what is valid, plan, check; every mistake of a file is told at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mtls_runner.errors import ScenarioError
from mtls_runner.language import Overrides
from mtls_runner.language.context import Context
from mtls_runner.language.diagnose import diagnose
from mtls_runner.language.document import Document, Problems, Value
from mtls_runner.language.implementations.discovery import known_to
from mtls_runner.language.lab import LabYaml, load_lab
from mtls_runner.language.plan import plan
from mtls_runner.language.scenario import Scenario
from mtls_runner.language.source import read
from mtls_runner.model.case import Plan
from mtls_runner.registry import Registry
from mtls_runner.runtimes.consent import given

__all__ = ["TreeSettings", "load_plan", "planned", "tree_settings"]

_LOOK = "# look:"
"""What only :mod:`mtls_runner.language.recording` needs to be loaded for."""


def load_plan(path: Path, overrides: Overrides) -> Plan:
    """See :func:`mtls_runner.language.load`."""
    return planned(read(path), overrides)


def planned(document: Document, overrides: Overrides, *, recording: bool = False) -> Plan:
    """A document, resolved.

    Args:
        document: of a scenario file.
        overrides: what the command line sets.
        recording: expectations may be missing: they are to be written.

    Raises:
        ScenarioError, UsageError: as :func:`mtls_runner.language.load`.
    """
    path = document.path
    consent = overrides.allow_commands or given()
    known = known_to(path, consent=consent)
    _check_names(overrides, known)
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
    context.recording = recording
    context.problems.add(found)
    if _LOOK in document.text:
        from mtls_runner.language.recording import looks

        context.problems.add(looks(document))
    result = plan(context)
    if context.problems.errors:
        raise ScenarioError(context.problems.errors)
    return result


def _check_names(overrides: Overrides, known: Registry) -> None:
    if overrides.backend is not None:
        known.backends.named(overrides.backend)
    if overrides.tool is not None:
        known.clients.named(overrides.tool)


#: Taking a part away may show that another one is missing.
_ROUNDS = 4


def salvage(value: Value, error: ValidationError, known: Registry) -> tuple[Scenario | None, Sequence[int]]:
    """The scenario without the parts that ``error`` names, and where in the file each of its cases stood.

    ``value`` is changed; ``known`` is what a scenario can name. ``None`` where nothing sensible is left.
    """
    indices = list(range(len(_cases(value) or ())))
    for _ in range(_ROUNDS):
        dropped: set[int] = set()
        for details in error.errors(include_input=False, include_url=False, include_context=False):
            _drop(value, details["loc"], details["type"] == "missing", dropped)
        cases = _cases(value)
        if cases is not None:
            cases[:] = [case for number, case in enumerate(cases) if number not in dropped]
            indices = [at for number, at in enumerate(indices) if number not in dropped]
        try:
            return Scenario.model_validate(value, context=known), indices
        except ValidationError as again:
            error = again
    return None, indices


def _drop(value: Value, loc: Sequence[str | int], missing: bool, dropped: set[int]) -> None:
    """Takes the smallest entry of a mapping away that holds the mistake; of the list of cases, the whole case."""
    holder: dict[str, Value] | None = None
    key, at = "", value
    cases = _cases(value)
    if missing and cases is not None and len(loc) == 3 and loc[0] == "cases" and isinstance(loc[1], int):
        case = cases[loc[1]]
        if isinstance(case, dict):
            case[str(loc[2])] = _stand_in(str(loc[2]), loc[1])
        return
    for part in loc[:-1] if missing else loc:
        if isinstance(at, dict) and isinstance(part, str) and part in at:
            holder, key, at = at, part, at[part]
        elif isinstance(at, list) and isinstance(part, int) and part < len(at):
            at = at[part]
            if holder is value and key == "cases":
                holder = None
        elif not isinstance(part, str) or isinstance(at, dict):
            break
    if holder is None and loc[:1] == ("cases",) and len(loc) > 1 and isinstance(loc[1], int):
        dropped.add(loc[1])
    elif holder is not None:
        del holder[key]


def _cases(value: Value) -> list[Value] | None:
    cases = value.get("cases") if isinstance(value, dict) else None
    return cases if isinstance(cases, list) else None


def _stand_in(key: str, index: str | int) -> Value:
    """So that the rest of a case is still looked at."""
    return "accepted" if key == "expect" else f"case {index}"


@dataclass(frozen=True, slots=True)
class TreeSettings:
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
    artifacts = lab.file.artifacts
    if lab.document is None:
        return TreeSettings()
    return TreeSettings(lab.file.jobs, (lab.document.path.parent / artifacts).resolve() if artifacts else None)
