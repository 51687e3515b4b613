"""``expect:`` → the expectation of :mod:`mtls_runner.model.case`, for each cell of a case's matrix."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from msgspec import Struct

from mtls_runner.errors import Span
from mtls_runner.language.document import Document, Loc
from mtls_runner.language.expectation import (
    Checks,
    Expect,
    ServerChecks,
    ServerExpect,
    UpstreamChecks,
    When,
    short_outcome,
)
from mtls_runner.model.case import Case, Check, Expectation, Match, Matcher, Versions
from mtls_runner.model.endpoint import ServerSpec, TlsVersion
from mtls_runner.model.observation import Outcome
from mtls_runner.model.traits import ClientTraits

__all__ = ["ConditionalChecks", "ConditionalExpectation", "Planned", "expected", "server_expected"]

_INSIDE = ("headers", "upstream_headers")
M = TypeVar("M", Checks, ServerChecks)


class ConditionalChecks(Struct, frozen=True):
    """One ``where:`` entry."""

    when: When
    checks: tuple[Check, ...]
    loc: Loc

    def counts(self, server: ServerSpec, tool: ClientTraits | None, tls: TlsVersion | None) -> bool:
        """Whether it applies to a case, whatever versions its programs have."""
        when, backend = self.when, server.backend
        return (
            (when.backend is None or backend.name in when.backend)
            and (when.tool is None or (tool is not None and tool.name in when.tool))
            and (when.tls is None or tls in when.tls)
            and (when.library is None or backend.library in when.library)
            and (when.runtime is None or (server.runtime or backend.runtime) in when.runtime)
        )


class ConditionalExpectation:
    """One case's expectation, to be resolved for each of its cells."""

    def __init__(self, base: tuple[Check, ...], entries: tuple[ConditionalChecks, ...]) -> None:
        self.base = base
        self.entries = entries
        self._resolved: dict[tuple[bool, ...], Expectation] = {}

    def resolve(self, server: ServerSpec, tool: ClientTraits | None, tls: TlsVersion | None) -> Expectation:
        """What counts there."""
        key = tuple(entry.counts(server, tool, tls) for entry in self.entries)
        known = self._resolved.get(key)
        if known is None:
            chosen = [entry for entry, counts in zip(self.entries, key, strict=True) if counts]
            known = self._resolved[key] = Expectation(_combined(self.base, chosen))
        return known


def _combined(base: tuple[Check, ...], entries: Sequence[ConditionalChecks]) -> tuple[Check, ...]:
    if not entries:
        return base
    by_path: dict[str, list[Check]] = {}
    for check in base:
        by_path.setdefault(check.path, []).append(check)
    for entry in entries:
        for check in entry.checks:
            if check.only_for:
                by_path.setdefault(check.path, []).append(check)
            else:
                by_path[check.path] = [check]
    return tuple(check for checks in by_path.values() for check in checks)


def expected(document: Document, model: Expect, loc: Loc) -> ConditionalExpectation:
    """``loc`` is where the expectation stands in ``document``."""
    where = [(one.when, one.expect) for one in model.where or ()]
    return _conditional(document, _checks, model, where, loc)


def _conditional(
    document: Document,
    read: Callable[[Document, M, Loc, Versions], Iterator[Check]],
    model: M,
    where: Sequence[tuple[When, M]],
    loc: Loc,
) -> ConditionalExpectation:
    entries = tuple(
        ConditionalChecks(
            when,
            tuple(read(document, expect, (*loc, "where", index, "expect"), _ranges(when))),
            (*loc, "where", index, "when"),
        )
        for index, (when, expect) in enumerate(where)
    )
    return ConditionalExpectation(tuple(read(document, model, loc, Versions())), entries)


def _ranges(when: When) -> Versions:
    return Versions(**{name: getattr(when, f"{name}_version") or "" for name in Versions.__struct_fields__})


def _checks(document: Document, model: Checks, loc: Loc, only_for: Versions) -> Iterator[Check]:
    given = model.model_fields_set
    for name in Checks.model_fields:
        if name not in given:
            continue
        value = getattr(model, name)
        if isinstance(value, UpstreamChecks):
            for inner in UpstreamChecks.model_fields:
                if inner in value.model_fields_set:
                    span = document.span((*loc, name))
                    yield Check(f"{name}.{inner}", tuple(getattr(value, inner)), span, only_for)
        elif name in _INSIDE:
            for header, alternatives in value.items():
                span = document.span((*loc, name, header))
                yield Check(f"{name}.{header.lower()}", tuple(alternatives), span, only_for)
        else:
            alternatives = (value,) if isinstance(value, Matcher) else tuple(value)
            yield Check(name, alternatives, _place(document, loc, name), only_for)


def _place(document: Document, loc: Loc, name: str) -> Span:
    span, node, whole = document.locate((*loc, name))
    short = short_outcome(node) if not whole else None
    return document.node_span(short[name != "outcome"]) if short is not None else span


def server_expected(document: Document, model: ServerChecks, loc: Loc) -> ConditionalExpectation:
    """A server's own expectation."""
    entries = (model.where if isinstance(model, ServerExpect) else None) or ()
    return _conditional(document, _server_checks, model, [(one.when, one.expect) for one in entries], loc)


def _server_checks(document: Document, model: ServerChecks, loc: Loc, only_for: Versions) -> Iterator[Check]:
    if model.starts is not None:
        outcome = Outcome.SERVER_STARTED if model.starts else Outcome.SERVER_UNUSABLE
        yield Check("outcome", (Matcher(Match.EQUALS, outcome.value),), document.span((*loc, "starts")), only_for)
    for name in ("reason", "server_log"):
        value = getattr(model, name)
        if value is not None:
            yield Check(name, tuple(value), document.span((*loc, name)), only_for)


class Planned(Struct, frozen=True):
    """A case as written and what became of it.

    Args:
        document, loc: where its expectation stands.
        server: id of the server, as declared; ``None`` where the case changes it.
        wanted: its expectation.
        cells: the cases that it makes.
    """

    document: Document
    loc: Loc
    server: str | None
    wanted: ConditionalExpectation
    cells: Sequence[Case]
