"""What was seen in all cells of a case, as an author would write it: one expectation, and ``where:`` for what differs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct, field

from mtls_runner.model.case import Case, Plan, Step
from mtls_runner.model.observation import Observation, field_value
from mtls_runner.model.variants import When, coordinates, told_apart
from mtls_runner.record.passes import location
from mtls_runner.snippet import is_secret

if TYPE_CHECKING:
    from mtls_runner.language.emit import Written

__all__ = ["RecordedCell", "Summary", "named_headers", "summary"]

_CONCLUSION = "outcome"
_OK = 200


class _Absent(Enum):
    ABSENT = "absent"


Conclusion: TypeAlias = tuple[str, tuple[str, ...]]
Value: TypeAlias = "str | int | Conclusion | _Absent | None"


class RecordedCell(Struct, frozen=True):
    """A case, or a step of it, in one cell of its matrix.

    Args:
        case, number: which, and the number of the step, from 0.
        seen: once for each pass; empty: it was not run, or broke.
        why: then, why.
        skipped: it can't be run here, by what an end or this machine can do.
        broken: the lab broke, or recognised nothing of what happened.
    """

    case: Case
    number: int
    seen: tuple[Observation, ...] = ()
    why: str = ""
    skipped: bool = False
    broken: bool = False

    @property
    def step(self) -> Step:
        """That step."""
        return self.case.steps[self.number]


class Summary(Struct):
    """What can be written of some cells.

    Args:
        value: the expectation; ``None``: none can be written.
        why: then, why.
        left_out: what was seen, but is not written, as sentences.
    """

    value: Written = None
    why: str = ""
    left_out: list[str] = field(default_factory=list)


def named_headers(plan: Plan) -> tuple[str, ...]:
    """The header fields that expectations in the file name, of what reaches an application."""
    found = {
        check.path.partition(".")[2]
        for case in plan.cases
        for step in case.steps
        for check in step.expect.checks
        if check.path.startswith("upstream_headers.")
    }
    return tuple(sorted(name for name in found if not is_secret(name)))


def summary(cells: Sequence[RecordedCell], headers: Sequence[str]) -> Summary:
    """One expectation for all cells of a case or step; where some of them were skipped, what the others do counts.

    Args:
        cells: at least one.
        headers: names of the upstream header fields that are written.
    """
    result = Summary()
    broken = [cell for cell in cells if not cell.seen and not cell.skipped]
    ran = [cell for cell in cells if cell.seen]
    if broken or not ran:
        result.why = _together(broken or cells)
        return result
    facts: list[dict[str, Value]] = []
    for cell in ran:
        common, differing = _stable([_facts(seen, headers) for seen in cell.seen])
        if _CONCLUSION not in common:
            ends = ", ".join(dict.fromkeys(seen.written for seen in cell.seen))
            result.why = f"it does not always end alike ({ends}){_of(cell, cells)}"
            return result
        result.left_out += [f"{name}: it differs from run to run{_of(cell, cells)}" for name in differing]
        facts.append(common)
    for cell in cells:
        if cell.skipped:
            result.left_out.append(f"what happens{_of(cell, cells) or ' there'}: it was skipped ({cell.why})")
    _write(result, ran, facts)
    result.left_out = list(dict.fromkeys(result.left_out))
    return result


def _together(cells: Iterable[RecordedCell]) -> str:
    return "; ".join(dict.fromkeys(cell.why for cell in cells)) or "nothing was seen"


def _of(cell: RecordedCell, cells: Sequence[RecordedCell]) -> str:
    """Which cell, where there are several."""
    return f" with {cell.case.name[cell.case.name.rfind('[') :]}" if len(cells) > 1 else ""


def _facts(seen: Observation, headers: Sequence[str]) -> dict[str, Value]:
    reasons = tuple(sorted(reason.value for reason in seen.reasons))
    found: dict[str, Value] = {_CONCLUSION: (seen.outcome.value if seen.outcome is not None else "", reasons)}
    if seen.status is not None:
        found["status"] = seen.status
    where = location(seen)
    if where is not None:
        found["headers.location"] = where
    if seen.upstream_headers is not None:
        for name in headers:
            found[f"upstream_headers.{name}"] = field_value(seen.upstream_headers, name)
    return found


def _stable(passes: Sequence[Mapping[str, Value]]) -> tuple[dict[str, Value], list[str]]:
    """What is the same in all of them, and the names of what is not."""
    missing = object()
    names = dict.fromkeys(name for one in passes for name in one)
    common = {name: passes[0][name] for name in names if len({one.get(name, missing) for one in passes}) == 1}
    differing = [name for name in names if name not in common]
    outcomes = {conclusion[0] for one in passes if isinstance(conclusion := one[_CONCLUSION], tuple)}
    if _CONCLUSION in differing and len(outcomes) == 1:
        common = {_CONCLUSION: (outcomes.pop(), ()), **common}
        differing[differing.index(_CONCLUSION)] = "reason"
    return common, differing


def _write(result: Summary, cells: Sequence[RecordedCell], facts: Sequence[Mapping[str, Value]]) -> None:
    """Each fact: the same everywhere, or told apart by as little as does it."""
    base: dict[str, Value] = {}
    where: dict[When, dict[str, Value]] = {}
    for name in dict.fromkeys(name for one in facts for name in one):
        values = [one.get(name, _Absent.ABSENT) for one in facts]
        if name == "status" and set(values) <= {_OK, _Absent.ABSENT}:
            continue
        if len(set(values)) == 1:
            base[name] = values[0]
            continue
        places = [coordinates(cell.case, cell.step) for cell in cells]
        told: list[tuple[When, Value]] | None = None
        default: Value = _Absent.ABSENT
        for default in _defaults(values) if name == _CONCLUSION else [_Absent.ABSENT]:
            told = told_apart(places, values, default)
            if told is not None:
                break
        if told is None:
            seen = ", ".join(f"{_shown(value)}{_of(cell, cells)}" for cell, value in zip(cells, values, strict=True))
            why = f"it can't be said by backend, tool and tls when it is which: {seen}"
            if name == _CONCLUSION:
                result.why = why
                return
            result.left_out.append(f"{name}: {why}")
            continue
        if default is not _Absent.ABSENT:
            base[name] = default
        for when, value in told:
            where.setdefault(when, {})[name] = value
    if not where:
        result.value = _expectation(base)
        return
    entries = [
        {
            "when": {name: names[0] if len(names) == 1 else list(names) for name, names in when},
            "expect": _expectation(found, within=base),
        }
        for when, found in where.items()
    ]
    result.value = {**_mapping(base), "where": entries}


def _defaults(values: Sequence[Value]) -> list[Value]:
    """What may stand outside of ``where:``, the best first: what has no reason, since an entry only has to add one then; what is
    seen most often.
    """
    common = [value for value, _ in Counter(values).most_common()]
    return sorted(common, key=lambda value: isinstance(value, tuple) and bool(value[1]))


def _mapping(facts: Mapping[str, Value]) -> dict[str, Written]:
    """As keys of ``expect:``."""
    found: dict[str, Written] = {}
    for name, value in facts.items():
        key, _, inner = name.partition(".")
        if isinstance(value, _Absent):
            continue
        if isinstance(value, tuple):
            outcome, reasons = value
            if reasons:
                found[outcome] = reasons[0] if len(reasons) == 1 else list(reasons)
            else:
                found["outcome"] = outcome
        elif inner:
            inside = found.setdefault(key, {})
            found[key] = {**(inside if isinstance(inside, Mapping) else {}), inner: value}
        else:
            found[key] = value
    return found


def _expectation(facts: Mapping[str, Value], within: Mapping[str, Value] | None = None) -> Written:
    """A bare word where that is all; in an entry of ``where:``, without the reason that stands outside of it."""
    found = _mapping(facts)
    outside = (within or {}).get(_CONCLUSION)
    if isinstance(outside, tuple) and outside[1] and "outcome" in found:
        found["reason"] = None
    return found["outcome"] if list(found) == ["outcome"] else found


def _shown(value: Value) -> str:
    if isinstance(value, tuple):
        outcome, reasons = value
        return f"{outcome}: {', '.join(reasons)}" if reasons else outcome
    return "none" if value is None or isinstance(value, _Absent) else str(value)
