"""What an author may write under ``expect:``."""

import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Annotated, ClassVar, TypeVar

from pydantic import AfterValidator, Field
from yaml.nodes import MappingNode, Node, ScalarNode

from mtls_runner.errors import DeadlineExceeded, without_warnings
from mtls_runner.language.document import Plain, Value
from mtls_runner.language.shared_words import BACKEND, RUNTIME, TOOL, Tls
from mtls_runner.language.values import (
    Bool,
    Many,
    Maybe,
    OneOrMore,
    Parsed,
    Short,
    Some,
    Strict,
    Token,
    about,
    as_bool,
    bool_value,
    fail,
    int_value,
    text_value,
    word,
)
from mtls_runner.language.x509_words import subject_fault
from mtls_runner.model.case import Match, Matcher
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.traits import LIBRARIES, Runtime
from mtls_runner.tls import ALERTS, HANDSHAKE_TYPES

__all__ = [
    "CASE_OUTCOMES",
    "Expect",
    "ExpectField",
    "RefusalField",
    "RefusalModel",
    "ServerExpect",
    "When",
    "Where",
    "short_outcome",
]

#: Of a case; ``server-started`` and ``server-unusable`` are written as ``server.expect``.
CASE_OUTCOMES: Mapping[str, Outcome] = {
    outcome.value: outcome for outcome in Outcome if outcome not in (Outcome.SERVER_STARTED, Outcome.SERVER_UNUSABLE)
}


def short_outcome(node: Node) -> tuple[Node, Node] | None:
    """Outcome and reason of ``{server-refused: expired}``, where the one is the other's key; ``None``: it is no such mapping."""
    for key_node, value_node in node.value if isinstance(node, MappingNode) else ():
        if isinstance(key_node, ScalarNode) and key_node.value in CASE_OUTCOMES:
            return key_node, value_node
    return None


_TOOL_VERSION = re.compile(
    r"\s*(==|!=|>=|<=|>|<)\s*[0-9]+(\.[0-9]+)*(\s*,\s*(==|!=|>=|<=|>|<)\s*[0-9]+(\.[0-9]+)*)*\s*"
)
_NULL = Matcher(Match.EQUALS, None)
_SOMETHING = "{matches: .} for any text that is not empty"
#: Texts that have nothing in common: what is found in all of them says nothing.
_UNLIKE = ("", "\0", "\uffff\n\U0010ffff")


def _equals(value: str | int | bool | tuple[str, ...]) -> Matcher:
    return Matcher(Match.EQUALS, value)


def _compile(pattern: str) -> None:
    try:
        with without_warnings():
            warnings.simplefilter("error", FutureWarning)  # for what later versions will read otherwise
            re.compile(pattern)
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        why = error.msg if isinstance(error, re.error) else str(error)
        raise fail(f"this regular expression is broken: {why}", "Python's syntax (re)") from None


def _searched(value: Mapping[str, Value]) -> Matcher:
    """``{contains: …}`` or ``{matches: …}``."""
    if len(value) == 1:
        (kind, text), *_ = value.items()
        if kind == "contains":
            part = text_value(text)
            if not part:
                raise fail("every text contains this", _SOMETHING)
            return Matcher(Match.CONTAINS, part)
        if kind == "matches":
            pattern = text_value(text)
            from mtls_runner.regular_expressions import occurs

            _compile(pattern)
            try:
                everywhere = all(occurs(pattern, [sample]) for sample in _UNLIKE)
            except DeadlineExceeded as error:
                raise fail(str(error), "one that looks at no part of a text again and again") from None
            if everywhere:
                raise fail("every text matches this", _SOMETHING)
            return Matcher(Match.MATCHES, pattern)
    raise fail("this is not a way to compare", "a text, {contains: text} or {matches: regular expression}")


def _text(value: Value) -> Matcher:
    if isinstance(value, dict):
        return _searched(value)
    return _NULL if value is None else _equals(text_value(value))


def _distinguished(value: Value) -> Matcher:
    matcher = _text(value)
    fault = subject_fault(str(matcher.value)) if matcher.kind is Match.EQUALS and matcher.value is not None else ""
    if fault:
        raise fail("this is not a distinguished name as RFC 4514 writes it", fault)
    return matcher


def _whole(low: int, high: int, what: str) -> Parsed:
    """A whole number that can be seen at all."""

    def parse(value: Value) -> Matcher:
        if value is None:
            return _NULL
        number = int_value(value)
        if not low <= number <= high:
            raise fail(f"this is no {what}", f"{low} to {high}")
        return _equals(number)

    return Parsed(parse, {"type": ["integer", "null"], "minimum": low, "maximum": high})


def _verified(value: Value) -> Matcher:
    matcher = _text(value)
    text = matcher.value
    seen = text in (None, "SUCCESS", "NONE", "FAILED") or (isinstance(text, str) and text.startswith("FAILED:"))
    if matcher.kind is Match.EQUALS and not seen:
        raise fail("this is never seen here", "SUCCESS, NONE, {matches: ^FAILED}, or FAILED: and nginx's words")
    return matcher


def _named(words: Iterable[str], noun: str, *, nullable: bool = False) -> Parsed:
    """One of these words; ``nullable``: or nothing, which is a value of its own."""
    matchers = {str(each): _equals(str(each)) for each in words}

    def parse(value: Value) -> Matcher:
        if nullable and value is None:
            return _NULL
        known = matchers.get(value) if isinstance(value, str) else None
        if known is None:
            raise fail(f"this is not {noun}", choices=matchers)
        return known

    return Parsed(parse, {"enum": [*matchers, None] if nullable else list(matchers)})


def _flag(value: Value) -> Matcher:
    return _NULL if value is None else _equals(bool_value(value))


def _version_range(value: Value) -> str:
    text = text_value(value)
    if not _TOOL_VERSION.fullmatch(text):
        raise fail("this is not a range of versions", '">=8.16", "<8.16" or ">=7.88,<8.16"')
    return text.replace(" ", "")


def _listed(kind: Match, known: Collection[str] = (), noun: str = "") -> Callable[[Value], tuple[Matcher, ...]]:
    def parse(value: Value) -> tuple[Matcher, ...]:
        if value is None:
            return (_NULL,)
        if isinstance(value, dict):
            return (_searched(value),)
        items = value if isinstance(value, list) else [value]
        if kind is Match.IN_ORDER and not items:
            raise fail("nothing is expected here", "at least one name")
        names = tuple(text_value(item) for item in items)
        if known and not all(name in known or name.startswith("handshake_") for name in names):
            raise fail(f"not all of these are {noun}", choices=known)
        return (Matcher(kind, names),)

    return parse


def _some(fields: dict[str, list[Matcher]]) -> dict[str, list[Matcher]]:
    if not fields:
        raise fail("nothing is expected here", "at least one field, such as {content-type: text/plain}")
    return fields


_TEXT_SCHEMA = {
    "anyOf": [
        {"type": ["string", "number", "boolean", "null"]},
        {
            "type": "object",
            "properties": {
                "contains": {"type": ["string", "number"]},
                "matches": {"type": "string", "format": "regex"},
            },
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ]
}
_LIST_SCHEMA = {"anyOf": [*_TEXT_SCHEMA["anyOf"], {"type": "array", "items": {"type": "string"}}]}


T = TypeVar("T")
_Any = Annotated[list[T] | None, OneOrMore(null=True, empty=False)]
"""One of several that will do, of which nothing (``null``) can be one."""

Outcomes = Some[Annotated[Matcher, _named(CASE_OUTCOMES, "an outcome")]]
Reasons = _Any[Annotated[Matcher, _named(Reason, "a reason", nullable=True)]]
Alerts = _Any[Annotated[Matcher, _named(ALERTS.values(), "an alert of RFC 8446", nullable=True)]]
Ends = _Any[Annotated[Matcher, _named(("client", "server"), "an end", nullable=True)]]
Versions = _Any[Annotated[Matcher, _named(TlsVersion, "a TLS version", nullable=True)]]
Statuses = _Any[Annotated[Matcher, _whole(100, 999, "HTTP status")]]
Redirects = _Any[Annotated[Matcher, _whole(0, 50, "number of redirects that are followed")]]
Exits = _Any[Annotated[Matcher, _whole(0, 255, "exit code")]]
Codes = _Any[Annotated[Matcher, _whole(0, 255, "verify code of OpenSSL's")]]
Verified = _Any[Annotated[Matcher, Parsed(_verified, _TEXT_SCHEMA)]]
_Text = Annotated[Matcher, Parsed(_text, _TEXT_SCHEMA)]
_Texts = Annotated[list[_Text], OneOrMore(null=True, empty=False)]
Texts = _Any[_Text]
Subjects = _Any[Annotated[Matcher, Parsed(_distinguished, _TEXT_SCHEMA)]]
VersionRange = Maybe[Annotated[str, Parsed(_version_range, {"type": "string"})]]
Flag = Annotated[Matcher | None, Parsed(_flag, {"type": ["boolean", "null"]})]
HeaderTexts = Maybe[Annotated[dict[Token, _Texts], AfterValidator(_some)]]


def _distinguished_names(value: Value) -> tuple[Matcher, ...]:
    for one in value if isinstance(value, list) else [value]:
        _distinguished(one)
    return _listed(Match.EQUALS)(value)


Listed = Annotated[tuple[Matcher, ...] | None, Parsed(_listed(Match.EQUALS), _LIST_SCHEMA)]
_MESSAGES = tuple(HANDSHAKE_TYPES.values())
DistinguishedNames = Annotated[tuple[Matcher, ...] | None, Parsed(_distinguished_names, _LIST_SCHEMA)]
InOrder = Annotated[
    tuple[Matcher, ...] | None, Parsed(_listed(Match.IN_ORDER, _MESSAGES, "handshake messages"), _LIST_SCHEMA)
]


def _outcome_forms(value: Value) -> Value:
    """A bare word is the outcome; ``{outcome: reason}`` gives both."""
    if isinstance(value, str | list):
        return {"outcome": value}
    if value is None:
        raise fail("nothing is expected here", f"one of: {', '.join(CASE_OUTCOMES)}")
    if isinstance(value, dict):
        outcomes = [key for key in value if key in CASE_OUTCOMES]
        if not outcomes:
            return value
        if len(outcomes) > 1 or "outcome" in value or "reason" in value:
            raise fail(
                "outcome and reason are given more than once here", "one of: {outcome: …, reason: …}, {outcome: reason}"
            )
        return {key: rest for key, rest in value.items() if key != outcomes[0]} | {
            "outcome": outcomes[0],
            "reason": value[outcomes[0]],
        }
    return value


_EXPECT_SHORT = {
    "anyOf": [
        {"enum": list(CASE_OUTCOMES)},
        {"type": "array", "items": {"enum": list(CASE_OUTCOMES)}, "minItems": 1},
    ]
}


class UpstreamChecks(Strict):
    """What a server of the file that is behind this one must have seen: there the proxy is the client."""

    more_keys: ClassVar[tuple[str, ...]] = tuple(CASE_OUTCOMES)

    outcome: Outcomes = about("What happens there, in one word.", "server-refused")
    reason: Reasons = about("Why.", "expired")
    client_subject: Subjects = about("Subject of the proxy's own certificate, RFC 4514.", "CN=proxy")


class Checks(Strict):
    """What must be seen. Only what is written is compared."""

    more_keys: ClassVar[tuple[str, ...]] = tuple(CASE_OUTCOMES)

    outcome: Outcomes = about("What happens, in one word.", "server-refused")
    reason: Reasons = about("Why.", "no-certificate")
    status: Statuses = about("HTTP status.", 200, [400, 403])
    headers: HeaderTexts = about("Header fields of the response; null for one that is absent.", {"server": "nginx"})
    body: Texts = about("The response's body, UTF-8.", {"contains": "hello"})
    received: Texts = about(
        "What a client that speaks tls or tcp got to read, UTF-8.", "+PONG\r\n", {"contains": "220 "}
    )
    redirects: Redirects = about("How many redirects were followed.", 1)
    body_sent: Flag = about(
        "Whether all of the request's body went out: a server may answer, or refuse, before it has it.", False
    )
    curl_exit: Exits = about("What curl exits with, or would have.", [35, 56])
    alert: Alerts = about("The fatal alert that ended the handshake; null for none.", "certificate_required")
    alert_from: Ends = about("Who sent that alert.", "server")
    ssl_verify_result: Codes = about(
        "The client's own verify code for the server's chain; curl writes 1 for a name.", 18
    )
    server_verify_code: Codes = about("OpenSSL's verify code for the client's chain, at the server.", 10)
    tls_version: Versions = about("The negotiated version.", "TLSv1.3")
    cipher: Texts = about("The negotiated cipher suite, under OpenSSL's name.", {"contains": "AES_256"})
    alpn: Texts = about("The negotiated application protocol; null for none.", "http/1.1")
    server_subject: Subjects = about("Subject of the certificate that the client saw, RFC 4514.", "CN=*.test.server")
    client_subject: Subjects = about(
        "Subject of the client certificate that the server saw; null for none.", "CN=client"
    )
    client_verify: Verified = about("As nginx's $ssl_client_verify.", "SUCCESS", {"matches": "^FAILED"})
    client_chain: Listed = about(
        "Ids of the certificates that the client really sent, in order.", ["client", "intermediate"]
    )
    server_chain: Listed = about("Ids of the certificates that the server really sent, in order.", ["server"])
    client_ca_names: DistinguishedNames = about(
        "Authorities that the server named to the client, RFC 4514.", ["CN=Lab Root CA"]
    )
    upstream_headers: HeaderTexts = about("Header fields that reached the application.", {"x-client-verify": "SUCCESS"})
    handshake: InOrder = about(
        "Handshake messages that must appear, in order; a compressed Certificate is one, too.",
        ["CertificateRequest", "CertificateVerify"],
    )
    resumed: Flag = about("Whether a session was resumed.", False)
    server_name: Texts = about("The name that the server received (SNI); null for none.", "www.example.com")
    server_signature_algorithm: Texts = about(
        "By which the server proved to have its key, as RFC 8446 §4.2.3 names it.", "ecdsa_secp256r1_sha256"
    )
    client_signature_algorithm: Texts = about("The same for the client.", {"matches": "^rsa_pss_"})
    server_log: Texts = about("A line of the server's log.", {"contains": "client sent no required SSL certificate"})
    upstream: Annotated[UpstreamChecks | None, Short(_outcome_forms, _EXPECT_SHORT)] = about(
        "What a server of the file that is behind this one saw: who refused whom there.", {"server-refused": "expired"}
    )


class When(Strict):
    """Where an expectation counts. Each key is a value or a list of alternatives."""

    backend: Some[Annotated[str, BACKEND]] = about("On these backends.", "nginx")
    tool: Some[Annotated[str, TOOL]] = about("With these clients.", "curl")
    tool_version: VersionRange = about("With these versions of the client.", ">=8.16")
    backend_version: VersionRange = about(
        "With these versions of the server's program; of the embedded server, its OpenSSL's.", ">=1.27.2"
    )
    library_version: VersionRange = about("With these versions of the server's TLS library, where it tells.", ">=3.5")
    tool_library_version: VersionRange = about(
        "With these versions of the client's TLS library, where it tells.", ">=3.5"
    )
    tls: Some[Tls] = about("In cases that are planned to speak this version.", "TLSv1.2")
    library: Some[Annotated[str, word(LIBRARIES, "a TLS library")]] = about(
        "Where the server's TLS library is one of these: openssl (python and nginx, too), boringssl, go, …", "openssl"
    )
    runtime: Some[Annotated[Runtime, RUNTIME]] = about("Where the server is run so: process or container.", "process")


class Where(Strict):
    """An entry of where: what differs by backend, client or version."""

    when: When = Field(description="Where it counts.", examples=[{"backend": "nginx"}])
    expect: Annotated[Checks, Short(_outcome_forms, _EXPECT_SHORT)] = Field(
        description="What must be seen there; it takes the place of the same key outside.", examples=[{"status": 400}]
    )


class Expect(Checks):
    """What must be seen."""

    where: Many[Where] = about(
        "What differs by backend, client or version; every entry that applies counts.",
        [{"when": {"backend": "nginx"}, "expect": {"status": 400}}],
    )


ExpectField = Annotated[Expect | None, Short(_outcome_forms, _EXPECT_SHORT)]


class ServerChecks(Strict):
    """What must be seen of a server's start."""

    starts: Maybe[Bool] = about("Whether it starts.", False)
    reason: Reasons = about("Why it doesn't.", "wrong-passphrase")
    server_log: Texts = about("A line of its log.", {"contains": "bad decrypt"})


class ServerWhere(Strict):
    """An entry of where: what differs by backend."""

    when: When = Field(description="Where it counts.", examples=[{"backend": "nginx"}])
    expect: ServerChecks = Field(description="What must be seen there.", examples=[{"reason": "bad-config"}])


class ServerExpect(ServerChecks):
    """Whether a server starts; a case of its own."""

    where: Many[ServerWhere] = about(
        "What differs by backend.", [{"when": {"backend": "nginx"}, "expect": {"reason": "bad-config"}}]
    )


class RefusalModel(Strict):
    """How a server refuses a client once the handshake is done: an answer of this form is a refusal, any other is none."""

    status: Statuses = about("The answer's HTTP status.", 302, [401, 403])
    headers: HeaderTexts = about("Header fields that it has.", {"location": {"contains": "/login"}})
    body: Texts = about("What its body says.", {"contains": "certificate"})
    closed: Maybe[Bool] = about("Whether it closes the connection without an answer (nginx's 444).", True)


def _refusal_forms(value: Value) -> Value:
    """``closed``, as a bare word."""
    if value == "closed":
        return {"closed": Plain("true", True)}
    if isinstance(value, str):
        raise fail("this is no way to refuse", "closed, or an answer's form: {status: 403}")
    if isinstance(value, dict):
        closed = value.get("closed")
        silent = as_bool(closed) is True
        if silent and len(value) > 1:
            raise fail("a server that closes without an answer has none to look at", "closed, or {status: …}")
        if not silent and not set(value) - {"closed"}:
            raise fail("no form of a refusal is given here", "closed, or a status, headers or body: {status: 403}")
    return value


RefusalField = Annotated[RefusalModel | None, Short(_refusal_forms, {"const": "closed"})]
