"""Names and certificates read from TLS messages, held against cryptography's parser."""

from __future__ import annotations

import zlib
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
    stapled,
    subject,
)
from mtls_runner.tls.sockets import Transcript

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


# What OpenSSL 3.5 (Debian 13) sends for its own self-signed certificate where nginx 1.26 asks for one: zlib (RFC 8879).
BY_OPENSSL = bytes.fromhex(
    "1900017400010001ff00016c789c636060fccdc0f8cda089f11310cf5cc0ccc4c8c42422506e5c923a61c525d3454e0703d2d32a13531a"
    "fb0cb8d838b4da3cced9b2303319f8194a1888b13187b270f1f03be629e417a527e66556259664e6e7119661e6e14fcecf2d284a2d2e4e"
    "4dd12b492d2e315010e73532333434b23032343037308d92e03732040918984005a86e63a481301b3bd83f4c8c508f3133b2333b31b004"
    "7616a93e99b0b054fc727155a8c7ac3355e7545216cee20ed3550d0e4ca8e16dd9b25bc025bde67b735a6ea7c1b9c8ecd49426478e8d2b"
    "961d5fbb74a1af4d41a6fbe26083400359a0b5b27c2c622c226e779a39f6bc36dcc1309f216de1fa13caaddb1f771bc883a4955980ce6b"
    "c0ae801fa4409891f13f0bab013390420e7d667706031726850801479b0bcccddbf9ec0c9b4c4d72ff793ddfa2f933a9e0e6fee4d7fb95"
    "fe177f6652509e9c78e355648d52af3def1606bfa7f1f15bee0a45199b9e704a7fd6ae229e67c5c000009a87a0fd"
)


def compressed(body: bytes, size: int | None = None, algorithm: int = 1) -> bytes:
    head = algorithm.to_bytes(2, "big") + (len(body) if size is None else size).to_bytes(3, "big")
    return message(25, head + vector(zlib.compress(body), 3))


def test_a_compressed_certificate_is_the_one_that_went_in() -> None:
    (der,) = certificates(BY_OPENSSL, 0x0304) or ()
    assert x509.load_der_x509_certificate(der).subject.rfc4514_string() == (
        "CN=compressed.test,O=An organization,O=An organization"
    )
    transcript = Transcript()
    transcript.add("write", 0x0304, 22, 25, BY_OPENSSL)
    assert transcript.chain(Direction.SENT) == (der,)
    assert transcript.chain(Direction.RECEIVED) is None
    staple = (5).to_bytes(2, "big") + vector(b"\x01" + vector(b"an OCSP response", 3), 2)
    body = vector(b"", 1) + vector(vector(ONE, 3) + vector(staple, 2), 3)
    transcript.add("read", 0x0304, 22, 25, compressed(body))
    assert (transcript.chain(Direction.RECEIVED), transcript.stapled()) == ((ONE,), b"an OCSP response")


def test_a_compressed_certificate_that_is_not_what_it_says_reads_as_nothing() -> None:
    body = vector(b"", 1) + vector(vector(ONE, 3) + vector(b"", 2), 3)
    assert certificates(compressed(body), 0x0304) == (ONE,)
    wrong = [
        compressed(body, len(body) - 1),
        compressed(body, len(body) + 1),
        compressed(body, 0),
        compressed(body, algorithm=2),
    ]
    wrong += [BY_OPENSSL[:size] for size in range(len(BY_OPENSSL))]
    wrong.append(message(25, b"\0\1" + len(body).to_bytes(3, "big") + vector(b"no zlib", 3)))
    assert [each for each in wrong if certificates(each, 0x0304) or stapled(each, 0x0304)] == []


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
