"""The protocols between the rooms; what not everyone can do is a method with a default."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.certificate import PEM_ONLY, Credential, FileForm, PresentedFiles, Secret
from mtls_runner.model.endpoint import Address, ChainSpec, ClientSpec, KeySource, ServerSpec
from mtls_runner.model.observation import ClientView, ServerView
from mtls_runner.model.revocation import OcspAnswer, ResponderSpec
from mtls_runner.model.verdict import Event

__all__ = [
    "Client",
    "KeptConnection",
    "Material",
    "Report",
    "Reporter",
    "RunningServer",
    "ServerBackend",
    "TypedCommand",
    "Watch",
]

Report = Callable[[str, int, int], None]
"""Told about work that takes time: doing what, how many done, of how many (0: not known)."""


class Material(Protocol):
    """The forged (or brought) material of one plan, as files under one private directory.

    Everything that is asked for is written once, atomically, and may be asked for from several threads.
    """

    @property
    def directory(self) -> Path:
        """The 0700 directory; backends and clients make their own sub-directories in it."""
        ...

    def credential(self, certificate: str) -> Credential:
        """Of an authority or leaf, by id.

        Raises:
            MaterialError: it can't be made.
        """
        ...

    def bundle(self, certificates: Sequence[str]) -> Path:
        """A PEM file with exactly these certificates, in this order (``--cacert``, ``ssl_client_certificate``).

        Raises:
            FileUnusable: an end can't be given a file of the user's.
            MaterialError: one of them can't be made.
        """
        ...

    def chain(self, certificate: str, chain: ChainSpec) -> Path:
        """A PEM file with the certificate and what ``chain`` says comes after it."""
        ...

    def presented(
        self,
        certificate: str,
        chain: ChainSpec,
        key: KeySource | None = None,
        passphrase: Secret | None = None,
        forms: frozenset[FileForm] = PEM_ONLY,
    ) -> PresentedFiles:
        """The files that an end presents itself with.

        Args:
            certificate: id of the leaf.
            chain: what is sent with it.
            key: another key than its own.
            passphrase: what the end opens the key with.
            forms: what the end's program loads.

        Raises:
            FileUnusable: an end can't be given a file of the user's; its ``reason`` says what that end is then.
            MaterialError: something can't be made.
        """
        ...

    def opened_key(self, certificate: str) -> Path | None:
        """The key of a certificate of the lab's making, not encrypted.

        Raises:
            MaterialError: it can't be made.
        """
        ...

    def passphrase(self, certificate: str) -> Secret | None:
        """What opens its key, by its description; ``None``: nothing is needed, or there is no such certificate."""
        ...

    def crl(self, crls: Sequence[str]) -> Path:
        """A PEM file with exactly these CRLs, by id (``--crlfile``, ``ssl_crl``).

        Raises:
            MaterialError: one of them can't be made.
        """
        ...

    def ocsp_response(self, responder: ResponderSpec, request: bytes, answer: OcspAnswer) -> bytes:
        """A DER ``OCSPResponse`` to a DER ``OCSPRequest``.

        Raises:
            MaterialError: it can't be made.
        """
        ...

    def ocsp_request(self, certificate: str) -> bytes:
        """A DER ``OCSPRequest`` about a certificate.

        Raises:
            MaterialError: it can't be made.
        """
        ...

    def name(self, der: bytes) -> str:
        """The id of a certificate of this plan, or the RFC 4514 subject of one that is not."""
        ...


class Watch(Protocol):
    """One connection, seen from the server."""

    def view(self, client: ClientView, deadline: Deadline) -> ServerView | None:
        """What the server saw of the request that ``client`` made while this watch was open; of several, the next at each call.

        Waits until the server is done with it, at most until the deadline. ``None``: the server never saw it, or
        can't be asked.
        """
        ...


class RunningServer(Protocol):
    """A server that is ready. Whoever has one inherits from here, and says what it can do beyond what every server can."""

    #: What its program warned of at a start that succeeded: each once, in its own words and with the author's file names.
    warnings: tuple[str, ...] = ()
    #: It tells of every connection, whoever made it: see :meth:`arrived`, :meth:`seen` and :meth:`settled`.
    tells_of_everyone: bool = False
    #: Its files can be replaced.
    replaceable: bool = False
    #: That, and it can be told to read them again.
    reloadable: bool = False

    @property
    @abstractmethod
    def address(self) -> Address:
        """Where to connect, on loopback."""
        ...

    @abstractmethod
    def watch(self) -> AbstractContextManager[Watch]:
        """Open it before the client connects. A backend that can't tell connections apart lets one in at a time."""
        ...

    def arrived(self) -> int:
        """Number of the last connection so far; 0: none yet."""
        return 0

    def seen(self, after: int, deadline: Deadline) -> tuple[ServerView, ...]:  # noqa: ARG002 - of one that tells
        """What it saw of the connections that came after that number, in order.

        Waits until there is one and the server is done with all of them, at most until the deadline; one that is not done
        by then is among them as far as it came.
        """
        return ()

    def heard(self) -> int:
        """Rank of its latest news (a connection, or another request on one), for :meth:`heard_after`; a server that only sees
        connections counts those.
        """
        return self.arrived()

    def heard_after(self, rank: int, deadline: Deadline) -> tuple[ServerView, ...]:
        """As :meth:`seen`, of the connections that are new since then or made another request since then."""
        return self.seen(rank, deadline)

    def settled(self) -> Iterator[ServerView]:
        """What it saw of each connection from this call on, as soon as it knows what matters, whoever connects.

        Waits for the next one as long as it takes, and ends when the server does. For a server that shares its log with
        others, it is everyone who comes to any of them.
        """
        return iter(())

    def replace(self, server: ServerSpec) -> None:
        """From now on its files are those of this description; what it has loaded stays what it was.

        Raises:
            LabError: they can't be made or put there; or it is not :attr:`replaceable`.
        """
        raise LabError(f"{server.id}: the files of this server can't be replaced")

    def unchangeable(self, server: ServerSpec) -> str | None:  # noqa: ARG002 - of one that is told by its arguments
        """Why a reload can't bring it to this description, whose files replace its own; ``None``: it can."""
        return None

    def reload(self, deadline: Deadline) -> None:  # noqa: ARG002 - of one that is reloadable
        """Have it read its files again; whoever connects after this returns meets the new configuration. A server that can't be
        told may watch its files: then this waits until it has noticed them.

        Raises:
            ServerUnusable: it can't use them, or has not noticed them, and goes on with what it had.
            LabError: it doesn't say that it is done; or it is not :attr:`replaceable`.
        """
        raise LabError("this server can't be reloaded")


class ServerBackend(Protocol):
    """A way to run servers. Whoever has one inherits from here."""

    def versions(self) -> Mapping[str, str]:
        """Versions of what serves (``nginx`` → ``1.22.1``, ``openssl`` → ``3.0.19``), once a server ran; empty: not known."""
        return {}

    def library_version(self) -> str:
        """Of the TLS library, known once a server ran; ``""``: it does not tell."""
        return ""

    @abstractmethod
    def cannot(self, server: ServerSpec, client: ClientSpec | None) -> str | None:
        """Why this backend can't honour the description, for people; ``None``: it can.

        A case for which this is not ``None`` is skipped with that reason, never run as if the setting were applied.
        """
        ...

    def expect(self, servers: Sequence[ServerSpec]) -> None:  # noqa: ARG002 - of one that gains by knowing
        """Told once, before the first ``serve``: all servers that cases may need, so that several can be started at once.

        Nothing is started here, and a backend may ignore it.
        """
        return

    def report_to(self, listener: Report) -> None:  # noqa: ARG002 - of one that takes time
        """From now on tell the listener about work that takes time, such as pulling an image: what it is, how much is done, of
        how much (0: not known).
        """
        return

    def beginning(
        self,
        server: ServerSpec,  # noqa: ARG002 - of one that gains by it
        directory: Path,  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
    ) -> AbstractContextManager[None]:
        """Entered before the material is made, and left when :meth:`serve` has been entered: what takes long and needs no
        material may be started meanwhile.

        Args:
            server: that will be served.
            directory: of the run, 0700.
            deadline: of what is started.

        Raises:
            LabError: on entering, when the lab is broken.
        """
        return nullcontext()

    @abstractmethod
    def serve(
        self, server: ServerSpec, material: Material, deadline: Deadline
    ) -> AbstractContextManager[RunningServer]:
        """Start it; it is ready (proved by a TLS handshake or an equal proof) when this yields, and leaves nothing behind.

        Raises:
            ServerUnusable: on entering, when it can't start with what it was given.
            LabError: on entering, when the lab is broken.
        """
        ...


class Client(Protocol):
    """A TLS and HTTP client. Whoever has one inherits from here."""

    #: It can keep a connection open, and its session: see :meth:`connect`.
    keeps_connections: bool = False
    #: It goes where redirects lead: see :meth:`follow`.
    follows_redirects: bool = False
    #: It makes several requests on one connection, but all at once, with nothing between them: see :meth:`probe_all`.
    probes_all_at_once: bool = False

    @abstractmethod
    def version(self) -> str:
        """Of the tool.

        Raises:
            LabError: it is not installed.
        """
        ...

    def library_version(self) -> str:
        """Of its TLS library; ``""``: it does not tell."""
        return ""

    @abstractmethod
    def cannot(self, client: ClientSpec) -> str | None:
        """Why this tool can't honour the description, for people; ``None``: it can."""
        ...

    @abstractmethod
    def probe(self, client: ClientSpec, address: Address, material: Material, deadline: Deadline) -> ClientView:
        """One exchange. A refusal is a return value; an exception means that the lab is broken."""
        ...

    def connect(
        self,
        client: ClientSpec,
        address: Address,  # noqa: ARG002 - of one that keeps connections
        material: Material,  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
        session: object | None,  # noqa: ARG002
    ) -> KeptConnection:
        """As :meth:`probe`, its request included; offers the session of an earlier connection of this client's, if given.

        Raises:
            LabError: the session is another client's, or of one with other TLS settings; or it keeps no connections.
        """
        raise LabError(f"{client.tool} keeps no connection")

    def close(self) -> None:
        """End what it keeps running, if anything; it is not used any more."""
        return

    def restart(self, material: Material) -> None:  # noqa: ARG002 - of one that lives on
        """Start it anew, so that it reads its files again; nothing to do where each connection is a process of its own."""
        return

    def follow(
        self,
        client: ClientSpec,
        address: Address,  # noqa: ARG002 - of one that follows redirects
        material: Material,  # noqa: ARG002
        deadline: Deadline,  # noqa: ARG002
    ) -> Sequence[tuple[ClientSpec, ClientView]]:
        """As :meth:`probe`, and on to where redirects lead: each request, as the client is described by then, and what it saw.

        Raises:
            LabError: as :meth:`probe`; or it follows no redirects.
        """
        raise LabError(f"{client.tool} follows no redirects")

    def probe_all(
        self, clients: Sequence[ClientSpec], address: Address, material: Material, deadline: Deadline
    ) -> Sequence[ClientView]:
        """As :meth:`probe` of the first; of the others only ``request`` and ``body_limit`` are heeded.

        Raises:
            LabError: as :meth:`probe`; or it makes one request for each connection.
        """
        if len(clients) > 1:
            raise LabError(f"{clients[0].tool} makes one request for each connection")
        return [self.probe(clients[0], address, material, deadline)]


class TypedCommand(Protocol):
    """Writes what a person would type to do what a client does."""

    def cannot(self, client: ClientSpec) -> str | None:
        """Why no such command can do as described, for people; ``None``: one can.

        Raises:
            LabError: the program is not here, so that nobody knows.
        """
        ...

    def command(self, client: ClientSpec, address: Address, material: Material) -> str:
        """For a POSIX shell, on one line, with no secret in it.

        Raises:
            MaterialError: a file that it names can't be made.
        """
        ...


class KeptConnection(Protocol):
    """A client's connection that may carry further requests, and whose session later ones may resume."""

    @property
    def view(self) -> ClientView:
        """What the client saw of the last request."""
        ...

    @property
    def session(self) -> object | None:
        """What the client can resume later, also when it is closed; ``None``: nothing. Opaque to everybody else."""
        ...

    def ask(self, client: ClientSpec, deadline: Deadline) -> ClientView:
        """Another request on it: of the description only ``request`` and ``body_limit`` are heeded."""
        ...

    def close(self) -> None:
        """Close the connection; closing it again does no harm."""
        ...


class Reporter(Protocol):
    """Consumes events. An exception is reported and changes the exit code; it stops nothing."""

    def handle(self, event: Event) -> None:
        """One event."""
        ...

    def close(self) -> None:
        """Write what is left; called once, whatever happened."""
        ...
