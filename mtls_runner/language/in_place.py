"""``backend:`` and ``tool:`` as a mapping in place: a declaration's keys, for one scenario.

Its model is only loaded where there is such a mapping.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import PydanticCustomError, core_schema

from mtls_runner.language.document import Value
from mtls_runner.language.protocol import BACKEND, TOOL, Registered
from mtls_runner.language.values import Json

__all__ = ["BACKEND_HERE", "TOOL_HERE", "InPlace"]

_MODELS = "mtls_runner.language.implementations.models"


@dataclass(frozen=True, slots=True, eq=False)
class InPlace:
    """A mapping that was validated; each is only equal to itself."""

    model: Any


@dataclass(frozen=True, slots=True, eq=False)
class NameOrMapping:
    """Annotation: a name that the registry knows, or a declaration in place."""

    name: Registered
    model: Callable[[], type[BaseModel]]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """A function: most scenarios have a name."""
        return core_schema.with_info_plain_validator_function(self._parse)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        """A name, or a mapping with the model's keys."""
        fields = self.model().model_fields
        return {
            "anyOf": [
                self.name.json_schema(),
                {
                    "type": "object",
                    "properties": {name: {"description": field.description} for name, field in fields.items()},
                    "required": [name for name, field in fields.items() if field.is_required()],
                    "additionalProperties": False,
                },
            ]
        }

    def _parse(self, value: Value, info: ValidationInfo) -> str | InPlace:
        if not isinstance(value, dict):
            return self.name.parse(value, info)
        model = self.model()
        try:
            return InPlace(model.model_validate(value))
        except ValidationError as error:
            raise _first(error, model) from None


def _first(error: ValidationError, model: type[BaseModel]) -> PydanticCustomError:
    """The first mistake inside, with its way: ``diagnose`` finds the place and says the same as in a file of its own."""
    details = error.errors(include_input=False, include_url=False)[0]
    return PydanticCustomError("within", "{message}", {"message": details["msg"], "details": details, "model": model})


BACKEND_HERE = NameOrMapping(BACKEND, lambda: _model("ServerModel"))
TOOL_HERE = NameOrMapping(TOOL, lambda: _model("ClientModel"))


def _model(name: str) -> type[BaseModel]:
    found: type[BaseModel] = getattr(import_module(_MODELS), name)
    return found
