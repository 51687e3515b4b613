"""Expected against observed, line by line as the author wrote it."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from mtls_runner.model import listed
from mtls_runner.model.case import Check, Expectation, Match
from mtls_runner.model.observation import Observation, field_value
from mtls_runner.model.verdict import Mismatch
from mtls_runner.snippet import MASK, is_secret

__all__ = ["ComparedCheck", "compared"]

_Value = str | int | bool | tuple[str, ...] | bytes | None
_MOST = 300
"""Characters of one value that are shown."""
_WORDS = {Match.EQUALS: "", Match.CONTAINS: "contains ", Match.MATCHES: "matches ", Match.IN_ORDER: "in order "}


class ComparedCheck(Struct, frozen=True):
    """One line of an expectation, with what was observed.

    Args:
        path: what was checked.
        expected, observed: texts for people.
        holds: ``None``: nothing was run, or only for versions of the tool that may be others.
    """

    path: str
    expected: str
    observed: str
    holds: bool | None


def compared(
    expect: Expectation, mismatches: Iterable[Mismatch], seen: Observation | None
) -> tuple[ComparedCheck, ...]:
    """One line for each path; alternatives for versions of the tool stand together, since one of them counts."""
    wrong = {mismatch.path: mismatch for mismatch in mismatches}
    checks: dict[str, list[Check]] = {}
    for check in expect.checks:
        checks.setdefault(check.path, []).append(check)
    lines = []
    for path, written in checks.items():
        expected = "; ".join(_wanted(check) for check in written)
        if path in wrong:
            lines.append(ComparedCheck(path, expected, wrong[path].observed, holds=False))
        elif seen is None:
            lines.append(ComparedCheck(path, expected, "", holds=None))
        else:
            always = any(not check.only_for for check in written)
            lines.append(ComparedCheck(path, expected, _shown(_observed(seen, path)), holds=True if always else None))
    return tuple(lines)


def _wanted(check: Check) -> str:
    texts = " or ".join(_WORDS[each.kind] + _shown(each.value) for each in check.alternatives)
    if is_secret(check.path.partition(".")[2]):
        texts = MASK
    return f"{texts} ({check.only_for})" if check.only_for else texts


def _observed(seen: Observation, path: str) -> _Value:
    name, _, inner = path.partition(".")
    if path == "reason" and len(seen.reasons) > 1:
        return f"one of {listed(seen.reasons)}"
    if path == "curl_exit" and seen.predicted:
        return f"{seen.curl_exit} (predicted)"
    if not inner:
        value: _Value = getattr(seen, name)
        return value
    pairs: Iterable[tuple[str, str]] = getattr(seen, name) or ()
    found = field_value(pairs, inner) or None
    return MASK if found and is_secret(inner) else found


def _shown(value: _Value) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    text = ", ".join(value) if isinstance(value, tuple) else str(value)
    if not text:
        return "(empty)"
    return text if len(text) <= _MOST else f"{text[:_MOST]}… ({len(text)} characters)"
