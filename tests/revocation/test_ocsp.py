"""Responders answer as they are described to, held against openssl; and what nginx makes of it, cause by cause."""

from __future__ import annotations

import base64
import http.client
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from msgspec.structs import replace

from mtls_runner import Lab, LabError, Plan, Status
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.revocation import OcspAnswer, ResponderSpec, RevocationCheck
from mtls_runner.pki import Store
from mtls_runner.servers.stubs.ocsp_responder import ResponderStub, responder_stub

from ..once import nginx_runtime
from ..pki import openssl
from .conftest import MakeStore, each_once, expected, plan_of, verdicts


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of("nginx/ocsp.yaml")


# --- what a response says -------------------------------------------------------------------------------------------


def _read(store: Store, certificate: str, response: bytes, directory: Path) -> str:
    """What ``openssl ocsp`` says of a response about a certificate."""
    file = directory / "response.der"
    file.write_bytes(response)
    issuer = store.credential(certificate).ancestors[0]
    result = openssl.run(
        *("ocsp", "-respin", file, "-issuer", store.credential(issuer).certificate_path, "-no_nonce"),
        *("-cert", store.credential(certificate).certificate_path),
        *("-CAfile", store.bundle(("root",)), "-verify_other", store.bundle(("inter", "withdrawn-inter"))),
    )
    return result.stdout.decode() + result.stderr.decode()


@pytest.mark.parametrize(
    ("responder", "certificate", "says"),
    [
        ("truth", "good", ("Response verify OK", ": good")),
        ("truth", "rsa", ("Response verify OK", ": good")),
        ("truth", "revoked", ("Response verify OK", ": revoked", "Reason: keyCompromise")),
        ("truth", "inter", ("Response verify OK", ": good")),
        ("truth", "withdrawn-inter", ("Response verify OK", ": revoked", "Reason: cACompromise")),
        ("good", "revoked", ("Response verify OK", ": good")),
        ("unknown", "good", ("Response verify OK", ": unknown")),
        ("stale", "good", ("Response verify OK", "Status times invalid", "status expired")),
        ("from-tomorrow", "good", ("Response verify OK", "Status times invalid", "status not yet valid")),
        ("no-next-update", "good", ("Response verify OK", ": good")),
        ("delegated", "good", ("Response verify OK", ": good")),
        ("by-the-root", "good", ("Response Verify Failure", "root ca not trusted")),
        ("by-foreign-signer", "good", ("Response Verify Failure",)),
        ("by-nobody-special", "good", ("Response Verify Failure", "missing ocspsigning usage")),
        ("wrong-key", "good", ("Response Verify Failure", "signature failure")),
        ("corrupted", "good", ("Response Verify Failure", "signature failure")),
        ("about-another", "good", ("Response verify OK", "No Status found")),
        ("try-later", "good", ("trylater",)),
        ("unauthorized", "good", ("unauthorized",)),
    ],
)
def test_openssl_reads_what_a_responder_is_described_to_say(
    store: Store,
    responders: dict[str, ResponderSpec],
    tmp_path: Path,
    responder: str,
    certificate: str,
    says: tuple[str, ...],
) -> None:
    spec = responders[responder]
    response = store.ocsp_response(spec, store.ocsp_request(certificate), spec.answers[0])
    text = _read(store, certificate, response, tmp_path)
    for part in says:
        assert part.casefold() in text.casefold(), text
    if "Response verify OK" in says and ": good" in says:
        assert "invalid" not in text


def test_a_request_names_the_certificate_as_openssl_does(store: Store, tmp_path: Path) -> None:
    own = tmp_path / "own.der"
    own.write_bytes(store.ocsp_request("good"))
    issuer, certificate = store.credential("inter").certificate_path, store.credential("good").certificate_path
    theirs = tmp_path / "theirs.der"
    openssl.output("ocsp", "-issuer", issuer, "-cert", certificate, "-no_nonce", "-reqout", theirs)
    assert own.read_bytes() == theirs.read_bytes()


def test_what_nobody_here_issued_is_unknown_or_not_answered(
    store: Store, responders: dict[str, ResponderSpec], make_store: MakeStore, plan: Plan, tmp_path: Path
) -> None:
    elsewhere = make_store(plan)  # the same names, other keys
    foreign = store.ocsp_response(responders["truth"], elsewhere.ocsp_request("good"), OcspAnswer.TRUTH)
    assert "unauthorized" in _read(store, "good", foreign, tmp_path)
    garbled = store.ocsp_response(responders["truth"], b"no request", OcspAnswer.TRUTH)
    assert "malformedrequest" in _read(store, "good", garbled, tmp_path)


# --- the responder on its socket ------------------------------------------------------------------------------------


class _Unix(http.client.HTTPConnection):
    def __init__(self, stub: ResponderStub, timeout: float) -> None:
        super().__init__("127.0.67.1", timeout=timeout)
        self._path = stub.directory / "ocsp.sock"

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@dataclass(frozen=True)
class Answer:
    status: int
    media_type: str | None
    body: bytes


def get(stub: ResponderStub, responder: str, request: bytes, timeout: float = 5) -> Answer:
    """As nginx asks (RFC 6960 appendix A.1)."""
    with closing(_Unix(stub, timeout)) as connection:
        connection.request("GET", f"/{responder}/{quote(base64.b64encode(request), safe='')}")
        with connection.getresponse() as response:
            return Answer(response.status, response.headers["Content-Type"], response.read())


Ask = Callable[[str, str], Answer]


@pytest.fixture
def stub(store: Store, responders: dict[str, ResponderSpec]) -> Iterator[ResponderStub]:
    with responder_stub(tuple(responders.values()), store) as stub:
        yield stub


@pytest.fixture
def ask(stub: ResponderStub, store: Store) -> Ask:
    return lambda responder, certificate: get(stub, responder, store.ocsp_request(certificate))


def test_a_request_over_http_is_answered(ask: Ask, store: Store, tmp_path: Path) -> None:
    answer = ask("truth", "revoked")
    assert (answer.status, answer.media_type) == (200, "application/ocsp-response")
    assert ": revoked" in _read(store, "revoked", answer.body, tmp_path)


def test_answers_come_in_order_and_the_last_one_stays(ask: Ask, store: Store, tmp_path: Path) -> None:
    texts = [_read(store, "good", ask("good-then-revoked", "good").body, tmp_path) for _ in range(3)]
    assert [re.findall(r"good.crt: (good|revoked)", text) for text in texts] == [["good"], ["revoked"], ["revoked"]]


@pytest.mark.parametrize(
    ("responder", "status", "media_type"),
    [
        ("garbage", 200, "application/ocsp-response"),
        ("html", 200, "text/html"),
        ("http-error", 500, "application/ocsp-response"),
        ("no-such-responder", 404, "text/plain; charset=utf-8"),
    ],
)
def test_an_answer_may_be_none(ask: Ask, responder: str, status: int, media_type: str) -> None:
    answer = ask(responder, "good")
    assert (answer.status, answer.media_type) == (status, media_type)


def test_a_responder_hangs_up_or_says_nothing(ask: Ask, stub: ResponderStub, store: Store) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        ask("hangs-up", "good")
    before = stub.answered
    with pytest.raises(TimeoutError):
        get(stub, "silent", store.ocsp_request("good"), timeout=0.3)
    assert stub.answered == before


def test_what_the_lab_can_not_answer_is_its_own_trouble(
    store: Store, responders: dict[str, ResponderSpec], ask: Ask, stub: ResponderStub
) -> None:
    assert ask("truth", "good").status == 200
    stub.check()
    broken = replace(responders["truth"], signer="nobody")
    with responder_stub((broken,), store) as other:
        assert get(other, "truth", store.ocsp_request("good")).status == 500
        with pytest.raises(LabError, match="nobody"):
            other.check()


def test_only_the_run_can_reach_the_socket(stub: ResponderStub, store: Store) -> None:
    assert store.directory in stub.directory.parents or stub.directory.parent.stat().st_mode & 0o077 == 0
    assert store.directory.stat().st_mode & 0o077 == 0


# --- nginx ----------------------------------------------------------------------------------------------------------

CAUSES = {
    "stale": "OCSP_check_validity() failed",
    "from tomorrow on": "OCSP_check_validity() failed",
    "signed by the root, which did not issue the certificate": "OCSP_basic_verify() failed",
    "signed by another authority's delegated responder": "OCSP_basic_verify() failed",
    "signed by a certificate that is not for OCSP": "OCSP_basic_verify() failed",
    "signed by another key": "OCSP_basic_verify() failed",
    "changed on its way": "OCSP_basic_verify() failed",
    "about another certificate": "certificate status not found in the OCSP response",
    "try later": "OCSP response not successful (3: trylater)",
    "unauthorized": "OCSP response not successful (6: unauthorized)",
    "garbage": "d2i_OCSP_RESPONSE() failed",
    "a web page": 'OCSP responder sent invalid "Content-Type" header: "text/html"',
    "it hangs up": "OCSP responder prematurely closed connection",
    "nobody listens": "(111: Connection refused)",
    "the certificate names no responder": "no OCSP responder URL in certificate",
    "the certificate names a host, and nginx has no resolver": "no resolver defined to resolve ocsp.lab.test",
    "the certificate names an https responder": "invalid URL prefix in OCSP responder",
}


@pytest.mark.usefixtures("nginx_engine")
def test_the_cause_behind_the_one_message_is_named() -> None:
    plan = plan_of("nginx/ocsp.yaml", "nginx")
    cases = each_once(plan)
    found = verdicts(plan, {name: cases[name] for name in CAUSES})
    assert set(found) == set(CAUSES)
    for name, cause in CAUSES.items():
        verdict = found[name]
        assert verdict.status is Status.PASS, (name, verdict)
        assert verdict.observation is not None
        assert verdict.observation.server is not None
        assert cause in verdict.observation.server.error, name
        assert verdict.observation.client_verify == "FAILED:certificate status request failed"


def _asking_nobody(server: ServerSpec) -> ServerSpec:
    hosts = tuple(replace(host, server=_asking_nobody(host.server)) for host in server.hosts)
    nobody = replace(server, id="unchecked", ocsp=RevocationCheck.NONE, ocsp_responder=None, responders=(), hosts=hosts)
    return replace(nobody, runtime=nginx_runtime())


@pytest.mark.usefixtures("nginx_engine")
def test_every_refusal_is_gone_where_nobody_asks() -> None:
    plan = plan_of("nginx/ocsp.yaml", "nginx")
    refused = {
        name: replace(case, server=_asking_nobody(case.server))
        for name, case in each_once(plan).items()
        if expected(case, "outcome") in ("server-refused", "timed-out") and name != "no certificate at all"
    }
    assert len(refused) >= 20
    for name, verdict in verdicts(plan, refused).items():
        assert verdict.status is Status.FAIL, name
        assert verdict.observation is not None
        assert verdict.observation.outcome == "accepted", name


@pytest.mark.usefixtures("nginx_engine")
def test_without_the_cache_the_second_answer_counts() -> None:
    plan = plan_of("nginx/ocsp.yaml", "nginx")
    case = each_once(plan)["a good answer is remembered"]
    assert case.client is not None
    client = replace(case.client, repeat=1)
    seen = {}
    for cached in (True, False):
        server = replace(case.server, ocsp_cache=cached)
        once = replace(case.by(client), server=server)
        with Lab(replace(plan, cases=(once,))) as lab:
            observations = [lab.run(once).observation for _ in range(3)]
        seen[cached] = [one.outcome for one in observations if one is not None]
    assert seen == {True: ["accepted"] * 3, False: ["accepted", "server-refused", "server-refused"]}
