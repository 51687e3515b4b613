"""What a backend, a client or a reporter says of itself, for whoever has to know it without running it.

Each of them declares its traits beside its code, in a module that loads nothing heavy: language, command line help, ``explain``,
``conformance``, ``export``, reporters and engine read them there, and none of them knows any by name.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING, TextIO

from msgspec import Struct

from mtls_runner.model.certificate import PEM_ONLY, FileForm

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from pydantic import BaseModel

    from mtls_runner.model.port import Client, Reporter, ServerBackend, TypedCommand

__all__ = [
    "LIBRARIES",
    "BackendTraits",
    "ClientProtocol",
    "ClientTraits",
    "PlainServer",
    "Refusal",
    "ReporterTraits",
    "Runtime",
]

#: TLS libraries, under the names that ``when: {library: …}`` takes.
LIBRARIES = ("openssl", "boringssl", "go", "jsse", "rustls", "nss", "gnutls")


class Runtime(StrEnum):
    """How a program is run."""

    EMBEDDED = "embedded"
    """In the lab's own process."""
    PROCESS = "process"
    """As a process on this machine."""
    CONTAINER = "container"
    """In a container."""

    @property
    def told(self) -> str:
        """For people, behind a name."""
        return {
            "embedded": "in the lab itself",
            "process": "as a process of this machine",
            "container": "in a container",
        }[self.value]


class ClientProtocol(StrEnum):
    """What a client speaks once it is connected."""

    HTTPS = "https"
    HTTP = "http"
    """HTTP without TLS."""
    TLS = "tls"
    """TLS, and in it bytes of the author's."""
    TCP = "tcp"
    """Bytes of the author's, without TLS."""

    @property
    def encrypted(self) -> bool:
        """Whether it speaks TLS."""
        return self in (ClientProtocol.HTTPS, ClientProtocol.TLS)

    @property
    def asks(self) -> bool:
        """Whether it makes HTTP requests."""
        return self in (ClientProtocol.HTTPS, ClientProtocol.HTTP)


class Refusal(StrEnum):
    """How a server tells a client that it does not take its certificate."""

    ALERT = "alert"
    """By a TLS alert, in the handshake or, in TLS 1.3, behind it."""
    STATUS = "status"
    """By an HTTP status, once the handshake is complete."""


class PlainServer(StrEnum):
    """What a person would start in a server's place."""

    S_SERVER = "openssl s_server"
    NGINX = "nginx"
    RUNNING = "a server that runs already"


def _nothing() -> str | None:
    return None


def _own_clock(_container: bool) -> str | None:
    return "it has the clock of this machine"


class _Traits(Struct, frozen=True, eq=False, kw_only=True):
    """What something says of itself. Each is only equal to itself, and there is one for each name."""

    name: str
    sentence: str

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class _EndTraits(_Traits, frozen=True, eq=False, kw_only=True):
    """Of what serves and of what connects.

    Args:
        library: the TLS library, and so the dialect of its refusals: openssl, boringssl, go, jsse, rustls, nss, gnutls; ``""``
            where nobody knows.
        completes_chains: its TLS library sends the issuers that it finds among the trusted certificates, where it was given no
            intermediates (OpenSSL's ``ssl_add_cert_chain``).
        runtimes: how it can be run, what it does unless told otherwise first; none where the lab does not run it.
        missing: what has to be installed before it can be used, as the sentence that a skipped case shows; ``None``: nothing.
        waits_for_consent: it is a command that a scenario's tree brings, and nobody has let such commands run.
        in_catalogue: ``conformance`` runs it unless it is told what to run.
        unknown_words: what its program prints is not known beforehand; it may be whatever it was given.
        clock: why the clock of its program can't be moved, as a clause, of a container's (true) or a process's; ``None``: it can.
    """

    library: str = ""
    completes_chains: bool = False
    runtimes: tuple[Runtime, ...] = ()
    missing: Callable[[], str | None] = _nothing
    waits_for_consent: bool = False
    in_catalogue: bool = True
    unknown_words: bool = False
    clock: Callable[[bool], str | None] = _own_clock


class Directives(Struct, frozen=True):
    """How a configuration of one's own says what hints are about; in the program's words.

    Args:
        certificate: what demands a client certificate.
        crl: what looks clients' certificates up in CRLs.
        trust: what says whose client certificates are good.
        log: what has its log say why it refused.
    """

    certificate: str
    crl: str
    trust: str
    log: str


class BackendTraits(_EndTraits, frozen=True, eq=False, kw_only=True):
    """A backend.

    Args:
        name: what ``backend:`` calls it.
        sentence: a few words behind the name in the reference and in editors (``nginx``: "a container").
        summary: what ``explain`` says it is ("nginx in a container").
        make: a new one, with whatever has to be loaded for it.
        refusal: how it refuses a client's certificate; ``None``: nobody knows.
        refusal_status: the HTTP status, where that is how.
        image: the container's image, unless the scenario, lab.yaml or the command line name one.
        image_variable: the environment variable that names another image.
        runs_already: somebody else started it, at the address that the scenario gives.
        rules_by_path: what it demands of a client, and answers, can hang on the path.
        verify_depth: issuers that it allows between a client's certificate and the root where the scenario doesn't say
            (``ssl_verify_depth``); ``None``: nobody knows.
        options: the model of its own ``options:``, loaded when a scenario has some; ``None``: it has none but those of every
            container.
        plain: what stands for it in a script of plain tools (``export``); ``None``: nothing does.
        opens_keys: its program opens encrypted keys; otherwise it is given keys of the lab's making open.
        directives: how its own configuration says what hints are about; ``None``: nobody knows.
        ahead: begins what one server in a container of that image will need, if its configuration is generated: long before its
            description is read, and until the block is left; ``None``: there is nothing to begin.
    """

    summary: str
    make: Callable[[], ServerBackend]
    refusal: Refusal | None = None
    refusal_status: int | None = None
    image: str = ""
    image_variable: str = ""
    runs_already: bool = False
    rules_by_path: bool = False
    verify_depth: int | None = None
    options: Callable[[], type[BaseModel]] | None = None
    plain: PlainServer | None = None
    opens_keys: bool = True
    directives: Directives | None = None
    ahead: Callable[[str], AbstractContextManager[None]] | None = None

    @property
    def runtime(self) -> Runtime | None:
        """How it is run unless told otherwise."""
        return self.runtimes[0] if self.runtimes else None


class ClientTraits(_EndTraits, frozen=True, eq=False, kw_only=True):
    """A client.

    Args:
        name: what ``tool:`` calls it.
        sentence: a few words behind the name in the reference and in editors; ``""``: the name says it.
        make: a new one, with whatever has to be loaded for it.
        partial_chain: a trusted intermediate is an anchor to it, whether or not the scenario says so.
        loads: the forms in which it loads a certificate and a key of its own; what it trusts is PEM.
        own_exit_code: it is a program that exits with curl's codes; of another client it is told what curl would exit with.
        protocols: what it can speak.
        like_curl: a curl command line does what it does, so that curl stands for it in a script of plain tools (``export``).
        typed: what writes the command that a person would type in its place; ``None``: there is none.
    """

    make: Callable[[], Client]
    partial_chain: bool = False
    loads: frozenset[FileForm] = PEM_ONLY
    protocols: frozenset[ClientProtocol] = frozenset((ClientProtocol.HTTPS,))
    own_exit_code: bool = False
    like_curl: bool = False
    typed: Callable[[], TypedCommand] | None = None

    def cannot_speak(self, protocol: ClientProtocol) -> str | None:
        """That it does not speak it, for people; ``None``: it does."""
        if protocol in self.protocols:
            return None
        return f"{self.name} does not speak {protocol} ({', '.join(sorted(self.protocols))} only)"


class ReporterTraits(_Traits, frozen=True, eq=False, kw_only=True):
    """A reporter that writes a file.

    Args:
        name: what ``--report NAME=FILE`` calls it.
        sentence: what it writes ("a JUnit XML report").
        make: a new one that writes to this stream, which the caller opens and closes.
    """

    make: Callable[[TextIO], Reporter]
