"""Words that servers, clients and expectations share: backends, tools, runtimes, TLS versions, requests and responses."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import core_schema

from mtls_runner.language.document import Value
from mtls_runner.language.values import (
    Json,
    Maybe,
    OneOrMore,
    Parsed,
    Strict,
    Text,
    Token,
    about,
    bounded,
    fail,
    text_value,
    word,
)
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.traits import Runtime
from mtls_runner.registry import Registry, Table, registry

__all__ = [
    "BACKEND",
    "RUNTIME",
    "TLS_VERSIONS",
    "TOOL",
    "Path",
    "Registered",
    "RequestModel",
    "ResponseModel",
    "Tls",
    "told",
]

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


_METHOD = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def _header_value(value: Value) -> str:
    text = text_value(value)
    if any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in text):
        raise fail("a header can't hold control characters", "one line of text (RFC 9110 §5.5)")
    return text


def _path(value: Value) -> str:
    text = text_value(value)
    if not re.fullmatch(r"/[\x21-\x7e]*", text):
        raise fail("this is not a path", "a path that begins with / and holds no blanks; others are %-encoded")
    return text


def _method(value: Value) -> str:
    text = text_value(value)
    if not _METHOD.fullmatch(text):
        raise fail("this is not a method as HTTP has them", "GET, POST, … (RFC 9110 §9)")
    return text


_Header = Annotated[list[Annotated[str, Parsed(_header_value, {"type": ["string", "number", "boolean"]})]], OneOrMore()]
Headers = Maybe[dict[Token, _Header]]
Path = Annotated[str, Parsed(_path, {"type": "string", "pattern": "^/"})]


class ResponseModel(Strict):
    """What a server answers."""

    status: Annotated[int | None, bounded(200, 599)] = about("HTTP status; 200 by default.", 200)
    headers: Headers = about("Header fields; one with several values takes a list.", {"Content-Type": "text/plain"})
    body: Maybe[Text] = about("The body, UTF-8.", "hello")


class RequestModel(Strict):
    """What a client asks for."""

    method: Annotated[str | None, Parsed(_method, {"type": "string"})] = about("HTTP method; GET by default.", "POST")
    path: Annotated[str | None, Parsed(_path, {"type": "string", "pattern": "^/"})] = about(
        "Path and query.", "/orders?n=1"
    )
    headers: Headers = about("Header fields; Host is added where it is not given.", {"X-Request-Id": "1"})
    body: Maybe[Text] = about("The body, UTF-8.", "hello")
