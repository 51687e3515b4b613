"""``options:``: what each backend takes, under one roof, since a description may be another backend's in a matrix."""

from collections.abc import Iterator
from copy import copy
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, BeforeValidator, create_model
from pydantic.fields import FieldInfo

from mtls_runner.language.document import Plain
from mtls_runner.language.values import Strict
from mtls_runner.model.traits import BackendTraits
from mtls_runner.registry import registry

__all__ = ["Options", "chosen", "native"]


def native(value: object) -> object:
    """As Python has it: a backend's model knows nothing of the author's text, and neither do its validators."""
    if isinstance(value, Plain):
        return value.value
    if isinstance(value, list):
        return [native(item) for item in value]
    if isinstance(value, dict):
        return {key: native(item) for key, item in value.items()}
    return str(value) if isinstance(value, str) else value


def _fields(traits: BackendTraits) -> Iterator[tuple[str, tuple[Any, FieldInfo]]]:
    if traits.options is None:
        return
    for name, field in traits.options().model_fields.items():
        optional = copy(field)
        optional.default, optional.default_factory = None, None
        optional.metadata = [*field.metadata, BeforeValidator(native)]
        yield name, (field.annotation, optional)


def _merged() -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for traits in registry().backends.usable():
        for name, field in _fields(traits):
            fields.setdefault(name, field)
    return create_model("Options", __base__=Strict, __doc__="A backend's own settings.", **fields)


if TYPE_CHECKING:

    class Options(Strict):
        """A backend's own settings: a key for each option of each backend.

        Whoever has no such option is not told of it: a file may be run on several.
        """
else:
    Options = _merged()


def chosen(given: BaseModel | None, shared: BaseModel, traits: BackendTraits) -> Iterator[tuple[str, object]]:
    """A backend's own options, in its own order: the server's over those that lab.yaml has for all containers."""
    if traits.options is None:
        return
    for name in traits.options().model_fields:
        for model in (given, shared):
            if model is not None and name in model.model_fields_set:
                yield name, getattr(model, name)
                break
