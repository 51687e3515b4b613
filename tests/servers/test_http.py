"""What an author may have the embedded server and client say, odd as it may be: it arrives, or it is refused in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from msgspec.structs import replace

from mtls_runner.clients.python_ssl import PythonClient
from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError, ServerUnusable
from mtls_runner.model.endpoint import ClientSpec, Request, Response, ServerSpec
from mtls_runner.model.observation import ClientView, Phase, Reason, ServerView
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool
from mtls_runner.servers.python import PythonBackend
from tests.named import backend, tool

from ..pki.describe import authority, leaf, plan

_SECONDS = 10.0
SPEC = ServerSpec("server", backend("python"), "one", None, trust=("ca",))
CLIENT = ClientSpec(tool("python"), certificate="one", trust=("ca",))
Exchange = Callable[[ClientSpec], tuple[ClientView, ServerView | None]]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    directory = tmp_path_factory.mktemp("lab")
    return Store(directory, plan(authority("ca"), leaf("one")), start=datetime.now(UTC), pool=KeyPool())


@contextmanager
def serving(store: Store, spec: ServerSpec) -> Iterator[Exchange]:
    with PythonBackend().serve(spec, store, Deadline.after(_SECONDS)) as server:

        def exchange(client: ClientSpec) -> tuple[ClientView, ServerView | None]:
            with server.watch() as watch:
                seen = PythonClient().probe(client, server.address, store, Deadline.after(_SECONDS))
                return seen, watch.view(seen, Deadline.after(_SECONDS))

        yield exchange


@pytest.mark.parametrize("status", [204, 304])
def test_what_has_no_body_is_sent_without_one(store: Store, status: int) -> None:
    with serving(store, replace(SPEC, responses=(Response(status=status, body=b"never sent"),))) as exchange:
        seen, _ = exchange(CLIENT)
    assert seen.phase is Phase.DONE
    assert seen.response is not None
    assert (seen.response.status, seen.response.body) == (status, b"")


def test_field_values_are_octets(store: Store) -> None:
    response = Response(headers=(("X-Name", "Zoë"),), body=b"hi")
    with serving(store, replace(SPEC, responses=(response,))) as exchange:
        seen, told = exchange(replace(CLIENT, request=Request(headers=(("X-Name", "Zoë"),))))
    assert seen.response is not None
    octets = "Zoë".encode().decode("latin-1")
    assert ("x-name", octets) in seen.response.headers
    assert told is not None
    assert told.request is not None
    assert ("x-name", octets) in told.request.headers


def test_a_response_that_contradicts_itself_ends_its_connection_and_not_the_server(store: Store) -> None:
    wrong = Response(headers=(("Content-Length", "500"),), body=b"hi", path="/wrong")
    with serving(store, replace(SPEC, responses=(Response(body=b"hi"), wrong))) as exchange:
        for _ in range(2):
            seen, told = exchange(replace(CLIENT, request=Request(path="/wrong")))
            assert (seen.phase, seen.error_symbol) == (Phase.REQUEST, "EOF")
            assert told is not None
            assert told.error.startswith("this response can't be sent")
        seen, _ = exchange(CLIENT)
    assert seen.phase is Phase.DONE


def test_a_request_that_contradicts_itself_is_not_sent(store: Store) -> None:
    wrong = replace(CLIENT, request=Request(headers=(("Content-Length", "5"),)))
    with serving(store, SPEC) as exchange:
        with pytest.raises(LabError, match="can't send this request"):
            exchange(wrong)
        assert exchange(CLIENT)[0].phase is Phase.DONE


def test_a_name_that_can_not_be_asked_for(store: Store) -> None:
    with serving(store, SPEC) as exchange, pytest.raises(LabError, match="can't ask for the server name"):
        exchange(replace(CLIENT, server_name="a" * 300))


def test_ciphers_that_openssl_does_not_know(store: Store) -> None:
    backend = PythonBackend()
    with (
        pytest.raises(ServerUnusable, match="no cipher can be selected from 'FOO'") as caught,
        backend.serve(replace(SPEC, ciphers="FOO"), store, Deadline.after(_SECONDS)),
    ):
        pytest.fail("it started")
    assert caught.value.reason == Reason.CIPHER
    with serving(store, SPEC) as exchange:
        seen, _ = exchange(replace(CLIENT, ciphers="FOO"))
    assert (seen.phase, seen.problem, seen.exit_code) == (Phase.PREPARE, Reason.CIPHER, 59)
