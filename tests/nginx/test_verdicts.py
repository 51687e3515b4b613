"""What nginx makes of each client certificate, and that its log says so."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from mtls_runner.model.endpoint import ClientSpec, Request, ServerSpec, TlsVersion
from mtls_runner.model.observation import Alert, Direction, Outcome, Phase, Reason
from mtls_runner.servers.nginx.running import RunningNginx
from tests.named import tool

from .conftest import Lab, MakeServer

CASES = (
    (None, Reason.NO_CERTIFICATE, None),
    ("foreign", Reason.UNKNOWN_CA, 21),
    ("twin_leaf", Reason.BAD_SIGNATURE, 7),
    ("own", Reason.SELF_SIGNED, 18),
    ("expired", Reason.EXPIRED, 10),
    ("future", Reason.NOT_YET_VALID, 9),
    ("wrong_usage", Reason.WRONG_PURPOSE, 26),
)
VERSIONS = (TlsVersion.V1_2, TlsVersion.V1_3)


def client(certificate: str | None, *versions: TlsVersion, **fields: object) -> ClientSpec:
    return ClientSpec(tool("python"), certificate=certificate, trust=("ca",), tls=versions or VERSIONS, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_good_certificate_is_accepted(lab: Lab, running: RunningNginx, spec: ServerSpec, version: TlsVersion) -> None:
    seen = lab.probe(running, spec, client("good", version, request=Request(path="/x?y=1")))
    assert seen.status == 200
    assert seen.judgement.outcome is Outcome.ACCEPTED
    assert seen.server is not None
    assert (seen.server.verify_code, seen.server.client_verify) == (0, "SUCCESS")
    assert seen.server.client_subject == "CN=good"
    assert seen.server.tls_version == seen.client.tls_version == version
    assert seen.server.cipher == seen.client.cipher
    assert seen.server.server_name == "localhost"
    assert seen.server.handshake_complete is True
    assert seen.server.refused_status is None
    assert seen.server.request is not None
    assert (seen.server.request.method, seen.server.request.path) == ("GET", "/x?y=1")


def test_a_name_that_nginx_spells_differently_is_told_as_the_lab_tells_it(
    lab: Lab, running: RunningNginx, spec: ServerSpec
) -> None:
    seen = lab.probe(running, spec, client("email"))
    assert seen.server is not None
    assert seen.server.client_subject == "emailAddress=a@b.test,CN=good"


def test_a_client_that_refuses_is_seen_by_its_alert(lab: Lab, running: RunningNginx, spec: ServerSpec) -> None:
    seen = lab.probe(running, spec, ClientSpec(tool("python"), certificate="good", trust=("other",)))
    assert (seen.judgement.outcome, seen.judgement.reason) == (Outcome.CLIENT_REFUSED, Reason.UNKNOWN_CA)
    assert seen.server is not None
    assert seen.server.alerts == (Alert(Direction.RECEIVED, "unknown_ca", 48),)
    assert seen.server.handshake_complete is False
    assert seen.server.refused_status is None


def test_no_common_version_or_cipher_is_told_by_its_symbol(lab: Lab, make_server: MakeServer) -> None:
    spec = make_server(tls=(TlsVersion.V1_2,), ciphers="ECDHE-ECDSA-AES128-GCM-SHA256")
    with lab.serve(spec) as running:
        version = lab.probe(running, spec, client("good", TlsVersion.V1_3))
        cipher = lab.probe(running, spec, client("good", TlsVersion.V1_2, ciphers="ECDHE-ECDSA-AES256-GCM-SHA384"))
        twin = lab.probe(running, spec, client("good", TlsVersion.V1_2, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256"))
    assert (version.judgement.outcome, version.judgement.reason) == (Outcome.NO_AGREEMENT, Reason.PROTOCOL_VERSION)
    assert version.server is not None
    assert version.server.error_symbol == "UNSUPPORTED_PROTOCOL"
    assert (cipher.judgement.outcome, cipher.judgement.reason) == (Outcome.NO_AGREEMENT, Reason.CIPHER)
    assert cipher.server is not None
    assert cipher.server.error_symbol == "NO_SHARED_CIPHER"
    assert twin.status == 200


def test_tls_1_0_needs_security_level_0_at_both_ends(lab: Lab, make_server: MakeServer) -> None:
    old = (TlsVersion.V1_0, TlsVersion.V1_1)
    for level, outcome in ((0, Outcome.ACCEPTED), (2, Outcome.NO_AGREEMENT)):
        spec = make_server(tls=old, security_level=level)
        with lab.serve(spec) as running:
            seen = lab.probe(running, spec, client("good", *old, security_level=0))
        assert seen.judgement.outcome is outcome


def test_many_clients_at_once_each_get_their_own_line(lab: Lab, running: RunningNginx, spec: ServerSpec) -> None:
    cases = [*CASES, ("good", None, 0)] * 6

    def probe(case: tuple[str | None, Reason | None, int | None]) -> tuple[str | None, int | None, str | None]:
        server = lab.probe(running, spec, client(case[0])).server
        return case[0], server.verify_code if server else -1, server.request.path if server and server.request else None

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(probe, cases))
    assert seen == [(certificate, code, "/") for certificate, _, code in cases]


def test_a_client_that_never_connects_has_no_server_view_and_costs_no_wait(
    lab: Lab, running: RunningNginx, spec: ServerSpec
) -> None:
    seen = lab.probe(running, spec, client("mismatch"))
    assert seen.client.phase is Phase.PREPARE
    assert seen.server is None
    assert lab.probe(running, spec, client("good")).server is not None


def test_versions_are_known_once_a_server_ran(lab: Lab, make_server: MakeServer) -> None:
    with lab.serve(make_server(runtime=None)):
        versions = lab.backend.versions()
    assert lab.backend.versions() == versions
    assert versions["nginx"].count(".") == 2
    assert versions["openssl (nginx)"].split(".")[0] in {"1", "3", "4"}
    assert versions["docker engine"]
