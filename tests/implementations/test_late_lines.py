"""Lines that come late, of a server whose log tells connections apart by their order only."""

from __future__ import annotations

import pytest

from mtls_runner.deadlines import Deadline
from mtls_runner.language.implementations.reading import DIRECTORY, shipped
from mtls_runner.model.endpoint import Address
from mtls_runner.model.observation import Alert, ClientView, Direction, Phase
from mtls_runner.runtimes.log_stream import LogStream
from mtls_runner.servers.declared.connection_log import ConnectionLog
from mtls_runner.servers.declared.running import RunningDeclared, Started

EXPIRED = (
    "127.0.0.1:1 closed failure=TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:"
    "verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_certificate_has_expired:TLS_error_end"
)


class _Instance:
    """A program that says nothing more."""

    def __init__(self) -> None:
        self.log = LogStream((), "nothing")

    def exit_code(self) -> None:
        return None

    def signal(self, name: str) -> None:
        raise AssertionError(name)


@pytest.mark.parametrize(
    ("alert", "code", "about_it"), [("certificate_expired", 45, True), ("certificate_revoked", 44, False)]
)
def test_a_line_that_contradicts_the_servers_own_alert_is_about_another(alert: str, code: int, about_it: bool) -> None:
    envoy = shipped(DIRECTORY / "envoy" / "implementation.yaml", "envoy")
    assert envoy.server is not None
    log = ConnectionLog(envoy.server.log, by_port=False)
    server = RunningDeclared(Started(envoy, envoy.server, Address("127.0.0.1", 2), _Instance(), log, own_log=False))
    client = ClientView("python", "3", Phase.HANDSHAKE, alerts=(Alert(Direction.RECEIVED, alert, code),))
    log.feed(EXPIRED)
    _, view = server.view(client, 0, Deadline.after(1))
    assert (view is not None) is about_it
