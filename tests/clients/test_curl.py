"""The real curl against real servers: every situation that curl and its certificate decide, from both ends."""

from __future__ import annotations

import ssl
import subprocess

import pytest
from msgspec.structs import replace

from mtls_runner.clients.curl.client import CurlClient
from mtls_runner.deadlines import Deadline
from mtls_runner.model.certificate import Secret
from mtls_runner.model.endpoint import Address, ChainKind, ChainSpec, ClientSpec, KeySource, TlsVersion
from mtls_runner.model.observation import Alert, ClientView, Direction, Phase, Reason
from mtls_runner.pki import Store
from tests.named import tool

from ..pki.describe import PASSPHRASE
from .tls_peer import Seen, context, tls_peer

SPEC = ClientSpec(tool=tool("curl"), trust=("ca",))
V1_2 = replace(SPEC, tls=(TlsVersion.V1_2,))
V1_3 = replace(SPEC, tls=(TlsVersion.V1_3,))
VERSIONS = pytest.mark.parametrize("spec", [V1_2, V1_3], ids=["TLSv1.2", "TLSv1.3"])


def probe(curl: CurlClient, spec: ClientSpec, address: Address, store: Store) -> ClientView:
    assert curl.cannot(spec) is None
    return curl.probe(spec, address, store, Deadline.after(10))


def fatal(view: ClientView) -> list[tuple[Direction, str]]:
    return [(alert.direction, alert.name) for alert in view.alerts if alert.fatal]


def demanding(store: Store) -> ssl.SSLContext:
    made = context(store.credential("server"))
    made.verify_mode = ssl.CERT_REQUIRED
    made.load_verify_locations(store.bundle(["ca"]))
    return made


def refused(curl: CurlClient, spec: ClientSpec, store: Store) -> tuple[ClientView, Seen]:
    with tls_peer(demanding(store)) as (address, seen):
        return probe(curl, spec, address, store), seen


# --- the server refuses the client -----------------------------------------------------------------------------------


@VERSIONS
def test_a_good_certificate_is_accepted(spec: ClientSpec, curl: CurlClient, store: Store) -> None:
    with tls_peer(demanding(store)) as (address, seen):
        view = probe(curl, replace(spec, certificate="good"), address, store)
    assert (view.phase, view.exit_code, view.verify_code, view.error_symbol) == (Phase.DONE, 0, 0, "")
    assert view.response is not None
    assert (view.response.status, view.response.body) == (200, b"hello")
    assert ("x-lab", "yes") in view.response.headers
    assert view.tls_version == spec.tls[0].value
    assert view.cipher in {"TLS_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"}
    assert (view.certificate_requested, view.ca_names) == (True, ())  # Python's ssl advertises none
    # Of a file with one certificate OpenSSL completes the chain from the trust store, root and all.
    assert view.sent_chain == (store.credential("good").der, store.credential("ca").der)
    assert seen.certificate == store.credential("good").der
    assert view.received_chain is not None
    assert view.received_chain[0] == store.credential("server").der
    assert fatal(view) == []
    assert view.resumed is False
    assert view.local_port == seen.ports[0]
    assert not view.timed_out
    assert not view.name_mismatch


@pytest.mark.parametrize(
    ("certificate", "alert_1_2", "alert_1_3", "exit_1_2"),
    [
        (None, "handshake_failure", "certificate_required", 35),
        ("foreign", "unknown_ca", "unknown_ca", 35),
        ("own", "unknown_ca", "unknown_ca", 35),
        ("twin_leaf", "decrypt_error", "decrypt_error", 35),
        ("expired", "certificate_expired", "certificate_expired", 60),
        ("future", "bad_certificate", "bad_certificate", 35),
        ("wrong_usage", "unsupported_certificate", "unsupported_certificate", 35),
    ],
)
def test_the_server_refuses_by_an_alert(
    certificate: str | None, alert_1_2: str, alert_1_3: str, exit_1_2: int, curl: CurlClient, store: Store
) -> None:
    view, seen = refused(curl, replace(V1_2, certificate=certificate), store)
    assert fatal(view) == [(Direction.RECEIVED, alert_1_2)]
    assert (view.exit_code, view.phase, view.verify_code, view.name_mismatch) == (exit_1_2, Phase.HANDSHAKE, 0, False)
    assert seen.error

    view, seen = refused(curl, replace(V1_3, certificate=certificate), store)
    assert fatal(view) == [(Direction.RECEIVED, alert_1_3)]
    assert (view.exit_code, view.phase, view.verify_code, view.name_mismatch) == (56, Phase.REQUEST, 0, False)
    assert view.sent_chain is not None
    assert view.sent_chain[:1] == (() if certificate is None else (store.credential(certificate).der,))


def test_the_bytes_say_which_alert_it_was(curl: CurlClient, store: Store) -> None:
    """curl 7.88 itself prints ``unknown (628)``."""
    view, _ = refused(curl, V1_3, store)
    assert Alert(Direction.RECEIVED, "certificate_required", 116, fatal=True) in view.alerts


# --- what is sent ----------------------------------------------------------------------------------------------------


@VERSIONS
def test_the_chain_that_is_sent(spec: ClientSpec, curl: CurlClient, store: Store) -> None:
    below, middle, ca = (store.credential(name).der for name in ("below", "middle", "ca"))
    spec = replace(spec, certificate="below")
    with tls_peer(demanding(store), connections=3) as (address, _):
        assert probe(curl, spec, address, store).sent_chain == (below, middle)
        listed = replace(spec, chain=ChainSpec(ChainKind.IDS, ("middle", "ca")))
        assert probe(curl, listed, address, store).sent_chain == (below, middle, ca)
    view, _ = refused(curl, replace(spec, chain=ChainSpec(ChainKind.LEAF)), store)
    # OpenSSL completes a chain that the file leaves bare as far as the trust store goes, which holds only the root.
    assert view.sent_chain == (below,)
    assert fatal(view) == [(Direction.RECEIVED, "unknown_ca")]


@pytest.mark.parametrize(("version", "option"), [("TLSv1.2", "-tls1_2"), ("TLSv1.3", "-tls1_3")])
def test_the_names_that_a_server_advertises(version: str, option: str, curl: CurlClient, store: Store) -> None:
    server = store.credential("server")
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-www", option, "-Verify", "1"]
    command += ["-cert", str(server.certificate_path), "-key", str(server.key_path)]
    command += ["-CAfile", str(store.bundle(["ca", "other"]))]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        try:
            assert process.stdout is not None
            lines = iter(process.stdout.readline, b"")
            port = next(int(line.rpartition(b":")[2]) for line in lines if line.startswith(b"ACCEPT"))
            view = probe(curl, replace(SPEC, certificate="good"), Address("127.0.0.1", port), store)
        finally:
            process.kill()
    assert (view.exit_code, view.tls_version) == (0, version)
    assert view.ca_names is not None
    assert sorted(view.ca_names) == ["CN=ca", "CN=other"]


@VERSIONS
def test_no_certificate_message_without_a_request(spec: ClientSpec, curl: CurlClient, store: Store) -> None:
    with tls_peer(context(store.credential("server"))) as (address, _):
        view = probe(curl, replace(spec, certificate="good"), address, store)
    assert (view.exit_code, view.certificate_requested, view.ca_names, view.sent_chain) == (0, False, None, None)


# --- the client refuses the server -----------------------------------------------------------------------------------


@VERSIONS
@pytest.mark.parametrize(
    ("server", "trust", "code", "alert"),
    [
        ("server", "other", (19, 20), "unknown_ca"),
        ("server_expired", "ca", (10,), "certificate_expired"),
        ("server_usage", "ca", (26,), "unsupported_certificate"),
    ],
)
def test_the_client_refuses(
    spec: ClientSpec, server: str, trust: str, code: tuple[int, ...], alert: str, curl: CurlClient, store: Store
) -> None:
    spec = replace(spec, trust=(trust,))
    with tls_peer(context(store.credential(server)), connections=2) as (address, _):
        view = probe(curl, spec, address, store)
        trusting = probe(curl, replace(spec, insecure=True), address, store)
    assert (view.exit_code, view.phase, view.name_mismatch) == (60, Phase.HANDSHAKE, False)
    assert view.verify_code in code
    assert fatal(view) == [(Direction.SENT, alert)]
    assert view.response is None
    assert (trusting.exit_code, trusting.phase, fatal(trusting)) == (0, Phase.DONE, [])


@VERSIONS
def test_a_name_that_does_not_match(spec: ClientSpec, curl: CurlClient, store: Store) -> None:
    with tls_peer(context(store.credential("server_elsewhere")), connections=3) as (address, seen):
        view = probe(curl, spec, address, store)
        insecure = probe(curl, replace(spec, insecure=True), address, store)
        right = probe(curl, replace(spec, server_name="elsewhere.test"), address, store)
    assert (view.exit_code, view.phase, view.name_mismatch, view.verify_code) == (60, Phase.HANDSHAKE, True, 1)
    assert fatal(view) == []
    assert (insecure.exit_code, insecure.name_mismatch) == (0, False)
    # With --insecure curl loads no authority, so that its result is that of an empty trust store.
    assert insecure.verify_code in (19, 20)
    assert (right.exit_code, right.verify_code, seen.server_name) == (0, 0, "elsewhere.test")


def test_a_common_name_still_counts(curl: CurlClient, store: Store) -> None:
    with tls_peer(context(store.credential("server_cn"))) as (address, _):
        assert probe(curl, SPEC, address, store).exit_code == 0


def test_trusting_nobody(curl: CurlClient, store: Store) -> None:
    with tls_peer(context(store.credential("server"))) as (address, _):
        view = probe(curl, replace(SPEC, trust=()), address, store)
    assert view.exit_code == 60
    assert view.verify_code in (19, 20)


# --- no common ground ------------------------------------------------------------------------------------------------


def test_no_version_in_common(curl: CurlClient, store: Store) -> None:
    old = context(store.credential("server"), maximum_version=ssl.TLSVersion.TLSv1_2)
    with tls_peer(old, connections=2) as (address, _):
        view = probe(curl, V1_3, address, store)
        both = probe(curl, SPEC, address, store)
    assert (view.exit_code, view.phase, view.verify_code) == (35, Phase.HANDSHAKE, None)
    assert fatal(view) == [(Direction.RECEIVED, "protocol_version")]
    assert (view.tls_version, view.cipher, view.certificate_requested) == (None, None, None)
    assert (both.exit_code, both.tls_version) == (0, "TLSv1.2")


def test_old_versions_need_level_0_on_both_sides(curl: CurlClient, store: Store) -> None:
    server = context(store.credential("server"))
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        server.minimum_version = ssl.TLSVersion.TLSv1
    spec = replace(SPEC, tls=(TlsVersion.V1_0, TlsVersion.V1_1))
    with tls_peer(server, connections=2) as (address, _):
        view = probe(curl, spec, address, store)
        works = probe(curl, replace(spec, security_level=0), address, store)
    assert (view.exit_code, view.phase) == (35, Phase.HANDSHAKE)
    assert fatal(view) == [(Direction.SENT, "internal_error")]
    assert (works.exit_code, works.tls_version) == (0, "TLSv1.1")


def test_ciphers_suites_groups_and_signature_algorithms(curl: CurlClient, store: Store) -> None:
    with tls_peer(context(store.credential("server")), connections=4) as (address, _):
        chosen = replace(V1_2, ciphers="ECDHE-ECDSA-CHACHA20-POLY1305")
        assert probe(curl, chosen, address, store).cipher == "ECDHE-ECDSA-CHACHA20-POLY1305"
        chosen = replace(V1_3, ciphersuites="TLS_AES_128_GCM_SHA256", groups=("P-384",))
        assert probe(curl, chosen, address, store).cipher == "TLS_AES_128_GCM_SHA256"
        allowed = replace(SPEC, signature_algorithms=("ECDSA+SHA256", "RSA-PSS+SHA256"))
        assert probe(curl, allowed, address, store).exit_code == 0
        without = replace(SPEC, signature_algorithms=("RSA-PSS+SHA256",))
        view = probe(curl, without, address, store)
    assert view.exit_code == 35
    assert fatal(view) == [(Direction.RECEIVED, "handshake_failure")]


def test_a_cipher_that_does_not_exist(curl: CurlClient, store: Store) -> None:
    with tls_peer(context(store.credential("server"))) as (address, _):
        view = probe(curl, replace(SPEC, ciphers="NO-SUCH"), address, store)
    assert (view.exit_code, view.phase, view.problem) == (59, Phase.PREPARE, Reason.CIPHER)


@pytest.mark.parametrize(
    ("offered", "chosen"), [((), None), (("http/1.1",), "http/1.1"), (("h2", "http/1.1"), "http/1.1")]
)
@VERSIONS
def test_alpn(spec: ClientSpec, offered: tuple[str, ...], chosen: str | None, curl: CurlClient, store: Store) -> None:
    server = context(store.credential("server"))
    server.set_alpn_protocols(["http/1.1"])
    with tls_peer(server) as (address, _):
        view = probe(curl, replace(spec, alpn=offered), address, store)
    assert (view.exit_code, view.alpn) == (0, chosen)


# --- its own material ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("certificate", "passphrase", "reason"),
    [
        ("locked", None, Reason.PASSPHRASE_NEEDED),
        ("locked", Secret("wrong"), Reason.WRONG_PASSPHRASE),
        ("locked", Secret(""), Reason.WRONG_PASSPHRASE),
        ("mismatch", None, Reason.KEY_MISMATCH),
        ("other_type", None, Reason.KEY_MISMATCH),
        ("small", None, Reason.WEAK_KEY),
        ("sha1", None, Reason.WEAK_DIGEST),
        ("gone", None, Reason.MISSING_FILE),
    ],
)
def test_material_that_cannot_be_used(
    certificate: str, passphrase: Secret | None, reason: Reason, curl: CurlClient, store: Store
) -> None:
    with tls_peer(demanding(store)) as (address, _):
        view = probe(curl, replace(SPEC, certificate=certificate, passphrase=passphrase), address, store)
    assert (view.phase, view.problem) == (Phase.PREPARE, reason)
    assert view.exit_code in (58, 43)
    assert view.messages == ()
    assert view.verify_code is None
    assert "wrong" not in view.command


@pytest.mark.parametrize(("certificate", "passphrase"), [("locked", PASSPHRASE), ("good", Secret("needless"))])
def test_passphrases_that_fit_or_are_needless(
    certificate: str, passphrase: Secret, curl: CurlClient, store: Store
) -> None:
    with tls_peer(demanding(store)) as (address, _):
        view = probe(curl, replace(SPEC, certificate=certificate, passphrase=passphrase), address, store)
    assert (view.exit_code, view.problem) == (0, None)
    assert passphrase.reveal() not in repr(view)


@pytest.mark.parametrize("certificate", ["small", "sha1"])
def test_weak_material_can_be_used_at_level_0(certificate: str, curl: CurlClient, store: Store) -> None:
    server = demanding(store)
    server.set_ciphers("DEFAULT:@SECLEVEL=0")
    spec = replace(V1_2, certificate=certificate, security_level=0)
    with tls_peer(server) as (address, _):
        view = probe(curl, spec, address, store)
    assert (view.exit_code, view.problem) == (0, None)


def test_the_key_of_another_certificate(curl: CurlClient, store: Store) -> None:
    with tls_peer(demanding(store)) as (address, _):
        view = probe(curl, replace(SPEC, certificate="good", key=KeySource(id="foreign")), address, store)
    assert (view.phase, view.problem, view.error_symbol) == (Phase.PREPARE, Reason.KEY_MISMATCH, "KEY_VALUES_MISMATCH")
