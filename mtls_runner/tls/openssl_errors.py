"""OpenSSL's error codes as programs print them (``error:0A0000C1:SSL routines::no shared cipher``).

Only the numbers count: the prose changes between versions, and CPython's own table of symbols is gone since 3.12.

And what curl would have exited with: the lab's other clients say so beside what they saw, so that one expectation serves
all. It is the answer of curl with OpenSSL in versions 7.88 to 8.15; 8.16 changed one code (:data:`UNUSABLE_SINCE_8_16`). Held
against the real curl by the project's tests, situation by situation. Source: curl's ``lib/vtls/openssl.c``
(``ossl_connect_step2``, ``ossl_recv``) and its manual's EXIT CODES.
"""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Mapping
from typing import NamedTuple

from mtls_runner.model.observation import ClientView, Direction, Phase, Reason
from mtls_runner.tls import ALERTS

__all__ = [
    "ASN1_LIBRARY",
    "DECODER_LIBRARY",
    "ENDED",
    "ERRNO_REASONS",
    "LINKED_VERSION",
    "NOT_SIGNED_SO",
    "SSL_REASONS",
    "SYSTEM_LIBRARY",
    "UNUSABLE",
    "UNUSABLE_SINCE_8_16",
    "OpensslError",
    "openssl_errors",
    "predict",
    "told",
    "why_unusable",
]

#: Of the OpenSSL that Python's ``ssl`` is linked with.
LINKED_VERSION = ssl.OPENSSL_VERSION.removeprefix("OpenSSL ").partition(" ")[0]
ENDED = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
"""The other end has closed the connection. Up to Python 3.11.2 (Debian 12's) the second stands for both, close_notify or not:
it sets OpenSSL's ``SSL_OP_IGNORE_UNEXPECTED_EOF``."""
SYSTEM_LIBRARY = 2
"""``ERR_LIB_SYS``: the reason is an errno."""
_SSL_LIBRARY = 20
"""``ERR_LIB_SSL``."""
ASN1_LIBRARY, DECODER_LIBRARY = 13, 60

_ALERT_BASE = 1000
"""``SSL_AD_REASON_OFFSET``: a received alert's description comes on top of it."""

#: ``SSL_R_*`` (OpenSSL 3, ``include/openssl/sslerr.h``) that the lab reads anything from.
SSL_REASONS: Mapping[int, str] = {
    100: "APP_DATA_IN_HANDSHAKE",
    101: "NO_SUITABLE_KEY_SHARE",
    103: "BAD_CHANGE_CIPHER_SPEC",
    108: "BAD_KEY_SHARE",
    116: "BAD_PROTOCOL_VERSION_NUMBER",
    118: "NO_SUITABLE_SIGNATURE_ALGORITHM",
    123: "BAD_SIGNATURE",
    133: "CCS_RECEIVED_EARLY",
    134: "CERTIFICATE_VERIFY_FAILED",
    146: "DATA_LENGTH_TOO_LONG",
    147: "DECRYPTION_FAILED",
    150: "ENCRYPTED_LENGTH_TOO_LONG",
    152: "EXCESSIVE_MESSAGE_SIZE",
    155: "HTTPS_PROXY_REQUEST",
    156: "HTTP_REQUEST",
    177: "NO_CERTIFICATE_ASSIGNED",
    179: "NO_CERTIFICATE_SET",
    181: "NO_CIPHERS_AVAILABLE",
    185: "NO_CIPHER_MATCH",
    191: "NO_PROTOCOLS_AVAILABLE",
    193: "NO_SHARED_CIPHER",
    198: "PACKET_LENGTH_TOO_LONG",
    199: "PEER_DID_NOT_RETURN_A_CERTIFICATE",
    205: "INVALID_ALERT",
    213: "RECORD_LENGTH_MISMATCH",
    234: "CALLBACK_FAILED",
    235: "NO_APPLICATION_PROTOCOL",
    244: "UNEXPECTED_MESSAGE",
    245: "UNEXPECTED_RECORD",
    246: "UNKNOWN_ALERT_TYPE",
    258: "UNSUPPORTED_PROTOCOL",
    260: "INVALID_CCS_MESSAGE",
    262: "UNEXPECTED_CCS_MESSAGE",
    266: "WRONG_SSL_VERSION",
    267: "WRONG_VERSION_NUMBER",
    279: "EXTENSION_NOT_RECEIVED",
    281: "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    294: "UNEXPECTED_EOF_WHILE_READING",
    295: "NO_SUITABLE_GROUPS",
    298: "RECORD_TOO_SMALL",
    328: "INVALID_STATUS_RESPONSE",
    370: "WRONG_SIGNATURE_TYPE",
    376: "NO_SHARED_SIGNATURE_ALGORITHMS",
    378: "WRONG_CURVE",
    396: "VERSION_TOO_LOW",
    397: "CA_KEY_TOO_SMALL",
    398: "CA_MD_TOO_WEAK",
    399: "EE_KEY_TOO_SMALL",
    409: "TOO_MANY_WARN_ALERTS",
    410: "NO_SHARED_GROUPS",
    443: "BAD_RECORD_TYPE",
}

# Libraries: err.h. Reasons: pemerr.h, evperr.h, pkcs12err.h, proverr.h, x509err.h, sslerr.h, decodererr.h, asn1err.h.
#: What errors of loading certificates and keys mean, by library and reason.
UNUSABLE: Mapping[tuple[int, int], Reason] = {
    (11, 116): Reason.KEY_MISMATCH,  # X509_R_KEY_VALUES_MISMATCH
    (11, 115): Reason.KEY_MISMATCH,  # X509_R_KEY_TYPE_MISMATCH
    (9, 109): Reason.PASSPHRASE_NEEDED,  # PEM_R_PROBLEMS_GETTING_PASSWORD
    (9, 104): Reason.PASSPHRASE_NEEDED,  # PEM_R_BAD_PASSWORD_READ
    (57, 159): Reason.PASSPHRASE_NEEDED,  # PROV_R_UNABLE_TO_GET_PASSPHRASE
    (57, 100): Reason.WRONG_PASSPHRASE,  # PROV_R_BAD_DECRYPT
    (6, 100): Reason.WRONG_PASSPHRASE,  # EVP_R_BAD_DECRYPT
    (9, 101): Reason.WRONG_PASSPHRASE,  # PEM_R_BAD_DECRYPT
    (35, 116): Reason.WRONG_PASSPHRASE,  # PKCS12_R_PKCS12_CIPHERFINAL_ERROR
    (20, 185): Reason.CIPHER,  # SSL_R_NO_CIPHER_MATCH
    (20, 399): Reason.WEAK_KEY,  # SSL_R_EE_KEY_TOO_SMALL
    (20, 397): Reason.WEAK_KEY,  # SSL_R_CA_KEY_TOO_SMALL
    (20, 398): Reason.WEAK_DIGEST,  # SSL_R_CA_MD_TOO_WEAK
    (9, 108): Reason.MALFORMED,  # PEM_R_NO_START_LINE
    (9, 102): Reason.MALFORMED,  # PEM_R_BAD_END_LINE
    (9, 100): Reason.MALFORMED,  # PEM_R_BAD_BASE64_DECODE
    (11, 136): Reason.MALFORMED,  # X509_R_NO_CERTIFICATE_OR_CRL_FOUND
}


def why_unusable(error: OpensslError, *, passphrase: bool) -> Reason | None:
    """What this error says of one's own material; ``None``: nothing.

    A wrong passphrase decrypts to valid padding once in 256 times, and then no decoder reads what comes of it.

    Args:
        error: as it was logged.
        passphrase: whether one was given, or is needed: an empty one is a wrong one, too.
    """
    if error.library == SYSTEM_LIBRARY:
        return ERRNO_REASONS.get(error.reason)
    known = UNUSABLE.get((error.library, error.reason))
    return Reason.WRONG_PASSPHRASE if known is None and passphrase and error.library == DECODER_LIBRARY else known


#: The same of the system's own.
ERRNO_REASONS: Mapping[int, Reason] = {
    errno.ENOENT: Reason.MISSING_FILE,
    errno.EACCES: Reason.MISSING_FILE,
    errno.EISDIR: Reason.MISSING_FILE,
    errno.EADDRINUSE: Reason.ADDRESS_IN_USE,
}

# The third field is the function's name up to OpenSSL 1.1.1, and empty from 3.0 on.
_ERROR = re.compile(r"\berror:([0-9A-Fa-f]{8}):[^:]*:([^:]*):")


_SOURCE_LINE = re.compile(r"\s*\(_ssl\.c:\d+\)")


class OpensslError(NamedTuple):
    """Library and reason as OpenSSL's headers number them (``ERR_LIB_*`` in ``err.h``)."""

    library: int
    reason: int

    @property
    def symbol(self) -> str:
        """As ``ssl.SSLError.reason``: ``NO_SHARED_CIPHER``, an errno's name for the system's own, or ``""``.

        A received alert is ``ALERT_<DESCRIPTION>``, whatever TLS version its symbol begins with in OpenSSL.
        """
        if self.library == SYSTEM_LIBRARY:
            return errno.errorcode.get(self.reason, "")
        if self.library != _SSL_LIBRARY:
            return ""
        if self.reason > _ALERT_BASE:
            name = ALERTS.get(self.reason - _ALERT_BASE, "")
            return f"ALERT_{name.upper()}" if name else ""
        return SSL_REASONS.get(self.reason, "")


#: ``ASN1_item_verify`` (``crypto/asn1/a_verify.c``): ``ERR_R_EVP_LIB``, a certificate's or CRL's signature is by another key. It
#: stays in the queue where a callback lets the verification go on.
NOT_SIGNED_SO = OpensslError(ASN1_LIBRARY, 0x80006)


def told(error: ssl.SSLError) -> str:
    """What Python's ``ssl`` says of an error, without the line of its own source."""
    return error.reason or _SOURCE_LINE.sub("", str(error))


def openssl_errors(text: str) -> tuple[OpensslError, ...]:
    """All errors of a text, in OpenSSL's order (the first one is the cause)."""
    return tuple(_unpack(int(found[1], 16), old=bool(found[2])) for found in _ERROR.finditer(text))


def _unpack(code: int, *, old: bool) -> OpensslError:
    if old:  # OpenSSL 1.1.1 err.h: 8 bits library, 12 bits function, 12 bits reason
        return OpensslError(code >> 24, code & 0xFFF)
    if code & 0x80000000:  # OpenSSL 3 err.h: ERR_SYSTEM_FLAG
        return OpensslError(SYSTEM_LIBRARY, code & 0x7FFFFFFF)
    return OpensslError(code >> 23 & 0xFF, code & 0x7FFFFF)


#: CURLE_BAD_FUNCTION_ARGUMENT: the client's own key or certificate can't be used, from 8.16 on; 58 before.
UNUSABLE_SINCE_8_16 = 43

_OK, _RESOLVE, _CONNECT, _PARTIAL, _TIMEOUT = 0, 6, 7, 18, 28
_SSL_CONNECT, _EMPTY, _RECV, _CERT_PROBLEM, _CIPHER, _VERIFY, _CA_FILE = 35, 52, 56, 58, 59, 60, 77
_CRL_FILE = 82
_SWITCHING = 101

#: A signature that does not verify (of a certificate, of a CRL) is an error of OpenSSL's cryptography first. curl looks at
#: the oldest error in OpenSSL's queue, and takes the failure for one of the handshake, not of the verification.
_SIGNATURE_FAILURES = frozenset((4, 5, 7, 8))


def predict(view: ClientView, *, trust_unusable: bool = False, crl_unusable: bool = False) -> int | None:
    """curl's exit code for what another client saw; ``None`` where it can't be told.

    Args:
        view: of the other client, without ``exit_code``.
        trust_unusable: the problem is the CA bundle, not the client's own certificate or key.
        crl_unusable: the problem is the file of CRLs.
    """
    if view.timed_out:
        return _TIMEOUT
    match view.phase:
        case Phase.PREPARE:
            if crl_unusable:
                return _CRL_FILE
            if trust_unusable:
                return _CA_FILE
            if view.problem is Reason.CIPHER:
                return _CIPHER
            return _SSL_CONNECT if view.problem is Reason.PROTOCOL_VERSION else _CERT_PROBLEM
        case Phase.CONNECT:
            return _RESOLVE if view.error_symbol == "ENOTFOUND" else _CONNECT
        case Phase.HANDSHAKE:
            # curl takes a received certificate_expired for its own verification's result.
            expired = any(a.direction is Direction.RECEIVED and a.name == "certificate_expired" for a in view.alerts)
            return _VERIFY if view.name_mismatch or expired or _asked(view) else _SSL_CONNECT
        case Phase.REQUEST:
            # curl sets SSL_OP_IGNORE_UNEXPECTED_EOF: with close_notify or without, nothing came.
            return _EMPTY if view.error_symbol == "EOF" else _RECV
        case Phase.RESPONSE:
            if view.error_symbol == "EOF":
                return _PARTIAL if view.response is not None else None
            return _RECV if view.response is not None else None  # 1, 8 or 61, by what is wrong with the head
        case Phase.DONE:
            if view.response is not None and view.response.status == _SWITCHING:
                return None  # 52 or 28: curl waits for a response in HTTP
            return _OK


def _asked(view: ClientView) -> bool:
    """Whether the failed verification is the oldest error in OpenSSL's queue."""
    if not view.verify_code or view.verify_code in _SIGNATURE_FAILURES:
        return False
    return all(map(_readable, view.received_chain or ()))


def _readable(der: bytes) -> bool:
    """Whether OpenSSL can decode a certificate's extensions and key; else there are errors of its own in the queue."""
    # only where a client refused a server: they take long to load
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    from mtls_runner.tls import asn1

    try:
        # cryptography's own reader of extensions is stricter than OpenSSL's: it takes no empty extendedKeyUsage
        body = asn1.x509.Certificate.load(der)["tbs_certificate"]
        kinds = [extension["extn_id"] for extension in body["extensions"]]
        for kind, extension in zip(kinds, body["extensions"], strict=True):
            if kind.native != kind.dotted:  # it is a known one; what nobody knows is not decoded
                _ = extension["extn_value"].parsed.native
        load_der_public_key(body["subject_public_key_info"].dump())
    except UnsupportedAlgorithm:
        return True
    except (ValueError, TypeError, KeyError):
        return False
    return len(kinds) == len({kind.dotted for kind in kinds})
