"""What an author may write about requests and responses."""

import re
from typing import Annotated

from mtls_runner.language.document import Value
from mtls_runner.language.values import Maybe, OneOrMore, Parsed, Strict, Text, Token, about, bounded, fail, text_value

__all__ = ["Path", "RequestModel", "ResponseModel"]

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
