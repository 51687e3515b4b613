from __future__ import annotations

import datetime
from dataclasses import replace

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from mtls_runner.model.observation import ClientView, HttpResponse, Observation, Phase
from mtls_runner.reporters.transcript import transcript
from tests.reporters import samples


def certificate(subject: str, issuer: str) -> bytes:
    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    key = ed25519.Ed25519PrivateKey.generate()
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2027, 1, 2, 3, 4, 5, tzinfo=datetime.UTC))
    )
    return builder.sign(key, None).public_bytes(Encoding.DER)


def lines(seen: Observation) -> list[str]:
    return list(transcript(samples.case(), seen))


def test_both_ends_are_told() -> None:
    told = lines(samples.ACCEPTED)
    assert told[0] == "client: curl 7.88.1"
    assert "> ClientHello (512 bytes)" in told
    assert "< ServerHello (122 bytes)" in told
    assert "* TLSv1.3, TLS_AES_256_GCM_SHA384" in told
    assert told.index("> GET /") < told.index("< HTTP status 200") < told.index("hi") < told.index("server: python ssl")
    assert "* client certificate: CN=client" in told
    assert told[-1] == "* log: a line"


def test_a_server_that_saw_nothing_is_said_to_have_seen_nothing() -> None:
    told = lines(samples.REFUSED)
    assert "< alert unknown_ca (48)" in told
    assert told[-1] == "server: not observed"
    assert "server: not observed" not in lines(samples.ACCEPTED)


def test_certificates_of_both_ends_with_names_and_validity() -> None:
    assert samples.ACCEPTED.client is not None
    client = replace(
        samples.ACCEPTED.client,
        received_chain=(certificate("server.test", "Lab CA"), certificate("Lab CA", "Root")),
        sent_chain=(certificate("client.test", "Lab CA"),),
    )
    told = lines(replace(samples.ACCEPTED, client=client, server_chain=("server", "ca"), client_chain=("client",)))
    start = told.index("* server certificate [server]")
    assert told[start : start + 8] == [
        "* server certificate [server]",
        "*   subject: CN=server.test",
        "*   issuer:  CN=Lab CA",
        "*   valid:   2026-01-02 03:04:05Z to 2027-01-02 03:04:05Z",
        "* then its issuer [ca]",
        "*   subject: CN=Lab CA",
        "*   issuer:  CN=Root",
        "*   valid:   2026-01-02 03:04:05Z to 2027-01-02 03:04:05Z",
    ]
    assert told[told.index("* client certificate [client]") + 1] == "*   subject: CN=client.test"


def test_an_empty_and_an_unreadable_certificate_message() -> None:
    client = ClientView("curl", "8", Phase.HANDSHAKE, sent_chain=(), received_chain=(b"\x30\x03junk",))
    told = lines(Observation(None, client=client))
    assert "* client certificate: an empty Certificate message" in told
    assert any(line.startswith("*   unreadable, 6 bytes") for line in told)


def test_nothing_that_a_server_says_moves_the_cursor() -> None:
    response = HttpResponse(200, (("x-evil", "\x1b[2J\r\n\x9b31m"),), b"\x1b]0;title\x07\xff\nsecond\n")
    client = ClientView("curl", "8", Phase.DONE, response=response, error="\x1b[31mred")
    told = lines(Observation(None, client=client))
    assert all(character.isprintable() for line in told for character in line)
    assert "< x-evil: \\x1b[2J\\r\\n\\x9b31m" in told
    assert "\\x1b]0;title\\x07\\xff" in told
    assert "second" in told


def test_a_long_body_is_cut_and_says_so() -> None:
    client = ClientView("curl", "8", Phase.DONE, response=HttpResponse(200, (), b"x" * 10_000))
    told = lines(Observation(None, client=client))
    assert "* … 10000 bytes in all" in told
    assert max(map(len, told)) < 5000
