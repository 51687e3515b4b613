"""The tables, held against OpenSSL's own header and curl's own manual."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mtls_runner.model import HINTS, MEANINGS
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.tls import ALERTS, REASONS, VERIFY_CODES, alert_name, verify_reason
from mtls_runner.tls.openssl_errors import SSL_REASONS, openssl_errors
from mtls_runner.tls.rules import alert_reasons

from ..container_engine import not_here

HEADERS = (Path("/usr/include/openssl/x509_vfy.h"), Path("/usr/include/openssl/x509_vfy.h.in"))
REASON_HEADERS = (Path("/usr/include/openssl/sslerr.h"),)
TLS_HEADERS = (Path("/usr/include/openssl/ssl3.h"), Path("/usr/include/openssl/tls1.h"))


def _header(candidates: tuple[Path, ...]) -> str:
    found = [path.read_text() for path in candidates if path.exists()]
    if not found:
        not_here("OpenSSL's headers are not installed (Debian: libssl-dev)")
    return "\n".join(found)


def test_every_verify_code_of_openssl_has_its_symbol_and_a_reason() -> None:
    defined = {
        int(number): symbol
        for symbol, number in re.findall(r"define\s+X509_V_(OK|ERR_\w+)\s+(\d+)", _header(HEADERS))
        if symbol != "ERR_UNABLE_TO_GET_ISSUER"
    }
    assert len(defined) > 90
    for code, symbol in defined.items():
        assert VERIFY_CODES[code].symbol == symbol
        assert (VERIFY_CODES[code].reason is None) == (code == 0)


def test_alerts_are_those_of_openssl() -> None:
    header = _header(TLS_HEADERS)
    defined = re.findall(r"define\s+(?:SSL3|TLS1|TLS13)_AD_(\w+)\s+(\d+)", header)
    assert len(defined) > 25
    for symbol, number in defined:
        name = ALERTS[int(number)]
        expected = {"user_cancelled": "user_canceled"}.get(symbol.lower(), symbol.lower())
        assert name == expected


def test_an_alert_or_code_that_nobody_defined_is_shown_and_never_taken_for_another() -> None:
    assert alert_name(199) == "alert_199"
    assert verify_reason(9999) is Reason.OTHER
    assert verify_reason(0) is None


def test_every_reason_belongs_to_an_outcome_and_can_be_told_to_people() -> None:
    assert set(REASONS) == set(Outcome)
    assert set().union(*REASONS.values()) == set(Reason)
    assert set(MEANINGS) == set(Reason)
    assert set(HINTS) <= set(Reason)
    verdicts = {entry.reason for entry in VERIFY_CODES.values() if entry.reason is not None}
    assert verdicts - set(HINTS) <= {Reason.OTHER}


def test_reasons_read_off_alerts_are_reasons_to_refuse() -> None:
    allowed = frozenset().union(*(alert_reasons(alert, "") for alert in ALERTS.values()))
    assert allowed - {Reason.NAME_MISMATCH} <= REASONS[Outcome.SERVER_REFUSED]


def test_symbols_of_openssl_errors_are_those_of_its_header() -> None:
    header = dict(re.findall(r"define\s+SSL_R_(\w+)\s+(\d+)", _header(REASON_HEADERS)))
    for number, symbol in SSL_REASONS.items():
        assert int(header[symbol]) == number


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("SSL_do_handshake() failed (SSL: error:0A0000C1:SSL routines::no shared cipher)", ["NO_SHARED_CIPHER"]),
        ("error:0A000418:SSL routines::tlsv1 alert unknown ca:SSL alert number 48", ["ALERT_UNKNOWN_CA"]),
        ("error:1408F10B:SSL routines:ssl3_get_record:wrong version number", ["WRONG_VERSION_NUMBER"]),
        ("error:80000002:system library::No such file or directory error:10000080:BIO routines::x", ["ENOENT", ""]),
        ("error: no code at all", []),
    ],
)
def test_openssl_errors_are_read_by_number(text: str, symbols: list[str]) -> None:
    assert [error.symbol for error in openssl_errors(text)] == symbols
