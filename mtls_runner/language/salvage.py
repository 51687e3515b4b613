"""What is left of a file without its invalid parts, so that the mistakes that only planning finds are said in the same run."""

from collections.abc import Sequence

from pydantic import ValidationError

from mtls_runner.language.document import Value
from mtls_runner.language.scenario import Scenario
from mtls_runner.registry import Registry

__all__ = ["salvage"]

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
