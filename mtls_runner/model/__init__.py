"""Why an exchange ended as it did, or an end can't be used: a word for each reason, what it means, what usually causes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

__all__ = ["HINTS", "MEANINGS", "Reason", "because", "listed", "plural", "sentence"]


class Reason(StrEnum):
    """Why. Which reasons an outcome can have: ``mtls_runner.tls.REASONS``."""

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
    UNNOTICED = "unnoticed"
    """Of a reload: nothing told the server that its files are others, and it does not watch them."""

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
    REQUEST = "request"
    """Of ``timed-out``: the server waited no longer for the rest of it."""
    RESPONSE = "response"


_R = Reason

#: Completes "the server refused the client: …".
MEANINGS: Mapping[Reason, str] = {
    _R.NO_CERTIFICATE: "no certificate was sent",
    _R.CERTIFICATE_WITHHELD: "its certificate was withheld: its key, or its issuer, is nothing that the server asks for",
    _R.UNKNOWN_CA: "its certificate leads to no trusted authority",
    _R.SELF_SIGNED: "its certificate is self-signed and not trusted",
    _R.EXPIRED: "its certificate has expired",
    _R.NOT_YET_VALID: "its certificate is not yet valid",
    _R.REVOKED: "its certificate is revoked",
    _R.NO_CRL: "there is no CRL to check its certificate against",
    _R.CRL_EXPIRED: "the CRL to check its certificate against has expired",
    _R.CRL_NOT_YET_VALID: "the CRL to check its certificate against is not yet valid",
    _R.CRL_INVALID: "the CRL to check its certificate against can't be used",
    _R.OCSP_UNAVAILABLE: "no OCSP response says that its certificate is good",
    _R.OCSP_INVALID: "the OCSP response about its certificate can't be used",
    _R.OCSP_UNKNOWN: "the OCSP responder does not know its certificate",
    _R.OCSP_EXPIRED: "the OCSP response about its certificate has expired",
    _R.OCSP_NOT_YET_VALID: "the OCSP response about its certificate is not yet valid",
    _R.WRONG_PURPOSE: "its certificate is not for this purpose",
    _R.WRONG_CURVE: "the key of its certificate is on a curve that the verifier does not allow",
    _R.BAD_SIGNATURE: "a signature in its chain, or by its own key, does not verify",
    _R.INVALID_CA: "its certificate was issued by a certificate that may not issue",
    _R.PATH_LENGTH: "its chain is longer than a path length constraint allows",
    _R.NAME_CONSTRAINTS: "its certificate has a name that its authority may not certify",
    _R.NAME_MISMATCH: "its certificate is for another name",
    _R.UNHANDLED_EXTENSION: "its certificate has a critical extension that nobody here knows",
    _R.POLICY: "its chain violates a certificate policy",
    _R.WEAK_KEY: "a key in its chain is too weak for the security level",
    _R.WEAK_DIGEST: "a signature in its chain uses a hash that is too weak for the security level",
    _R.MALFORMED: "its certificate can't be read",
    _R.NOT_COMPLIANT: "its chain breaks a rule of RFC 5280 that strict checking enforces",
    _R.NOT_AUTHORIZED: "its certificate verified, but its holder is not authorized",
    _R.OTHER: "verification failed, with a code of no known class or none",
    _R.PROTOCOL_VERSION: "no TLS version that both allow and can use",
    _R.CIPHER: "no cipher that both allow and can use",
    _R.GROUP: "no key exchange group in common",
    _R.SIGNATURE_ALGORITHM: "no signature algorithm that both allow and a key fits",
    _R.ALPN: "no application protocol in common",
    _R.SERVER_NAME: "the server does not serve that name",
    _R.WRONG_PASSPHRASE: "the passphrase does not open the private key",
    _R.PASSPHRASE_NEEDED: "the private key is encrypted and no passphrase was given",
    _R.KEY_MISMATCH: "the private key does not belong to the certificate",
    _R.MISSING_FILE: "a file is missing",
    _R.BAD_CONFIG: "the configuration is not valid",
    _R.ADDRESS_IN_USE: "the address is in use",
    _R.EXITED: "it ended",
    _R.UNNOTICED: "it has not noticed that its files are others",
    _R.REFUSED: "nothing listens there",
    _R.RESET: "the connection was reset and neither end says why",
    _R.CLOSED: "the connection was closed and neither end says why",
    _R.NOT_TLS: "what answers there does not speak TLS",
    _R.NAME_NOT_RESOLVED: "the host name can't be resolved",
    _R.ALERT: "an alert ended it that says nothing about a certificate or what the two have in common",
    _R.RECORD: "a TLS record that can't be read, or that does not belong there",
    _R.HTTP: "the answer is not HTTP/1.1",
    _R.CONNECT: "while connecting",
    _R.HANDSHAKE: "during the handshake",
    _R.REQUEST: "the server waited no longer for the rest of the request",
    _R.RESPONSE: "while waiting for the response",
}

#: What usually causes it, and what to do.
HINTS: Mapping[Reason, str] = {
    _R.NO_CERTIFICATE: "Give the client a certificate and its key (curl --cert/--key), or make client_auth optional.",
    _R.CERTIFICATE_WITHHELD: "The key's type or curve is not among the signature algorithms that the server offers; or the "
    "client sends only what leads to an authority that the server names, as Go and Java do.",
    _R.UNKNOWN_CA: "The verifier does not trust the root, an intermediate was not sent, or the verify depth is too small.",
    _R.SELF_SIGNED: "A self-signed certificate is trusted only when it is itself in the verifier's trust store.",
    _R.EXPIRED: "Renew the certificate; look at the clock of the verifier, and at the intermediates too.",
    _R.NOT_YET_VALID: "Look at the clocks of the issuer and the verifier, and at notBefore.",
    _R.REVOKED: "The authority withdrew this certificate: issue a new one with a new key.",
    _R.NO_CRL: "With CRL checks on, every authority in the chain needs a CRL that the verifier has loaded.",
    _R.CRL_EXPIRED: "Fetch the current CRL and reload the verifier: nextUpdate has passed.",
    _R.CRL_NOT_YET_VALID: "Look at the clocks: the CRL's thisUpdate lies in the future.",
    _R.CRL_INVALID: "The CRL's signature, scope or signer is not the authority's.",
    _R.OCSP_UNAVAILABLE: "The responder does not answer; a verifier that demands an answer fails closed.",
    _R.OCSP_INVALID: "The answer is wrongly signed, or for another certificate; its signer needs the issuer's EKU OCSPSigning.",
    _R.OCSP_UNKNOWN: "Is it the responder of this issuer, and does it know what was issued lately?",
    _R.OCSP_EXPIRED: "Look at the responder and at caches between: nextUpdate has passed.",
    _R.OCSP_NOT_YET_VALID: "Look at the clocks: the response's thisUpdate lies in the future.",
    _R.WRONG_PURPOSE: "A client certificate needs the EKU clientAuth (or none at all), a server's serverAuth.",
    _R.WRONG_CURVE: "TLS 1.2 holds a certificate's curve against the groups, too (RFC 8422 §5.1): allow it, or issue on another.",
    _R.BAD_SIGNATURE: "An authority of the same name with another key signed it, it was changed, or the key is not its own.",
    _R.INVALID_CA: "An issuer lacks basicConstraints CA:TRUE or the key usage keyCertSign.",
    _R.PATH_LENGTH: "An authority's pathLenConstraint allows fewer intermediates below it.",
    _R.NAME_CONSTRAINTS: "A SAN (or the subject) lies outside what the authority's nameConstraints permit.",
    _R.NAME_MISMATCH: "Put the name or address that the client uses into subjectAltName, or change server_name.",
    _R.UNHANDLED_EXTENSION: "A critical extension must be refused by a verifier that does not know it (RFC 5280 §4.2).",
    _R.POLICY: "Look at certificatePolicies and at the policy settings of the verifier.",
    _R.WEAK_KEY: "OpenSSL's security level 2 wants RSA 2048 or more; issue a stronger key.",
    _R.WEAK_DIGEST: "OpenSSL's security level 1 and above refuse SHA-1 signatures; issue with SHA-256.",
    _R.MALFORMED: "Look at the file with openssl x509 -text or openssl pkey: it may be of another form or cut short.",
    _R.NOT_COMPLIANT: "Issue with key identifiers, critical basicConstraints and key usage, or turn strict checking off.",
    _R.NOT_AUTHORIZED: "The handshake is fine; look at the server's rules for this subject.",
    _R.PROTOCOL_VERSION: "Let both ends allow a common version; TLS 1.0 and 1.1 also need security level 0 at both ends.",
    _R.CIPHER: "Compare the cipher lists of both ends, and whether the server's key type fits one of them.",
    _R.GROUP: "Compare the groups (curves) of both ends.",
    _R.SIGNATURE_ALGORITHM: "Compare the signature algorithms of both ends with the key types of their certificates.",
    _R.ALPN: "Compare the ALPN lists of both ends.",
    _R.SERVER_NAME: "The server rejects handshakes for names that it does not serve; look at SNI.",
    _R.WRONG_PASSPHRASE: "Compare the passphrase with the one that the key was encrypted with.",
    _R.PASSPHRASE_NEEDED: "Give the passphrase (curl --pass, nginx ssl_password_file), or decrypt the key.",
    _R.KEY_MISMATCH: "Compare openssl x509 -pubkey with openssl pkey -pubout.",
    _R.MISSING_FILE: "Look at the path and its permissions; where no key is named, the certificate's file has to hold it.",
    _R.UNNOTICED: "Start it anew, or have it watch its files (Envoy: SDS with watched_directory).",
    _R.REFUSED: "Is the server running, and on that port?",
    _R.RESET: (
        "A server that refuses a client and closes at once resets the connection, which can take its alert away from curl; "
        "the Python client (--tool python) reads it all the same."
    ),
    _R.NOT_TLS: "Is it the plain HTTP port?",
    _R.ALERT: "Look at the log of the end that sent it.",
    _R.RECORD: "Something between the two may change or cut the bytes: a proxy, a port forwarding, another protocol.",
    _R.REQUEST: "Look at the server's time limit for requests (nginx client_body_timeout), and at what sends them so slowly.",
    _R.HTTP: "Is it a server of HTTP/1.1? Without ALPN a server of HTTP/2 must still answer in HTTP/1.1.",
}

_SHOWN = 5
"""Of many reasons."""


def because(reasons: Sequence[Reason]) -> str:
    """The reason and what it means; where the evidence allows several, which."""
    if len(reasons) == 1:
        return f"{reasons[0]}, {MEANINGS[reasons[0]]}"
    if not reasons:
        return f"{Reason.OTHER}, nothing says why"
    return f"one of {listed(reasons)}, which can't be told apart"


def sentence(clause: str) -> str:
    """A clause as a sentence: with a capital letter and a full stop."""
    return f"{clause[0].upper()}{clause[1:]}."


def plural(count: int, one: str, many: str = "") -> str:
    """``1 leaf``, ``2 leaves``."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def listed(names: Sequence[str], most: int = _SHOWN) -> str:
    """``unknown-ca, self-signed``; of many the first ones, and how many more there are."""
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
