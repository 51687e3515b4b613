"""Words that servers, clients and expectations share: backends, tools, runtimes, TLS versions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import core_schema

from mtls_runner.language.document import Value
from mtls_runner.language.values import Json, fail, word
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.traits import Runtime
from mtls_runner.registry import Registry, Table, registry

__all__ = ["BACKEND", "RUNTIME", "TLS_VERSIONS", "TOOL", "Registered", "Tls", "told"]

TLS_VERSIONS: Mapping[str, TlsVersion] = {version.value: version for version in TlsVersion}


@dataclass(frozen=True, slots=True, eq=False)
class Registered:
    """Annotation: a name in a table of the registry that counts for the file (the validation's context)."""

    noun: str
    table: Callable[[Registry], Table[Any]]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Only the name is looked at: what stands behind it is loaded when it is needed."""
        return core_schema.with_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        """See :meth:`json_schema`."""
        return self.json_schema()

    def json_schema(self) -> Json:
        """The names that are known now."""
        return {"enum": list(self.table(registry()))}

    def parse(self, value: Value, info: ValidationInfo) -> str:
        """A name that is known."""
        known = self.table(info.context if isinstance(info.context, Registry) else registry())
        if not isinstance(value, str) or value not in known:
            raise fail(f"this is not {self.noun}", choices=known)
        return str(value)


BACKEND = Registered("a backend", lambda known: known.backends)
TOOL = Registered("a tool", lambda known: known.clients)
RUNTIME = word({runtime.value: runtime for runtime in (Runtime.PROCESS, Runtime.CONTAINER)}, "a runtime")
Tls = Annotated[TlsVersion, word(TLS_VERSIONS, "a TLS version")]


def told(table: Table[Any]) -> str:
    """The names with what each says of itself (``python (embedded), nginx (a container)``); declared ones by name alone."""
    said = [f"{one} ({one.sentence})" if one.sentence else one.name for one in table.usable()]
    return ", ".join([*said, *(name for name in table if name in table.declared)])
