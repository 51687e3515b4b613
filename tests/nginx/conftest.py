from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner.clients.python_ssl import PythonClient
from mtls_runner.deadlines import Deadline
from mtls_runner.errors import EngineError
from mtls_runner.model.certificate import Defect, KeyAlgorithm, KeyCipher, KeyFormat, KeySpec
from mtls_runner.model.endpoint import ClientSpec, MappedFile, MappedPart, ServerSpec
from mtls_runner.model.observation import ClientView, HttpResponse, ServerView
from mtls_runner.model.revocation import CrlSpec, Revocation, RevocationReason
from mtls_runner.model.traits import Runtime
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool
from mtls_runner.servers.container.engine import Engine
from mtls_runner.servers.nginx.backend import NginxBackend
from mtls_runner.servers.nginx.running import RunningNginx
from mtls_runner.tls.classify import Control, Facts, Judgement, classify
from tests.named import backend

from ..container_engine import IMAGE, not_here
from ..pki.describe import GOOD, PASSPHRASE, SERVER, USUAL, authority, plan


@pytest.fixture(scope="session")
def engine() -> Engine:
    try:
        engine = Engine.connect()
        engine.image(IMAGE)
    except EngineError as error:
        not_here(str(error))
    return engine


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory, pool: KeyPool) -> Store:
    """The usual material, and more of which each differs from ``good`` or ``server`` in one thing."""
    des3 = KeySpec(KeyAlgorithm.RSA_2048, KeyFormat.TRADITIONAL, KeyCipher.DES_EDE3_CBC)
    specs = (
        *USUAL,
        authority("lower", issuer="middle"),
        replace(GOOD, id="revoked", revoked=Revocation(RevocationReason.KEY_COMPROMISE)),
        replace(GOOD, id="deep", issuer="lower"),
        replace(GOOD, id="email", subject="1.2.840.113549.1.9.1=a@b.test,CN=good"),
        replace(SERVER, id="locked", passphrase=PASSPHRASE),
        replace(SERVER, id="locked_des3", passphrase=PASSPHRASE, key=des3),
        replace(SERVER, id="mismatch", defects=(Defect.KEY_MISMATCH,)),
        replace(SERVER, id="small", key=KeySpec(KeyAlgorithm.RSA_1024)),
    )
    crls = {"ca": CrlSpec("ca", "ca", revoked=("revoked",))}
    directory = tmp_path_factory.mktemp("lab")
    return Store(directory, plan(*specs), start=datetime.now(UTC), pool=pool, crls=crls)


@dataclass(frozen=True)
class Seen:
    """One exchange, from both ends."""

    client: ClientView
    server: ServerView | None
    judgement: Judgement

    @property
    def status(self) -> int | None:
        return self.client.response.status if self.client.response else None

    @property
    def body(self) -> bytes:
        return self.client.response.body if self.client.response else b""


class Lab:
    """Starts servers and probes them as the engine does, with the Python client."""

    def __init__(self, store: Store, *, consent: bool = False) -> None:
        self.store = store
        self.backend = NginxBackend(consent=consent)
        self._client = PythonClient()

    @contextmanager
    def serve(self, spec: ServerSpec) -> Iterator[RunningNginx]:
        with self.backend.serve(spec, self.store, Deadline.after(30)) as running:
            yield running

    def probe(
        self, running: RunningNginx, spec: ServerSpec, client: ClientSpec, control: HttpResponse | None = None
    ) -> Seen:
        with running.watch() as watch:
            view = self._client.probe(client, running.address, self.store, Deadline.after(10))
            server = watch.view(view, Deadline.after(10))
        return Seen(
            view,
            server,
            classify(
                Facts(spec, client, view, server, Control("an accepted one", control) if control is not None else None)
            ),
        )


@pytest.fixture(scope="session")
def lab(engine: Engine, store: Store) -> Lab:
    del engine  # only that there is one
    return Lab(store)


MakeServer = Callable[..., ServerSpec]


@pytest.fixture(scope="session")
def make_server() -> MakeServer:
    """A server that demands certificates of ``ca``; fields by keyword. It is a process where nothing needs a container."""
    usual = ServerSpec(
        id="server",
        backend=backend("nginx"),
        certificate="server",
        passphrase=None,
        trust=("ca",),
        options=(("image", IMAGE),),
        runtime=Runtime.PROCESS,
    )

    def make(config: Path | None = None, **fields: object) -> ServerSpec:
        if config is not None:
            fields["options"] = (*usual.options, ("config", str(config)))
            fields.setdefault("files", ARTICLE_FILES)
        return replace(usual, **fields)

    return make


@pytest.fixture(scope="module")
def spec(make_server: MakeServer) -> ServerSpec:
    """What a module's tests share; some have a configuration of their own in its place."""
    return make_server()


@pytest.fixture(scope="module")
def running(lab: Lab, spec: ServerSpec) -> Iterator[RunningNginx]:
    with lab.serve(spec) as running:
        yield running


ARTICLE_FILES = (
    MappedFile("/etc/nginx/mtls/ca.crt", certificate="ca"),
    MappedFile("/etc/nginx/certs/tls.crt", certificate="locked"),
    MappedFile("/etc/nginx/certs/tls.key", certificate="locked", part=MappedPart.KEY),
    MappedFile("/etc/nginx/certs/password", certificate="locked", part=MappedPart.PASSPHRASE),
)
