"""Models made from what another one declares: its keys by name, so that no word is declared twice."""

from collections.abc import Iterable
from copy import copy
from typing import Any

from pydantic import BaseModel, create_model
from pydantic.fields import FieldInfo

from mtls_runner.language.values import Strict

__all__ = ["derived", "keys_of"]


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
