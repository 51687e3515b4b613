"""``mtls-run implementation``: what declarations there are, what one says, whether it holds, and a start for a new one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from mtls_runner.cli.program import ExitCode
from mtls_runner.errors import ScenarioError, UsageError
from mtls_runner.language.implementations.reading import read_implementation, shipped
from mtls_runner.language.tree import of_tree
from mtls_runner.model.implementation import Honours, Implementation, Pattern
from mtls_runner.registry import DECLARATION, registry, unknown
from mtls_runner.registry.additions import declaration_files
from mtls_runner.runtimes.installed import Installed, missing_program

__all__ = ["check", "declarations", "list_all", "new", "show"]


def _here() -> Path:
    """A path in the directory that the command is run in, whose tree's declarations can be named."""
    return Path.cwd() / "scenario.yaml"


def declarations() -> dict[str, Path]:
    """Declarations of the working directory's tree, then those that come with this or another package, by name."""
    return {**of_tree(_here()), **{name: Path(path) for name, path in declaration_files().items()}}


def _named(name: str) -> Implementation:
    known = declarations()
    if name not in known:
        ours = registry()
        for option, table in (("--backend", ours.backends), ("--tool", ours.clients)):
            if name in table:
                raise UsageError(
                    f"no file declares {name!r}: it is code of mtls-run's, or a distribution's ({option} {name})"
                )
        raise unknown("implementation", name, sorted(known))
    path = known[name]
    return shipped(path, name) if name in declaration_files() else read_implementation(path)


def list_all() -> ExitCode:
    """One paragraph for each. Commands of a tree's own are not run for that; one that can't be read stops no other."""
    for name, path in declarations().items():
        try:
            told = list(_told(_named(name)))
        except (ScenarioError, UsageError) as error:
            told = [f"{name}  can't be read: {path}", *(f"    {line}" for line in str(error).splitlines()[:1])]
        click.echo("\n".join(told))
    return ExitCode.OK


def _told(implementation: Implementation) -> Iterator[str]:
    roles = [
        role for role, end in (("server", implementation.server), ("client", implementation.client)) if end is not None
    ]
    yield f"{implementation.name}  {implementation.title}: {' and '.join(roles)}"
    missing = missing_program(implementation)
    if missing is not None:
        yield f"    {missing}"
    elif implementation.shipped:
        versions = Installed(implementation).versions()
        yield f"    installed: {', '.join(f'{name} {version}' for name, version in versions.items()) or 'version not told'}"
    else:
        yield f"    {implementation.path}: runs with --allow-commands only"
    inside = implementation.server.container if implementation.server is not None else None
    place = f"a process, or in a container ({inside.image})" if inside is not None else "a process"
    yield f"    TLS library: {implementation.library}; runs as {place}"
    if implementation.server is not None:
        yield f"    server honours: {'; '.join(_honours(implementation.server.honours))}"
    if implementation.client is not None:
        yield f"    client honours: {'; '.join(_honours(implementation.client.honours))}"


def _honours(honours: Honours) -> Iterator[str]:
    if honours.client_auth:
        yield f"client_auth {', '.join(sorted(honours.client_auth))}"
    yield f"tls {', '.join(sorted(honours.tls))}"
    if honours.crl_check:
        yield f"crl_check {', '.join(sorted(honours.crl_check))}"
    if honours.alpn is None:
        yield "alpn any"
    elif honours.alpn:
        yield f"alpn {' or '.join(sorted(','.join(one) for one in honours.alpn))}"
    if honours.settings:
        yield ", ".join(sorted(honours.settings))


def show(name: str) -> ExitCode:
    """The file, what it honours, and each pattern with what it means and where its words come from."""
    implementation = _named(name)
    click.echo("\n".join(_told(implementation)))
    click.echo(f"    declared in {implementation.path}")
    for noun, patterns in _patterns(implementation):
        click.echo(f"  {noun}:")
        for pattern in patterns:
            source = f"  ({pattern.source})" if pattern.source else ""
            click.echo(f"    {pattern.match}  →  {_meaning(pattern)}{source}")
    for end in (implementation.server, implementation.client):
        for one in end.differs if end is not None else ():
            source = f"  ({one.source})" if one.source else ""
            often = ", sometimes" if one.sometimes else ""
            click.echo(f"  differs: {one.case}: {one.outcome}{often}{source}")
    return ExitCode.OK


def _patterns(implementation: Implementation) -> Iterator[tuple[str, tuple[Pattern, ...]]]:
    """All that its lines are read by, in the order in which they are tried."""
    if implementation.server is not None:
        log = implementation.server.log
        yield "refusals that its server logs", (*log.refused, *log.dialect.lines)
    if implementation.client is not None:
        yield "refusals that its client tells", (*implementation.client.refused, *implementation.client.dialect.lines)


def _meaning(pattern: Pattern) -> str:
    if pattern.reasons:
        return " or ".join(pattern.reasons)
    if pattern.code is not None:
        return f"verify code {pattern.code}"
    if pattern.alert is not None:
        return f"the other end sent {pattern.alert}"
    return "as its groups say"


def check(names: Sequence[str], *, everything: bool = False) -> ExitCode:
    """Prove some, or all that come with the package, and then each pattern of their dialects, too."""
    from mtls_runner.cli.implementation_check import prove

    chosen = [_named(name) for name in names or sorted(declaration_files())]
    for implementation in chosen:
        missing = missing_program(implementation)
        if missing is not None:
            raise UsageError(missing)
    return prove(chosen, _here(), dialects=not names, everything=everything)


_START = """\
# A server or a client for mtls-run; docs/implementations.md says what every key means, `mtls-run schema implementation`
# prints the schema. Name it in a scenario by `backend: {name}` (of a client, `tool: {name}`), and run that with --allow-commands:
# it runs a command of yours. For a client, take away `server:` with all below it, and the marks before `client:`.
#
# One that comes with mtls-run may be like it: `mtls-run implementation show stunnel` says where its file lies.
name: {name}
needs: {{command: {name}}}                    # on PATH; add debian: or pypi: to say what to install
version: {{command: [{name}, --version], match: '(\\d+\\.[\\d.]+)'}}
server:
  # In the foreground. {{{{dir}}}} is a private directory, {{{{address}}}} where to listen.
  command: [{name}, '{{{{dir}}}}/{name}.conf']
  # Where it only ends TLS in front of somebody else, who is then at {{{{application}}}}; else its files say what it answers.
  # answers: application
  dialect: openssl                          # how its TLS library words refusals: openssl, boringssl, go, jsse,
                                            # rustls, nss or gnutls
  files:
    {name}.conf:
      syntax: line                          # how values are written: plain, line, json, haproxy, apache
      content: |
        listen = {{{{address}}}}
        certificate = {{{{certificate}}}}
        key = {{{{key}}}}
        trust = {{{{trust}}}}
        # Lists are written as the file has them: {{% for version in tls %}} {{{{version}}}}{{% endfor %}}
  honours:                                  # a positive list: a case that asks for more is skipped
    client_auth: [required]
    tls: [TLSv1.2, TLSv1.3]
  log:
    # How a line names the client's port. Without it, the lab makes one connection at a time; leave it out where a connection
    # can end the process that serves others, too.
    # connection: 'port={{{{client_port}}}}\\b'
    # A line after which nothing comes about its connection, so that nobody waits for more.
    # ended: '^closed'
    # Regular expressions that say what it saw. Where neither they nor `ended` ever match, each connection that goes well
    # takes three seconds longer: that long a line may come.
    facts: []                               # '"(?P<method>[A-Z]+) (?P<path>\\S+) HTTP', ' (?P<tls>TLSv1\\.\\d) ', …
# client:
#   # It connects to {{{{address}}}}, whatever the URL names, which need not resolve: {{{{server_name}}}} is what it asks for,
#   # and {{{{verify_name}}}} what it looks for in the server's certificate. An argument that comes out empty is left out.
#   command:
#     - {name}
#     - --connect={{{{address}}}}
#     - '{{% if server_name %}}--name={{{{server_name}}}}{{% endif %}}'
#     - --ca={{{{trust}}}}
#     - '{{% if certificate %}}--cert={{{{certificate}}}}{{% endif %}}'
#     - '{{% if certificate %}}--key={{{{key}}}}{{% endif %}}'
#     - --tls-min={{{{tls_min}}}}
#     - --tls-max={{{{tls_max}}}}
#     - '{{{{url}}}}'
#   dialect: openssl
#   honours: {{tls: [TLSv1.2, TLSv1.3]}}
#   # What it writes. By its port the lab finds what the server saw of it: one that can't tell it, `told_port: true` does it for.
#   facts: ['^port (?P<local_port>\\d+)', '^status (?P<status>\\d+)', '^body (?P<body>\\S*)']     # the body in base64
"""


def new(name: str) -> ExitCode:
    """Write a commented start; nothing is overwritten.

    Raises:
        UsageError: the name is taken or impossible, or the file is there.
    """
    from mtls_runner.language.values import ID_PATTERN

    if not ID_PATTERN.fullmatch(name):
        raise UsageError(f"{name!r} can't be a name: letters, digits, - and _, beginning with a letter or digit")
    if name in registry().backends or name in registry().clients:
        raise UsageError(f"the name {name!r} is taken by one that comes with mtls-run or was installed; choose another")
    path = Path("implementations") / name / DECLARATION
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(_START.format(name=name))
    except FileExistsError:
        raise UsageError(f"{path} is there already; nothing is overwritten") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    click.echo(f"{path}\nnext: fill it in, then mtls-run implementation check {name}")
    return ExitCode.OK
