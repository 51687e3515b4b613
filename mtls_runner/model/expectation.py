"""What is written about a value, and whether one fits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from mtls_runner.regular_expressions import occurs
from mtls_runner.span import Span

__all__ = ["Check", "Expectation", "Match", "Matcher", "Observed", "Versions"]

Observed = str | int | bool | tuple[str, ...] | None


class Match(StrEnum):
    """How an expected value is held against an observed one."""

    EQUALS = "equals"
    CONTAINS = "contains"
    """A substring; for a list, a member."""
    MATCHES = "matches"
    """A regular expression found anywhere (``re.search``)."""
    IN_ORDER = "in-order"
    """All listed members occur, in this order, others between them."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One alternative. ``value`` is what the author wrote: text, integer, boolean, ``None``, or a tuple of texts."""

    kind: Match
    value: str | int | bool | tuple[str, ...] | None

    def fits(self, value: Observed, *, lines: bool = False) -> bool:
        """Whether an observed value is what is wanted; ``None`` is what was absent.

        Args:
            value: what was observed.
            lines: a list is searched line by line, not for a member.

        Raises:
            DeadlineExceeded: a regular expression gives no answer in time.
        """
        wanted = self.value
        if value is None:
            return wanted is None and self.kind is Match.EQUALS
        match self.kind:
            case Match.EQUALS:
                # True == 1 in Python, but not for the author of a scenario.
                return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)
            case Match.IN_ORDER:
                return isinstance(value, tuple) and isinstance(wanted, tuple) and _in_order(wanted, value)
            case Match.CONTAINS:
                if isinstance(value, tuple):
                    return any(str(wanted) in line for line in value) if lines else str(wanted) in value
                return str(wanted) in str(value)
            case Match.MATCHES:
                texts = value if isinstance(value, tuple) else (str(value),)
                return occurs(str(wanted), texts)


def _in_order(wanted: Sequence[str], seen: Iterable[str]) -> bool:
    rest = iter(seen)
    return all(any(item == other for other in rest) for item in wanted)


@dataclass(frozen=True, slots=True)
class Versions:
    """Of the two programs of a connection, or ranges of them (``>=8.16``, PEP 440 style).

    Args:
        tool: of the client.
        backend: of the server's program.
    """

    tool: str = ""
    backend: str = ""

    def __bool__(self) -> bool:
        return bool(self.tool or self.backend)

    def __str__(self) -> str:
        told = (("version", self.tool), ("server's version", self.backend))
        return ", ".join(f"{what} {text}" for what, text in told if text)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of an expectation.

    Args:
        path: a field of :class:`~mtls_runner.model.observation.Observation`; ``headers.<name>`` and
            ``upstream_headers.<name>`` (lower case) look inside. A ``None`` value there means absent.
        alternatives: any one of them will do.
        span: where the value was written.
        only_for: ranges that the versions have to satisfy for it to count; where there are none, it always does.
            Of several checks of one path that count, the last one does.
    """

    path: str
    alternatives: tuple[Matcher, ...]
    span: Span
    only_for: Versions = Versions()


@dataclass(frozen=True, slots=True)
class Expectation:
    """All checks of a case, ``outcome`` and ``reason`` among them, in order."""

    checks: tuple[Check, ...] = ()
