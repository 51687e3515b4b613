"""What is left of a file without its invalid parts, so that the mistakes that only planning finds are said in the same run."""

from collections.abc import Sequence

from pydantic import ValidationError

from mtls_runner.language.scenario import Scenario
from mtls_runner.language.source import Value

__all__ = ["salvage"]

#: Taking a part away may show that another one is missing.
_ROUNDS = 4


def salvage(value: Value, error: ValidationError) -> tuple[Scenario | None, Sequence[int]]:
    """The scenario without the parts that ``error`` names, and where in the file each of its cases stood.

    ``value`` is changed. ``None`` where nothing sensible is left.
    """
    indices = list(range(len(value["cases"]))) if isinstance(value, dict) and isinstance(value.get("cases"), list) else []
    for _ in range(_ROUNDS):
        dropped: set[int] = set()
        for details in error.errors(include_input=False, include_url=False, include_context=False):
            _drop(value, details["loc"], details["type"] == "missing", dropped)
        if isinstance(value, dict) and isinstance(value.get("cases"), list):
            cases = value["cases"]
            value["cases"] = [case for number, case in enumerate(cases) if number not in dropped]
            indices = [at for number, at in enumerate(indices) if number not in dropped]
        try:
            return Scenario.model_validate(value), indices
        except ValidationError as again:
            error = again
    return None, indices


def _drop(value: Value, loc: Sequence[str | int], missing: bool, dropped: set[int]) -> None:
    """Takes the smallest entry of a mapping away that holds the mistake; of the list of cases, the whole case."""
    holder: dict[str, Value] | None = None
    key, at = "", value
    path = loc[:-1] if missing else loc
    for depth, part in enumerate(path):
        if isinstance(at, dict) and isinstance(part, str) and part in at:
            holder, key, at = at, part, at[part]
        elif isinstance(at, list) and isinstance(part, int) and part < len(at):
            at = at[part]
            if depth == 1 and path[0] == "cases":
                holder, key = None, str(part)
        else:
            break
    if holder is not None:
        holder.pop(key, None)
    elif key:
        dropped.add(int(key))
