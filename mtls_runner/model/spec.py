"""What a scenario describes, once defaults, short forms and ``like:`` are resolved.

Certificates refer to each other by id; all ids of one plan (authorities and leaves) share one namespace.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from mtls_runner.model.credential import Secret

if TYPE_CHECKING:
    from mtls_runner.model.revocation import ResponderSpec, StaplingSpec

__all__ = [
    "Address",
    "BasicConstraints",
    "CertificateSpec",
    "ChainKind",
    "ChainSpec",
    "ClientAuth",
    "ClientSpec",
    "Defect",
    "Extension",
    "KeyAlgorithm",
    "KeyCipher",
    "KeyFormat",
    "KeySource",
    "KeySpec",
    "Moment",
    "NameConstraints",
    "OwnFiles",
    "Request",
    "Response",
    "Revocation",
    "RevocationCheck",
    "RevocationReason",
    "ServerSpec",
    "SignatureSpec",
    "TlsVersion",
    "VerifyFlag",
    "VirtualHost",
]


class TlsVersion(StrEnum):
    """Protocol versions under nginx's names (``ssl_protocols``)."""

    V1_0 = "TLSv1"
    V1_1 = "TLSv1.1"
    V1_2 = "TLSv1.2"
    V1_3 = "TLSv1.3"


class KeyAlgorithm(StrEnum):
    """Key algorithms and sizes that the lab can make."""

    RSA_1024 = "rsa-1024"
    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    EC_P521 = "ec-p521"
    ED25519 = "ed25519"
    ED448 = "ed448"


class KeyFormat(StrEnum):
    """How a private key lies on disk."""

    PKCS8 = "pkcs8"
    """``BEGIN (ENCRYPTED) PRIVATE KEY``, what OpenSSL 3 writes."""
    TRADITIONAL = "traditional"
    """``BEGIN RSA PRIVATE KEY`` with ``Proc-Type``/``DEK-Info`` headers, what OpenSSL 1.1's ``genrsa -des3`` wrote."""


class KeyCipher(StrEnum):
    """What encrypts a private key at rest, under OpenSSL's names."""

    AES_256_CBC = "aes-256-cbc"
    DES_EDE3_CBC = "des-ede3-cbc"


@dataclass(frozen=True, slots=True)
class KeySpec:
    """A private key: what it is, and how it lies on disk. ``cipher`` counts only with a passphrase."""

    algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256
    format: KeyFormat = KeyFormat.PKCS8
    cipher: KeyCipher = KeyCipher.AES_256_CBC
    same_as: str | None = None
    """Id of another certificate whose key this one shares (cross-signing); ``algorithm`` is then that one's."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time: absolute (aware, UTC), or an offset from the start of the run."""

    offset: timedelta = timedelta(0)
    absolute: datetime | None = None

    def resolve(self, start: datetime) -> datetime:
        """The absolute time for a run that began at ``start`` (aware)."""
        return self.absolute if self.absolute is not None else start + self.offset


@dataclass(frozen=True, slots=True)
class BasicConstraints:
    """RFC 5280 §4.2.1.9."""

    ca: bool
    path_length: int | None = None
    critical: bool = True


@dataclass(frozen=True, slots=True)
class NameConstraints:
    """RFC 5280 §4.2.1.10; names as ``DNS:…``, ``IP:10.0.0.0/8``, ``email:…``, ``URI:…``, ``dirName:<RFC 4514>``."""

    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    critical: bool = True


@dataclass(frozen=True, slots=True)
class Extension:
    """An extension given by OID with its DER value (RFC 5280 §4.2)."""

    oid: str
    value: bytes
    critical: bool = False


@dataclass(frozen=True, slots=True)
class SignatureSpec:
    """How a certificate is signed (by its issuer's key). ``hash``: sha256/384/512, or sha1/md5 (weak, on purpose).

    ``None``: SHA-256, or what EdDSA prescribes. ``pss``: RSASSA-PSS instead of PKCS #1 v1.5 (RFC 4055).
    """

    hash: str | None = None
    pss: bool = False


class Defect(StrEnum):
    """What no sane issuer would make; each changes one thing in an otherwise good certificate."""

    WRONG_SIGNATURE_KEY = "wrong-signature-key"
    """Signed by a key that is not the issuer's, under the issuer's name and key identifier."""
    CORRUPTED_SIGNATURE = "corrupted-signature"
    """One bit of the signature value is flipped."""
    KEY_MISMATCH = "key-mismatch"
    """The private key handed out belongs to another certificate, of the same type."""
    KEY_TYPE_MISMATCH = "key-type-mismatch"
    """The private key handed out is of another type (RSA where the certificate is EC, and the reverse)."""
    WRONG_ISSUER_NAME = "wrong-issuer-name"
    """The issuer field names nobody in the lab; the signature is the issuer's."""
    NO_BASIC_CONSTRAINTS = "no-basic-constraints"
    """An authority without basicConstraints."""
    BASIC_CONSTRAINTS_NOT_CRITICAL = "basic-constraints-not-critical"
    NEGATIVE_SERIAL = "negative-serial"
    """RFC 5280 §4.1.2.2 demands a positive serial."""
    DUPLICATE_SERIAL = "duplicate-serial"
    """The same serial as the issuer's first other certificate."""
    NO_KEY_IDENTIFIERS = "no-key-identifiers"
    """Neither subjectKeyIdentifier nor authorityKeyIdentifier."""
    VERSION_1 = "version-1"
    """An X.509 v1 certificate: no extensions at all."""


class RevocationReason(StrEnum):
    """CRLReason (RFC 5280 §5.3.1)."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    REMOVE_FROM_CRL = "removeFromCRL"
    """Taken off hold: a verifier lets it in again (RFC 5280 has it in delta CRLs only)."""
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"


@dataclass(frozen=True, slots=True)
class Revocation:
    """That a certificate's issuer has withdrawn it: why, and since when."""

    reason: RevocationReason = RevocationReason.UNSPECIFIED
    date: Moment = Moment(timedelta(hours=-1))


class RevocationCheck(StrEnum):
    """Which certificates of a chain a verifier wants to know not revoked."""

    NONE = "none"
    LEAF = "leaf"
    """The end entity's only (``X509_V_FLAG_CRL_CHECK``)."""
    CHAIN = "chain"
    """All, the root's own among them (with ``X509_V_FLAG_CRL_CHECK_ALL``)."""


@dataclass(frozen=True, slots=True)
class OwnFiles:
    """The user's own material, by absolute path, instead of a generated certificate."""

    certificate: Path | None = None
    key: Path | None = None
    chain: Path | None = None
    pkcs12: Path | None = None


@dataclass(frozen=True, slots=True)
class CertificateSpec:
    """One authority or leaf.

    Args:
        id: unique within the plan.
        authority: declared under ``ca:``/``authorities:`` (may issue), or a leaf.
        subject: RFC 4514 text.
        issuer: id of the certificate that signs this one (a leaf on purpose is allowed); ``None``: self-signed.
        key: the private key.
        passphrase: encrypts the key at rest; ``None``: not encrypted.
        serial: ``None``: random, 20 octets at most, positive.
        not_before, not_after: validity.
        san: ``DNS:…``/``IP:…``/``URI:…``/``email:…``/``dirName:…``/``RID:…`` entries; ``None``: no extension at all.
        san_critical: marks it critical.
        extended_key_usage: EKU names (``serverAuth``, ``clientAuth``, ``anyExtendedKeyUsage``, …) or OIDs; ``None``: absent.
        key_usage: RFC 5280 names (``digitalSignature``, ``keyCertSign``, …); ``None``: absent.
        basic_constraints: ``None``: absent.
        name_constraints: ``None``: absent.
        subject_key_identifier, authority_key_identifier: present or absent.
        signature: how the issuer signs it.
        extensions: more extensions, by OID.
        defects: things wrong on purpose.
        revoked: its issuer has withdrawn it, and says so in CRLs and OCSP responses.
        ocsp: URIs of responders in its authorityInfoAccess (RFC 5280 §4.2.2.1).
        must_staple: the TLS feature extension with status_request (RFC 7633).
        files: the user's own material; then everything above but ``id``, ``authority``, ``issuer``, ``passphrase`` is unused.
    """

    id: str
    authority: bool
    subject: str
    issuer: str | None
    key: KeySpec
    passphrase: Secret | None
    not_before: Moment
    not_after: Moment
    serial: int | None = None
    san: tuple[str, ...] | None = None
    san_critical: bool = False
    extended_key_usage: tuple[str, ...] | None = None
    extended_key_usage_critical: bool = False
    key_usage: tuple[str, ...] | None = None
    key_usage_critical: bool = True
    basic_constraints: BasicConstraints | None = None
    name_constraints: NameConstraints | None = None
    subject_key_identifier: bool = True
    authority_key_identifier: bool = True
    signature: SignatureSpec = field(default_factory=SignatureSpec)
    extensions: tuple[Extension, ...] = ()
    defects: tuple[Defect, ...] = ()
    revoked: Revocation | None = None
    ocsp: tuple[str, ...] = ()
    must_staple: bool = False
    files: OwnFiles | None = None


class ChainKind(StrEnum):
    """What an end sends of its chain."""

    FULL = "full"
    """The certificate and its intermediates, without the root."""
    LEAF = "leaf"
    """The certificate alone."""
    IDS = "ids"
    """Exactly the listed certificates after the leaf, in that order."""


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """What an end is configured to send after its own certificate."""

    kind: ChainKind = ChainKind.FULL
    ids: tuple[str, ...] = ()


class ClientAuth(StrEnum):
    """nginx ``ssl_verify_client``: off, optional, optional_no_ca, on."""

    NONE = "none"
    OPTIONAL = "optional"
    OPTIONAL_NO_CA = "optional_no_ca"
    REQUIRED = "required"


class VerifyFlag(StrEnum):
    """OpenSSL ``X509_V_FLAG_*`` that change a verdict; never left to an interpreter's default."""

    PARTIAL_CHAIN = "partial_chain"
    """A trusted certificate that is no root ends a chain (``X509_V_FLAG_PARTIAL_CHAIN``)."""
    STRICT = "x509_strict"
    """RFC 5280 checks that OpenSSL skips otherwise (``X509_V_FLAG_X509_STRICT``)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Host (name or IP literal, without brackets) and TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answers: for one path, or (``path`` is ``None``) for every other."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    path: str | None = None


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """One server.

    Args:
        id: unique within the plan; ``server`` for the only one.
        backend: a name that the registry knows (``python``, ``nginx``, ``external``).
        certificate: id of the leaf it presents; ``None`` only where the backend brings its own (external, ``config``).
        passphrase: what it is given to open its key with; ``None``: nothing.
        chain: what it is configured to send.
        client_auth: whether it asks for and demands a client certificate.
        trust: ids of the authorities that client certificates are checked against, in order.
        advertise: ids whose subjects go into CertificateRequest's certificate_authorities; ``None``: those of ``trust``.
        verify_depth: nginx ``ssl_verify_depth``; ``None``: the lab's default, no limit that matters.
        verify_flags: OpenSSL verification flags.
        tls: protocol versions that it offers, ascending.
        ciphers: OpenSSL cipher string for TLS 1.2 and below; ``None``: OpenSSL's default.
        ciphersuites: TLS 1.3 cipher suites, colon-separated; ``None``: OpenSSL's default.
        groups: key exchange groups in order of preference; empty: OpenSSL's default.
        signature_algorithms: what it accepts and uses; empty: OpenSSL's default.
        security_level: OpenSSL security level, 0 to 5.
        alpn: ALPN protocol names in order of preference.
        responses: what it answers; the entry whose ``path`` is ``None`` is for every path not named.
        address: where an ``external`` server listens.
        options: the backend's own settings (``image``, ``config``, ``port``, …), each a name with a text.
        files: for a container: path inside → ``<id>.certificate|chain|key|passphrase|crl`` or ``file:<absolute path>``.
        upstreams: names that ``proxy_pass`` uses.
        crl: ids of the CRLs that it has loaded.
        crl_check: which certificates of a client's chain must not be on them.
        ocsp: which certificates of a client's chain it asks OCSP responders about (nginx ``ssl_ocsp``).
        ocsp_responder: URI that it asks; ``None``: the one in each certificate.
        ocsp_cache: whether it remembers what they said (nginx ``ssl_ocsp_cache``).
        stapling: whether it sends an OCSP response with its own certificate.
        responders: those that it can reach.
        names: those of its own name-based host, the default one; others it serves too, unless one of ``hosts`` has them.
        hosts: name-based virtual hosts on the same port.
        reject_handshake: it ends a handshake for its own names by the alert unrecognized_name (nginx ``ssl_reject_handshake``).
        other_certificates: ids of leaves with keys of other types, presented to clients that can't use the first one's.
        alone: its files are replaced while it runs, so that it shares neither process nor container with another.
        session_cache: nginx ``ssl_session_cache``; ``None``: what the backend does of its own accord.
        session_tickets: whether sessions are kept by clients, in tickets (RFC 5077), rather than in its cache.
        session_ticket_key: name of the key that encrypts tickets; hosts with equal names share it. ``None``: a random one.
    """

    id: str
    backend: str
    certificate: str | None
    passphrase: Secret | None
    chain: ChainSpec = ChainSpec()
    client_auth: ClientAuth = ClientAuth.REQUIRED
    trust: tuple[str, ...] = ()
    advertise: tuple[str, ...] | None = None
    verify_depth: int | None = None
    verify_flags: frozenset[VerifyFlag] = frozenset()
    tls: tuple[TlsVersion, ...] = (TlsVersion.V1_2, TlsVersion.V1_3)
    ciphers: str | None = None
    ciphersuites: str | None = None
    groups: tuple[str, ...] = ()
    signature_algorithms: tuple[str, ...] = ()
    security_level: int = 2
    alpn: tuple[str, ...] = ()
    responses: tuple[Response, ...] = (Response(),)
    address: Address | None = None
    options: tuple[tuple[str, str], ...] = ()
    files: tuple[tuple[str, str], ...] = ()
    upstreams: tuple[str, ...] = ()
    crl: tuple[str, ...] = ()
    crl_check: RevocationCheck = RevocationCheck.NONE
    ocsp: RevocationCheck = RevocationCheck.NONE
    ocsp_responder: str | None = None
    ocsp_cache: bool = False
    stapling: StaplingSpec | None = None
    responders: tuple[ResponderSpec, ...] = ()
    names: tuple[str, ...] = ()
    hosts: tuple[VirtualHost, ...] = ()
    reject_handshake: bool = False
    other_certificates: tuple[str, ...] = ()
    session_cache: str | None = None
    session_tickets: bool = True
    session_ticket_key: str | None = None
    alone: bool = False

    def host(self, name: str | None) -> ServerSpec:
        """The description that counts for a name (SNI or Host): of the virtual host that has it, or its own."""
        if name is not None and self.hosts:
            wanted = name.lower().rstrip(".")
            for fits in (str.__eq__, _wildcard):
                for host in self.hosts:
                    if any(fits(wanted, known.lower()) for known in host.names):
                        return host.server
        return self

    def option(self, name: str, default: str = "") -> str:
        """The backend's own setting ``name``."""
        return dict(self.options).get(name, default)


def _wildcard(name: str, known: str) -> bool:
    """``*.example.com`` has any name below it (nginx ``server_name``)."""
    return known.startswith("*.") and name.endswith(known[1:])


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """A name-based host on a server's port.

    Args:
        id: unique on its server.
        names: what clients call it (SNI, Host); ``*.example.com`` has any name below.
        server: its description, with the server's own where it says nothing itself; it has no hosts.
    """

    id: str
    names: tuple[str, ...]
    server: ServerSpec


@dataclass(frozen=True, slots=True)
class KeySource:
    """A private key other than the presented certificate's own: another certificate's by id, or a file."""

    id: str | None = None
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """The HTTP request (RFC 9110). ``Host`` is added when absent."""

    method: str = "GET"
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """One client.

    Args:
        tool: a name that the registry knows (``python``, ``curl``).
        certificate: id of the leaf to present; ``None``: none.
        key: another key than the certificate's own; ``None``: its own.
        passphrase: what the client is given to open the key with; ``None``: nothing.
        chain: what it is configured to send.
        trust: ids of certificates that the server's chain is checked against.
        insecure: as ``curl --insecure``: neither chain nor name is checked.
        server_name: SNI and the name that is checked (RFC 6066 §3); ``None``: none sent, the address is checked.
        connect: where to connect; ``None``: the server's own address.
        tls: protocol versions that it offers, ascending.
        ciphers, ciphersuites, groups, signature_algorithms, security_level, alpn, verify_flags: as for a server.
        request: what it asks for.
        timeout: seconds for the whole exchange.
        repeat: connections, one after the other; all must end alike.
        crl, crl_check: as for a server, about the server's chain.
        cert_status: as ``curl --cert-status``: asks for a stapled OCSP response, and takes none for a refusal.
    """

    tool: str = "python"
    certificate: str | None = None
    key: KeySource | None = None
    passphrase: Secret | None = None
    chain: ChainSpec = ChainSpec()
    trust: tuple[str, ...] = ()
    insecure: bool = False
    server_name: str | None = "localhost"
    connect: Address | None = None
    tls: tuple[TlsVersion, ...] = (TlsVersion.V1_2, TlsVersion.V1_3)
    ciphers: str | None = None
    ciphersuites: str | None = None
    groups: tuple[str, ...] = ()
    signature_algorithms: tuple[str, ...] = ()
    security_level: int = 2
    alpn: tuple[str, ...] = ()
    verify_flags: frozenset[VerifyFlag] = frozenset()
    request: Request = Request()
    timeout: float = 10.0
    repeat: int = 1
    crl: tuple[str, ...] = ()
    crl_check: RevocationCheck = RevocationCheck.NONE
    cert_status: bool = False
