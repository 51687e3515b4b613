"""As few threads as will do, and never a client that waits for another one."""

from __future__ import annotations

import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from mtls_runner.errors import LabError
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.runtimes.listening import Relay
from mtls_runner.servers.python import connections
from mtls_runner.servers.python.connections import Acceptors
from mtls_runner.servers.stubs.upstream import LoopbackStub
from tests.named import backend

_SECONDS = 20.0
Serve = Callable[[socket.socket], None]


@contextmanager
def accepting(serve: Serve) -> Iterator[tuple[Acceptors, tuple[str, int], list[threading.Thread]]]:
    """The acceptors, their address, and the thread of each connection in order."""
    by: list[threading.Thread] = []

    def one(sock: socket.socket, port: int) -> None:
        with sock:
            sock.settimeout(_SECONDS)
            assert sock.getpeername()[1] == port
            by.append(threading.current_thread())
            serve(sock)

    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    running = Acceptors(listener, one, "acceptor")
    try:
        yield running, address, by
    finally:
        running.close(_SECONDS)
    assert listener.fileno() < 0  # the port may be somebody else's by now


def echo(sock: socket.socket) -> None:
    """What comes goes back, until the client closes."""
    while data := sock.recv(100):
        sock.sendall(data)


def connect(address: tuple[str, int]) -> socket.socket:
    return socket.create_connection(address, _SECONDS)


def answered(sock: socket.socket) -> bool:
    sock.sendall(b"x")
    return sock.recv(1) == b"x"


@contextmanager
def without_descriptors() -> Iterator[None]:
    """Nobody in this process gets a file descriptor: standard input, output and errors have the only ones that there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_one_thread_serves_one_client_after_the_other() -> None:
    with accepting(lambda sock: sock.sendall(b"x")) as (running, address, by):
        for _ in range(50):
            with running.expect(), connect(address) as client:
                assert client.recv(1) == b"x"
                assert client.recv(1) == b""
    assert len(by) == 50
    assert len(set(by)) == 1


@pytest.mark.parametrize("quiet", [1.0, 0.0], ids=["watched", "resting"])
def test_nobody_waits_for_a_client_that_stays(quiet: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_QUIET", quiet)
    with accepting(echo) as (_, address, by), ExitStack() as stack:
        for count in range(1, 6):
            assert answered(stack.enter_context(closing(connect(address))))
            assert len(set(by)) == count


def test_threads_that_are_too_many_end() -> None:
    with accepting(echo) as (running, address, by):
        with ExitStack() as stack:
            for _ in range(4):
                assert answered(stack.enter_context(closing(connect(address))))
        assert len(set(by)) == 4
        with running._changed:
            assert running._changed.wait_for(lambda: len(running._threads) == 1, _SECONDS)
        with connect(address) as client:
            assert answered(client)


def test_clients_that_are_announced_are_served_at_once() -> None:
    meeting = threading.Barrier(4, timeout=_SECONDS)

    def serve(sock: socket.socket) -> None:
        meeting.wait()
        sock.sendall(b"x")

    with accepting(serve) as (running, address, by):
        for _ in range(2):
            with ExitStack() as stack:
                clients = []
                for _ in range(4):
                    stack.enter_context(running.expect())
                    clients.append(stack.enter_context(closing(connect(address))))
                assert [client.recv(1) for client in clients] == [b"x"] * 4
    assert len(set(by)) == 4


def test_close_waits_for_what_is_being_served() -> None:
    served = threading.Event()

    def serve(sock: socket.socket) -> None:
        echo(sock)
        served.set()

    with accepting(serve) as (_, address, _by), connect(address) as client:
        assert answered(client)
        client.shutdown(socket.SHUT_WR)
    assert served.is_set()


def test_a_thread_that_goes_on_is_told() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    going_on, end = threading.Event(), threading.Event()
    threads = []

    def serve(sock: socket.socket, _: int) -> None:
        threads.append(threading.current_thread())
        going_on.set()
        end.wait(_SECONDS)
        sock.close()

    running = Acceptors(listener, serve, "acceptor")
    with connect(address):
        assert going_on.wait(_SECONDS)
        with pytest.raises(LabError, match="thread acceptor does not end"):
            running.close(0.1)
        end.set()
    threads[0].join(_SECONDS)
    assert not threads[0].is_alive()


def test_a_client_waits_until_a_file_descriptor_is_free() -> None:
    with accepting(echo) as (_, address, by), socket.socket() as first, socket.socket() as second:
        for client in (first, second):
            client.settimeout(_SECONDS)
        first.connect(address)
        assert answered(first)
        with without_descriptors():
            first.close()
            second.connect(address)
            by[0].join(10 * connections.PATIENCE)  # accept() fails: EMFILE
        assert answered(second)


def test_so_does_one_of_a_relay_and_of_what_stands_in_for_an_application() -> None:
    with (
        LoopbackStub(ServerSpec("app", backend("python"), None, None)) as app,
        Relay("127.0.0.1", 0, app.address) as relay,
    ):
        for address in (app.address, relay.address):
            with socket.socket() as first, socket.socket() as second:
                with without_descriptors():
                    for client in (first, second):  # the first accept() may have had its descriptor before
                        client.settimeout(_SECONDS)
                        client.connect((address.host, address.port))
                        threading.Event().wait(10 * connections.PATIENCE)
                second.sendall(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")
                assert second.recv(12) == b"HTTP/1.1 200"
