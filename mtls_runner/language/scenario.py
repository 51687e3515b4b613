"""What a scenario file and lab.yaml may hold: cases, their steps, defaults, and all the rest by its own module."""

from typing import Annotated, Any

from msgspec import Struct
from pydantic import Field

from mtls_runner.language.certificate import AuthorityKeyField, Certificate, CertificateSettings, OwnExtensions
from mtls_runner.language.document import Plain, Value
from mtls_runner.language.endpoint import ClientDescription, ClientSettings, ServerDescription, ServerSettings
from mtls_runner.language.expectation import ExpectField, ServerChecks
from mtls_runner.language.shared_words import ContainerOptions
from mtls_runner.language.values import (
    Id,
    IdRef,
    Many,
    Maybe,
    Parsed,
    Seconds,
    Short,
    Some,
    Strict,
    Text,
    about,
    alone,
    as_bool,
    bounded,
    fail,
    found,
    one_key,
    text_value,
    word,
)
from mtls_runner.language.x509_words import MOMENT, NullableMoment
from mtls_runner.model.certificate import Defect, Moment
from mtls_runner.model.revocation import CrlScope, OcspAnswer

__all__ = [
    "CaseModel",
    "Crl",
    "Defaults",
    "EngineSettings",
    "Expired",
    "LabFile",
    "Matrix",
    "ReloadStep",
    "Responder",
    "Scenario",
    "StepField",
    "StepModel",
    "responder_uri",
]


def _case_name(value: Value) -> str:
    text = text_value(value)
    if not text.strip() or any(ord(c) < 32 for c in text) or "::" in text:
        raise fail("this can't be a case's name", "one line of text, without ::")
    return text


def _client_short(value: Value) -> Value:
    return {"certificate": value} if isinstance(value, str) or value is None else value


def _matrix(value: Value) -> dict[str, list[Value]]:
    if not isinstance(value, dict):
        raise fail(f"a mapping of axes is expected here, not {found(value)}", "client.tls: [TLSv1.2, TLSv1.3]")
    return {axis: values if isinstance(values, list) else [values] for axis, values in value.items()}


#: Dotted paths into server or client, each with the values that it takes.
Matrix = Annotated[dict[str, list[Any]] | None, Parsed(_matrix, {"type": "object"})]


def _connect_short(value: Value) -> Value:
    return {"certificate": value} if isinstance(value, str) and not isinstance(value, Plain) else value


def _reload_short(value: Value) -> Value:
    return {} if as_bool(value) else value


def _earlier(value: Value) -> str | bool:
    if as_bool(value):
        return True
    if isinstance(value, Plain):
        raise fail("this is no earlier step", "true for the last one that connects, or the name of an earlier step")
    return text_value(value)


Earlier = Annotated[str | bool, Parsed(_earlier, {"anyOf": [{"const": True}, {"type": "string"}]})]


def _step_short(value: Value) -> Value:
    """A bare ``reload`` is a step."""
    return {"reload": {}} if value == "reload" else value


def _restart(value: Value) -> bool:
    if as_bool(value):
        return True
    raise fail("this is nothing to do", "restart: true")


class Expired(Struct, frozen=True):
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
        one_key("expired", {"type": "string"}),
    ]
}


class ReloadStep(ServerChecks):
    """What must be seen of a reload: that the server takes what its files hold, unless said otherwise."""


class StepModel(Strict):
    """A step: a connection, or something that is done to the server, or to the client."""

    name: Maybe[Text] = about("What it is called; what it does by default.", "the revoked client, afresh")
    connect: Annotated[ClientDescription | None, Short(_connect_short, {"type": "string"})] = about(
        "A connection: what differs from the case's client; a bare id is the certificate that it presents.",
        {"server_name": "shop.example.com"},
        "other",
    )
    resume: Maybe[Earlier] = about(
        "The connection offers the session of the last one before it, or of the step of that name.", True, "first"
    )
    reuse: Maybe[Earlier] = about(
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
    renew: Maybe[Text] = about(
        "The client's files hold another certificate, by its id, and its key, as by rename; one that lives on goes on with what "
        "it has read.",
        "renewed",
    )
    restart: Annotated[bool | None, Parsed(_restart, {"const": True})] = about(
        "The client is started anew: it reads its files, and has no connection.", True
    )
    expect: ExpectField = about("What must be seen of the connection.", "accepted", {"server-refused": "revoked"})


#: A step or, for one that needs nothing else, its bare word.
StepField = Annotated[StepModel, Short(_step_short, {"const": "reload"})]


class CaseModel(Strict):
    """A case: who connects, and what must be seen."""

    name: Annotated[str, Parsed(_case_name, {"type": ["string", "number", "boolean"]})] = Field(
        description="Its name, once in the file.", examples=["without a client certificate"]
    )
    server: Annotated[ServerDescription | None, Short(alone("like"), {"type": "string"})] = about(
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


_OCSP_DEFECTS = (Defect.WRONG_SIGNATURE_KEY, Defect.CORRUPTED_SIGNATURE)
_CRL_DEFECTS = (*_OCSP_DEFECTS, Defect.WRONG_ISSUER_NAME)
#: The container's own loopback, where nobody else's configuration listens.
_SOMEBODY, _NOBODY = "127.0.67.1:8888", "127.0.67.2:8888"


class Crl(Strict):
    """A certificate revocation list."""

    issuer: Maybe[Id] = about("The authority that signs it; the one it is called after, or the only one.", "ca")
    this_update: Annotated[Moment | None, MOMENT] = about("When it was made; an hour ago by default.", "+1d")
    next_update: Annotated[Moment | None, MOMENT] = about("When the next one is due; in a week by default.", "-1h")
    revoked: Many[IdRef] = about(
        "Ids of what is on it; by default what the authority issued and is `revoked`. [] for nothing.", ["client"]
    )
    number: Annotated[int | None, bounded(0)] = about("Its number (RFC 5280 §5.2.3); 1 by default.", 7)
    delta_of: Annotated[int | None, bounded(0)] = about(
        "The number of the list that it adds to, which makes it a delta CRL (RFC 5280 §5.2.4).", 1
    )
    only_contains: Annotated[CrlScope | None, word(CrlScope, "a scope of a CRL")] = about(
        "What it is about, in an issuingDistributionPoint (RFC 5280 §5.2.5); everything by default.", "user"
    )
    authority_key_identifier: AuthorityKeyField = about(
        "Whom it names as its issuer, as a certificate does; null for no such extension.", {"key": "other"}
    )
    extensions: OwnExtensions = about("More extensions, by OID.", {"1.3.6.1.4.1.55555.1": {"der": "05 00"}})
    defects: Many[Annotated[Defect, word(_CRL_DEFECTS, "a defect of a CRL")]] = about(
        "What is wrong with it, on purpose.", "wrong-signature-key"
    )
    file: Maybe[Text] = about("An own CRL, relative to the scenario; nothing is generated.", "ca.crl")


class Responder(Strict):
    """An OCSP responder of the lab's own."""

    answer: Some[Annotated[OcspAnswer, word(OcspAnswer, "an answer of a responder")]] = about(
        "What it answers; a list: to the first request, the second, …, the last one to all that follow. truth by default.",
        "good",
        ["good", "revoked"],
    )
    signer: Maybe[Id] = about(
        "The certificate that signs; the issuer of the one asked about by default.", "ocsp-signer"
    )
    this_update: Annotated[Moment | None, MOMENT] = about("When it was made; an hour ago by default.", "+1d")
    next_update: Annotated[Moment | None, NullableMoment] = about(
        "When the next one is due; in a week by default, null for none.", "-1h"
    )
    delay: Maybe[Seconds] = about("Seconds that it takes its time.", 0.5)
    defects: Many[Annotated[Defect, word(_OCSP_DEFECTS, "a defect of an OCSP response")]] = about(
        "What is wrong with what it answers, on purpose.", "wrong-signature-key"
    )
    # last, since from here on the name is the field's
    about: Maybe[Id] = about("The certificate that it answers about, whichever is asked about.", "other")


def responder_uri(id_: str, model: Responder) -> str:
    """Where it is, seen from a server in its container; known before anything runs, since certificates name it."""
    gone = model.answer is not None and set(model.answer) == {OcspAnswer.NOBODY}
    return f"http://{_NOBODY if gone else _SOMEBODY}/{id_}"


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
    cases: Maybe[list[CaseModel]] = about(
        "What is tried, and what must be seen.", [{"name": "good", "client": "good", "expect": "accepted"}]
    )


class Defaults(Strict):
    """What every scenario of the tree starts from."""

    server: Maybe[ServerSettings] = about("For every server.", {"tls": ["TLSv1.2", "TLSv1.3"]})
    client: Maybe[ClientSettings] = about("For every client.", {"tool": "python", "timeout": 10})
    certificate: Maybe[CertificateSettings] = about(
        "For every authority and leaf that is generated.", {"key": "ec-p256"}
    )


class EngineSettings(ContainerOptions):
    """Containers."""

    image: Maybe[Text] = about("The image of containers.", "nginx:1.27")


class LabFile(Strict):
    """Defaults and shared descriptions for a tree of scenarios."""

    defaults: Maybe[Defaults] = about("What every scenario starts from.", {"client": {"timeout": 10}})
    engine: Maybe[EngineSettings] = about("The container engine.", {"image": "nginx:1.27"})
    jobs: Annotated[int | None, bounded(1, 256)] = about(
        "Cases that run at the same time; -j overrides it. By default two where all servers and clients are embedded, else one.",
        1,
    )
    artifacts: Maybe[Text] = about("Where --keep puts material, relative to lab.yaml.", ".mtls-run")
    authorities: Maybe[dict[Id, Certificate]] = about(
        "Authorities that scenarios may name.", {"corp": {"subject": "CN=Corp"}}
    )
    leaves: Maybe[dict[Id, Certificate]] = about("Leaves that scenarios may name.", {"monitor": {"issuer": "corp"}})
