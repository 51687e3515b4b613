"""A program that serves or connects, as a declaration says how: what to run, what it can be told, how to read its words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, field

from mtls_runner.errors import Span
from mtls_runner.model.endpoint import ClientAuth, TlsVersion
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.traits import Directives

__all__ = [
    "Build",
    "Command",
    "DeclaredClient",
    "DeclaredFile",
    "DeclaredServer",
    "Dialect",
    "Difference",
    "Honours",
    "Implementation",
    "Log",
    "Logs",
    "Needs",
    "Pattern",
    "Reload",
    "ServerContainer",
    "Version",
]

#: Arguments; each is a template.
Command = tuple[str, ...]

_PACKAGE = Path(__file__).parents[1]


class Pattern(Struct, frozen=True, eq=False):
    """What a line means.

    Args:
        match: a regular expression, searched for in a line. Named groups: ``code`` (``X509_V_*``), ``error`` (OpenSSL's packed
            error, hexadecimal), ``alert`` (its number).
        reasons: what the line allows; several where the program blurs them, none where a group tells, or the line is about
            what the other end did.
        code: OpenSSL's verify code that the words stand for.
        alert: RFC 8446 name of the alert that the *other* end sent.
        source: where the wording comes from.
        seen: a line as the program wrote it.
        said_by: of a dialect's: the implementation that is brought to say it where they are proved; ``""``: any.
        place: where it is declared.
    """

    match: str
    reasons: tuple[Reason, ...] = ()
    code: int | None = None
    alert: str | None = None
    source: str = ""
    seen: str = ""
    said_by: str = ""
    place: Span | None = None


class Difference(Struct, frozen=True):
    """A case of the catalogue that has another outcome here than with nearly all implementations.

    Args:
        case: of the catalogue, by its name without the matrix's parameters.
        outcome: what comes of it here.
        source: why.
        sometimes: it has that outcome only by chance, or only with some partners.
    """

    case: str
    outcome: Outcome
    source: str = ""
    sometimes: bool = False


class Dialect(Struct, frozen=True, eq=False):
    """How a TLS library words its refusals.

    Args:
        name: ``openssl``, ``boringssl``, ``go``, …
        library: its name for people.
        lines: of connections, the first that matches counts.
        start: of programs that can't use what they were given.
    """

    name: str
    library: str
    lines: tuple[Pattern, ...]
    start: tuple[Pattern, ...] = ()


class Needs(Struct, frozen=True):
    """What has to be installed, and the packages that have it.

    Args:
        commands: names of a program; one of them has to be on PATH.
        module: of the Python that runs the lab, instead of a command.
    """

    commands: tuple[str, ...] = ()
    module: str | None = None
    debian: str | None = None
    pypi: str | None = None

    def sentence(self, name: str) -> str:
        """Why a case is skipped where it is missing."""
        ways = [
            way
            for way in (
                f"apt install {self.debian}" if self.debian else "",
                f"pip install {self.pypi}" if self.pypi else "",
            )
            if way
        ]
        how = f" ({' or '.join(ways)})" if ways else ""
        if self.module is not None:
            return f"{name} is not installed: this Python has no module {self.module!r}{how}"
        return f"{name} is not installed: there is no {' or '.join(map(repr, self.commands))} on PATH{how}"


class Version(Struct, frozen=True, eq=False):
    """How to ask for the program's version (``match``, one group) and its TLS library's (``library``)."""

    command: Command
    match: str
    library: str | None = None


class Build(Struct, frozen=True, eq=False):
    """A command that makes the program from its sources, once for each version and source; ``output`` lies in ``{{cache}}``."""

    command: Command
    needs: Needs
    output: str
    environment: tuple[tuple[str, str], ...] = ()


class DeclaredFile(Struct, frozen=True, eq=False):
    """A file that the program is given: a template, the syntax whose escapes its expressions get, and whether it is a program."""

    name: str
    text: str
    syntax: str = "plain"
    executable: bool = False


class Honours(Struct, frozen=True):
    """What an end can be told: a positive list; what is not in it is never run as if it had been applied.

    Args:
        client_auth: modes.
        tls: versions; ``gaps``: any set of them, not only from one to another.
        crl_check: parts of a chain that it can look up in CRLs.
        settings: names of other settings, of the scenario's language.
        statuses: that it can answer with; ``None``: any.
        alpn: lists that it can be given, as ``h2, http/1.1``; ``None``: any.
    """

    client_auth: frozenset[ClientAuth] = frozenset()
    tls: frozenset[TlsVersion] = frozenset()
    gaps: bool = False
    crl_check: frozenset[RevocationCheck] = frozenset()
    settings: frozenset[str] = frozenset()
    statuses: frozenset[int] | None = None
    alpn: frozenset[tuple[str, ...]] | None = frozenset()

    @property
    def opens_keys(self) -> bool:
        """Whether it opens an encrypted key with a passphrase."""
        return "passphrase" in self.settings


class Log(Struct, frozen=True, eq=False):
    """How to read what a program writes.

    Args:
        dialect: of its TLS library.
        connection: the line that names a connection's client port (``{{client_port}}``), and perhaps an ``{{id}}``; ``None``:
            lines don't tell connections apart, so that one is made at a time.
        line: where an ``{{id}}`` stands in lines without a port.
        refused: patterns of the program's own, before the dialect's.
        facts: regular expressions whose named groups say what it saw: ``certificate`` (base64 of DER), ``subject``,
            ``verify``, ``tls``, ``cipher``, ``server_name``, ``method``, ``path``, ``resumed``.
        ended: a line after which nothing that matters comes about its connection.
    """

    dialect: Dialect
    connection: str | None = None
    line: str | None = None
    refused: tuple[Pattern, ...] = ()
    facts: tuple[str, ...] = ()
    ended: str | None = None


class Logs(Struct, frozen=True, eq=False):
    """Where a configuration of one's own says where its log goes: a regular expression with the group ``log``, and what takes the
    place of that, so that the lab reads it.
    """

    match: str
    instead: str


class Reload(Struct, frozen=True, eq=False):
    """How a server is made to read its files again (by a signal, or a file that it watches), and patterns of the lines that
    say that it has done so, has failed, has begun. ``ends``: it ends where it fails.
    """

    signal: str | None
    file: str | None
    done: str
    failed: str | None = None
    begun: str | None = None
    ends: bool | None = None


class ServerContainer(Struct, frozen=True, eq=False):
    """Its image, and its command there where that differs."""

    image: str
    command: Command | None = None
    user: str | None = None


#: Who answers for a declared server.
ANSWERS = ("config", "stdin", "application")


class DeclaredServer(Struct, frozen=True, eq=False):
    """How it serves.

    Args:
        command: what runs it, in the foreground.
        log: how to read what it writes.
        honours: what it can be told.
        files: that it is given.
        check: what says why it can't start; ``None``: its own last words do.
        environment: variables; templates.
        stop: the signal that ends it.
        listens_everywhere: it can't be told an address, so that a library in front of it keeps it on loopback.
        answers: one of :data:`ANSWERS`: ``config``: by its configuration; ``stdin``: the lab writes the answer to its standard
            input; ``application``: an application of the lab's behind it does.
        reload: how it reads its files again; ``None``: not at all.
        config: where an own configuration goes; ``None``: nowhere.
        listens: a regular expression with one group: what such a configuration says that it listens on.
        connects: regular expressions with the groups ``host`` and ``port``: what such a configuration says that it connects to.
        logs: where such a configuration says where its log goes; ``None``: nobody knows, and it goes there.
        reads: a regular expression with the group ``variable``: where such a configuration reads environment variables.
        directives: how such a configuration says what hints are about.
        container: how it runs in one; ``None``: only as a process.
        completes_chains: it sends issuers that it finds among what it trusts, where it was given no intermediates.
        verify_depth: intermediates that it allows where it is told nothing; ``None``: nobody knows.
        start: patterns of lines that say why it can't start, before the dialect's.
        starts_within: seconds until which it has to answer; ``None``: as any server.
        faketime: libfaketime moves its clock; or why it does not, as a clause.
        differs: cases of the catalogue that end otherwise here.
    """

    command: Command
    log: Log
    honours: Honours
    files: tuple[DeclaredFile, ...] = ()
    check: Command | None = None
    environment: tuple[tuple[str, str], ...] = ()
    stop: str = "TERM"
    listens_everywhere: bool = False
    answers: str = "config"
    reload: Reload | None = None
    config: str | None = None
    listens: str | None = None
    connects: tuple[str, ...] = ()
    logs: Logs | None = None
    reads: str | None = None
    directives: Directives | None = None
    container: ServerContainer | None = None
    completes_chains: bool = False
    verify_depth: int | None = None
    start: tuple[Pattern, ...] = ()
    starts_within: float | None = None
    differs: tuple[Difference, ...] = ()
    faketime: bool | str = False


class Stays(Struct, frozen=True):
    """How a client that stays is asked for one exchange after another.

    Args:
        request: a template of the line that it reads for each.
        done: a regular expression for the line that ends each; its group is the exit code that a separate process would have.
        ready: a regular expression for the line that ends its start; ``None``: there is no such line.
    """

    request: str
    done: str
    ready: str | None = None


class DeclaredClient(Struct, frozen=True, eq=False):
    """How it connects.

    Args:
        command: what runs it, to its end; or as long as there is something to ask of it, if it ``stays``.
        dialect: of its TLS library.
        honours: what it can be told.
        files: that it is given.
        facts: regular expressions, each searched for in all that it wrote; named groups as for a server, and ``status``,
            ``header`` (name and value), ``body`` (base64), ``alpn``, ``local_port``, ``peer`` (base64 of DER).
        refused: patterns of its own, before the dialect's.
        transcript: ``openssl-msg``: it prints handshake messages as ``openssl s_client -msg`` does.
        told_port: a library in front of it has it connect from a port that the lab knows, since it tells none.
        input: a template of what it reads; ``None``: nothing.
        stays: how it is asked for several exchanges; ``None``: each is a process of its own.
        response: ``raw``: its standard output is the response; ``facts`` tell it otherwise.
        start: patterns of lines that say that its own material can't be used, before the dialect's.
        completes_chains, differs, faketime: as for a server.
    """

    command: Command
    dialect: Dialect
    honours: Honours
    files: tuple[DeclaredFile, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    facts: tuple[str, ...] = ()
    refused: tuple[Pattern, ...] = ()
    start: tuple[Pattern, ...] = ()
    completes_chains: bool = False
    transcript: str | None = None
    told_port: bool = False
    input: str | None = None
    stays: Stays | None = None
    response: str = "facts"
    differs: tuple[Difference, ...] = ()
    faketime: bool | str = False


class Implementation(Struct, frozen=True, eq=False):
    """One declaration. Compared by identity: each file is read once.

    Args:
        name: that ``backend:`` and ``tool:`` take.
        title: for people.
        about: one sentence.
        library: its TLS library.
        path: the file.
        shipped: it came with an installed package, so that its commands need no consent.
    """

    name: str
    title: str
    library: str
    path: Path
    about: str = ""
    needs: Needs | None = None
    version: Version | None = None
    build: Build | None = None
    server: DeclaredServer | None = None
    client: DeclaredClient | None = None
    shipped: bool = False
    sources: Mapping[str, str] = field(default_factory=dict)
    """Names of files of its own → their texts: for ``build``."""

    @property
    def comes_with_lab(self) -> bool:
        """Whether its file is one of this package's: their programs print no secret."""
        return self.path.is_relative_to(_PACKAGE)

    @property
    def library_name(self) -> str:
        """The name under which its TLS library's version is told; other implementations may have the same library."""
        return f"{self.library} ({self.name})"
