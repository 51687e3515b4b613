"""Dialects and patterns of those that come with the lab: each says what the line that it was written for means."""

from pathlib import Path

import pytest

from mtls_runner.language.implementations.reading import DIRECTORY, dialect, shipped
from mtls_runner.model.implementation import Pattern
from mtls_runner.model.observation import Reason
from mtls_runner.tls.dialects import tls_version, told
from mtls_runner.tls.openssl_errors import why_unusable

DIALECTS = sorted(path.stem for path in (DIRECTORY / "dialects").glob("*.yaml"))
IMPLEMENTATIONS = sorted(DIRECTORY.glob("*/implementation.yaml"))


def _lists(name: str) -> list[tuple[Pattern, ...]]:
    return [dialect(name).lines, dialect(name).start]


def _of(path: Path) -> list[tuple[Pattern, ...]]:
    made = shipped(path)
    found: list[tuple[Pattern, ...]] = []
    if made.server is not None:
        log = made.server.log
        found += [(*log.refused, *log.dialect.lines), (*made.server.start, *log.dialect.start)]
    if made.client is not None:
        spoken = made.client.dialect
        found += [(*made.client.refused, *spoken.lines), (*made.client.start, *spoken.start)]
    return found


LISTS = [
    *((name, patterns) for name in DIALECTS for patterns in _lists(name)),
    *((path.parent.name, patterns) for path in IMPLEMENTATIONS for patterns in _of(path)),
]


@pytest.mark.parametrize("patterns", [patterns for _, patterns in LISTS], ids=[name for name, _ in LISTS])
def test_each_line_is_read_by_the_pattern_that_was_written_for_it(patterns: tuple[Pattern, ...]) -> None:
    """None before it takes its line away, and none reads anything into a line that says nothing."""
    for pattern in patterns:
        if pattern.seen:
            said = told(patterns, [pattern.seen])
            assert said is not None, pattern.match
            assert said.pattern is pattern, f"{pattern.match} comes after {said.pattern.match}"
    assert (
        told(patterns, ["", "GET / HTTP/1.1", "verify return:1", "port=1 status=200 verify=0 ca_verify=0 error=0"])
        is None
    )


@pytest.mark.parametrize(
    ("name", "line", "meaning"),
    [
        ("openssl", "verify error:num=23:certificate revoked", 23),
        ("openssl", "LOG4[0]: CERT: Pre-verification error: self signed certificate in certificate chain", 19),
        ("openssl", "140:error:0A000418:SSL routines:ssl3_read_bytes:tlsv1 alert unknown ca:…", "unknown_ca"),
        (
            "boringssl",
            "SSL_routines:OPENSSL_internal:SSLV3_ALERT_CERTIFICATE_EXPIRED:TLS_error_end",
            "certificate_expired",
        ),
        (
            "boringssl",
            "verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_unable_to_get_local_issuer_certificate",
            (Reason.UNKNOWN_CA, Reason.SELF_SIGNED, Reason.INVALID_CA),
        ),
        # the same main clause three times; the truth is in the parenthesis
        (
            "go",
            'x509: certificate signed by unknown authority (possibly because of "x509: ECDSA verification failure" while trying…',
            (Reason.BAD_SIGNATURE,),
        ),
        ("go", "x509: certificate signed by unknown authority", (Reason.UNKNOWN_CA, Reason.SELF_SIGNED)),
        # of the handshake, by another key than the certificate's
        ("go", "tls: invalid signature by the client certificate: ECDSA verification failure", (Reason.BAD_SIGNATURE,)),
        ("go", "remote error: tls: error decoding message", "decode_error"),
        ("go", "remote error: tls: bad record MAC", "bad_record_mac"),
        ("jsse", "SSLHandshakeException: Invalid ECDH ServerKeyExchange signature", (Reason.BAD_SIGNATURE,)),
        ("gnutls", "Error in handshake: Public key signature verification has failed.", (Reason.BAD_SIGNATURE,)),
        (
            "boringssl",
            "|436207716:ECDSA_routines:OPENSSL_internal:BAD_SIGNATURE|268435570:SSL_routines:OPENSSL_internal:BAD_SIGNATURE:",
            (Reason.BAD_SIGNATURE,),
        ),
        (
            "go",
            "x509: certificate has expired or is not yet valid: current time 2026-11-28T16:00:00Z is before 2026-11-29T16:00:00Z",
            (Reason.NOT_YET_VALID,),
        ),
        ("go", "remote error: tls: unknown certificate authority", "unknown_ca"),
        ("go", "remote error: tls: unknown certificate", "certificate_unknown"),
        ("go", "remote error: tls: access denied", "access_denied"),
        ("go", "remote error: tls: insufficient security level", "insufficient_security"),
        ("openssl", "refused port=1 authorizationError=CERT_REVOKED code=ECONNRESET socket hang up", 23),
        ("openssl", "error code=UNSPECIFIED, verify error: CA signature digest algorithm too weak", 68),
        (
            "openssl",
            "error code=UNSPECIFIED certificate rejected",
            (
                Reason.INVALID_CA,
                Reason.NAME_CONSTRAINTS,
                Reason.UNHANDLED_EXTENSION,
                Reason.WEAK_DIGEST,
                Reason.WEAK_KEY,
            ),
        ),
        (
            "openssl",
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired (_ssl.c:1006)",
            10,
        ),
        (
            "openssl",
            "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, certificate is not valid for",
            62,
        ),
        (
            "openssl",
            "[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert certificate required (_ssl.c:2580)",
            "certificate_required",
        ),
        # what stands deeper tells more than "validity check failed" and than the message in front
        (
            "jsse",
            "PKIX path validation failed <- validity check failed <- java…CertificateExpiredException: NotAfter",
            (Reason.EXPIRED,),
        ),
        ("jsse", "Received fatal alert: unknown_ca", "unknown_ca"),
        ("rustls", "error: InvalidCertificate(NotValidYetContext { time: …", (Reason.NOT_YET_VALID,)),
        (
            "rustls",
            "('invalid peer certificate: certificate expired: verification time 1795909623 (UNIX)…",
            (Reason.EXPIRED,),
        ),
        ("rustls", "AlertReceived(CertificateUnknown)", "certificate_unknown"),
        ("rustls", "('received fatal alert: UnknownCA',)", "unknown_ca"),
        ("rustls", "error: InvalidCertRevocationList(IssuerInvalidForCrl)", (Reason.CRL_INVALID,)),
        # of a chain, and of what the client's own key signed
        ("nss", "selfserv: -- SSL3: Certificate Invalid, err -8182.", (Reason.BAD_SIGNATURE,)),
        ("nss", "selfserv: HDX PR_Read returned error -8182:", (Reason.BAD_SIGNATURE, Reason.WRONG_CURVE)),
        ("openssl", "LOG4[1]: CERT: Pre-verification error: different CRL scope", 44),
        ("openssl", "LOG4[1]: CERT: Pre-verification error: EE certificate key too weak", 66),
        ("openssl", "LOG4[1]: CERT: Pre-verification error: CA certificate key too weak", 67),
        (
            "boringssl",
            "failure=<TLS_error:|268435722:SSL_routines:OPENSSL_internal:NO_SHARED_GROUP:TLS",
            (Reason.GROUP,),
        ),
        ("boringssl", "SSL_routines:OPENSSL_internal:WRONG_CURVE:TLS_error_end", (Reason.GROUP, Reason.CIPHER)),
        ("go", "tls: failed to parse client certificate: x509: negative serial number", (Reason.MALFORMED,)),
        ("go", "tls: failed to parse client certificate: x509: unsupported elliptic curve", (Reason.WRONG_CURVE,)),
        ("nss", "selfserv: -- SSL3: Certificate Invalid, err -8181.", (Reason.EXPIRED, Reason.NOT_YET_VALID)),
        (
            "gnutls",
            "- Status: The certificate is NOT trusted. The certificate issuer is unknown. ",
            (Reason.UNKNOWN_CA, Reason.SELF_SIGNED),
        ),
        (
            "gnutls",
            "The certificate is NOT trusted. The certificate issuer is unknown. The certificate chain uses expired certificate.",
            (Reason.EXPIRED,),
        ),
    ],
)
def test_what_lines_mean(name: str, line: str, meaning: int | str | tuple[Reason, ...]) -> None:
    said = told(dialect(name).lines, [line])
    assert said is not None
    found = said.verify_code or (said.alert.name if said.alert is not None else None) or said.reasons
    assert found == meaning


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("tls1.3", "TLSv1.3"),
        ("TLS1.2", "TLSv1.2"),
        ("TLS 1.0", "TLSv1"),
        ("3.4", "TLSv1.3"),
        ("TLSv1.1", "TLSv1.1"),
        ("GOST", "GOST"),
        (None, None),
    ],
)
def test_versions_have_one_name(text: str | None, version: str | None) -> None:
    assert tls_version(text) == version


def test_codes_come_before_prose() -> None:
    """What follows a verify code in the same log says less; the first pattern counts, whichever line comes first."""
    lines = [
        "80DB:error:0A000086:SSL routines:tls_process_client_certificate:certificate verify failed:…",
        "verify error:num=10:certificate has expired",
    ]
    said = told(dialect("openssl").lines, lines)
    assert said is not None
    assert (said.verify_code, said.line) == (10, lines[1])


def test_what_is_said_of_a_passphrase_comes_before_what_is_said_of_a_key() -> None:
    """The line about the key comes of both, and of a key that OpenSSL does not have the algorithm of."""
    key = "40B7:error:1608010C:STORE routines:ossl_store_handle_load_result:unsupported:../crypto/store/store_result.c:149:"
    passphrase = "40B7:error:1C800064:Provider routines:ossl_cipher_unpadblock:bad decrypt:../providers/…:124:"

    def meaning(lines: list[str]) -> Reason | None:
        said = told(
            dialect("openssl").start,
            lines,
            lambda one: bool(one.reasons or (one.error and why_unusable(one.error, passphrase=False))),
        )
        assert said is not None
        return said.reasons[0] if said.reasons else said.error and why_unusable(said.error, passphrase=False)

    assert meaning([key, passphrase]) is Reason.WRONG_PASSPHRASE
    assert meaning([key]) is Reason.MALFORMED
