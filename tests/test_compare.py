"""Expectations against observations: what was not seen never matches, and a member of a list is a whole one."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner.engine.compare import compare
from mtls_runner.errors import Span
from mtls_runner.model.case import Check, Expectation, Match, Matcher, Versions
from mtls_runner.model.observation import Direction as Way
from mtls_runner.model.observation import Message, Observation, Outcome, Reason, ServerView

NOWHERE = Span(Path("scenario.yaml"), 1, 1, 1, 2)
UNSEEN = Observation(Outcome.NO_CONNECTION, (Reason.CLOSED,))
HELLO = (Message(Way.RECEIVED, "ClientHello", 512),)
ANSWERED = replace(
    UNSEEN,
    headers=(("x-lab", "1"),),
    upstream_headers=(("host", "app"),),
    tls_version="TLSv1.3",
    client_chain=("client-2", "my-ca"),
    client_ca_names=("CN=Lab Root CA",),
    handshake=("ClientHello", "CertificateRequest"),
    server_log=("client sent no required SSL certificate", "closed"),
    server=ServerView("python ssl", handshake_complete=True, messages=HELLO),
)


def differ(observation: Observation, path: str, kind: Match, value: str | int | bool | tuple[str, ...] | None) -> bool:
    check = Check(path, (Matcher(kind, value),), NOWHERE)
    return bool(compare(Expectation((check,)), observation, Versions()).mismatches)


@pytest.mark.parametrize(
    "path",
    [
        "headers.x-gone",
        "upstream_headers.x-gone",
        "client_subject",
        "client_verify",
        "server_verify_code",
        "server_name",
        "alpn",
    ],
)
def test_absence_is_expected_where_somebody_could_look(path: str) -> None:
    assert not differ(ANSWERED, path, Match.EQUALS, None)
    assert differ(UNSEEN, path, Match.EQUALS, None)


def test_what_nobody_observed_is_told_as_that() -> None:
    checks = (
        Check("client_chain", (Matcher(Match.EQUALS, ("client",)),), NOWHERE),
        Check("client_subject", (Matcher(Match.EQUALS, "CN=client"),), NOWHERE),
    )
    told = [mismatch.told for mismatch in compare(Expectation(checks), ANSWERED, Versions()).mismatches]
    assert told == [
        "client_chain: expected [client], observed [client-2, my-ca]",
        "client_subject: expected CN=client, not observed",
    ]


def test_absence_of_what_came_does_not_match() -> None:
    assert differ(ANSWERED, "headers.x-lab", Match.EQUALS, None)


def test_a_refused_certificate_is_not_an_absent_one() -> None:
    failed = ServerView(
        "python ssl", handshake_complete=False, error_symbol="CERTIFICATE_VERIFY_FAILED", messages=HELLO
    )
    none_sent = replace(failed, error_symbol="PEER_DID_NOT_RETURN_A_CERTIFICATE")
    assert differ(replace(UNSEEN, server=failed), "client_subject", Match.EQUALS, None)
    assert not differ(replace(UNSEEN, server=none_sent), "client_subject", Match.EQUALS, None)


def test_a_name_that_a_log_does_not_tell_is_not_an_absent_one() -> None:
    silent = ServerView("nginx log", handshake_complete=False)
    assert differ(replace(UNSEEN, server=silent), "server_name", Match.EQUALS, None)
    assert not differ(replace(UNSEEN, server=replace(silent, messages=HELLO)), "server_name", Match.EQUALS, None)


@pytest.mark.parametrize(
    ("path", "whole", "part"),
    [
        ("client_chain", "my-ca", "ca"),
        ("client_chain", "client-2", "client"),
        ("client_ca_names", "CN=Lab Root CA", "Lab"),
        ("handshake", "CertificateRequest", "Certificate"),
    ],
)
def test_contains_looks_for_a_member(path: str, whole: str, part: str) -> None:
    assert not differ(ANSWERED, path, Match.CONTAINS, whole)
    assert differ(ANSWERED, path, Match.CONTAINS, part)


def test_a_compressed_certificate_is_a_certificate_to_who_does_not_ask() -> None:
    plain = replace(ANSWERED, handshake=("CertificateRequest", "Certificate"))
    compressed = replace(ANSWERED, handshake=("CertificateRequest", "CompressedCertificate"))
    for kind, wanted in ((Match.IN_ORDER, ("CertificateRequest", "Certificate")), (Match.CONTAINS, "Certificate")):
        assert not differ(plain, "handshake", kind, wanted)
        assert not differ(compressed, "handshake", kind, wanted)
    for kind, named in ((Match.IN_ORDER, ("CompressedCertificate",)), (Match.CONTAINS, "CompressedCertificate")):
        assert differ(plain, "handshake", kind, named)
        assert not differ(compressed, "handshake", kind, named)
    assert differ(compressed, "handshake", Match.IN_ORDER, ("CertificateVerify",))


def test_contains_looks_within_the_lines_of_a_log() -> None:
    assert not differ(ANSWERED, "server_log", Match.CONTAINS, "no required")
    assert differ(ANSWERED, "server_log", Match.CONTAINS, "no such thing")


BLURRED = Observation(Outcome.SERVER_REFUSED, (Reason.UNKNOWN_CA, Reason.SELF_SIGNED, Reason.PATH_LENGTH))
TOLD = Observation(Outcome.SERVER_REFUSED, (Reason.UNKNOWN_CA,))
UNTOLD = Observation(Outcome.SERVER_REFUSED)
OPAQUE = Observation(Outcome.SERVER_REFUSED, (Reason.OTHER,))


@pytest.mark.parametrize(
    ("observation", "expected", "holds", "others"),
    [
        (TOLD, (Reason.UNKNOWN_CA,), True, ()),
        (TOLD, (Reason.UNKNOWN_CA, Reason.EXPIRED), True, ()),
        (TOLD, (Reason.SELF_SIGNED,), False, ()),
        (BLURRED, (Reason.UNKNOWN_CA,), True, (Reason.SELF_SIGNED, Reason.PATH_LENGTH)),
        (BLURRED, (Reason.SELF_SIGNED, Reason.EXPIRED), True, (Reason.UNKNOWN_CA, Reason.PATH_LENGTH)),
        (BLURRED, (Reason.PATH_LENGTH, Reason.SELF_SIGNED, Reason.UNKNOWN_CA, Reason.EXPIRED), True, ()),
        (BLURRED, (Reason.EXPIRED,), False, ()),
        (BLURRED, (None,), False, ()),
        (UNTOLD, (Reason.OTHER,), False, ()),
        (UNTOLD, (None,), False, ()),
        (OPAQUE, (Reason.OTHER,), True, ()),
        (Observation(Outcome.ACCEPTED), (None,), True, ()),
        (Observation(Outcome.ACCEPTED), (Reason.EXPIRED,), False, ()),
    ],
)
def test_a_reason_holds_as_far_as_the_evidence_carries(
    observation: Observation, expected: tuple[Reason | None, ...], holds: bool, others: tuple[Reason, ...]
) -> None:
    check = Check("reason", tuple(Matcher(Match.EQUALS, reason) for reason in expected), NOWHERE)
    held = compare(Expectation((check,)), observation, Versions())
    assert (not held.mismatches) is holds
    assert (held.undetermined.others if held.undetermined is not None else ()) == others


def test_one_reason_or_none_is_told_as_such() -> None:
    assert (TOLD.reason, TOLD.determined, TOLD.written) == (Reason.UNKNOWN_CA, True, "server-refused: unknown-ca")
    assert (BLURRED.reason, BLURRED.determined) == (None, False)
    assert BLURRED.written == "server-refused: [unknown-ca, self-signed, path-length]"
    assert (UNTOLD.reason, UNTOLD.determined) == (Reason.OTHER, False)
    assert (OPAQUE.reason, OPAQUE.determined) == (Reason.OTHER, True)
