"""``expect:`` and ``steps:`` → the expectations and steps of :mod:`mtls_runner.model.case`, for each cell of a case's matrix."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TypeVar

from mtls_runner.errors import Span
from mtls_runner.language.context import Context
from mtls_runner.language.document import Document, Loc
from mtls_runner.language.endpoint import ClientDescription, ServerDescription
from mtls_runner.language.expectation import (
    Checks,
    Expect,
    ServerChecks,
    ServerExpect,
    UpstreamChecks,
    When,
    short_outcome,
)
from mtls_runner.language.resolve import Resolver, planned_version
from mtls_runner.language.scenario import Expired
from mtls_runner.language.scenario import StepModel as Model
from mtls_runner.language.values import within
from mtls_runner.model.case import Action, Case, Check, Expectation, Match, Matcher, Step, Versions
from mtls_runner.model.endpoint import ClientSpec, ServerSpec, TlsVersion
from mtls_runner.model.observation import Outcome
from mtls_runner.model.traits import ClientTraits

__all__ = ["CaseSteps", "ConditionalChecks", "ConditionalExpectation", "Planned", "expected", "server_expected"]

_INSIDE = ("headers", "upstream_headers")
M = TypeVar("M", Checks, ServerChecks)


@dataclass(frozen=True, slots=True)
class ConditionalChecks:
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
    return Versions(when.tool_version or "", when.backend_version or "")


def _checks(document: Document, model: Checks, loc: Loc, only_for: Versions) -> Iterator[Check]:
    given = model.model_fields_set
    for name in CHECK_FIELDS:
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


CHECK_FIELDS = tuple(name for name in Checks.model_fields)


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


@dataclass(frozen=True, slots=True)
class Planned:
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


_ACTIONS = ("connect", "resume", "reuse", "wait", "replace", "reload", "renew", "restart")
#: What a client may change and still go on with a connection.
_OF_A_REQUEST = frozenset(("request", "send", "until", "timeout", "body_limit", "repeat"))
#: The same of a session.
_OF_A_CONNECTION = _OF_A_REQUEST | {"server_name", "connect"}
_GO_ON = ("resume", "reuse")
#: What can't be replaced while a server runs.
_FIXED = ("like", "expect", "backend", "runtime", "address", "image", "config", "port", "options", "upstreams")


class CaseSteps:
    """The steps of one case as written.

    Args:
        context: of the file.
        place: the document at the case.
        models: its steps.
        server: the id of its server.
        make_server: makes a description's server, checked.
        resolver: makes clients.
    """

    def __init__(
        self,
        context: Context,
        place: Document,
        models: Sequence[Model],
        make_server: Callable[[ServerDescription], ServerSpec],
        resolver: Resolver,
    ) -> None:
        self._context = context
        self._place = place
        self._models = models
        self._make_server = make_server
        self._resolver = resolver
        self._actions = tuple(self._action(number, model) for number, model in enumerate(models))
        self._resumes = tuple(self._earlier(number, "resume", model.resume) for number, model in enumerate(models))
        named = tuple(self._earlier(number, "reuse", model.reuse) for number, model in enumerate(models))
        self._reuses = tuple(_first(named, number) if at is not None else None for number, at in enumerate(named))
        self._expected = tuple(self._wanted(number, model) for number, model in enumerate(models))
        self._connections: dict[int, list[Case]] = {}

    @property
    def changes_server(self) -> bool:
        """Whether the server needs to be this case's own."""
        return any(action in (Action.REPLACE, Action.RELOAD) for action in self._actions)

    def planned(self, server: str | None) -> Iterator[Planned]:
        """Each connection as a case of its own, for those who check cases."""
        for number, cases in self._connections.items():
            if self._models[number].expect is None:  # it is told, or being written
                continue
            yield Planned(self._place, ("steps", number, "expect"), server, self._expected[number], cases)

    def steps(self, case: Case, server: ServerDescription, client: ClientDescription) -> tuple[Step, ...]:
        """For one cell.

        Args:
            case: the case without its steps.
            server, client: the descriptions that it was made of.
        """
        made: list[Step] = []
        spec = case.server
        for number, (model, action) in enumerate(zip(self._models, self._actions, strict=True)):
            step = Step(
                model.name or self._name(number, model, action),
                action,
                self._place.span(("steps", number)),
                seconds=model.wait if isinstance(model.wait, float) else 0.0,
                until_expired=model.wait.id if isinstance(model.wait, Expired) else None,
                renewed=model.renew,
                expect=self._expected[number].resolve(spec, None, None),
            )
            if action is Action.RENEW and case.client is not None and case.client.certificate is None:
                self._error(
                    (number, "renew"), "the case's client has no certificate", "client: its certificate", key=True
                )
            if action is Action.REPLACE and model.replace is not None:
                server = within(server, model.replace)
                spec = replace(self._make_server(server), alone=True)
                step = replace(step, server=spec)
            elif action is Action.CONNECT:
                step = self._connection(number, model, step, replace(case, server=spec), client)
            made.append(step)
            self._same_settings(number, made)
        return tuple(made)

    def _connection(self, number: int, model: Model, step: Step, case: Case, client: ClientDescription) -> Step:
        described = within(client, model.connect) if model.connect is not None else client
        spec = self._resolver.client(described, case.server)
        tls = planned_version(case.server, spec)
        expect = self._expected[number].resolve(case.server, spec.tool, tls)
        made = replace(
            step, client=spec, expect=expect, resume=self._resumes[number], reuse=self._reuses[number], tls=tls
        )
        self._connections.setdefault(number, []).append(replace(case, steps=(replace(made, name=""),)))
        return made

    def _error(self, loc: Loc, message: str, wanted: str = "", *, key: bool = False) -> None:
        self._context.problems.error(self._place, ("steps", *loc), message, wanted, key=key)

    def _action(self, number: int, model: Model) -> Action:
        given = [name for name in _ACTIONS if name in model.model_fields_set]
        things = [name for name in given if name not in _GO_ON or "connect" not in given]
        if set(_GO_ON) <= set(given):
            self._error((number, "reuse"), "a connection that lives on resumes no session", "one of the two", key=True)
            things = []
        if len(things) > 1:
            self._error(
                (number, things[1]), "a step does one thing", f"steps of their own: {', '.join(things)}", key=True
            )
        action = Action.CONNECT
        if things and things[0] not in ("connect", *_GO_ON):
            action = Action(things[0])
        if action is Action.CONNECT and model.expect is None:
            self._context.unrecorded(self._place, ("steps", number))
        elif action is not Action.CONNECT and model.expect is not None:
            self._error(
                (number, "expect"), "only connections are expected to end in some way", "reload: {starts: …}", key=True
            )
        if model.replace is not None:
            for name in _FIXED:
                if name in model.replace.model_fields_set:
                    self._error(
                        (number, "replace", name), f"'{name}' can't be replaced while the server runs", key=True
                    )
        return action

    def _earlier(self, number: int, key: str, wanted: str | bool | None) -> int | None:
        if wanted is None:
            return None
        before = [at for at in range(number) if self._actions[at] is Action.CONNECT]
        if wanted is True:
            if not before:
                self._error((number, key), f"there is no connection before this one to {key}", key=True)
                return None
            return before[-1]
        named = {self._models[at].name: at for at in before if self._models[at].name}
        if wanted not in named:
            names = ", ".join(str(name) for name in named)
            self._error((number, key), "no connection before this one has that name", f"true, or one of: {names}")
            return None
        return named[str(wanted)]

    def _wanted(self, number: int, model: Model) -> ConditionalExpectation:
        if model.expect is not None:
            return expected(self._place, model.expect, ("steps", number, "expect"))
        if self._actions[number] is not Action.RELOAD:
            return ConditionalExpectation((), ())
        if model.reload is not None and model.reload.model_fields_set:
            wanted = server_expected(self._place, model.reload, ("steps", number, "reload"))
            if model.reload.starts is not None:
                return wanted
        span = self._place.span(("steps", number))
        starts = Check("outcome", (Matcher(Match.EQUALS, Outcome.SERVER_STARTED.value),), span)
        return ConditionalExpectation((starts,), ())

    def _same_settings(self, number: int, made: Sequence[Step]) -> None:
        step = made[number]
        goes_on, at, free = "a session is resumed", step.resume, _OF_A_CONNECTION
        if step.reuse is not None:
            goes_on, at, free = "a connection lives on", step.reuse, _OF_A_REQUEST
        earlier = made[at].client if at is not None else None
        if earlier is None or step.client is None:
            return
        names = [field.name for field in fields(ClientSpec)]
        differing = [
            name for name in names if getattr(earlier, name) != getattr(step.client, name) and name not in free
        ]
        if differing:
            self._error(
                (number,),
                f"{goes_on} with the settings that it was made with: {', '.join(differing)} would differ",
                f"only {', '.join(name for name in names if name in free)} may",
            )
        if earlier.location is not None:
            self._error((number,), "a client that follows redirects keeps no connection", "location: false")
        if step.reuse is not None and earlier.repeat > 1:
            self._error(
                (number, "reuse"), f"step {step.reuse + 1} makes {earlier.repeat} connections (repeat)", key=True
            )

    def _name(self, number: int, model: Model, action: Action) -> str:
        if isinstance(model.wait, float):
            return f"wait {model.wait:g} s"
        if isinstance(model.wait, Expired):
            return f"wait until {model.wait.id} has expired"
        if action is Action.REPLACE and model.replace is not None:
            given = model.replace.model_fields_set
            return f"replace {', '.join(name for name in type(model.replace).model_fields if name in given)}"
        if action is Action.RENEW:
            return f"renew the client's files: {model.renew}"
        for key, at in (("resume", self._resumes[number]), ("reuse", self._reuses[number])):
            if action is Action.CONNECT and at is not None:
                return f"{key} step {at + 1}"
        return str(action)


def _first(named: Sequence[int | None], number: int) -> int:
    """The step that made the connection which a step goes on with."""
    earlier = named[number]
    return number if earlier is None else _first(named, earlier)
