"""Every line of the reason tables: by what real handshakes showed, and where none gets there, by what the code means.

``tests/mutate_reasons.py`` changes each line and runs this file and ``test_names.py``: one of the two must fail.
"""

from __future__ import annotations

import re
from pathlib import Path

from mtls_runner.model.observation import Reason
from mtls_runner.tls import VERIFY_CODES
from mtls_runner.tls.rules import OPENSSL, VERDICTS, alert_reasons

#: Made by ``mtls-run conformance`` of real handshakes whose reasons the catalogue's authors wrote down.
PAGE = Path(__file__).parents[2] / "docs" / "outcomes.md"

#: Codes that no case of the catalogue is refused with, and their meaning as OpenSSL's manual gives it
#: (X509_STORE_CTX_get_error(3), openssl-verification-options(1)) in the lab's words.
UNREACHED = {
    # Chain building: an issuer is not found or not accepted as one. 22: openssl-verification-options(1), -verify_depth;
    # 27: "the root CA is not marked as trusted"; 29 to 31 are only asked for by debugging; 65: RFC 7671; 95: RFC 7250.
    "unknown-ca": {22, 27, 29, 30, 31, 65, 95},
    # "…could not be decrypted", and three disagreements between a signature and the algorithm that it is declared with.
    "bad-signature": {4, 76, 77, 78},
    # "…could not be read", dates "contain an invalid time", an "invalid or inconsistent certificate extension".
    "malformed": {6, 13, 14, 41},
    # RFC 5280 §6.1.4 (k), (n): an issuer that may not issue; 24 was X509_V_ERR_INVALID_CA; 40: RFC 3820, proxies unasked.
    "invalid-ca": {24, 37, 40, 55},
    # RFC 3820 §3.8, pCPathLenConstraint.
    "path-length": {38},
    # 28: trust settings of a TRUSTED CERTIFICATE (openssl-x509(1)) against this purpose; 39: key usage of a proxy.
    "wrong-purpose": {28, 39},
    # RFC 3779 §2.3; RFC 5280 §4.2.1.10: minimum and maximum, syntaxes; RFC 3820 §3.4, a proxy's subject.
    "name-constraints": {46, 49, 52, 72},
    # 45: a feature of an extension that OpenSSL does not support.
    "unhandled-extension": {45},
    # RFC 5280 §4.2.1.4 and §6.1; RFC 5759 (Suite B); RFC 6962 §5.1 (no valid SCT).
    "policy": {42, 43, 56, 57, 58, 59, 60, 61, 71},
    # RFC 6125; 63 is for S/MIME.
    "name-mismatch": {62, 63, 64},
    # RFC 5280 §4.2: rules that X509_V_FLAG_X509_STRICT enforces.
    "not-compliant": {81, 84, 87, 90, 91, 93},
    # RFC 5280 §5 and §6.3.
    "crl-invalid": {5, 15, 16, 33, 44, 54, 101},
    # RFC 6960 §3.2, §4.2.1.
    "ocsp-unavailable": {73, 100},
    "ocsp-invalid": {74, 96, 97},
    "ocsp-unknown": {75},
    "ocsp-expired": {99},
    "ocsp-not-yet-valid": {98},
    # Of the verifier itself, not of any certificate.
    "other": {1, 17, 50, 69, 70},
}

#: What older headers lack: OpenSSL 3.2's (95) and 3.6's include/openssl/x509_vfy.h.
NEWER = {
    95: "ERR_RPK_UNTRUSTED",
    96: "ERR_OCSP_RESP_INVALID",
    97: "ERR_OCSP_SIGNATURE_FAILURE",
    98: "ERR_OCSP_NOT_YET_VALID",
    99: "ERR_OCSP_HAS_EXPIRED",
    100: "ERR_OCSP_NO_RESPONSE",
    101: "ERR_CRL_VERIFY_FAILED",
}

_ROW = re.compile(
    r"\| \*\*(?P<name>[^|]+)\*\* \| (?:server|client)-refused: (?P<reason>[a-z-]+) \|.*\| (?P<codes>[^|]+) \|"
)


def measured() -> dict[int, set[str]]:
    """Verify code → reasons, of the page's rows with one reason everywhere; 1 is what curl writes for want of a code."""
    found: dict[int, set[str]] = {}
    for line in PAGE.read_text("utf-8").splitlines():
        row = _ROW.fullmatch(line)
        for number in re.findall(r"(?<![\d.])\d+(?= \(|,|;|$)", row["codes"]) if row else ():
            if number not in ("1", "62", "64"):  # names: the Python client's codes, held against openssl elsewhere
                found.setdefault(int(number), set()).add(row["reason"] if row else "")
    return found


def test_the_page_shows_one_reason_for_each_code_and_the_table_has_it() -> None:
    found = measured()
    assert len(found) > 25
    for code, reasons in found.items():
        assert reasons == {str(VERIFY_CODES[code].reason)}, code


def test_what_no_case_reaches_means_what_openssl_says() -> None:
    for reason, codes in UNREACHED.items():
        for code in codes:
            assert str(VERIFY_CODES[code].reason) == reason, code


def test_together_they_are_all_codes_and_none_is_written_down_for_nothing() -> None:
    unreached = {code for codes in UNREACHED.values() for code in codes}
    assert sum(map(len, UNREACHED.values())) == len(unreached)
    assert unreached | set(measured()) | {0} == set(VERIFY_CODES)
    assert not unreached & set(measured())


def test_codes_of_newer_versions_have_their_symbols() -> None:
    assert {code: entry.symbol for code, entry in VERIFY_CODES.items() if code > 94} == NEWER


_BY_ALERT = re.compile(
    r"\| \*\*[^|]+\*\* \| (?P<outcome>server|client)-refused: (?P<reason>[a-z-]+) \|[^|]*\| alert (?P<alert>[a-z_]+)[ ,|]"
)


def test_an_alert_allows_every_reason_that_a_handshake_showed_with_it() -> None:
    """The page's alerts are OpenSSL's: of its server in Python, and of both clients."""
    found: dict[str, set[str]] = {}
    for line in PAGE.read_text("utf-8").splitlines():
        row = _BY_ALERT.match(line)
        if row is not None and row["reason"] not in ("no-certificate", "certificate-withheld"):
            found.setdefault(row["alert"], set()).add(row["reason"])
    assert len(found) >= 6
    assert len(found["unknown_ca"]) >= 4
    for alert, reasons in found.items():
        assert reasons <= set(alert_reasons(alert, OPENSSL)), alert
        assert reasons <= set(alert_reasons(alert, "")), alert
    assert Reason.EXPIRED not in alert_reasons("unknown_ca", OPENSSL)
    assert Reason.BAD_SIGNATURE not in alert_reasons("certificate_expired", "")


def test_what_says_little_allows_nearly_all_and_what_says_nothing_none() -> None:
    for alert in ("bad_certificate", "certificate_unknown", "access_denied"):
        assert alert_reasons(alert, "") >= VERDICTS
    assert alert_reasons("certificate_revoked", "") == {Reason.REVOKED}
    assert alert_reasons("bad_certificate_hash_value", "boringssl") == {Reason.NOT_AUTHORIZED}
    assert alert_reasons("close_notify", "") == alert_reasons("internal_error", OPENSSL) == frozenset()
