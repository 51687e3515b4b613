"""Expectations against observations: what was not seen never matches, and a member of a list is a whole one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mtls_runner.engine.compare import compare
from mtls_runner.model.case import Check, Expectation, Match, Matcher
from mtls_runner.model.observation import Direction as Way
from mtls_runner.model.observation import Message, Observation, Outcome, Reason, ServerView
from mtls_runner.span import Span

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
    return bool(compare(Expectation((check,)), observation, "").mismatches)


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


def test_contains_looks_within_the_lines_of_a_log() -> None:
    assert not differ(ANSWERED, "server_log", Match.CONTAINS, "no required")
    assert differ(ANSWERED, "server_log", Match.CONTAINS, "no such thing")
