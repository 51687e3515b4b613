"""What an author may write under ``steps:``."""

from dataclasses import dataclass
from typing import Annotated

from mtls_runner.language.document import Plain, Value
from mtls_runner.language.endpoint import ClientDescription, ServerDescription
from mtls_runner.language.expectation import ExpectField, ServerChecks
from mtls_runner.language.values import Maybe, Parsed, Short, Strict, Text, about, fail, text_value

__all__ = ["Expired", "ReloadStep", "StepField", "StepModel"]


def _client_short(value: Value) -> Value:
    return {"certificate": value} if isinstance(value, str) and not isinstance(value, Plain) else value


def _reload_short(value: Value) -> Value:
    return {} if isinstance(value, Plain) and value.value is True else value


def _resume(value: Value) -> str | bool:
    if isinstance(value, Plain) and value.value is True:
        return True
    if isinstance(value, Plain):
        raise fail("this is not a session", "true for the last step's, or the name of an earlier step")
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
    connect: Annotated[ClientDescription | None, Short(_client_short, {"type": "string"})] = about(
        "A connection: what differs from the case's client; a bare id is the certificate that it presents.",
        {"server_name": "shop.example.com"},
        "other",
    )
    resume: Annotated[str | bool | None, Parsed(_resume, {"anyOf": [{"const": True}, {"type": "string"}]})] = about(
        "The connection offers the session of the last one before it, or of the step of that name.", True, "first"
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
