"""``steps:`` of a case → the steps of :mod:`mtls_runner.model.case`, for each cell of its matrix."""

from collections.abc import Callable, Iterator, Sequence

from msgspec.structs import replace

from mtls_runner.language.context import Context
from mtls_runner.language.document import Document, Loc
from mtls_runner.language.endpoint import ClientDescription, ServerDescription
from mtls_runner.language.expected import ConditionalExpectation, Planned, expected, server_expected
from mtls_runner.language.resolve import Resolver, planned_version
from mtls_runner.language.scenario import Expired
from mtls_runner.language.scenario import StepModel as Model
from mtls_runner.language.values import within
from mtls_runner.model.case import Action, Case, Check, Match, Matcher, Step
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.observation import Outcome

__all__ = ["CaseSteps"]

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
        """The steps of a case for one cell of its matrix.

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
            expected = f"true, or one of: {names}" if names else "true, or a name that a step before it has"
            self._error((number, key), "no connection before this one has that name", expected)
            return None
        if [self._models[at].name for at in before].count(str(wanted)) > 1:
            self._error(
                (number, key), "several connections before this one have that name", "a name of its own for each"
            )
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
        names = ClientSpec.__struct_fields__
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
