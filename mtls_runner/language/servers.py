"""The servers of a file by id, and the one that a case connects to."""

from dataclasses import dataclass

from mtls_runner.language.context import Context
from mtls_runner.language.document import Loc
from mtls_runner.language.endpoint import ServerDescription
from mtls_runner.language.merge import over
from mtls_runner.language.scenario import CaseModel

__all__ = ["Servers", "WrittenServer"]


@dataclass(frozen=True, slots=True)
class WrittenServer:
    """One description as written, and where."""

    id: str
    model: ServerDescription
    loc: Loc


class Servers:
    """``server:``, or ``servers:`` by id."""

    def __init__(self, context: Context) -> None:
        self._context = context
        scenario = context.scenario
        self.declared: dict[str, WrittenServer] = {}
        if scenario.server is not None:
            self.declared["server"] = WrittenServer("server", scenario.server, ("server",))
        for id_, model in (scenario.servers or {}).items():
            self.declared.setdefault(id_, WrittenServer(id_, model, ("servers", id_)))
        self._merged: dict[str, ServerDescription | None] = {}

    def merged(self, id_: str) -> ServerDescription | None:
        """The description with what it takes over, but never another's ``expect``; ``None`` where that leads nowhere."""
        if id_ not in self._merged:
            self._merged[id_] = None  # while it is open: a circle ends here
            declared = self.declared.get(id_)
            if declared is not None:
                self._merged[id_] = self._with_base(declared.model)
        return self._merged[id_]

    def _with_base(self, model: ServerDescription) -> ServerDescription | None:
        if model.like is None:
            defaults = self._context.lab.defaults.server
            return over(defaults, model) if defaults is not None else model
        base = self.merged(model.like)
        return over(base, model) if base is not None else None

    def family(self, id_: str) -> tuple[str, ...]:
        """It and those that it takes over from, nearest first; a circle is walked once."""
        found: dict[str, None] = {}
        at: str | None = id_
        while at is not None and at in self.declared and at not in found:
            found[at] = None
            at = self.declared[at].model.like
        return tuple(found)

    def in_circle(self, id_: str) -> bool:
        """Whether ``like:`` leads from it round in a circle."""
        return self.declared[self.family(id_)[-1]].model.like in self.family(id_)

    def of_case(self, case: CaseModel, loc: Loc) -> tuple[str, ServerDescription] | None:
        """Id and description; ``None``, with a problem, where the case doesn't say which."""
        problems, document = self._context.problems, self._context.document
        given = case.server
        id_ = given.like if given is not None else None
        if id_ is None:
            if not self.declared:
                problems.absent(document, (), "there is no server", "server:, or servers: by id")
            elif len(self.declared) > 1:
                names = f"one of: {', '.join(self.declared)}"
                problems.absent(document, loc, f"'server' is missing: there are {len(self.declared)} servers", names)
            if len(self.declared) != 1:
                return None
            (id_,) = self.declared
        if id_ not in self.declared:
            problems.unknown(document, (*loc, "server"), "server", id_, self.declared)
            return None
        base = self.merged(id_)
        if base is None:
            return None
        if given is None or given.model_fields_set <= {"like"}:
            return id_, base
        return id_, over(base, given)
