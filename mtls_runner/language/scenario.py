"""A scenario file: its cases, their steps, and all the rest by its own module."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from mtls_runner.language.certificate import Certificate
from mtls_runner.language.document import Plain, Value
from mtls_runner.language.endpoint import ClientDescription, ServerDescription
from mtls_runner.language.expectation import ExpectField, ServerChecks
from mtls_runner.language.revocation import Crl, Responder
from mtls_runner.language.values import Id, Many, Maybe, Parsed, Short, Strict, Text, about, fail, found, text_value

__all__ = ["CaseModel", "Expired", "Matrix", "ReloadStep", "Scenario", "StepField", "StepModel"]


def _case_name(value: Value) -> str:
    text = text_value(value)
    if not text.strip() or any(ord(c) < 32 for c in text) or "::" in text:
        raise fail("this can't be a case's name", "one line of text, without ::")
    return text


def _client_short(value: Value) -> Value:
    return {"certificate": value} if isinstance(value, str) or value is None else value


def _server_short(value: Value) -> Value:
    return {"like": value} if isinstance(value, str) else value


def _matrix(value: Value) -> dict[str, list[Value]]:
    if not isinstance(value, dict):
        raise fail(f"a mapping of axes is expected here, not {found(value)}", "client.tls: [TLSv1.2, TLSv1.3]")
    return {axis: values if isinstance(values, list) else [values] for axis, values in value.items()}


#: Dotted paths into server or client, each with the values that it takes.
Matrix = Annotated[dict[str, list[Any]] | None, Parsed(_matrix, {"type": "object"})]


def _connect_short(value: Value) -> Value:
    return {"certificate": value} if isinstance(value, str) and not isinstance(value, Plain) else value


def _reload_short(value: Value) -> Value:
    return {} if isinstance(value, Plain) and value.value is True else value


def _earlier(value: Value) -> str | bool:
    if isinstance(value, Plain) and value.value is True:
        return True
    if isinstance(value, Plain):
        raise fail("this is no earlier step", "true for the last one that connects, or the name of an earlier step")
    return text_value(value)


def _step_short(value: Value) -> Value:
    """A bare ``reload`` is a step."""
    return {"reload": {}} if value == "reload" else value


@dataclass(frozen=True, slots=True)
class Expired:
    """Until a certificate has expired, by its id."""

    id: str


def _wait(value: Value) -> float | Expired:
    if isinstance(value, dict) and list(value) == ["expired"]:
        return Expired(text_value(value["expired"]))
    if isinstance(value, Plain) and not isinstance(value.value, bool) and 0 < value.value <= _MOST_SECONDS:
        return float(value.value)
    raise fail("this is nothing to wait for", "a number of seconds, or {expired: id of a certificate}")


_MOST_SECONDS = 3600
_WAIT_SCHEMA = {
    "anyOf": [
        {"type": "number", "exclusiveMinimum": 0, "maximum": _MOST_SECONDS},
        {
            "type": "object",
            "properties": {"expired": {"type": "string"}},
            "required": ["expired"],
            "additionalProperties": False,
        },
    ]
}


class ReloadStep(ServerChecks):
    """What must be seen of a reload: that the server takes what its files hold, unless said otherwise."""


class StepModel(Strict):
    """A step: a connection, or something that is done to the server."""

    name: Maybe[Text] = about("What it is called; what it does by default.", "the revoked client, afresh")
    connect: Annotated[ClientDescription | None, Short(_connect_short, {"type": "string"})] = about(
        "A connection: what differs from the case's client; a bare id is the certificate that it presents.",
        {"server_name": "shop.example.com"},
        "other",
    )
    resume: Annotated[str | bool | None, Parsed(_earlier, {"anyOf": [{"const": True}, {"type": "string"}]})] = about(
        "The connection offers the session of the last one before it, or of the step of that name.", True, "first"
    )
    reuse: Annotated[str | bool | None, Parsed(_earlier, {"anyOf": [{"const": True}, {"type": "string"}]})] = about(
        "No new connection, but another request on the last one before it, or on that of the step of that name.",
        True,
        "first",
    )
    wait: Annotated[float | Expired | None, Parsed(_wait, _WAIT_SCHEMA)] = about(
        "Seconds in which nothing is done; or until a certificate has expired, by its id.", 2, {"expired": "client"}
    )
    replace: Maybe[ServerDescription] = about(
        "Replaces what the server was given, as by rename; it goes on with what it has read until it is reloaded.",
        {"crl": "after"},
    )
    reload: Annotated[ReloadStep | None, Short(_reload_short, {"const": True})] = about(
        "The server reads its files again; as a bare word, too.", True, {"starts": False, "reason": "key-mismatch"}
    )
    expect: ExpectField = about("What must be seen of the connection.", "accepted", {"server-refused": "revoked"})


#: A step or, for one that needs nothing else, its bare word.
StepField = Annotated[StepModel, Short(_step_short, {"const": "reload"})]


class CaseModel(Strict):
    """A case: who connects, and what must be seen."""

    name: Annotated[str, Parsed(_case_name, {"type": ["string", "number", "boolean"]})] = Field(
        description="Its name, once in the file.", examples=["without a client certificate"]
    )
    server: Annotated[ServerDescription | None, Short(_server_short, {"type": "string"})] = about(
        "The id of the server it connects to, where there are several; or what differs from it.",
        "strict",
        {"client_auth": "optional"},
    )
    client: Annotated[ClientDescription | None, Short(_client_short, {"type": ["string", "null"]})] = about(
        "The client; a bare id is the certificate that it presents.", "good", {"certificate": "good", "tool": "curl"}
    )
    expect: ExpectField = about(
        "What must be seen; a bare word is the outcome, {server-refused: expired} outcome and reason.",
        "accepted",
        {"server-refused": "expired"},
    )
    steps: Maybe[list[StepField]] = about(
        "In the place of `expect`: connections and what is done to the server between them, each with its own expectation.",
        [{"expect": "accepted"}, {"replace": {"crl": "after"}}, "reload", {"expect": {"server-refused": "revoked"}}],
    )
    matrix: Matrix = about("Takes the place of the file's matrix.", {"client.tool": ["python", "curl"]})


class Scenario(Strict):
    """A scenario: keys and certificates, servers, cases."""

    name: Maybe[Text] = about("Its name; the file's by default.", "basic")
    description: Maybe[Text] = about("What it shows.", "Nothing without a client certificate.")
    tags: Many[Text] = about("Words to choose files by (--tag).", ["smoke"])
    ca: Maybe[Certificate] = about("The one authority; its id is ca.", {"subject": "CN=Lab Root CA"})
    authorities: Maybe[dict[Id, Certificate]] = about("Several authorities by id.", {"root": {"subject": "CN=Root"}})
    leaves: Maybe[dict[Id, Certificate]] = about(
        "Certificates that servers and clients present, by id.", {"server": {}}
    )
    crls: Maybe[dict[Id, Crl]] = about(
        "CRLs by id; an authority's own is called as the authority, and need not be here.",
        {"ca": {"next_update": "-1h"}},
    )
    responders: Maybe[dict[Id, Responder]] = about(
        "OCSP responders by id; certificates and servers name them.", {"ocsp": {"answer": "good"}}
    )
    server: Maybe[ServerDescription] = about("The one server.", {"certificate": "server", "client_auth": "required"})
    servers: Maybe[dict[Id, ServerDescription]] = about(
        "Several servers by id.", {"strict": {"client_auth": "required"}}
    )
    matrix: Matrix = about("Every combination, each a case of its own.", {"client.tls": ["TLSv1.2", "TLSv1.3"]})
    cases: Maybe[list[CaseModel]] = about("What is tried, and what must be seen.", [])
