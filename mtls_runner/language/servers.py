"""The servers of a file, and the cells of a matrix: what each case has of them, every value validated once."""

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TypeVar

from msgspec import Struct
from pydantic import ValidationError

from mtls_runner.language.context import Context
from mtls_runner.language.document import Loc, Plain, Value
from mtls_runner.language.endpoint import ClientDescription, ServerDescription
from mtls_runner.language.endpoint import VirtualHostDescription as HostModel
from mtls_runner.language.scenario import CaseModel
from mtls_runner.language.values import over, within, without
from mtls_runner.model.chain import ancestors, comes_round
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.snippet import is_secret

__all__ = [
    "Axis",
    "AxisValue",
    "MatrixCell",
    "Servers",
    "WrittenServer",
    "applied",
    "axes",
    "cells",
    "check_hosts",
    "host_server",
    "presented",
]


class WrittenServer(Struct, frozen=True):
    """A description as written, and its place."""

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
            defaults = self._context.lab.server
            return over(defaults, model) if defaults is not None else model
        base = self.merged(model.like)
        return over(base, model) if base is not None else None

    def family(self, id_: str) -> tuple[str, ...]:
        """Its id and those that it takes over from, nearest first; it stops where it would go in a circle."""
        return (id_, *ancestors(id_, self._base))

    def _base(self, id_: str) -> str | None:
        like = self.declared[id_].model.like
        return like if like in self.declared else None

    def in_circle(self, id_: str) -> bool:
        """Whether ``like:`` leads from it round in a circle."""
        return comes_round(id_, self._base)

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


def presented(server: ServerSpec) -> Iterator[str]:
    """Ids of the certificates that a server and its virtual hosts present."""
    for one in server.every_host:
        if one.certificate is not None:
            yield one.certificate
        yield from one.other_certificates


def host_server(server: ServerDescription, host: HostModel) -> ServerDescription:
    """A virtual host as a server: what it says itself over what its server does."""
    of_server = {"virtual_hosts", "names", "reject_handshake", "expect", "like"}
    if host.certificate is not None:
        of_server |= {"passphrase", "other_certificates", "chain"}
    given = host.model_fields_set - {"names"}
    own = ServerDescription.model_construct(given, **{name: getattr(host, name) for name in given})
    return over(without(server, of_server), own)


def check_hosts(context: Context, server: ServerDescription, loc: Loc) -> None:
    """Report names that two hosts have, and hosts beside settings that exclude them."""
    problems, document = context.problems, context.document
    if server.virtual_hosts is None:
        if server.names:
            problems.error(
                document, (*loc, "names"), "'names' tells a server from its virtual hosts: there are none", key=True
            )
        return
    if server.config is not None:
        problems.error(
            document, (*loc, "virtual_hosts"), "'virtual_hosts' has no meaning beside an own configuration", key=True
        )
    taken = dict.fromkeys(server.names or (), "the server itself")
    for id_, host in server.virtual_hosts.items():
        for index, name in enumerate(host.names or [id_.lower()]):
            owner = taken.setdefault(name, f"'{id_}'")
            if owner != f"'{id_}'":
                place = (*loc, "virtual_hosts", id_, *(("names", index) if host.names else ()))
                problems.error(document, place, f"{owner} has this name already", key=not host.names)


E = TypeVar("E", ServerDescription, ClientDescription)

_MAX_CELLS = 10_000
_NOT_AN_AXIS = ("like", "expect")


class AxisValue(Struct, frozen=True, eq=False):
    """One value of an axis, as a description with nothing else in it; each is only equal to itself."""

    label: str
    patch: ServerDescription | ClientDescription
    loc: Loc


class Axis(Struct, frozen=True):
    """A dotted path and the values that it takes."""

    path: str
    settings: tuple[AxisValue, ...]


class MatrixCell(Struct, frozen=True):
    """One combination of a matrix.

    Args:
        parameters: each axis with the value's label.
        server, client: the settings of each end.
    """

    parameters: tuple[tuple[str, str], ...]
    server: tuple[AxisValue, ...]
    client: tuple[AxisValue, ...]


def axes(context: Context, matrix: dict[str, list[Value]] | None, loc: Loc) -> tuple[Axis, ...]:
    """The axes of one ``matrix:``, without those that the command line sets."""
    overrides = context.overrides
    set_elsewhere = {
        "server.backend": overrides.backend,
        "client.tool": overrides.tool,
        "server.image": overrides.image,
        "server.runtime": overrides.runtime,
    }
    found: list[Axis] = []
    for path, values in (matrix or {}).items():
        axis = _axis(context, path, values, (*loc, path))
        if axis is not None and set_elsewhere.get(path) is None:
            found.append(axis)
    return tuple(found)


def _axis(context: Context, path: str, values: list[Value], loc: Loc) -> Axis | None:
    side, *parts = path.split(".")
    if side not in ("client", "server") or not parts or not all(parts):
        context.problems.error(
            context.document,
            loc,
            "this is not a path into the server or the client",
            "such as client.tls or server.response.status",
            _path_meant(path),
            key=True,
        )
        return None
    if parts[0] in _NOT_AN_AXIS:
        from mtls_runner.snippet.masking import without_secrets

        context.problems.error(context.document, loc, f"{without_secrets(path)} can't be varied", key=True)
        return None
    if not values:
        context.problems.error(
            context.document, loc, "an axis without values makes no case", "at least one value", key=True
        )
        return None
    model: type[ServerDescription] | type[ClientDescription] = (
        ServerDescription if side == "server" else ClientDescription
    )
    settings: list[AxisValue] = []
    for index, value in enumerate(values):
        raw: Value = value
        for part in reversed(parts):
            raw = {part: raw}
        place = (*loc, index)
        try:
            patch = model.model_validate(raw, context=context.registry)
        except ValidationError as error:
            from mtls_runner.language.diagnose import diagnose

            context.problems.add(diagnose(error, context.document, model, place, len(parts)))
        else:
            settings.append(AxisValue(_label(parts, value, index), patch, place))
    return Axis(path, _distinct(context, settings)) if settings else None


def _path_meant(path: str) -> str:
    """The path that is meant, where the end (server, client) is missing or misspelt; the client's before the server's."""
    from mtls_runner.language.document import meant

    known = {
        key: f"{side}.{key}"
        for side, model in (("server", ServerDescription), ("client", ClientDescription))
        for key in model.model_fields
        if key not in _NOT_AN_AXIS
    }
    return known.get(path, "") or meant(path, known.values()) or known.get(meant(path, known), "")


def _distinct(context: Context, settings: Sequence[AxisValue]) -> tuple[AxisValue, ...]:
    labels: set[str] = set()
    for setting in settings:
        if setting.label in labels:
            context.problems.error(context.document, setting.loc, "this value is already on this axis")
        labels.add(setting.label)
    return tuple(settings)


def _label(parts: Sequence[str], value: Value, index: int) -> str:
    if any(is_secret(part) for part in parts) and value is not None:
        return f"#{index + 1}"
    return _text(value)


def _text(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, Plain | str):
        return "".join(c if c.isprintable() else "?" for c in value)
    if isinstance(value, list):
        return "+".join(_text(item) for item in value) or "none"
    return "{" + " ".join(f"{key}:{'#' if is_secret(key) else _text(item)}" for key, item in value.items()) + "}"


def cells(context: Context, found: Sequence[Axis], loc: Loc) -> Iterator[MatrixCell]:
    """Every combination, the last axis turning fastest."""
    count = 1
    for axis in found:
        count *= len(axis.settings)
    if count > _MAX_CELLS:
        context.problems.error(
            context.document, loc, f"this matrix makes {count} cases of one", f"{_MAX_CELLS} at most", key=True
        )
        return
    server_side = [axis.path.startswith("server.") for axis in found]
    for combination in product(*(axis.settings for axis in found)):
        yield MatrixCell(
            tuple((axis.path, setting.label) for axis, setting in zip(found, combination, strict=True)),
            tuple(setting for setting, server in zip(combination, server_side, strict=True) if server),
            tuple(setting for setting, server in zip(combination, server_side, strict=True) if not server),
        )


def applied(model: E, settings: Sequence[AxisValue]) -> E:
    """The description with the cell's values in place, which are of the same end."""
    for setting in settings:
        if isinstance(setting.patch, type(model)):
            model = within(model, setting.patch)
    return model
