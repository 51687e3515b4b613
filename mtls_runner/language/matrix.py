"""``matrix:`` → cells: every combination of its axes, each value validated once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeVar

from pydantic import ValidationError

from mtls_runner.language.context import Context
from mtls_runner.language.diagnose import diagnose
from mtls_runner.language.document import Loc, Plain, Value
from mtls_runner.language.endpoint import ClientDescription, ServerDescription
from mtls_runner.language.merge import within
from mtls_runner.snippet import is_secret, without_secrets

__all__ = ["MAX_CELLS", "Axis", "AxisValue", "Cell", "applied", "axes", "cells"]

E = TypeVar("E", ServerDescription, ClientDescription)

MAX_CELLS = 10_000
_NOT_AN_AXIS = ("like", "expect")


@dataclass(frozen=True, slots=True, eq=False)
class AxisValue:
    """One value of an axis, as a description with nothing else in it; each is only equal to itself."""

    label: str
    patch: ServerDescription | ClientDescription
    loc: Loc


@dataclass(frozen=True, slots=True)
class Axis:
    """A dotted path and the values that it takes."""

    path: str
    settings: tuple[AxisValue, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination.

    Args:
        suffix: ``[client.tls=TLSv1.3,client.tool=curl]``, or ``""``.
        server, client: the settings of each side, as a key for what they make of a description.
    """

    suffix: str
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
            key=True,
        )
        return None
    if parts[0] in _NOT_AN_AXIS:
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
            context.problems.add(diagnose(error, context.document, model, place, len(parts)))
        else:
            settings.append(AxisValue(_label(parts, value, index), patch, place))
    return Axis(path, _distinct(context, settings)) if settings else None


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


def cells(context: Context, found: Sequence[Axis], loc: Loc) -> Iterator[Cell]:
    """Every combination, the last axis turning fastest."""
    count = 1
    for axis in found:
        count *= len(axis.settings)
    if count > MAX_CELLS:
        context.problems.error(
            context.document, loc, f"this matrix makes {count} cases of one", f"{MAX_CELLS} at most", key=True
        )
        return
    server_side = [axis.path.startswith("server.") for axis in found]
    for combination in product(*(axis.settings for axis in found)):
        names = [f"{axis.path}={setting.label}" for axis, setting in zip(found, combination, strict=True)]
        yield Cell(
            f"[{','.join(names)}]" if names else "",
            tuple(setting for setting, server in zip(combination, server_side, strict=True) if server),
            tuple(setting for setting, server in zip(combination, server_side, strict=True) if not server),
        )


def applied(model: E, settings: Sequence[AxisValue]) -> E:
    """The description with the cell's values in place, which are of the same end."""
    for setting in settings:
        if isinstance(setting.patch, type(model)):
            model = within(model, setting.patch)
    return model
