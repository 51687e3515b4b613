"""Why an exchange ended as it did, or an end can't be used: one word for each reason."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Reason"]


class Reason(StrEnum):
    """Why. Which reasons an outcome can have: ``mtls_runner.tls.names.REASONS``."""

    NO_CERTIFICATE = "no-certificate"
    CERTIFICATE_WITHHELD = "certificate-withheld"
    """One was configured, but nothing that the server offers fits its key, so none was sent."""
    UNKNOWN_CA = "unknown-ca"
    SELF_SIGNED = "self-signed"
    EXPIRED = "expired"
    NOT_YET_VALID = "not-yet-valid"
    REVOKED = "revoked"
    NO_CRL = "no-crl"
    CRL_EXPIRED = "crl-expired"
    CRL_NOT_YET_VALID = "crl-not-yet-valid"
    CRL_INVALID = "crl-invalid"
    OCSP_UNAVAILABLE = "ocsp-unavailable"
    OCSP_INVALID = "ocsp-invalid"
    OCSP_UNKNOWN = "ocsp-unknown"
    """The responder says that it does not know the certificate."""
    OCSP_EXPIRED = "ocsp-expired"
    OCSP_NOT_YET_VALID = "ocsp-not-yet-valid"
    WRONG_PURPOSE = "wrong-purpose"
    WRONG_CURVE = "wrong-curve"
    """Its key's curve is not among the groups that the verifier allows (TLS 1.2, RFC 8422 §5.1)."""
    BAD_SIGNATURE = "bad-signature"
    INVALID_CA = "invalid-ca"
    PATH_LENGTH = "path-length"
    NAME_CONSTRAINTS = "name-constraints"
    NAME_MISMATCH = "name-mismatch"
    UNHANDLED_EXTENSION = "unhandled-extension"
    POLICY = "policy"
    WEAK_KEY = "weak-key"
    WEAK_DIGEST = "weak-digest"
    MALFORMED = "malformed"
    NOT_COMPLIANT = "not-compliant"
    """Refused by strict checking of RFC 5280 only (``X509_V_FLAG_X509_STRICT``)."""
    NOT_AUTHORIZED = "not-authorized"
    OTHER = "other"
    """The verifier's own code is known and shown, but belongs to no class above (internal errors, rarely seen features); or
    nothing says why, which no expectation matches."""

    PROTOCOL_VERSION = "protocol-version"
    CIPHER = "cipher"
    GROUP = "group"
    SIGNATURE_ALGORITHM = "signature-algorithm"
    ALPN = "alpn"
    SERVER_NAME = "server-name"

    WRONG_PASSPHRASE = "wrong-passphrase"  # noqa: S105 - a reason's name
    PASSPHRASE_NEEDED = "passphrase-needed"  # noqa: S105
    KEY_MISMATCH = "key-mismatch"
    MISSING_FILE = "missing-file"
    BAD_CONFIG = "bad-config"
    ADDRESS_IN_USE = "address-in-use"
    EXITED = "exited"

    REFUSED = "refused"
    RESET = "reset"
    CLOSED = "closed"
    NOT_TLS = "not-tls"
    NAME_NOT_RESOLVED = "name-not-resolved"

    ALERT = "alert"
    RECORD = "record"
    HTTP = "http"

    CONNECT = "connect"
    HANDSHAKE = "handshake"
    """Of ``timed-out``: the phase; of ``protocol-error``: a handshake message is broken, or comes out of turn."""
    RESPONSE = "response"
