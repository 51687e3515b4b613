"""One description over another (``like:``, defaults, a matrix), one model's keys in another, and in what is resolved."""

from collections.abc import Iterable
from copy import copy
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from mtls_runner.language.values import Strict

__all__ = ["by_name", "derived", "keys_of", "over", "within", "without"]

M = TypeVar("M", bound=Strict)


def over(base: Strict, top: M) -> M:
    """``base`` (of ``top``'s type, or of a type with fewer keys) with every key that ``top`` was given."""
    if not base.model_fields_set:
        return top
    kept = {name: getattr(base, name) for name in base.model_fields_set}
    given = {name: getattr(top, name) for name in top.model_fields_set}
    return _made(type(top), base.model_fields_set | top.model_fields_set, kept | given)


def without(base: M, names: set[str]) -> M:
    """``base`` as if these keys had not been given."""
    kept = {name: getattr(base, name) for name in base.model_fields_set - names}
    return _made(type(base), set(kept), kept)


def within(base: M, top: M) -> M:
    """As :func:`over`, going into models that both were given: ``server.response.status`` leaves the body alone."""
    changes: dict[str, object] = {}
    for name in top.model_fields_set:
        new, old = getattr(top, name), getattr(base, name)
        if isinstance(new, Strict) and type(new) is type(old):
            changes[name] = within(old, new)
        elif isinstance(new, dict) and isinstance(old, dict):
            changes[name] = old | {key: _entry(old.get(key), entry) for key, entry in new.items()}
        else:
            changes[name] = new
    return _built(base, changes)


def _entry(old: object, new: object) -> object:
    return within(old, new) if isinstance(old, Strict) and isinstance(new, Strict) and type(old) is type(new) else new


def _built(base: M, changes: dict[str, object]) -> M:
    kept = {name: getattr(base, name) for name in base.model_fields_set}
    return _made(type(base), base.model_fields_set | changes.keys(), kept | changes)


def _made(model: type[M], given: set[str], values: dict[str, object]) -> M:
    """Of values that were validated before."""
    return cast(M, model.model_construct(given, **values))


def keys_of(model: type[BaseModel], names: Iterable[str]) -> dict[str, tuple[Any, FieldInfo]]:
    """As ``create_model`` takes them: the same values, optional, and the same sentence up to what is said of a default (behind
    its ``;``), which is not the new model's.
    """
    found: dict[str, tuple[Any, FieldInfo]] = {}
    for name in names:
        field = copy(model.model_fields[name])
        field.metadata = list(field.metadata)
        field.default, field.default_factory = None, None
        if field.description is not None and ";" in field.description:
            field.description = field.description.partition(";")[0] + "."
        found[name] = (field.annotation, field)
    return found


def derived(name: str, sentence: str, keys: dict[str, tuple[Any, FieldInfo]]) -> type[Strict]:
    """A model with these keys; ``sentence`` is its docstring, which schema and reference show."""
    fields: dict[str, Any] = dict(keys)
    return create_model(name, __base__=Strict, __doc__=sentence, **fields)


@cache
def _shared(model: type[Strict], spec: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(spec) if field.name in model.model_fields)


def by_name(model: Strict, spec: type) -> dict[str, Any]:
    """What the author gave of those keys that the resolved description has under the same name; of all others, its own
    defaults count.
    """
    given = {name: getattr(model, name) for name in _shared(type(model), spec)}
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items() if value is not None
    }
