"""Scalar types of the language: each is a function that reads what an author typed, and its JSON schema.

Functions cost next to nothing to build (start-up is a feature), and their errors are in plain words. YAML's core schema
gives them ``str`` for text, :class:`~mtls_runner.language.document.Plain` for plain numbers and booleans, which text
fields take as typed (``0777`` stays ``0777``)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from copy import copy
from functools import cache
from types import NoneType
from typing import Annotated, Any, TypeAlias, TypeVar, cast, get_args

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, create_model
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError, core_schema

from mtls_runner.language.document import Plain, Value

__all__ = [
    "ID_PATTERN",
    "RESERVED_IDS",
    "Bool",
    "Given",
    "Id",
    "IdRef",
    "Json",
    "Many",
    "Maybe",
    "OneOrMore",
    "Parsed",
    "Seconds",
    "Short",
    "Some",
    "Strict",
    "Text",
    "Token",
    "about",
    "alone",
    "as_bool",
    "bool_value",
    "bounded",
    "by_name",
    "defaults_of",
    "derived",
    "fail",
    "found",
    "int_value",
    "keys_of",
    "matching",
    "one_key",
    "over",
    "separated",
    "switch",
    "text_value",
    "within",
    "without",
    "word",
]

T = TypeVar("T")
Json: TypeAlias = dict[str, Any]

ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
#: Words that stand where an id could.
RESERVED_IDS = frozenset({"self", "none", "full", "leaf"})
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2


class Strict(BaseModel):
    """Base of all models: an unknown key is an error, and no error holds what the author typed."""

    model_config = ConfigDict(
        extra="forbid", strict=True, hide_input_in_errors=True, defer_build=True, protected_namespaces=()
    )


def one_key(key: str, schema: Json) -> Json:
    """The schema of a mapping with this key and no other."""
    return {"type": "object", "properties": {key: schema}, "required": [key], "additionalProperties": False}


def fail(message: str, expected: str = "", choices: Iterable[str] = ()) -> PydanticCustomError:
    """An error for ``diagnose``: what is wrong, what would be right, and the words that were possible."""
    return PydanticCustomError(
        "mtls", "{message}", {"message": message, "expected": expected, "choices": tuple(choices)}
    )


def found(value: object) -> str:
    """What kind of thing an author typed, for messages: never the thing itself."""
    if value is None:
        return "nothing"
    if isinstance(value, Plain):
        if as_bool(value) is not None:
            return "true or false"
        return "a decimal number" if isinstance(value.value, float) else "a number"
    if isinstance(value, str):
        return "text"
    return "a list" if isinstance(value, list) else "a mapping"


class Parsed(Struct, frozen=True, eq=False):
    """Annotation: the value is what ``parse`` makes of the author's, and nothing else looks at it."""

    parse: Callable[[Value], object]
    schema: Mapping[str, object]

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Only the function: the annotated type is not asked."""
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        """What an author may write."""
        return dict(self.schema)


def alone(key: str) -> Callable[[Value], Value]:
    """For :class:`Short`: a text alone is the value of ``key``."""
    return lambda value: {key: value} if isinstance(value, str) else value


def switch(key: str) -> Callable[[Value], Value]:
    """For :class:`Short`: ``true`` is a mapping without keys, ``false`` is ``null``, a text alone is the value of ``key``."""

    def expand(value: Value) -> Value:
        given = as_bool(value)
        if given is not None:
            return {} if given else None
        return {key: value} if isinstance(value, str) else value

    return expand


def _without_none(source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
    parts = get_args(source)
    if NoneType not in parts:
        return handler(source)
    (kept,) = (part for part in parts if part is not NoneType)
    return handler.generate_schema(kept)


class Given(Struct, frozen=True, eq=False):
    """Annotation for an optional key: it may be left out, but not be empty (``key:`` with nothing behind it)."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The annotated type without ``None``."""
        return _without_none(source, handler)


class Short(Struct, frozen=True, eq=False):
    """Annotation: short forms are spelt out before the model looks.

    Args:
        expand: short form → long form; anything else comes back as it is.
        schema: of the short forms.
        nullable: whether nothing (``key:``, ``key: null``) is a value of its own.
    """

    expand: Callable[[Value], Value]
    schema: Mapping[str, object]
    nullable: bool = False

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The annotated type behind ``expand``."""
        inner = handler(source) if self.nullable else _without_none(source, handler)
        return core_schema.no_info_before_validator_function(self.expand, inner)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        """Either form."""
        return {"anyOf": [dict(self.schema), handler(schema)]}


class OneOrMore(Struct, frozen=True, eq=False):
    """Annotation of a list: a single value will do; with ``null``, nothing is a value too; ``empty``: ``[]`` is one."""

    null: bool = False
    empty: bool = True

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The list, behind a function that makes one."""
        as_list = _as_list_with_null if self.null else _as_list
        schema = core_schema.no_info_before_validator_function(as_list, _without_none(source, handler))
        return schema if self.empty else core_schema.no_info_before_validator_function(_not_empty, schema)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        """One or a list."""
        several = handler(schema)
        return {"anyOf": [several["items"], several if self.empty else several | {"minItems": 1}]}


def _as_list_with_null(value: Value) -> Value:
    return value if isinstance(value, list) else [value]


def _not_empty(value: Value) -> Value:
    if value == []:
        raise fail("nothing is listed here", "at least one")
    return value


def _as_list(value: Value) -> Value:
    return value if isinstance(value, list) or value is None else [value]


def text_value(value: Value) -> str:
    """Text as typed."""
    if isinstance(value, str):
        return str(value)
    raise fail(f"text is expected here, not {found(value)}", "text")


def int_value(value: Value) -> int:
    """A whole number, not in quotes."""
    if isinstance(value, Plain) and type(value.value) is int:
        return value.value
    raise fail(f"a whole number is expected here, not {found(value)}", "a whole number, without quotes")


def bounded(low: int, high: int | None = None) -> Parsed:
    """A whole number in a range."""
    limit = f"{low} or more" if high is None else f"{low} to {high}"

    def parse(value: Value) -> int:
        number = int_value(value)
        if number < low or (high is not None and number > high):
            raise fail("this number is out of range", limit)
        return number

    return Parsed(parse, {"type": "integer", "minimum": low} | ({} if high is None else {"maximum": high}))


def as_bool(value: object) -> bool | None:
    """``true`` or ``false``, not in quotes; ``None``: it is neither."""
    return value.value if isinstance(value, Plain) and isinstance(value.value, bool) else None


def bool_value(value: Value) -> bool:
    """``true`` or ``false``, not in quotes."""
    given = as_bool(value)
    if given is not None:
        return given
    raise fail(f"true or false is expected here, not {found(value)}", "true or false, without quotes")


def _seconds(value: Value) -> float:
    if isinstance(value, Plain) and not isinstance(value.value, bool) and 0 < value.value <= 3600:
        return float(value.value)
    raise fail("a number of seconds is expected here", "a number from above 0 to 3600, without quotes")


def _id(value: Value) -> str:
    if isinstance(value, str) and ID_PATTERN.fullmatch(value) and value not in RESERVED_IDS:
        return str(value)
    if isinstance(value, str):
        raise fail(
            "this can't be an id",
            "letters, digits, - and _, beginning with a letter or digit; not self, none, full or leaf",
        )
    raise fail(f"an id is expected here, not {found(value)}", "the id of an authority or leaf")


def _token(value: Value) -> str:
    if isinstance(value, str) and _TOKEN.fullmatch(value):
        return str(value)
    raise fail("this is not a name as HTTP has them", "letters, digits and - (RFC 9110 §5.6.2)")


def matching(pattern: str, message: str, expected: str, schema: Json | None = None) -> Parsed:
    """A text of a certain form.

    Args:
        pattern: all of it.
        message, expected: what is said of another one.
        schema: what an editor is told; a text by default.
    """
    form = re.compile(pattern)

    def parse(value: Value) -> str:
        text = text_value(value)
        if not form.fullmatch(text):
            raise fail(message, expected)
        return text

    return Parsed(parse, schema or {"type": "string"})


def word(words: Iterable[str], noun: str, *, hidden: frozenset[str] = frozenset()) -> Parsed:
    """One of these words: of an enum, of names, or of a mapping from words to what they stand for.

    ``hidden`` ones are synonyms that are not offered.
    """
    table: Mapping[str, object] = words if isinstance(words, Mapping) else {str(each): each for each in words}
    shown = [name for name in table if name not in hidden]

    def parse(value: Value) -> object:
        known = table.get(value) if isinstance(value, str) else None
        if known is None:
            raise fail(f"this is not {noun}", choices=shown)
        return known

    return Parsed(parse, {"enum": shown})


#: A free text, such as a body: numbers and booleans stay as typed.
Text = Annotated[str, Parsed(text_value, {"type": ["string", "number", "boolean"]})]
Bool = Annotated[bool, Parsed(bool_value, {"type": "boolean"})]
Seconds = Annotated[float, Parsed(_seconds, {"type": "number", "exclusiveMinimum": 0, "maximum": 3600})]
Id = Annotated[str, Parsed(_id, {"type": "string", "pattern": f"^{ID_PATTERN.pattern}$"})]
Token = Annotated[str, Parsed(_token, {"type": "string"})]
#: The id of something in the file, which is looked up later.
IdRef = Annotated[str, Parsed(text_value, {"type": "string"})]


#: An optional key; what it is given must not be empty.
Maybe = Annotated[T | None, Given()]
#: An optional key that takes a list or a single value.
Many = Annotated[list[T] | None, OneOrMore()]
#: The same, where a list of none would say nothing.
Some = Annotated[list[T] | None, OneOrMore(empty=False)]


def about(description: str, *examples: object) -> Any:
    """An optional key: what the reference and an editor say of it, and how it is written."""
    return Field(default=None, description=description, examples=list(examples) or None)


def separated(*, apart: bool) -> Parsed:
    """Names as OpenSSL takes them: ``a:b`` or ``[a, b]``; the value is one text with colons, or ``apart`` a tuple."""

    def parse(value: Value) -> str | tuple[str, ...]:
        parts = value if isinstance(value, list) else [value]
        if not parts:
            raise fail("nothing is listed here", "names, in a list or with ':' between them")
        joined = ":".join(text_value(part) for part in parts)
        if not joined.strip(":"):
            raise fail("nothing is listed here", "names, in a list or with ':' between them")
        if not joined.isascii() or not joined.isprintable():
            raise fail("OpenSSL has no such name", "letters, digits and signs of ASCII")
        return tuple(filter(None, joined.split(":"))) if apart else joined

    return Parsed(parse, {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]})


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
    """A model of values that were validated already."""
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


def defaults_of(spec: type[Struct]) -> dict[str, Any]:
    """The defaults of a description's fields, as far as they have one."""
    return dict(zip(reversed(spec.__struct_fields__), reversed(spec.__struct_defaults__), strict=False))


@cache
def _shared(model: type[Strict], spec: type[Struct]) -> tuple[str, ...]:
    return tuple(name for name in spec.__struct_fields__ if name in model.model_fields)


def by_name(model: Strict, spec: type[Struct]) -> dict[str, Any]:
    """What the author gave of those keys that the resolved description has under the same name; of all others, its own
    defaults count.
    """
    given = {name: getattr(model, name) for name in _shared(type(model), spec)}
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items() if value is not None
    }
