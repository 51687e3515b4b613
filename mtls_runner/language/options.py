"""``options:``: what each backend takes, under one roof, since a description may be another backend's in a matrix."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from mtls_runner.language.document import Plain
from mtls_runner.language.merge import derived, keys_of
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


def _merged() -> type[Strict]:
    keys: dict[str, tuple[Any, FieldInfo]] = {}
    for traits in registry().backends.usable():
        if traits.options is not None:
            model = traits.options()
            keys = keys_of(model, model.model_fields) | keys
    for _, field in keys.values():
        field.metadata.append(BeforeValidator(native))
    return derived("Options", "A backend's own settings.", keys)


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
