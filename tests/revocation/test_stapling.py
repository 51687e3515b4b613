"""What is stapled is seen, byte by byte; what is not, is not; and a refusal is gone where the fault is."""

from __future__ import annotations

import ssl

import pytest
from msgspec.structs import replace

from mtls_runner import Case, Lab, Plan, Status
from mtls_runner.clients.curl.outcome import status_reason
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.observation import Reason
from mtls_runner.model.revocation import OcspAnswer, ResponderSpec, StaplingSpec
from mtls_runner.pki import Store
from mtls_runner.servers.nginx.staple_priming import status_hello
from mtls_runner.tls.messages import stapled

from ..once import nginx_runtime
from ..pki import openssl
from .conftest import each_once, expected, plan_of, verdicts


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of("nginx/stapling.yaml", "nginx", "curl")


# --- must-staple, the responder's address ---------------------------------------------------------------------------


def test_the_extensions_are_those_that_openssl_knows(store: Store) -> None:
    text = openssl.show(store.credential("must-staple").certificate_path)
    assert "TLS Feature: status_request" in text
    assert "Authority Information Access: OCSP - URI:http://127.0.67.1:8888/truth" in text
    plain = openssl.show(store.credential("no-uri").certificate_path)
    assert "TLS Feature" not in plain
    assert "Authority Information Access" not in plain


# --- asking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [TlsVersion.V1_2, TlsVersion.V1_3])
def test_a_server_takes_the_lab_s_hello_for_a_request_of_a_status(version: TlsVersion, store: Store) -> None:
    """Any OpenSSL server answers it with its first flight; without the extension's right place it would not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    credential = store.credential("server")
    context.load_cert_chain(credential.chain_path, credential.key_path)
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(here, there, server_side=True)
    hello = status_hello((version,))
    here.write(hello)
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    assert there.read(1) == b"\x16"  # a handshake record, no alert
    assert hello.endswith(bytes.fromhex("0005000501 00000000"))


# --- reading --------------------------------------------------------------------------------------------------------


def _message(response: bytes) -> bytes:
    return b"\x01" + len(response).to_bytes(3, "big") + response


@pytest.mark.parametrize("response", [b"response", b""])
def test_a_response_is_found_in_its_message(response: bytes) -> None:
    body = _message(response)
    assert stapled(b"\x16" + len(body).to_bytes(3, "big") + body, 0x0303) == response
    extension = b"\x00\x05" + len(body).to_bytes(2, "big") + body
    entry = b"\x00\x00\x01c" + (len(extension) + 4).to_bytes(2, "big") + b"\x00\x12\x00\x00" + extension
    certificate = b"\x00" + len(entry).to_bytes(3, "big") + entry
    whole = b"\x0b" + len(certificate).to_bytes(3, "big") + certificate
    assert stapled(whole, 0x0304) == response
    assert stapled(whole[:-1], 0x0304) is None
    assert stapled(whole.replace(b"\x00\x05", b"\x00\x06", 1), 0x0304) is None


@pytest.mark.parametrize(
    ("responder", "words", "reason"),
    [
        ("truth", "OCSP response verification failed", Reason.OCSP_INVALID),
        ("truth", "Could not find certificate ID in OCSP response", Reason.OCSP_INVALID),
        ("truth", "Error computing OCSP ID", Reason.OTHER),
        ("stale", "OCSP response has expired", Reason.OCSP_EXPIRED),
        ("from-tomorrow", "OCSP response has expired", Reason.OCSP_NOT_YET_VALID),
        ("unknown", "", Reason.OCSP_UNKNOWN),
        ("try-later", "Invalid OCSP response status: trylater (3)", Reason.OCSP_UNAVAILABLE),
    ],
)
def test_curl_refused_for_what_the_response_says(
    store: Store, responders: dict[str, ResponderSpec], responder: str, words: str, reason: Reason
) -> None:
    spec = responders[responder]
    response = store.ocsp_response(spec, store.ocsp_request("server"), spec.answers[0])
    assert status_reason(words, response) is reason


def test_curl_refused_for_a_revocation_nothing_or_nonsense(store: Store, responders: dict[str, ResponderSpec]) -> None:
    response = store.ocsp_response(responders["truth"], store.ocsp_request("revoked"), OcspAnswer.TRUTH)
    assert status_reason("SSL certificate revocation reason: keyCompromise (1)", response) is Reason.REVOKED
    assert status_reason("No OCSP response received", None) is Reason.OCSP_UNAVAILABLE
    assert status_reason("Invalid OCSP response", b"nonsense") is Reason.OCSP_INVALID


# --- nginx ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("nginx_engine")
def test_every_refusal_is_gone_with_a_good_staple_or_a_client_that_does_not_ask(
    plan: Plan, responders: dict[str, ResponderSpec]
) -> None:
    refused = {name: case for name, case in each_once(plan).items() if expected(case, "outcome") == "client-refused"}
    assert len(refused) >= 20
    good = StaplingSpec(file=responders["good"])
    cured: dict[str, Case] = {}
    for name, case in refused.items():
        assert case.client is not None
        if expected(case, "reason") != "other" and case.server.chain.kind == "full":
            server = replace(case.server, id="cured", stapling=good, responders=(), runtime=nginx_runtime())
            cured[f"{name}: a good one"] = replace(case, server=server)
        if f"{name}: a good one" not in cured or not case.server.responders:  # those have a container each
            runtime = nginx_runtime() if not case.server.responders else None
            silent = case.by(replace(case.client, cert_status=False))
            cured[f"{name}: nobody asks"] = replace(silent, server=replace(case.server, runtime=runtime))
    for name, verdict in verdicts(plan, cured).items():
        assert verdict.status is Status.FAIL, name
        assert verdict.observation is not None
        assert verdict.observation.outcome == "accepted", name


@pytest.mark.usefixtures("nginx_engine")
def test_what_nginx_fetched_is_there_for_the_first_client(plan: Plan) -> None:
    """Left to itself, nginx would staple nothing to the first one."""
    case = each_once(plan)["stapled and good"]
    with Lab(replace(plan, cases=(case,))) as lab:
        verdict = lab.run(case)
    assert verdict.status is Status.PASS, verdict


def test_python_clients_and_servers_say_what_they_can_not() -> None:
    plan = plan_of("nginx/stapling.yaml", "python", "python")
    with Lab(plan) as lab:
        reasons = {lab.cannot(case) for case in plan.cases}
    assert reasons == {
        None,
        "Python's ssl can't staple OCSP responses",
        "Python's ssl can't ask for a stapled OCSP response",
    }
