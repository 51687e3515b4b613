"""A TLS 1.3 server that refuses a client and closes at once, with what it sent unread: the kernel resets the connection."""

from __future__ import annotations

import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from mtls_runner import Overrides, Verdict
from mtls_runner.engine import RunOptions
from mtls_runner.model.observation import ClientView, Direction, Outcome, Phase, Reason, ServerView
from mtls_runner.tls.classify import Facts, classify

from ..verdicts import verdicts_of
from .scenario import make_context

HINT = "the Python client (--tool python) reads it all the same"


@contextmanager
def refusing(directory: Path) -> Iterator[int]:
    """Serves until a client comes that sends nothing; yields the port."""
    context = make_context(directory)(directory / "keys")
    context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.load_verify_locations(directory / "server.crt")

    def serve() -> None:
        while True:
            sock, _ = listener.accept()
            if not sock.recv(1, socket.MSG_PEEK):
                sock.close()
                return
            try:
                context.wrap_socket(sock, server_side=True).close()
            except OSError:
                sock.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        socket.create_connection(listener.getsockname(), 5).close()
        thread.join(20)
        assert not thread.is_alive()


def connect(port: int, tool: str, count: int, directory: Path) -> list[Verdict]:
    """So many connections, every other one with a certificate of an authority that the server does not know."""
    ends = {"insecure": True}
    expected = {"outcome": ["server-refused", "no-connection"]}
    text = {
        "ca": {},
        "leaves": {"client": {"usage": "client"}},
        "server": {"backend": "external", "address": f"127.0.0.1:{port}"},
        "cases": [
            {
                "name": f"{number}",
                "client": ends | ({"certificate": "client"} if number % 2 else {}),
                "expect": expected,
            }
            for number in range(count)
        ],
    }
    file = directory / "refused.yaml"
    file.write_text(yaml.safe_dump(text))
    return verdicts_of(file, Overrides(tool=tool), RunOptions(jobs=2))


def test_the_python_client_reads_the_alert_every_time(tmp_path: Path) -> None:
    with refusing(tmp_path) as port:
        verdicts = connect(port, "python", 200, tmp_path)
    seen = Counter(
        (verdict.observation.outcome, verdict.observation.alert, verdict.observation.alert_from)
        for verdict in verdicts
        if verdict.observation is not None
    )
    assert seen == {
        (Outcome.SERVER_REFUSED, "certificate_required", "server"): 100,
        (Outcome.SERVER_REFUSED, "unknown_ca", "server"): 100,
    }


def test_curl_says_what_it_saw_and_no_more(tmp_path: Path) -> None:
    """Its exit is 55 where the write failed, and nothing of the alert is in its trace: then nobody knows of a refusal."""
    with refusing(tmp_path) as port:
        verdicts = connect(port, "curl", 16, tmp_path)
    assert len(verdicts) == 16
    for verdict in verdicts:
        seen = verdict.observation
        assert seen is not None, verdict.error
        assert seen.client is not None
        heard = [alert.name for alert in seen.client.alerts if alert.direction is Direction.RECEIVED]
        if heard:
            assert (seen.outcome, seen.curl_exit) == (Outcome.SERVER_REFUSED, 56)
        else:
            assert (seen.outcome, seen.reason, seen.curl_exit) == (Outcome.NO_CONNECTION, Reason.RESET, 55)
            assert HINT in seen.hint


def test_what_the_server_says_of_it_decides() -> None:
    client = ClientView("curl", "7.88.1", Phase.REQUEST, error_symbol="EPIPE", exit_code=55)
    server = ServerView("a log", error_symbol="PEER_DID_NOT_RETURN_A_CERTIFICATE")
    judged = classify(Facts(None, None, client, server))
    assert (judged.outcome, judged.reason) == (Outcome.SERVER_REFUSED, Reason.NO_CERTIFICATE)
    judged = classify(Facts(None, None, client, None))
    assert (judged.outcome, judged.reason) == (Outcome.NO_CONNECTION, Reason.RESET)
