from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from mtls_runner import load, run
from mtls_runner.model.observation import ClientView, Direction, HttpResponse, Message, Observation, Phase
from mtls_runner.model.verdict import CaseFinished
from mtls_runner.reporters import Style
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
    return [line for line, _ in transcript(samples.case(), seen)]


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


@pytest.mark.parametrize("name", ["Certificate", "CompressedCertificate"])
def test_certificates_stand_behind_their_message(name: str) -> None:
    messages = (Message(Direction.SENT, name, 300), Message(Direction.SENT, "CertificateVerify", 80))
    client = ClientView("curl", "8", Phase.HANDSHAKE, messages=messages, sent_chain=(certificate("client", "Lab CA"),))
    told = lines(Observation(None, client=client))
    start = told.index(f"> {name} (300 bytes)")
    assert (told[start + 1], told[start + 5]) == ("* client certificate", "> CertificateVerify (80 bytes)")


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


def test_in_order_of_time_a_request_stands_before_the_alert_that_ended_it_and_an_answer_before_the_end(
    tmp_path: Path,
) -> None:
    path = tmp_path / "order.yaml"
    path.write_text(
        "authorities: {ca: {}, other: {}}\n"
        "leaves: {server: {issuer: ca}, old: {issuer: ca, usage: client, not_before: -2d, not_after: -1d}, "
        "good: {issuer: ca, usage: client}}\n"
        "server: {certificate: server, trust: ca}\ncases:\n"
        "  - {name: refused, client: old, expect: {server-refused: expired}}\n"
        "  - {name: accepts, client: good, expect: accepted}\n"
        "  - {name: refuses, client: {certificate: old, trust: other}, expect: {client-refused: unknown-ca}}\n"
        "matrix: {client.tool: [python, curl], client.tls: [TLSv1.3]}\n"
    )
    for event in run([load(path)]):
        if isinstance(event, CaseFinished):
            verdict = event.verdict
            assert verdict.observation is not None
            styled = list(transcript(verdict.case, verdict.observation))
            told = [line for line, _ in styled]
            client, server = told[: (middle := told.index("server: python ssl"))], told[middle:]
            if verdict.case.name.startswith("refused"):
                order = [
                    "> ClientHello",
                    "< CertificateRequest",
                    "* the server asked for a certificate",
                    "< Certificate ",
                    "* server certificate [server]",
                    "> Certificate ",
                    "* client certificate [old]",
                    "> Finished",
                    "* TLSv1.3",
                    "> GET /",
                    "< alert certificate_expired",
                    "* ended after its own handshake",
                ]
                assert [line for line in server if line.startswith(("< Certificate ", "* verify result", "> alert"))][
                    1:
                ] == [
                    "* verify result 10",
                    "> alert certificate_expired (2 bytes)",
                ]
            elif verdict.case.name.startswith("accepts"):
                closes = ["> alert close_notify"] if "tool=python" in verdict.case.name else []  # curl shows none
                order = ["> Finished", "> GET /", "< NewSessionTicket", "< HTTP status 200", *closes, "* got a whole"]
            else:
                order = ["< Certificate ", "* server certificate", "* verify result", "> alert"]
                assert not [line for line in client if line.startswith("> GET")]
            places = [next((at for at, line in enumerate(client) if line.startswith(start)), -1) for start in order]
            assert places == sorted(places), "\n".join(client)
            words = [line for line in told if line.startswith("* ") and "EXPIRED" in line]
            assert all(line.count("EXPIRED") == 1 for line in words)
            fatal = {line for line, style in styled if style is Style.FAIL}
            assert bool(fatal) is not verdict.case.name.startswith("accepts")
            assert fatal == {
                line for line in told if " alert " in line and line[0] in "<>" and "close_notify" not in line
            }
            looks = {line[0]: style for line, style in styled if line[0] in "*s"}
            assert looks == {"*": Style.DIM, "s": Style.STRONG}
            assert {style for line, style in styled if line.startswith("> GET ")} <= {Style.TEXT}


def test_a_body_looks_like_none_of_the_other_lines() -> None:
    body = b"< alert bad_certificate (42)\n* told\nserver: none\n"
    client = replace(samples.ACCEPTED.client or ClientView("", "", Phase.DONE), response=HttpResponse(200, (), body))
    styled = dict(transcript(samples.case(), replace(samples.ACCEPTED, client=client)))
    assert [styled[line] for line in body.decode().splitlines()] == [Style.TEXT] * 3
