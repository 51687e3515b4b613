"""Names and certificates read from TLS messages, held against cryptography's parser."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from mtls_runner.model.observation import Direction
from mtls_runner.tls.messages import (
    alert,
    certificate_authorities,
    certificates,
    distinguished_name,
    issuer,
    subject,
)

KEY = ec.generate_private_key(ec.SECP256R1())
TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20)
ATTRIBUTES = st.sampled_from(
    (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.LOCALITY_NAME, NameOID.DOMAIN_COMPONENT, NameOID.SURNAME)
)


def certificate(name: x509.Name, by: x509.Name) -> bytes:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(by).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(ATTRIBUTES, TEXT), min_size=1, max_size=2, unique_by=lambda p: p[0]), max_size=4))
def test_a_name_reads_as_cryptography_reads_it(rdns: list[list[tuple[x509.ObjectIdentifier, str]]]) -> None:
    name = x509.Name(
        [x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in rdn]) for rdn in rdns]
    )
    nobody = x509.Name([])
    der = certificate(name, nobody)
    parsed = x509.load_der_x509_certificate(der).subject
    assert subject(der) == issuer(certificate(nobody, name)) == parsed.rfc4514_string({NameOID.SURNAME: "SN"})
    assert issuer(der) == subject(certificate(nobody, name)) == ""
    assert distinguished_name(parsed.public_bytes()) == parsed.rfc4514_string({NameOID.SURNAME: "SN"})


def vector(data: bytes, width: int) -> bytes:
    return len(data).to_bytes(width, "big") + data


def message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + vector(body, 3)


ONE, TWO = b"first certificate", b"the second"


def test_certificate_messages_of_both_layouts() -> None:
    old = message(11, vector(vector(ONE, 3) + vector(TWO, 3), 3))
    new = message(11, vector(b"", 1) + vector(vector(ONE, 3) + vector(b"", 2) + vector(TWO, 3) + vector(b"xy", 2), 3))
    assert certificates(old, 0x0303) == (ONE, TWO)
    assert certificates(new, 0x0304) == (ONE, TWO)
    assert certificates(message(11, vector(b"", 3)), 0x0303) == ()
    assert certificates(message(11, vector(b"", 1) + vector(b"", 3)), 0x0304) == ()


def test_certificate_request_names_of_both_layouts() -> None:
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("One", "Two")]
    listed = vector(b"".join(vector(name.public_bytes(), 2) for name in names), 2)
    old = message(13, vector(b"\x01\x40", 1) + vector(b"\x04\x03", 2) + listed)
    other = (13).to_bytes(2, "big") + vector(vector(b"\x04\x03", 2), 2)
    new = message(13, vector(b"", 1) + vector(other + (47).to_bytes(2, "big") + vector(listed, 2), 2))
    assert certificate_authorities(old, 0x0303) == ("CN=One", "CN=Two")
    assert certificate_authorities(new, 0x0304) == ("CN=One", "CN=Two")
    assert certificate_authorities(message(13, vector(b"", 1) + vector(other, 2)), 0x0304) == ()


@pytest.mark.parametrize("version", [0x0303, 0x0304])
@settings(deadline=None)
@given(data=st.binary(max_size=64))
def test_no_bytes_break_the_reader(version: int, data: bytes) -> None:
    certificates(data, version)
    certificate_authorities(data, version)
    subject(data)
    issuer(data)
    distinguished_name(data)
    alert(data, Direction.SENT)


def test_alerts_carry_direction_and_severity() -> None:
    fatal = alert(b"\x02\x74", Direction.RECEIVED)
    assert fatal is not None
    assert (fatal.name, fatal.code, fatal.fatal, fatal.direction) == ("certificate_required", 116, True, "received")
    closing = alert(b"\x01\x00", Direction.SENT)
    assert closing is not None
    assert (closing.name, closing.fatal) == ("close_notify", False)
    assert alert(b"\x02", Direction.SENT) is None
