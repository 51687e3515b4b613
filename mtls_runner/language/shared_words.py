"""Words that servers, clients and expectations share: backends, tools, runtimes, TLS versions, requests and responses.

A backend or a tool is a name that the registry knows, or a mapping in place: a declaration's keys, for one scenario, whose model
is only loaded where there is such a mapping. ``options:`` is what each backend takes, under one roof, since a description may be
another backend's in a matrix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from typing import Annotated, Any
from urllib.parse import unquote

from msgspec import Struct
from pydantic import (
    BaseModel,
    BeforeValidator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

from mtls_runner.language.document import Plain, Value
from mtls_runner.language.values import (
    Bool,
    Id,
    Json,
    Maybe,
    OneOrMore,
    Parsed,
    Strict,
    Text,
    Token,
    about,
    bounded,
    derived,
    fail,
    keys_of,
    matching,
    one_key,
    text_value,
    word,
)
from mtls_runner.language.x509_words import ResponderRef
from mtls_runner.model.endpoint import ClientAuth, TlsVersion
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.traits import BackendTraits, Runtime
from mtls_runner.registry import Registry, Table, registry

__all__ = [
    "BACKEND",
    "BACKEND_HERE",
    "RUNTIME",
    "TOOL",
    "TOOL_HERE",
    "ChainPart",
    "ContainerOptions",
    "ClientAuthMode",
    "InPlace",
    "Lazily",
    "Options",
    "Registered",
    "RequestModel",
    "ResponseModel",
    "Responses",
    "Stapling",
    "Tls",
    "chosen",
    "described",
    "options_model",
]


class Registered(Struct, frozen=True, eq=False):
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
RUNTIME = word((Runtime.PROCESS, Runtime.CONTAINER), "a runtime")
Tls = Annotated[TlsVersion, word(TlsVersion, "a TLS version")]
ClientAuthMode = Annotated[ClientAuth, word(ClientAuth, "a mode of client_auth")]
ChainPart = Annotated[RevocationCheck, word(RevocationCheck, "a part of a chain")]


def described(sentence: str) -> str:
    """What is said of a key; for ``{backends}`` and ``{tools}``, what each says of itself, for ``{tool}`` the default one's name.

    They are only loaded for people who read it.
    """
    if "{" not in sentence:
        return sentence
    known = registry()
    sentence = sentence.replace("{tool}", known.clients.default.name)
    return sentence.replace("{backends}", _told(known.backends)).replace("{tools}", _told(known.clients))


def _told(table: Table[Any]) -> str:
    """The names with what each says of itself (``python (embedded), nginx (a container)``); declared ones by name alone."""
    said = [f"{one} ({one.sentence})" if one.sentence else one.name for one in table.usable()]
    return ", ".join([*said, *(name for name in table if name in table.declared)])


_BY_PATH = (ClientAuth.OPTIONAL, ClientAuth.REQUIRED)
_PATH = matching(
    r"/[\x21-\x7e]*",
    "this is not a path",
    "a path that begins with / and holds no blanks; others are %-encoded",
    {"type": "string", "pattern": "^/"},
)


def _own_path(value: Value) -> str:
    path = str(_PATH.parse(value))
    if "?" in path or "#" in path:
        raise fail("a server answers by the path alone", "a path without a query; a ? in it is %3F, a # is %23")
    try:
        if re.search("%(?![0-9A-Fa-f]{2})", path):
            raise ValueError
        return unquote(path, errors="strict")
    except ValueError:
        raise fail("this is not a path", "%-encoded octets that are UTF-8; a % itself is %25") from None


def _once(value: Value) -> Value:
    """A mapping, as it is, that has no path twice."""
    if isinstance(value, dict) and len({unquote(path) for path in value}) < len(value):
        raise fail("two of these are one path", "each path once; they are compared %-decoded")
    return value


_METHOD = matching(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", "this is not a method as HTTP has them", "GET, POST, … (RFC 9110 §9)"
)


def _header_value(value: Value) -> str:
    text = text_value(value)
    if any((ord(c) < 32 and c != "\t") or ord(c) == 127 for c in text):
        raise fail("a header can't hold control characters", "one line of text (RFC 9110 §5.5)")
    return text


_MOST_BODY = 1 << 26


def _body(value: Value) -> bytes:
    if isinstance(value, dict) and list(value) == ["size"]:
        size = value["size"]
        if not isinstance(size, Plain) or type(size.value) is not int or not 0 <= size.value <= _MOST_BODY:
            raise fail("this is no size of a body", f"a number of bytes, up to {_MOST_BODY} (64 MiB)")
        return b"x" * size.value
    if isinstance(value, dict):
        raise fail("this is no body", "a text, or {size: 10485760}")
    return text_value(value).encode()


_BODY_SCHEMA = {
    "anyOf": [
        {"type": ["string", "number", "boolean"]},
        one_key("size", {"type": "integer", "minimum": 0, "maximum": _MOST_BODY}),
    ]
}
_Header = Annotated[list[Annotated[str, Parsed(_header_value, {"type": ["string", "number", "boolean"]})]], OneOrMore()]
Headers = Maybe[dict[Token, _Header]]


class ResponseModel(Strict):
    """What a server answers."""

    status: Annotated[int | None, bounded(200, 599)] = about("HTTP status; 200 by default.", 200)
    headers: Headers = about("Header fields; one with several values takes a list.", {"Content-Type": "text/plain"})
    body: Maybe[Text] = about("The body, UTF-8.", "hello")
    client_auth: Annotated[ClientAuth | None, word(_BY_PATH, "what a path can demand")] = about(
        "What the path demands of the client, as applications do: required or optional. Where the server asks for no certificate "
        "in the handshake, it asks after it (TLS 1.3). Refused is as `refusal` says, or by 403.",
        "required",
    )
    identity: Maybe[Bool] = about(
        "It answers who the client is: a JSON object of subject, serial and fingerprint (SHA-256), or null.", True
    )


_OwnPath = Annotated[str, Parsed(_own_path, {"type": "string", "pattern": "^/[^?#]*$"})]
#: By path, which is read %-decoded.
Responses = Annotated[dict[_OwnPath, ResponseModel], BeforeValidator(_once)]


class RequestModel(Strict):
    """What a client asks for."""

    method: Annotated[str | None, _METHOD] = about("HTTP method; GET by default.", "POST")
    path: Annotated[str | None, _PATH] = about("Path and query.", "/orders?n=1")
    headers: Headers = about("Header fields; Host is added where it is not given.", {"X-Request-Id": "1"})
    body: Annotated[bytes | None, Parsed(_body, _BODY_SCHEMA)] = about(
        "The body, UTF-8; or so many bytes.", "hello", {"size": 10485760}
    )
    limit_rate: Annotated[int | None, bounded(1, _MOST_BODY)] = about(
        "Bytes of its body that are sent a second, as curl --limit-rate; as fast as they go by default.", 1000
    )


_MODELS = "mtls_runner.language.implementations.models"


class InPlace(Struct, frozen=True, eq=False):
    """A mapping that was validated, and as it was written; each is only equal to itself."""

    model: Any
    written: Value


class NameOrMapping(Struct, frozen=True, eq=False):
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
            return InPlace(model.model_validate(value), value)
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


_MEMORY = re.compile(r"([0-9]{1,12})([kKmMgG])")
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_LEAST, _MOST = 6 << 20, 1 << 40  # Docker's own least


def _memory(value: Value) -> int:
    """Bytes."""
    match = _MEMORY.fullmatch(str(value))
    size = int(match[1]) * _UNITS[match[2].lower()] if match else 0
    if not _LEAST <= size <= _MOST:
        raise fail("this is not an amount of memory", "a whole number with k, m or g behind it, from 6m to 1024g")
    return size


class ContainerOptions(Strict):
    """A container's settings, whatever runs in it."""

    memory: Annotated[int | None, Parsed(_memory, {"type": "string", "pattern": "^[0-9]{1,12}[kKmMgG]$"})] = about(
        "Memory limit of a container, swap included.", "512m"
    )
    pids: Annotated[int | None, bounded(16, 32768)] = about("Limit of a container's processes and threads.", 512)


def native(value: object) -> object:
    """As Python has it: a backend's model knows nothing of the author's text, and neither do its validators."""
    if isinstance(value, Plain):
        return value.value
    if isinstance(value, list):
        return [native(item) for item in value]
    if isinstance(value, dict):
        return {key: native(item) for key, item in value.items()}
    return str(value) if isinstance(value, str) else value


@cache
def options_model() -> type[Strict]:
    """What can be set of servers by ``options:``: a container's settings, and a key for each option of each backend.

    Whoever has no such option is not told of it: a file may be run on several.
    """
    own: dict[str, tuple[Any, FieldInfo]] = {}
    for traits in registry().backends.usable():
        if traits.options is not None:
            model = traits.options()
            own = keys_of(model, model.model_fields) | own
    for _, field in own.values():
        field.metadata.append(BeforeValidator(native))
    keys = keys_of(ContainerOptions, ContainerOptions.model_fields) | own
    return derived("Options", "A backend's own settings.", keys)


class Lazily(Struct, frozen=True, eq=False):
    """Annotation: a mapping with a model's keys, which is only made where there is one."""

    model: Callable[[], type[BaseModel]]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """A function: most scenarios have none."""
        return core_schema.with_info_plain_validator_function(self._parse)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        """The model's."""
        return handler(TypeAdapter(self.model()).core_schema)

    def _parse(self, value: Value, info: ValidationInfo) -> BaseModel:
        return self.model().model_validate(value, context=info.context)


Options = Annotated[Any, Lazily(options_model)]


def chosen(given: BaseModel | None, shared: BaseModel | None, traits: BackendTraits) -> Iterator[tuple[str, object]]:
    """A backend's options, in its own order: the server's over those that lab.yaml has for all containers."""
    names = list(ContainerOptions.model_fields) if Runtime.CONTAINER in traits.runtimes else []
    names += traits.options().model_fields if traits.options is not None else ()
    for name in names:
        for model in (given, shared):
            if model is not None and name in model.model_fields_set:
                yield name, getattr(model, name)
                break


class Stapling(Strict):
    """That a server sends an OCSP response with its certificate."""

    responder: Maybe[ResponderRef] = about("Whom it asks; the one that its certificate names by default.", "ocsp")
    file: Maybe[Id] = about("The responder whose answer it has as a file; it asks nobody then.", "ocsp")
    verify: Maybe[Bool] = about("nginx's ssl_stapling_verify: whether it looks at what it is going to send.", True)
