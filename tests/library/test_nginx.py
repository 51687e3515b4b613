"""The fixtures with nginx in a container."""

from __future__ import annotations

import ssl

import pytest

from mtls_runner import DeadlineExceeded
from mtls_runner.pytest_plugin import MtlsLab

from .test_lab import ask_in_turns, get

pytestmark = pytest.mark.usefixtures("nginx_engine")


@pytest.mark.mtls_scenario("nginx.yaml")
@pytest.mark.parametrize(
    ("leaf", "reason"), [("good", None), (None, "no-certificate"), ("expired", "expired"), ("foreign", "self-signed")]
)
def test_it_says_whom_it_refused_and_why(mtls_lab: MtlsLab, leaf: str | None, reason: str | None) -> None:
    answer = get(mtls_lab.host, mtls_lab.port, mtls_lab.context(leaf))
    assert answer.startswith(b"HTTP/1.1 200" if reason is None else b"HTTP/1.1 400")
    assert mtls_lab.last.accepted == (reason is None)
    assert mtls_lab.last.refused_because == reason
    assert len(mtls_lab.connections()) == 1
    if leaf == "good":
        assert mtls_lab.last.client_subject == "CN=good"


@pytest.mark.mtls_scenario("nginx.yaml")
def test_a_client_that_refuses_is_told_by_its_alert(mtls_lab: MtlsLab) -> None:
    with pytest.raises(DeadlineExceeded):
        mtls_lab.connections(within=0.1)
    with pytest.raises(ssl.SSLCertVerificationError):
        get(mtls_lab.host, mtls_lab.port, ssl.create_default_context(cafile=mtls_lab.client("foreign").certificate))
    assert (mtls_lab.last.outcome, mtls_lab.last.alert) == ("client-refused", "unknown_ca")


@pytest.mark.mtls_scenario("nginx.yaml")
def test_who_asked_last_is_last(mtls_lab: MtlsLab) -> None:
    ask_in_turns(mtls_lab)
