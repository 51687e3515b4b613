"""A client whose last flight comes in parts, as Java writes it, at servers that go on with certificates that are not good.

What OpenSSL has left of a bad signature in its queue of errors ends the handshake where it has to wait for the next part.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from pathlib import Path

import pytest

from mtls_runner import Overrides, load
from mtls_runner.deadlines import Deadline
from mtls_runner.engine.lab import Lab
from mtls_runner.model.observation import ClientView, Outcome, Phase, Reason
from mtls_runner.model.traits import Runtime
from mtls_runner.tls.classify import Facts, classify

SCENARIO = """\
authorities:
  ca: {subject: CN=Bare, subject_key_identifier: null, authority_key_identifier: null}
  namesake: {like: ca}
  foreign: {}
leaves:
  server: {issuer: ca}
  forged: {issuer: namesake, usage: client, authority_key_identifier: null}
  stranger: {issuer: foreign, usage: client}
server: {certificate: server, trust: ca}
cases:
  - {name: forged, client: forged, expect: {server-refused: bad-signature}}
  - {name: stranger, client: stranger, expect: {server-refused: unknown-ca}}
"""


@pytest.mark.parametrize("backend", ["nginx", "node"])
def test_a_bad_signature_is_minded_before_the_rest_is_there(backend: str, tmp_path: Path) -> None:
    """And another fault is not: such a server waits."""
    (tmp_path / "parts.yaml").write_text(SCENARIO)
    plan = load(tmp_path / "parts.yaml", Overrides(backend=backend, runtime=Runtime.PROCESS))
    judged = {}
    with Lab(plan) as lab:
        for case in plan.cases:
            assert case.client is not None
            assert case.client.certificate is not None
            own = lab.material.presented(case.client.certificate, case.client.chain)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(own.certificate, own.key)
            server = lab.server(case.server)
            with server.watch() as watch:
                port = _first_record_of_the_flight(context, (server.address.host, server.address.port))
                seen = ClientView("raw", "1", Phase.HANDSHAKE, error_symbol="EOF", local_port=port)
                told = watch.view(seen, Deadline.after(10))
            judged[case.name] = classify(Facts(case.server, case.client, seen, told))
    assert (judged["forged"].outcome, judged["forged"].reason) == (Outcome.SERVER_REFUSED, Reason.BAD_SIGNATURE)
    assert Reason.BAD_SIGNATURE not in judged["stranger"].reasons


def _first_record_of_the_flight(context: ssl.SSLContext, address: tuple[str, int]) -> int:
    """Its Certificate message alone; the port that it came from."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    with socket.create_connection(address, 5) as sock:
        with pytest.raises(ssl.SSLWantReadError):
            tls.do_handshake()
        sock.sendall(outgoing.read())
        while not outgoing.pending:
            incoming.write(sock.recv(1 << 14))
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.do_handshake()
        flight = outgoing.read()
        sock.sendall(flight[: 5 + int.from_bytes(flight[3:5], "big")])
        sock.settimeout(1)
        with contextlib.suppress(OSError):
            sock.recv(1)
        return int(sock.getsockname()[1])
