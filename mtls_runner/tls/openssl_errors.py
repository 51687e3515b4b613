"""OpenSSL's error codes as programs print them (``error:0A0000C1:SSL routines::no shared cipher``).

Only the numbers count: the prose changes between versions, and CPython's own table of symbols is gone since 3.12.
"""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import Mapping
from typing import NamedTuple

from mtls_runner.model.observation import Reason
from mtls_runner.tls.names import ALERTS

__all__ = [
    "ASN1_LIBRARY",
    "DECODER_LIBRARY",
    "ERRNO_REASONS",
    "SSL_LIBRARY",
    "SSL_REASONS",
    "SYSTEM_LIBRARY",
    "UNUSABLE",
    "OpensslError",
    "openssl_errors",
    "told",
]

SYSTEM_LIBRARY = 2
"""``ERR_LIB_SYS``: the reason is an errno."""
SSL_LIBRARY = 20
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
    133: "CCS_RECEIVED_EARLY",
    134: "CERTIFICATE_VERIFY_FAILED",
    146: "DATA_LENGTH_TOO_LONG",
    147: "DECRYPTION_FAILED",
    150: "ENCRYPTED_LENGTH_TOO_LONG",
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
        if self.library != SSL_LIBRARY:
            return ""
        if self.reason > _ALERT_BASE:
            name = ALERTS.get(self.reason - _ALERT_BASE, "")
            return f"ALERT_{name.upper()}" if name else ""
        return SSL_REASONS.get(self.reason, "")


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
