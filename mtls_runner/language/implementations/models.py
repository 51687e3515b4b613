"""What an author may write in an ``implementation.yaml``: how a program serves, and how it connects."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mtls_runner.language.document import Value
from mtls_runner.language.implementations.parts import (
    BuildModel,
    ClientHonoursModel,
    ContainerModel,
    DialectModel,
    DifferenceModel,
    DirectivesModel,
    FileModel,
    HonoursModel,
    LogModel,
    LogsModel,
    NeedsModel,
    PatternModel,
    ReloadModel,
    VersionModel,
)
from mtls_runner.language.implementations.scalars import (
    Command,
    Connects,
    DialectName,
    Environment,
    Fact,
    FileName,
    OneGroup,
    Reads,
    Regex,
    SignalName,
)
from mtls_runner.language.values import (
    Bool,
    Many,
    Maybe,
    OneOrMore,
    Parsed,
    Seconds,
    Strict,
    Text,
    about,
    as_bool,
    bounded,
    text_value,
    word,
)
from mtls_runner.model.implementation import ANSWERS

__all__ = ["MODELS", "ClientModel", "ImplementationModel", "ServerModel", "StaysModel"]


def _faketime(value: Value) -> bool | str:
    given = as_bool(value)
    return text_value(value) if given is None else given


_Faketime = Maybe[Annotated[bool | str, Parsed(_faketime, {"type": ["boolean", "string"]})]]


class ServerModel(Strict):
    """A server's declaration: how it serves."""

    command: Command = Field(
        description="The program in the foreground; each argument is a template.",
        examples=[["haproxy", "-W", "-db", "-f", "{{dir}}/haproxy.cfg"]],
    )
    dialect: DialectName = Field(description="How its TLS library words refusals.", examples=["openssl"])
    files: Maybe[dict[FileName, FileModel]] = about(
        "Files in {{dir}}.", {"haproxy.cfg": {"template": "haproxy.cfg.j2"}}
    )
    check: Annotated[list[Text] | None, OneOrMore(empty=False)] = about(
        "A command that says why it can't start.", ["haproxy", "-c", "-f", "{{dir}}/haproxy.cfg"]
    )
    environment: Maybe[Environment] = about("Variables; templates. Never a secret.", {"GODEBUG": "http2server=0"})
    stop: Maybe[SignalName] = about("The signal that ends it; TERM by default.", "QUIT")
    listens_everywhere: Maybe[Bool] = about(
        "Whether it can't be told an address: then a small library of the lab's keeps it on loopback (ld.so(8), LD_PRELOAD), "
        "which needs Linux and a C compiler.",
        True,
    )
    answers: Annotated[str | None, word(ANSWERS, "a way to answer")] = about(
        "Who answers requests: what its files say (config); the lab by its standard input (stdin); or an application of the "
        "lab's behind it, in the clear, at {{application}} (application).",
        "application",
    )
    reload: Maybe[ReloadModel] = about(
        "How it is told to read its files again; without it, it is looked at whether it notices by itself.",
        {"signal": "HUP", "done": "reloaded"},
    )
    honours: Maybe[HonoursModel] = about("What it can be told.", {"client_auth": ["optional", "required"]})
    config: Maybe[FileName] = about("The file that an own configuration (`config:`) takes the place of.", "haproxy.cfg")
    listens: Maybe[OneGroup] = about(
        "Where such a configuration says what it listens on: a regular expression with one group. Beyond loopback it runs in "
        "a container only.",
        "^\\s*bind\\s+(\\S+)",
    )
    connects: Many[Connects] = about(
        "Where such a configuration says what it connects to: regular expressions with the groups host and port. What "
        "`upstreams:` names is reached where the lab has it.",
        "^\\s*server\\s+\\S+\\s+(?P<host>[^\\s:]+)(?::(?P<port>\\d+))?",
    )
    logs: Maybe[LogsModel] = about(
        "Where such a configuration says where its log goes, and what takes the place of that, so that the lab reads it.",
        {"match": "^\\s*ErrorLog\\s+(?P<log>\\S+)", "instead": "/dev/stderr"},
    )
    reads: Maybe[Reads] = about(
        "Where such a configuration reads environment variables: a regular expression with the group variable. In a container, "
        "it has those of them that mtls-run was started with.",
        "\\$\\{(?P<variable>\\w+)\\}",
    )
    directives: Maybe[DirectivesModel] = about(
        "What such a configuration says where hints are about it, in the program's own words.",
        {"certificate": "verify required", "crl": "crl-file", "trust": "ca-file", "log": "error-log-format"},
    )
    log: Maybe[LogModel] = about("How to read its log.", {"connection": "port={{client_port}}\\b"})
    completes_chains: Maybe[Bool] = about(
        "Whether it sends issuers that it finds among what it trusts, where it was given no intermediates.", True
    )
    faketime: _Faketime = about(
        "Whether libfaketime moves its clock: it is linked with glibc, and asks that; or why not, as a clause.",
        True,
        "Go asks the kernel for the time",
    )
    verify_depth: Annotated[int | None, bounded(0, 100)] = about(
        "Intermediates that it allows where it is told nothing (verify_depth).", 1
    )
    start: Many[PatternModel] = about(
        "Lines that say why it can't start, before the dialect's.",
        [{"match": "unknown directive", "reasons": "bad-config"}],
    )
    starts_within: Maybe[Seconds] = about("Seconds from its start in which it has to answer; 60 by default.", 10)
    differs: Many[DifferenceModel] = about(
        "Cases of the catalogue that end otherwise here than at nearly everybody's; `check` proves them, and names others.",
        [{"case": "server.with-a-weak-key", "outcome": "server-started"}],
    )
    container: Maybe[ContainerModel] = about(
        "How it runs in a container; without it, only as a process.", {"image": "haproxy:3.0"}
    )


class StaysModel(Strict):
    """A client that stays, and makes one exchange after another: for a program that takes long to start."""

    request: Text = Field(
        description="A template: the line that it reads from standard input for each exchange.",
        examples=["{{dir}}/lab.json"],
    )
    done: Regex = Field(
        description="The line with which it ends each: a regular expression with one group, the exit code that a process of its "
        "own would have.",
        examples=["^exit (\\d+)$"],
    )
    ready: Maybe[Regex] = about(
        "The line with which it says that it has started, which has a limit of its own; by default the first exchange's has "
        "to do for that, too.",
        "^ready$",
    )


class ClientModel(Strict):
    """A client's declaration: how it connects."""

    command: Command = Field(
        description="The program; each argument is a template.", examples=[["{{cache}}/lab", "get", "{{url}}"]]
    )
    dialect: DialectName = Field(description="How its TLS library words refusals.", examples=["go"])
    files: Maybe[dict[FileName, FileModel]] = about("Files in {{dir}}.", {"request": {"content": "{{request}}"}})
    environment: Maybe[Environment] = about("Variables; templates. Never a secret.", {"GODEBUG": "http2client=0"})
    honours: Maybe[ClientHonoursModel] = about("What it can be told.", {"settings": ["insecure"]})
    told_port: Maybe[Bool] = about(
        "Whether it neither says which port it connects from, nor can be told one: then a small library of the lab's sees to "
        "it, as for listens_everywhere.",
        True,
    )
    input: Maybe[Text] = about("A template of what it reads from standard input.", "{{request}}")
    stays: Maybe[StaysModel] = about(
        "Where one process makes one exchange after another, each on connections of its own. Then `command` names nothing of a "
        "single one, as {{dir}}. By default each is a process of its own, which ends.",
        {"request": "{{dir}}/lab.json", "done": "^exit (\\d+)$"},
    )
    facts: Many[Fact] = about(
        "Regular expressions, searched for in all that it wrote; named groups say what it saw: status, header_name and "
        "header_value, body (base64), local_port, peer (base64 of DER), tls, cipher, alpn, agreed, asked, sent. A client that "
        "connects once more tells local_port again, and what stands before is not of that connection.",
        "^status (?P<status>\\d{3})$",
    )
    refused: Many[PatternModel] = about(
        "Lines of its own about refusals, before the dialect's.", [{"match": "^verify result (?P<code>[1-9]\\d*)"}]
    )
    start: Many[PatternModel] = about(
        "Lines that say that its own material can't be used, before the dialect's.",
        [{"match": "bad passphrase", "reasons": "wrong-passphrase"}],
    )
    differs: Many[DifferenceModel] = about(
        "As for a server.", [{"case": "the client's certificate has a broken extension", "outcome": "server-refused"}]
    )
    completes_chains: Maybe[Bool] = about("As for a server.", True)
    faketime: _Faketime = about("As for a server.", True)
    transcript: Annotated[str | None, word(("openssl-msg",), "a form of transcript")] = about(
        "Handshake messages that it prints: openssl-msg, as `openssl s_client -msg` does.", "openssl-msg"
    )
    response: Annotated[str | None, word(("raw", "facts"), "a form of response")] = about(
        "raw: its standard output is the response, head and body; facts by default.", "raw"
    )


class ImplementationModel(Strict):
    """A program that serves or connects."""

    name: Text = Field(description="Its name, for people.", examples=["HAProxy"])
    description: Maybe[Text] = about("One sentence about it.", "HAProxy's TLS termination")
    needs: Maybe[NeedsModel] = about("What has to be installed for it.", {"command": "haproxy", "debian": "haproxy"})
    version: Maybe[VersionModel] = about(
        "How to ask for its version.", {"command": ["haproxy", "-v"], "match": "version (\\S+)"}
    )
    build: Maybe[BuildModel] = about("How it is made from sources.", {"command": ["go", "build"], "output": "lab"})
    server: Maybe[ServerModel] = about(
        "How it serves; without it, it only connects.", {"command": ["haproxy"], "dialect": "openssl"}
    )
    client: Maybe[ClientModel] = about(
        "How it connects; without it, it only serves.", {"command": ["lab", "get", "{{url}}"], "dialect": "go"}
    )


#: All of them: each has a table in the reference.
MODELS = (
    ImplementationModel,
    NeedsModel,
    VersionModel,
    BuildModel,
    ServerModel,
    FileModel,
    HonoursModel,
    LogModel,
    PatternModel,
    ReloadModel,
    LogsModel,
    DirectivesModel,
    ContainerModel,
    ClientModel,
    StaysModel,
    ClientHonoursModel,
    DifferenceModel,
    DialectModel,
)
