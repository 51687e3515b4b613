"""Clients that break TLS or HTTP, or go on without end: the embedded server says what it saw, lets go in time, and serves on."""

from __future__ import annotations

import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from mtls_runner import load
from mtls_runner.engine.lab import Lab
from mtls_runner.pytest_plugin import MtlsLab

from .clients import CLIENTS, Client, connect

LIMIT = 0.6
SLACK = 20.0


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A server for each behaviour, with little patience."""
    monkeypatch.setattr("mtls_runner.servers.python._IDLE_SECONDS", LIMIT)
    server = {"client_auth": "optional", "responses": {"/": {"body": "hello"}, "/large": {"body": "x" * 200_000}}}
    servers = {f"s{number}": server for number in range(len(CLIENTS))}
    cases = [{"name": name, "server": name, "expect": "accepted"} for name in servers]
    file = tmp_path / "served.yaml"
    file.write_text(yaml.safe_dump({"ca": {}, "leaves": {"server": {}}, "servers": servers, "cases": cases}))
    return file


def seconds(run: Client, port: int) -> float:
    """Until the server has let go of the client."""
    began = time.monotonic()
    run(port)
    return time.monotonic() - began


def greeting(lab: MtlsLab) -> bytes:
    with connect(lab.port) as sock, lab.context().wrap_socket(sock, server_hostname="localhost") as tls:
        tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: tls.recv(4096), b""))


def test_the_server_says_what_it_saw_and_serves_on(mtls_lab: MtlsLab, scenario: Path) -> None:
    labs = {name: mtls_lab(scenario, server=f"s{number}") for number, name in enumerate(CLIENTS)}
    ports = {name: lab.port for name, lab in labs.items()}
    with ThreadPoolExecutor(12) as executor:
        took = dict(
            zip(CLIENTS, executor.map(lambda name: seconds(CLIENTS[name][0], ports[name]), CLIENTS), strict=True)
        )
    seen = {name: lab.connections(SLACK)[0] for name, lab in labs.items()}
    assert {name: str(one) for name, one in seen.items() if one.written != CLIENTS[name][1]} == {}
    assert {name: time for name, time in took.items() if time > LIMIT + SLACK} == {}
    assert {name for name, one in seen.items() if "_ssl.c" in one.view.error or "illegal" in one.view.error} == set()
    assert {name for name, lab in labs.items() if not greeting(lab).endswith(b"hello")} == set()


def test_a_server_ends_while_clients_go_on(scenario: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # One that fills a window that nobody opens again would learn only from its kernel's next probe.
    monkeypatch.setattr("tests.hostile.clients.PATIENCE", 5.0)
    plan, before = load(scenario), set(threading.enumerate())
    endless = [run for name, (run, _) in CLIENTS.items() if name.endswith("without end")]
    assert len(endless) > 6
    with Lab(plan) as lab:
        server, server_id = lab.server(plan.cases[0].server), plan.cases[0].server.id
        clients = [threading.Thread(target=quietly, args=(run, server.address.port)) for run in endless]
        for client in clients:
            client.start()
        while server.arrived() < len(endless):
            threading.Event().wait(0.01)
    for client in clients:
        client.join(60)
    assert [client for client in clients if client.is_alive()] == []
    new = set(threading.enumerate()) - before
    assert [thread for thread in new if thread.name.startswith(f"mtls-run-{server_id}")] == []


def quietly(run: Client, port: int) -> None:
    try:
        run(port)
    except (OSError, ssl.SSLError):
        return  # the server is gone
