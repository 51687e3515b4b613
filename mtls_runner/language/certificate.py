"""What an author may write about an authority or a leaf."""

from collections.abc import Mapping
from typing import Annotated, Self

from msgspec import Struct
from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, model_validator
from pydantic_core import core_schema

from mtls_runner.language.document import Value
from mtls_runner.language.values import (
    ID_PATTERN,
    RESERVED_IDS,
    Bool,
    Id,
    IdRef,
    Json,
    Many,
    Maybe,
    OneOrMore,
    Parsed,
    Short,
    Strict,
    Text,
    about,
    alone,
    as_bool,
    bounded,
    fail,
    one_key,
    switch,
    word,
)
from mtls_runner.language.x509_words import (
    CIPHERS,
    DER,
    EXTENDED_KEY_USAGES,
    HASHES,
    KEY_ALGORITHMS,
    KEY_USAGES,
    MOMENT,
    OID,
    SERIAL,
    SUBJECT,
    ResponderRef,
    Revoked,
    alternative_name,
    constraint_name,
    key_usage,
    usages,
)
from mtls_runner.model.certificate import (
    OF_ISSUER,
    AuthorityKeyIdentifier,
    Defect,
    Extension,
    KeyAlgorithm,
    KeyCipher,
    KeyFormat,
    Moment,
    Secret,
)

__all__ = [
    "Absent",
    "AuthorityKey",
    "AuthorityKeyField",
    "authority_key_identifier",
    "named_by",
    "own_extensions",
    "OwnExtensions",
    "Basic",
    "Certificate",
    "CertificateSettings",
    "Constraints",
    "Key",
    "KeyUsage",
    "OwnExtension",
    "Passphrase",
    "PassphraseField",
    "San",
    "Signature",
    "Usage",
]

_TEXT = {"type": "string"}
_LARGEST = 10_000_000
_MOST = 10_000


class Passphrase(Struct, frozen=True):
    """A passphrase, or where to find it: one of the three."""

    text: Secret | None = None
    file: str | None = None
    env: str | None = None


def _passphrase(value: Value) -> Passphrase | None:
    if value is None:
        return None
    if isinstance(value, str):
        if not value or "\n" in value or "\x00" in value:
            raise fail("this can't be a passphrase", "one line of text, not empty; null for none")
        return Passphrase(text=Secret(str(value)))
    if isinstance(value, dict) and len(value) == 1:
        ((kind, name),) = value.items()
        if kind == "env" and isinstance(name, str) and ("=" in name or "\0" in name):
            raise fail("no environment variable can have this name", "a name without '='")
        if kind in ("file", "env") and isinstance(name, str) and name:
            return Passphrase(file=str(name)) if kind == "file" else Passphrase(env=str(name))
    raise fail("this can't be a passphrase", "a text, {file: path}, {env: NAME}, or null for none")


_PASSPHRASE_SCHEMA = {
    "anyOf": [
        {"type": ["string", "number", "boolean", "null"]},
        one_key("file", _TEXT),
        one_key("env", _TEXT),
    ]
}
#: ``null`` means none, also where a description that is taken over has one.
PassphraseField = Annotated[Passphrase | None, Parsed(_passphrase, _PASSPHRASE_SCHEMA)]


class Key(Strict):
    """A private key: what it is, and how it lies on disk."""

    algorithm: Annotated[KeyAlgorithm | None, word(KeyAlgorithm, "a key algorithm")] = about(
        "Algorithm and size.", "ec-p256"
    )
    format: Annotated[KeyFormat | None, word(KeyFormat, "a key format")] = about(
        "How it lies on disk: pkcs8, or the traditional PEM that OpenSSL before 3.0 wrote.", "traditional"
    )
    cipher: Annotated[KeyCipher | None, word(CIPHERS, "a cipher for keys", hidden=frozenset({"aes256"}))] = about(
        "What encrypts it at rest where there is a passphrase, under OpenSSL's name.", "des-ede3-cbc"
    )
    explicit: Maybe[Bool] = about("Whether the curve is written out, parameter by parameter (ec-p256).", True)
    pss: Maybe[Bool] = about("Whether the RSA key is for RSASSA-PSS only (RFC 4055).", True)
    same_as: Maybe[Id] = about("The id of the certificate whose key this is too (cross-signing).", "old-root")
    file: Maybe[Text] = about("An own key, relative to the scenario; beside `certificate:`.", "tls.key")


def _key(value: Value) -> Value:
    if isinstance(value, str):
        return {"algorithm": value} if value in KEY_ALGORITHMS else {"file": value}
    return value


def _names(value: Value) -> Value:
    if value is None or value == "none":
        return {"names": []}
    return {"names": value} if isinstance(value, str | list) else value


_CRITICAL = "Whether who doesn't know the extension must refuse the certificate."
_USAGE_SCHEMA = {"anyOf": [{"enum": ["server", "client", "both", "none", *EXTENDED_KEY_USAGES]}, dict(OID.schema)]}
_San = Annotated[str, Parsed(alternative_name, {"type": "string"})]
_Usage = Annotated[tuple[str, ...], Parsed(usages, _USAGE_SCHEMA)]
_KeyUsage = Annotated[str, Parsed(key_usage, {"enum": list(KEY_USAGES)})]
_Constraint = Annotated[str, Parsed(constraint_name, {"type": "string"})]


class San(Strict):
    """Subject alternative names (RFC 5280 §4.2.1.6)."""

    names: Annotated[list[_San], OneOrMore()] = Field(description="DNS, IP, URI, email by form, or DNS:…, dirName:…")
    critical: Maybe[Bool] = about(_CRITICAL, True)


class Usage(Strict):
    """Extended key usages (RFC 5280 §4.2.1.12)."""

    names: Annotated[list[_Usage], OneOrMore()] = Field(description="server, client, EKU names or OIDs.")
    critical: Maybe[Bool] = about(_CRITICAL, True)


class KeyUsage(Strict):
    """Key usages (RFC 5280 §4.2.1.3)."""

    names: Annotated[list[_KeyUsage], OneOrMore()] = Field(description="RFC 5280's names.")
    critical: Maybe[Bool] = about(_CRITICAL, False)


class Basic(Strict):
    """basicConstraints (RFC 5280 §4.2.1.9)."""

    ca: Maybe[Bool] = about("Whether it may issue; by default an authority may and a leaf may not.", True)
    path_length: Annotated[int | None, bounded(0, 255)] = about("Intermediates that may follow it.", 0)
    critical: Maybe[Bool] = about(_CRITICAL, False)


class Constraints(Strict):
    """Name constraints (RFC 5280 §4.2.1.10)."""

    permitted: Many[_Constraint] = about("Names under these only.", ["DNS:example.com", "IP:10.0.0.0/8"])
    excluded: Many[_Constraint] = about("No names under these.", "DNS:internal.example.com")
    critical: Maybe[Bool] = about(_CRITICAL, False)


class Signature(Strict):
    """How a certificate is signed."""

    hash: Annotated[str | None, word(HASHES, "a hash that a certificate is signed with")] = about(
        "The digest; sha1 and md5 are weak, on purpose.", "sha384"
    )
    pss: Maybe[Bool] = about("RSASSA-PSS in place of PKCS #1 v1.5, for an issuer with an RSA key.", True)


def _octet_string(size: int) -> bytes:
    """An OCTET STRING of that many zeros, DER (X.690 §8.7)."""
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    length = bytes((size,)) if size < 0x80 else bytes((0x80 | len(digits),)) + digits
    return b"\x04" + length + bytes(size)


class OwnExtension(Strict):
    """An extension by OID."""

    der: Annotated[bytes | None, DER] = about("Its value, DER in hexadecimal digits.", "05 00")
    size: Annotated[int | None, bounded(0, _LARGEST)] = about(
        "In place of `der`: an OCTET STRING of so many octets, for certificates that are too large.", 100_000
    )
    critical: Maybe[Bool] = about(_CRITICAL, True)

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.der is None) == (self.size is None):
            raise fail("an extension's value is given by `der` or by `size`", "one of the two")
        return self

    @property
    def value(self) -> bytes:
        """DER."""
        return self.der if self.der is not None else _octet_string(self.size or 0)


class Absent:
    """``null`` (or the word ``none``) in an extension's place: it is not there."""


ABSENT = Absent()


class OrNone:
    """Annotation: the model, or ``null`` for an extension that is not there."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The first of the annotated types is the model."""
        inner = handler.generate_schema(next(part for part in source.__args__))  # type: ignore[attr-defined]
        return core_schema.no_info_wrap_validator_function(_or_none, inner)

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> Json:
        """Either."""
        return {"anyOf": [{"enum": ["none", None]}, handler(schema)]}


def _or_none(value: Value, handler: core_schema.ValidatorFunctionWrapHandler) -> object:
    return ABSENT if value is None or value == "none" else handler(value)


def _whose(value: Value) -> str | None:
    if value is None:
        return None
    if as_bool(value):
        return OF_ISSUER
    if isinstance(value, str) and ID_PATTERN.fullmatch(value) and value not in RESERVED_IDS:
        return str(value)
    raise fail("this names nobody", "true for its issuer, the id of an authority or leaf, or null for none")


_Whose = Annotated[str | None, Parsed(_whose, {"anyOf": [{"const": True}, {"type": ["string", "null"]}]})]


class AuthorityKey(Strict):
    """authorityKeyIdentifier (RFC 5280 §4.2.1.1, §5.2.1)."""

    key: _Whose = about("Whose key it names: its issuer's by default (true), another's by id, or null for none.", None)
    serial: _Whose = about(
        "Whose issuer and serial number it names: true for its issuer, or an id; none by default.", True, "old-root"
    )


def _by_default(value: Value) -> Value:
    """``true`` is a mapping without keys, ``false`` is ``null``."""
    given = as_bool(value)
    return value if given is None else {} if given else None


AuthorityKeyField = Annotated[
    AuthorityKey | Absent | None, OrNone(), Short(_by_default, {"type": "boolean"}, nullable=True)
]


def authority_key_identifier(model: AuthorityKey | Absent | None) -> AuthorityKeyIdentifier | None:
    """What the PKI is to make of it."""
    if isinstance(model, Absent):
        return None
    if model is None:
        return AuthorityKeyIdentifier()
    return AuthorityKeyIdentifier(model.key if "key" in model.model_fields_set else OF_ISSUER, model.serial)


def named_by(model: AuthorityKey | Absent | None) -> tuple[tuple[str, str], ...]:
    """The certificates that it names by their ids, each behind the key that does."""
    if not isinstance(model, AuthorityKey):
        return ()
    return tuple((name, id_) for name, id_ in (("key", model.key), ("serial", model.serial)) if id_)


def _identifier(value: Value) -> bool:
    if value is None:
        return False
    given = as_bool(value)
    if given is not None:
        return given
    raise fail("only whether the extension is there is said here", "true, or null for no such extension")


_LIST_OF = {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": {"type": "string"}}]}
_USAGE_LIST = {"anyOf": [{"type": ["string", "null"]}, _USAGE_SCHEMA, {"type": "array", "items": _USAGE_SCHEMA}]}
Identifier = Annotated[bool | None, Parsed(_identifier, {"type": ["boolean", "null"]})]


#: By OID.
OwnExtensions = Maybe[dict[Annotated[str, OID], Annotated[OwnExtension, Short(alone("der"), {"type": "string"})]]]


def own_extensions(given: Mapping[str, OwnExtension] | None) -> tuple[Extension, ...]:
    """What the PKI is to make of them."""
    return tuple(Extension(oid, one.value, bool(one.critical)) for oid, one in (given or {}).items())


class CertificateSettings(Strict):
    """What lab.yaml may set for every certificate."""

    key: Annotated[Key | None, Short(_key, {"anyOf": [{"enum": list(KEY_ALGORITHMS)}, {"type": "string"}]})] = about(
        "Algorithm and size, or a longer form; beside `certificate:` an own key's file.", "rsa-2048", {"same_as": "ca"}
    )
    days: Annotated[int | None, bounded(1, 365_000)] = about("How long it is valid, from `not_before`.", 365)
    signature: Annotated[Signature | None, Short(alone("hash"), {"enum": list(HASHES)})] = about(
        "How its issuer signs it.", "sha384", {"pss": True}
    )


class Certificate(CertificateSettings):
    """An authority or a leaf."""

    like: Maybe[Id] = about("The id of a certificate whose description this one takes over.", "good")
    subject: Annotated[str | None, SUBJECT] = about(
        "Its name, RFC 4514 text; CN=<its id> by default.", "CN=client,O=Lab"
    )
    issuer: Maybe[IdRef] = about(
        "The id of the certificate that signs it, or self. A leaf's is the only authority by default; an authority's, self.",
        "intermediate",
    )
    passphrase: PassphraseField = about("Encrypts the key at rest.", "secret", {"env": "KEY_PASSPHRASE"})
    serial: Annotated[int | None, SERIAL] = about("Serial number; random by default.", 4711)
    not_before: Annotated[Moment | None, MOMENT] = about("Valid from: relative to the run, or absolute.", "-10d")
    not_after: Annotated[Moment | None, MOMENT] = about("Valid until: relative to the run, or absolute.", "-1h")
    san: Annotated[San | None, Short(_names, _LIST_OF, nullable=True)] = about(
        "Subject alternative names; [] for none. localhost and 127.0.0.1 for a leaf that a server presents.",
        ["localhost", "127.0.0.1"],
    )
    usage: Annotated[Usage | None, Short(_names, _USAGE_LIST, nullable=True)] = about(
        "Extended key usage: server, client, both, none (no such extension), or EKU names and OIDs.", "client"
    )
    key_usage: Annotated[KeyUsage | None, Short(_names, _LIST_OF, nullable=True)] = about(
        "Key usage: RFC 5280's names, or null for no such extension.", ["digitalSignature"]
    )
    path_length: Annotated[int | None, bounded(0, 255)] = about("Intermediates that may follow this authority.", 0)
    count: Annotated[int | None, bounded(1, _MOST)] = about(
        "As how many this authority is trusted: itself, and others of its name with a number, all with its key.", 700
    )
    basic_constraints: Annotated[Basic | Absent | None, OrNone()] = about(
        "The extension itself, or null for no such extension.", {"ca": True, "critical": False}
    )
    name_constraints: Annotated[Constraints | Absent | None, OrNone()] = about(
        "Names that this authority may issue for.", {"permitted": ["DNS:example.com"]}
    )
    subject_key_identifier: Identifier = about("Whether the extension is there: true by default, null for not.", None)
    authority_key_identifier: AuthorityKeyField = about(
        "Whom it names as its issuer: by the issuer's key by default (true), null for no such extension.",
        None,
        {"key": None, "serial": True},
    )
    extensions: OwnExtensions = about(
        "More extensions, by OID.", {"1.3.6.1.4.1.55555.1": {"der": "05 00", "critical": True}}
    )
    defects: Many[Annotated[Defect, word(Defect, "a defect")]] = about(
        "What is wrong with it, on purpose.", "corrupted-signature"
    )
    revoked: Annotated[
        Revoked | None, Short(switch("reason"), {"type": ["string", "boolean", "null"]}, nullable=True)
    ] = about("That its issuer has withdrawn it: true, the reason, or reason and date.", "keyCompromise")
    ocsp: Many[ResponderRef] = about(
        "The OCSP responder that it names (authorityInfoAccess): an id of `responders`, or a URI.", "ocsp"
    )
    must_staple: Maybe[Bool] = about("Whether it demands a stapled OCSP response (RFC 7633).", True)
    certificate: Maybe[Text] = about("An own certificate, relative to the scenario; nothing is generated.", "tls.crt")
    chain: Maybe[Text] = about("Its intermediates, where `certificate:` doesn't hold them.", "chain.pem")
    pkcs12: Maybe[Text] = about("An own certificate with key and chain in one PKCS #12 file.", "client.p12")
