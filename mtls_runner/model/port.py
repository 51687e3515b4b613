"""The protocols between the rooms."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol, runtime_checkable

from mtls_runner.errors import Deadline
from mtls_runner.model.certificate import PEM_ONLY, Credential, FileForm, PresentedFiles, Secret
from mtls_runner.model.endpoint import Address, ChainSpec, ClientSpec, KeySource, ServerSpec
from mtls_runner.model.observation import ClientView, ServerView
from mtls_runner.model.revocation import OcspAnswer, ResponderSpec
from mtls_runner.model.verdict import Event

__all__ = [
    "Attended",
    "BatchClient",
    "Client",
    "KeptConnection",
    "KeepingClient",
    "Material",
    "Recording",
    "Reloadable",
    "Reporter",
    "RunningServer",
    "ServerBackend",
    "TakingTime",
    "TypedCommand",
    "Warned",
    "Watch",
]


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
    """A server that is ready."""

    @property
    def address(self) -> Address:
        """Where to connect, on loopback."""
        ...

    def watch(self) -> AbstractContextManager[Watch]:
        """Open it before the client connects. A backend that can't tell connections apart lets one in at a time."""
        ...


@runtime_checkable
class Warned(RunningServer, Protocol):
    """A running server whose program says what is odd about its configuration and starts all the same."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What it warned of while it started, each once, in its own words and with the author's file names."""
        ...


@runtime_checkable
class Recording(RunningServer, Protocol):
    """A running server that tells of every connection, whoever made it: the lab's clients or somebody else's."""

    def arrived(self) -> int:
        """Number of the last connection so far; 0: none yet."""
        ...

    def seen(self, after: int, deadline: Deadline) -> tuple[ServerView, ...]:
        """What it saw of the connections that came after that number, in order.

        Waits until there is one and the server is done with all of them, at most until the deadline; one that is not done
        by then is among them as far as it came.
        """
        ...


@runtime_checkable
class Attended(RunningServer, Protocol):
    """A running server that somebody sits beside, who wants to see everyone that comes."""

    def settled(self) -> Iterator[ServerView]:
        """What it saw of each connection from this call on, as soon as it knows what matters, whoever connects.

        Waits for the next one as long as it takes, and ends when the server does. For a server that shares its log with
        others, it is everyone who comes to any of them.
        """
        ...


@runtime_checkable
class Reloadable(RunningServer, Protocol):
    """A running server whose files can be replaced, and that can be told to read them again."""

    def replace(self, server: ServerSpec) -> None:
        """From now on its files are those of this description; what it has loaded stays what it was.

        Raises:
            LabError: they can't be made or put there.
        """
        ...

    def reload(self, deadline: Deadline) -> None:
        """Have it read its files again; whoever connects after this returns meets the new configuration.

        Raises:
            ServerUnusable: it can't use them, and goes on with what it had.
            LabError: it doesn't say that it is done.
        """
        ...


class ServerBackend(Protocol):
    """A way to run servers."""

    def versions(self) -> Mapping[str, str]:
        """Of what serves (``nginx`` → ``1.22.1``, ``openssl`` → ``3.0.19``), known once a server ran."""
        ...

    def cannot(self, server: ServerSpec, client: ClientSpec | None) -> str | None:
        """Why this backend can't honour the description, for people; ``None``: it can.

        A case for which this is not ``None`` is skipped with that reason, never run as if the setting were applied.
        """
        ...

    def expect(self, servers: Sequence[ServerSpec]) -> None:
        """Told once, before the first ``serve``: all servers that cases may need, so that several can be started at once.

        Nothing is started here, and a backend may ignore it.
        """
        ...

    def serve(
        self, server: ServerSpec, material: Material, deadline: Deadline
    ) -> AbstractContextManager[RunningServer]:
        """Start it; it is ready (proved by a TLS handshake or an equal proof) when this yields, and leaves nothing behind.

        Raises:
            ServerUnusable: on entering, when it can't start with what it was given.
            LabError: on entering, when the lab is broken.
        """
        ...


@runtime_checkable
class TakingTime(Protocol):
    """A backend whose servers take time to start, for other reasons than their own work: an image is pulled."""

    def report_to(self, listener: Callable[[str, int, int], None]) -> None:
        """From now on tell of such work: doing what, how much is done, of how much (0: not known)."""
        ...


class Client(Protocol):
    """A TLS and HTTP client."""

    def version(self) -> str:
        """Of the tool.

        Raises:
            LabError: it is not installed.
        """
        ...

    def cannot(self, client: ClientSpec) -> str | None:
        """Why this tool can't honour the description, for people; ``None``: it can."""
        ...

    def probe(self, client: ClientSpec, address: Address, material: Material, deadline: Deadline) -> ClientView:
        """One exchange. A refusal is a return value; an exception means that the lab is broken."""
        ...


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
        """As a client that is done; more than once does no harm."""
        ...


@runtime_checkable
class KeepingClient(Client, Protocol):
    """A client that can keep a connection open, and its session."""

    def connect(
        self, client: ClientSpec, address: Address, material: Material, deadline: Deadline, session: object | None
    ) -> KeptConnection:
        """As :meth:`Client.probe`, its request included; offers the session of an earlier connection of this client's, if given.

        Raises:
            LabError: the session is another client's, or of one with other TLS settings.
        """
        ...


@runtime_checkable
class BatchClient(Client, Protocol):
    """A client that makes several requests on one connection, but all at once: nothing can be done between them."""

    def probe_all(
        self, clients: Sequence[ClientSpec], address: Address, material: Material, deadline: Deadline
    ) -> Sequence[ClientView]:
        """As :meth:`Client.probe` of the first; of the others only ``request`` and ``body_limit`` are heeded."""
        ...


class Reporter(Protocol):
    """Consumes events. An exception is reported and changes the exit code; it stops nothing."""

    def handle(self, event: Event) -> None:
        """One event."""
        ...

    def close(self) -> None:
        """Write what is left; called once, whatever happened."""
        ...
