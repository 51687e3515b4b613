"""The field's own names and numbers: versions, handshake messages, alerts, verify codes, and the reasons of each outcome.

Each table stands here once, with its source. :mod:`mtls_runner.model` has the sentences for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mtls_runner.model.case import satisfies
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.observation import Outcome, Reason

__all__ = [
    "ALERTS",
    "FIRST_WITH_ML_DSA",
    "HANDSHAKE_TYPES",
    "ML_KEM",
    "REASONS",
    "SIGNATURE_SCHEMES",
    "VERIFY_CODES",
    "WIRE_VERSIONS",
    "VerifyCode",
    "alert_name",
    "unknown_group",
    "verify_reason",
]

#: ProtocolVersion on the wire (RFC 8446 §4.2.1, RFC 5246 §A.1).
WIRE_VERSIONS: Mapping[int, TlsVersion] = {
    0x0301: TlsVersion.V1_0,
    0x0302: TlsVersion.V1_1,
    0x0303: TlsVersion.V1_2,
    0x0304: TlsVersion.V1_3,
}

#: HandshakeType (RFC 8446 §4, RFC 5246 §7.4, RFC 5077, RFC 6066 §8).
HANDSHAKE_TYPES: Mapping[int, str] = {
    0: "HelloRequest",
    1: "ClientHello",
    2: "ServerHello",
    4: "NewSessionTicket",
    5: "EndOfEarlyData",
    8: "EncryptedExtensions",
    11: "Certificate",
    12: "ServerKeyExchange",
    13: "CertificateRequest",
    14: "ServerHelloDone",
    15: "CertificateVerify",
    16: "ClientKeyExchange",
    20: "Finished",
    22: "CertificateStatus",
    24: "KeyUpdate",
    25: "CompressedCertificate",
    67: "NextProtocol",
}

#: AlertDescription (RFC 8446 §6, RFC 5246 §7.2, RFC 7301, RFC 8447; the IANA registry).
ALERTS: Mapping[int, str] = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    120: "no_application_protocol",
    121: "ech_required",
}


def alert_name(code: int) -> str:
    """The description's RFC name, or ``alert_<number>`` for one that nobody registered."""
    return ALERTS.get(code, f"alert_{code}")


class VerifyCode(NamedTuple):
    """One result of OpenSSL's chain verification."""

    symbol: str
    """OpenSSL's name for it, without the prefix ``X509_V_``."""
    reason: Reason | None
    """``None`` for ``OK`` only."""


def _codes() -> Mapping[int, VerifyCode]:
    r = Reason
    table: tuple[tuple[int, str, Reason | None], ...] = (
        (0, "OK", None),
        (1, "ERR_UNSPECIFIED", r.OTHER),
        (2, "ERR_UNABLE_TO_GET_ISSUER_CERT", r.UNKNOWN_CA),
        (3, "ERR_UNABLE_TO_GET_CRL", r.NO_CRL),
        (4, "ERR_UNABLE_TO_DECRYPT_CERT_SIGNATURE", r.BAD_SIGNATURE),
        (5, "ERR_UNABLE_TO_DECRYPT_CRL_SIGNATURE", r.CRL_INVALID),
        (6, "ERR_UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY", r.MALFORMED),
        (7, "ERR_CERT_SIGNATURE_FAILURE", r.BAD_SIGNATURE),
        (8, "ERR_CRL_SIGNATURE_FAILURE", r.CRL_INVALID),
        (9, "ERR_CERT_NOT_YET_VALID", r.NOT_YET_VALID),
        (10, "ERR_CERT_HAS_EXPIRED", r.EXPIRED),
        (11, "ERR_CRL_NOT_YET_VALID", r.CRL_NOT_YET_VALID),
        (12, "ERR_CRL_HAS_EXPIRED", r.CRL_EXPIRED),
        (13, "ERR_ERROR_IN_CERT_NOT_BEFORE_FIELD", r.MALFORMED),
        (14, "ERR_ERROR_IN_CERT_NOT_AFTER_FIELD", r.MALFORMED),
        (15, "ERR_ERROR_IN_CRL_LAST_UPDATE_FIELD", r.CRL_INVALID),
        (16, "ERR_ERROR_IN_CRL_NEXT_UPDATE_FIELD", r.CRL_INVALID),
        (17, "ERR_OUT_OF_MEM", r.OTHER),
        (18, "ERR_DEPTH_ZERO_SELF_SIGNED_CERT", r.SELF_SIGNED),
        (19, "ERR_SELF_SIGNED_CERT_IN_CHAIN", r.UNKNOWN_CA),
        (20, "ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY", r.UNKNOWN_CA),
        (21, "ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE", r.UNKNOWN_CA),
        # Depth exceeded at the root; OpenSSL 3 names most exceeded depths 20, so the two must not differ.
        (22, "ERR_CERT_CHAIN_TOO_LONG", r.UNKNOWN_CA),
        (23, "ERR_CERT_REVOKED", r.REVOKED),
        (24, "ERR_NO_ISSUER_PUBLIC_KEY", r.INVALID_CA),  # X509_V_ERR_INVALID_CA before OpenSSL 3
        (25, "ERR_PATH_LENGTH_EXCEEDED", r.PATH_LENGTH),
        (26, "ERR_INVALID_PURPOSE", r.WRONG_PURPOSE),
        (27, "ERR_CERT_UNTRUSTED", r.UNKNOWN_CA),
        (28, "ERR_CERT_REJECTED", r.WRONG_PURPOSE),  # trust settings of a TRUSTED CERTIFICATE reject the purpose
        (29, "ERR_SUBJECT_ISSUER_MISMATCH", r.UNKNOWN_CA),
        (30, "ERR_AKID_SKID_MISMATCH", r.UNKNOWN_CA),
        (31, "ERR_AKID_ISSUER_SERIAL_MISMATCH", r.UNKNOWN_CA),
        (32, "ERR_KEYUSAGE_NO_CERTSIGN", r.INVALID_CA),
        (33, "ERR_UNABLE_TO_GET_CRL_ISSUER", r.CRL_INVALID),
        (34, "ERR_UNHANDLED_CRITICAL_EXTENSION", r.UNHANDLED_EXTENSION),
        (35, "ERR_KEYUSAGE_NO_CRL_SIGN", r.CRL_INVALID),
        (36, "ERR_UNHANDLED_CRITICAL_CRL_EXTENSION", r.CRL_INVALID),
        (37, "ERR_INVALID_NON_CA", r.INVALID_CA),
        (38, "ERR_PROXY_PATH_LENGTH_EXCEEDED", r.PATH_LENGTH),
        (39, "ERR_KEYUSAGE_NO_DIGITAL_SIGNATURE", r.WRONG_PURPOSE),
        (40, "ERR_PROXY_CERTIFICATES_NOT_ALLOWED", r.INVALID_CA),
        (41, "ERR_INVALID_EXTENSION", r.MALFORMED),
        (42, "ERR_INVALID_POLICY_EXTENSION", r.POLICY),
        (43, "ERR_NO_EXPLICIT_POLICY", r.POLICY),
        (44, "ERR_DIFFERENT_CRL_SCOPE", r.CRL_INVALID),
        (45, "ERR_UNSUPPORTED_EXTENSION_FEATURE", r.UNHANDLED_EXTENSION),
        (46, "ERR_UNNESTED_RESOURCE", r.NAME_CONSTRAINTS),  # RFC 3779 address blocks not nested in the issuer's
        (47, "ERR_PERMITTED_VIOLATION", r.NAME_CONSTRAINTS),
        (48, "ERR_EXCLUDED_VIOLATION", r.NAME_CONSTRAINTS),
        (49, "ERR_SUBTREE_MINMAX", r.NAME_CONSTRAINTS),
        (50, "ERR_APPLICATION_VERIFICATION", r.OTHER),
        (51, "ERR_UNSUPPORTED_CONSTRAINT_TYPE", r.NAME_CONSTRAINTS),
        (52, "ERR_UNSUPPORTED_CONSTRAINT_SYNTAX", r.NAME_CONSTRAINTS),
        (53, "ERR_UNSUPPORTED_NAME_SYNTAX", r.NAME_CONSTRAINTS),
        (54, "ERR_CRL_PATH_VALIDATION_ERROR", r.CRL_INVALID),
        (55, "ERR_PATH_LOOP", r.INVALID_CA),
        (56, "ERR_SUITE_B_INVALID_VERSION", r.POLICY),
        (57, "ERR_SUITE_B_INVALID_ALGORITHM", r.POLICY),
        (58, "ERR_SUITE_B_INVALID_CURVE", r.POLICY),
        (59, "ERR_SUITE_B_INVALID_SIGNATURE_ALGORITHM", r.POLICY),
        (60, "ERR_SUITE_B_LOS_NOT_ALLOWED", r.POLICY),
        (61, "ERR_SUITE_B_CANNOT_SIGN_P_384_WITH_P_256", r.POLICY),
        (62, "ERR_HOSTNAME_MISMATCH", r.NAME_MISMATCH),
        (63, "ERR_EMAIL_MISMATCH", r.NAME_MISMATCH),
        (64, "ERR_IP_ADDRESS_MISMATCH", r.NAME_MISMATCH),
        (65, "ERR_DANE_NO_MATCH", r.UNKNOWN_CA),
        (66, "ERR_EE_KEY_TOO_SMALL", r.WEAK_KEY),
        (67, "ERR_CA_KEY_TOO_SMALL", r.WEAK_KEY),
        (68, "ERR_CA_MD_TOO_WEAK", r.WEAK_DIGEST),
        (69, "ERR_INVALID_CALL", r.OTHER),
        (70, "ERR_STORE_LOOKUP", r.OTHER),
        (71, "ERR_NO_VALID_SCTS", r.POLICY),
        (72, "ERR_PROXY_SUBJECT_NAME_VIOLATION", r.NAME_CONSTRAINTS),
        (73, "ERR_OCSP_VERIFY_NEEDED", r.OCSP_UNAVAILABLE),
        (74, "ERR_OCSP_VERIFY_FAILED", r.OCSP_INVALID),
        (75, "ERR_OCSP_CERT_UNKNOWN", r.OCSP_UNKNOWN),
        (76, "ERR_UNSUPPORTED_SIGNATURE_ALGORITHM", r.BAD_SIGNATURE),
        (77, "ERR_SIGNATURE_ALGORITHM_MISMATCH", r.BAD_SIGNATURE),
        (78, "ERR_SIGNATURE_ALGORITHM_INCONSISTENCY", r.BAD_SIGNATURE),
        (79, "ERR_INVALID_CA", r.INVALID_CA),
        (80, "ERR_PATHLEN_INVALID_FOR_NON_CA", r.NOT_COMPLIANT),
        (81, "ERR_PATHLEN_WITHOUT_KU_KEY_CERT_SIGN", r.NOT_COMPLIANT),
        (82, "ERR_KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA", r.NOT_COMPLIANT),
        (83, "ERR_ISSUER_NAME_EMPTY", r.NOT_COMPLIANT),
        (84, "ERR_SUBJECT_NAME_EMPTY", r.NOT_COMPLIANT),
        (85, "ERR_MISSING_AUTHORITY_KEY_IDENTIFIER", r.NOT_COMPLIANT),
        (86, "ERR_MISSING_SUBJECT_KEY_IDENTIFIER", r.NOT_COMPLIANT),
        (87, "ERR_EMPTY_SUBJECT_ALT_NAME", r.NOT_COMPLIANT),
        (88, "ERR_EMPTY_SUBJECT_SAN_NOT_CRITICAL", r.NOT_COMPLIANT),
        (89, "ERR_CA_BCONS_NOT_CRITICAL", r.NOT_COMPLIANT),
        (90, "ERR_AUTHORITY_KEY_IDENTIFIER_CRITICAL", r.NOT_COMPLIANT),
        (91, "ERR_SUBJECT_KEY_IDENTIFIER_CRITICAL", r.NOT_COMPLIANT),
        (92, "ERR_CA_CERT_MISSING_KEY_USAGE", r.NOT_COMPLIANT),
        (93, "ERR_EXTENSIONS_REQUIRE_VERSION_3", r.NOT_COMPLIANT),
        (94, "ERR_EC_KEY_EXPLICIT_PARAMS", r.NOT_COMPLIANT),
        (95, "ERR_RPK_UNTRUSTED", r.UNKNOWN_CA),  # OpenSSL 3.2, raw public keys
        (96, "ERR_OCSP_RESP_INVALID", r.OCSP_INVALID),  # 96 to 101: OpenSSL 3.6
        (97, "ERR_OCSP_SIGNATURE_FAILURE", r.OCSP_INVALID),
        (98, "ERR_OCSP_NOT_YET_VALID", r.OCSP_NOT_YET_VALID),
        (99, "ERR_OCSP_HAS_EXPIRED", r.OCSP_EXPIRED),
        (100, "ERR_OCSP_NO_RESPONSE", r.OCSP_UNAVAILABLE),
        (101, "ERR_CRL_VERIFY_FAILED", r.CRL_INVALID),
    )
    return {code: VerifyCode(symbol, reason) for code, symbol, reason in table}


#: ``X509_V_*`` (OpenSSL 3, ``include/openssl/x509_vfy.h``) and the class that each belongs to.
VERIFY_CODES: Mapping[int, VerifyCode] = _codes()


def verify_reason(code: int) -> Reason | None:
    """The reason behind a verify code; ``None`` for OK, :attr:`Reason.OTHER` for a code that no OpenSSL 3 defines."""
    known = VERIFY_CODES.get(code)
    return known.reason if known else Reason.OTHER


#: What a verifier can hold against the other end's certificate.
_VERDICTS = frozenset(entry.reason for entry in VERIFY_CODES.values() if entry.reason is not None)

#: Why an end can't use its own material.
_MATERIAL = frozenset(
    {
        Reason.WRONG_PASSPHRASE,
        Reason.PASSPHRASE_NEEDED,
        Reason.KEY_MISMATCH,
        Reason.MISSING_FILE,
        Reason.MALFORMED,
        Reason.WEAK_KEY,
        Reason.WEAK_DIGEST,
    }
)

#: The reasons that each outcome can have; ``accepted``, ``answered`` and ``server-started`` have none.
REASONS: Mapping[Outcome, frozenset[Reason]] = {
    Outcome.ACCEPTED: frozenset(),
    Outcome.ANSWERED: frozenset(),
    Outcome.SERVER_REFUSED: (_VERDICTS - {Reason.NAME_MISMATCH})
    | {Reason.NO_CERTIFICATE, Reason.CERTIFICATE_WITHHELD, Reason.NOT_AUTHORIZED, Reason.WRONG_CURVE},
    Outcome.CLIENT_REFUSED: _VERDICTS,
    Outcome.NO_AGREEMENT: frozenset(
        {
            Reason.PROTOCOL_VERSION,
            Reason.CIPHER,
            Reason.GROUP,
            Reason.SIGNATURE_ALGORITHM,
            Reason.ALPN,
            Reason.SERVER_NAME,
        }
    ),
    Outcome.CLIENT_UNUSABLE: _MATERIAL,
    Outcome.NO_CONNECTION: frozenset(
        {Reason.REFUSED, Reason.RESET, Reason.CLOSED, Reason.NOT_TLS, Reason.NAME_NOT_RESOLVED}
    ),
    Outcome.PROTOCOL_ERROR: frozenset({Reason.ALERT, Reason.RECORD, Reason.HANDSHAKE, Reason.HTTP}),
    Outcome.TIMED_OUT: frozenset({Reason.CONNECT, Reason.HANDSHAKE, Reason.REQUEST, Reason.RESPONSE}),
    Outcome.SERVER_STARTED: frozenset(),
    Outcome.SERVER_UNUSABLE: _MATERIAL
    | frozenset(
        {
            Reason.BAD_CONFIG,
            Reason.ADDRESS_IN_USE,
            Reason.EXITED,
            Reason.UNNOTICED,
            Reason.PROTOCOL_VERSION,
            Reason.CIPHER,
        }
    ),
}

#: SignatureScheme (RFC 8446 §4.2.3). TLS 1.2's pairs of hash and signature (RFC 5246 §7.4.1.4.1) have the same numbers.
SIGNATURE_SCHEMES: Mapping[int, str] = {
    0x0201: "rsa_pkcs1_sha1",
    0x0203: "ecdsa_sha1",
    0x0301: "rsa_pkcs1_sha224",
    0x0303: "ecdsa_sha224",
    0x0401: "rsa_pkcs1_sha256",
    0x0403: "ecdsa_secp256r1_sha256",
    0x0501: "rsa_pkcs1_sha384",
    0x0503: "ecdsa_secp384r1_sha384",
    0x0601: "rsa_pkcs1_sha512",
    0x0603: "ecdsa_secp521r1_sha512",
    0x0804: "rsa_pss_rsae_sha256",
    0x0805: "rsa_pss_rsae_sha384",
    0x0806: "rsa_pss_rsae_sha512",
    0x0807: "ed25519",
    0x0808: "ed448",
    0x0809: "rsa_pss_pss_sha256",
    0x080A: "rsa_pss_pss_sha384",
    0x080B: "rsa_pss_pss_sha512",
    0x0904: "mldsa44",
    0x0905: "mldsa65",
    0x0906: "mldsa87",
}

#: With ML-KEM (FIPS 203), alone or beside a curve; in small letters, as OpenSSL takes the names in any.
ML_KEM = frozenset(
    ("x25519mlkem768", "secp256r1mlkem768", "secp384r1mlkem1024", "mlkem512", "mlkem768", "mlkem1024"),
)
FIRST_WITH_ML_DSA = "3.5"
"""OpenSSL: ML-DSA is FIPS 204."""
_SINCE: Mapping[str, tuple[str, str]] = {"openssl": ("OpenSSL", "3.5"), "go": ("Go", "1.24")}


def unknown_group(groups: Iterable[str], library: str, version: str) -> str | None:
    """Why a TLS library can't be told these groups, for people; ``None``: it can, or nobody knows.

    Args:
        library: as dialects are called.
        version: its own; ``""``: it does not tell.
    """
    title, since = _SINCE.get(library, ("", ""))
    for group in groups:
        if group.lower() in ML_KEM and since and version and not satisfies(version, f">={since}"):
            return f"{title} {version} has no group {group}: ML-KEM came with {since}"
    return None
