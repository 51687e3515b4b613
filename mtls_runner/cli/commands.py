"""The commands and their options. Nothing heavy is imported here: ``--help`` has to be quick."""

from __future__ import annotations

from functools import partial

import click

from mtls_runner.cli.program import DefaultCommandGroup, WholeSentences
from mtls_runner.registry import registry, reporters

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from click.shell_completion import CompletionItem

__all__ = ["PAGES", "root"]

_CONTEXT = {"help_option_names": ["-h", "--help"]}
_BACKENDS, _CLIENTS, _REPORTERS = (", ".join(table) for table in (registry().backends, registry().clients, reporters()))


#: Name → what is in it; the file is ``docs/<name>.md``, in a wheel beside the package's code.
PAGES = {
    "scenario-language": "everything that a scenario can say, key by key",
    "commands": "every command and its options",
    "tutorial": "from a certificate to mutual TLS on nginx, in thirteen labs",
    "recipes": "for what people usually come with",
    "outcomes": "what happens if …, for every fault, on each backend and with each client",
    "implementations": "any server or client, declared in one file",
    "pytest": "the same labs under your own client's tests",
    "python": "the same from a program of your own",
    "conformance": "the catalogue of faults, run everywhere",
}


def _offer(what: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """What a shell offers there; nothing of it is loaded before it asks."""

    def offered(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        from mtls_runner.cli import completion

        found: list[CompletionItem] = getattr(completion, what)(ctx, param, incomplete)
        return found

    return offered


_color = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    is_flag=False,
    flag_value="always",
    help="Colours: on a terminal (auto), always or never. NO_COLOR is honoured.",
)


_runtime = click.option(
    "--runtime",
    type=click.Choice(["process", "container"]),
    help="Run servers as processes of this machine, or in containers, where the backend has a choice.",
)


_allow_commands = click.option(
    "--allow-commands",
    is_flag=True,
    help="Let scenarios run commands that their tree brings: implementations of its own, backend: and tool: as mappings.",
)


_file = click.argument("file", type=click.Path(), shell_complete=_offer("paths"))
_paths = partial(
    click.argument,
    "paths",
    nargs=-1,
    required=True,
    type=click.Path(),
    metavar="PATH...",
    shell_complete=_offer("paths"),
)


#: These say "As for run." where a command gives no help of its own.
_expression = partial(click.option, "-k", "expression", metavar="EXPR", help="As for run.")
_backend = partial(click.option, "--backend", metavar="NAME", shell_complete=_offer("backends"), help="As for run.")
_tool = partial(click.option, "--tool", metavar="NAME", shell_complete=_offer("clients"), help="As for run.")
_image = partial(click.option, "--image", metavar="IMAGE", help="As for run.")
_jobs = partial(click.option, "-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="As for run.")


_FILE = click.Path(exists=True, dir_okay=False)


def _print_versions(ctx: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if not wanted or ctx.resilient_parsing:
        return
    from mtls_runner.cli.versions import versions

    for name, version in versions().items():
        click.echo(f"{name} {version}")
    ctx.exit()


@click.group(cls=DefaultCommandGroup, context_settings=_CONTEXT)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_versions,
    help="Show the versions of everything that takes part.",
)
def root() -> None:
    """Run mutual TLS scenarios with real handshakes: who refuses whom, and why.

    A PATH is a scenario file, a directory (its *.yaml and those below it, lab.yaml aside), the id of a case (FILE::CASE),
    or - for standard input.
    """


@root.command()
@_paths()
@_expression(help="Only cases whose id matches, as pytest's -k: 'expired and not curl'.")
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="TAG",
    shell_complete=_offer("tags"),
    help="Only files with this tag; may be repeated.",
)
@_backend(help=f"Run every server on this backend ({_BACKENDS}).")
@_tool(help=f"Use this client everywhere ({_CLIENTS}).")
@_image(help="The container image for every container server.")
@_runtime
@_allow_commands
@_jobs(help="Cases at once; lab.yaml's, or 1.")
@click.option("-x", "--fail-fast", is_flag=True, help="Stop at the first case that fails.")
@click.option("--strict", is_flag=True, help="Warnings are errors; what is skipped or undetermined is a failure.")
@click.option("-v", "--verbose", is_flag=True, help="Show both ends' handshakes, as curl -v does.")
@click.option("-q", "--quiet", is_flag=True, help="Show only what went wrong, and the summary.")
@click.option("--durations", type=click.IntRange(min=0), metavar="N", default=0, help="Name the N slowest cases.")
@click.option(
    "--last-failed", "--lf", "last_failed", is_flag=True, help="Only cases that failed when they were last run here."
)
@click.option(
    "--keep",
    is_flag=False,
    flag_value="",
    metavar="[DIR]",
    help="Leave keys, certificates and configurations there; without DIR, in a new directory where lab.yaml says.",
)
@click.option("--json", "json_path", metavar="FILE", help="Write a JSON report; - is standard output.")
@click.option("--junit", "junit_path", metavar="FILE", help="Write a JUnit XML report.")
@click.option("--html", "html_path", metavar="FILE", help="Write one HTML page to read, print and send.")
@click.option(
    "--report",
    "reports",
    multiple=True,
    metavar="NAME=FILE",
    shell_complete=_offer("reports"),
    help=f"Write a report of this kind ({_REPORTERS}); may be repeated.",
)
@click.option("--at", metavar="TIME", help="Run as if it were then: +90d, -1y, 2027-03-14.")
@click.option("--access", is_flag=True, help="Show who gets in where: clients and doors, as a table.")
@click.option("--list", "list_only", is_flag=True, help="Show the ids of the cases, run nothing.")
@_color
def run(
    paths: tuple[str, ...],
    expression: str | None,
    tags: tuple[str, ...],
    backend: str | None,
    tool: str | None,
    image: str | None,
    runtime: str | None,
    allow_commands: bool,
    jobs: int | None,
    fail_fast: bool,
    strict: bool,
    verbose: bool,
    quiet: bool,
    durations: int,
    last_failed: bool,
    keep: str | None,
    json_path: str | None,
    junit_path: str | None,
    html_path: str | None,
    reports: tuple[str, ...],
    at: str | None,
    access: bool,
    list_only: bool,
    color: str,
) -> int:
    """Run scenarios (the default command)."""
    from mtls_runner.cli import run as command

    return command.run(
        command.Choice(
            paths,
            expression,
            tags,
            backend,
            tool,
            image,
            runtime,
            strict,
            tuple(root.commands),
            allow_commands,
            last_failed,
        ),
        command.RunRequest(
            jobs,
            fail_fast,
            verbose,
            keep,
            command.reports(reports, json=json_path, junit=junit_path, html=html_path),
            color,
            at,
            access,
            quiet,
            durations,
        ),
        list_only=list_only,
    )


@root.command()
@_paths()
@_backend()
@_tool()
@click.option("--strict", is_flag=True, help="Warnings are errors.")
@_allow_commands
@_color
def check(
    paths: tuple[str, ...], backend: str | None, tool: str | None, strict: bool, allow_commands: bool, color: str
) -> int:
    """Validate scenario files and lab.yaml; run nothing.

    Every mistake is shown with its line. It starts no server and no container, and makes no key.
    """
    from mtls_runner.cli import check as command
    from mtls_runner.cli.choose import Choice

    choice = Choice(
        paths,
        backend=backend,
        tool=tool,
        strict=strict,
        commands=tuple(root.commands),
        allow_commands=allow_commands,
    )
    return command.check(choice, color)


@root.command()
@_file
@click.argument("case", required=False, shell_complete=_offer("cases"))
@_backend()
@_tool()
@_runtime
@_color
def explain(file: str, case: str | None, backend: str | None, tool: str | None, runtime: str | None, color: str) -> int:
    """Say what a scenario is and what should happen, and why; run nothing.

    The PKI as a tree, what each server demands, what each case presents, and at which step it should end. With CASE (its
    name, with or without the matrix's parameters) every step of that one.
    """
    from mtls_runner.cli import explain as command
    from mtls_runner.cli.choose import Choice

    choice = Choice((file,), backend=backend, tool=tool, runtime=runtime, commands=tuple(root.commands))
    return command.explain(choice, case, color)


@root.command()
@_file
@_expression()
@_backend()
@_image()
@_runtime
@_allow_commands
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="Reach the first server at this port, the next at N+1, …"
)
@click.option("--dir", "place", metavar="DIR", help="Put keys and certificates there, and leave them at the end.")
@click.option("-v", "--verbose", is_flag=True, help="Show all that a server saw of each connection.")
@_color
def serve(
    file: str,
    expression: str | None,
    backend: str | None,
    image: str | None,
    runtime: str | None,
    allow_commands: bool,
    port: int | None,
    place: str | None,
    verbose: bool,
    color: str,
) -> int:
    """Keep a scenario's servers running, to be tried by hand.

    Prints the curl and openssl commands of every case, shows each connection as it comes, and removes everything at Ctrl-C.
    """
    from mtls_runner.cli import serve as command
    from mtls_runner.cli.choose import Choice

    choice = Choice(
        (file,),
        expression,
        backend=backend,
        image=image,
        runtime=runtime,
        commands=tuple(root.commands),
        allow_commands=allow_commands,
    )
    return command.serve(choice, verbose=verbose, color=color, port=port, directory=place)


@root.command()
@_file
@click.option("-o", "--output", required=True, metavar="DIR", help="Where to; made when it is not there.")
@click.option(
    "--format",
    "forms",
    type=click.Choice(["pem", "der", "pkcs12"]),
    multiple=True,
    default=("pem",),
    help="pem when not given; may be repeated.",
)
def forge(file: str, output: str, forms: tuple[str, ...]) -> int:
    """Make a scenario's keys, certificates and CRLs, nothing else.

    DIR gets an index.json that says what each file is. It may be forged into again: files that were forged are replaced,
    and whatever else is in the way stops it before anything is written.
    """
    from mtls_runner.cli import forge as command
    from mtls_runner.cli.choose import Choice

    return command.forge(Choice((file,), commands=tuple(root.commands)), output, forms)


@root.command()
@_file
@click.option("-o", "--output", required=True, metavar="DIR", help="Where to; made when it is not there.")
@_backend(help="Every server on this backend: python (as openssl s_server) or nginx.")
@_image(help="The container image for nginx.")
def export(file: str, output: str, backend: str | None, image: str | None) -> int:
    """Write a scenario as a shell script of plain openssl, nginx and curl.

    DIR/run.sh makes the keys and certificates, starts the servers, runs one curl for each case and compares. It says what
    it can't show, and why. DIR may be exported into again, as with forge.
    """
    from mtls_runner.cli import export as command
    from mtls_runner.cli.choose import Choice

    return command.export(Choice((file,), backend=backend, image=image, commands=tuple(root.commands)), output)


@root.command()
@click.argument("directory", default=".", type=click.Path(file_okay=False), metavar="[DIR]")
@click.option(
    "--from-nginx",
    "nginx",
    type=_FILE,
    metavar="FILE",
    help="Test this configuration.",
)
@_image(help="With --from-nginx: the container image; lab.yaml's, or nginx:1.27.")
@_runtime
@_allow_commands
@click.option(
    "--from-endpoint", "endpoint", metavar="URL", help="Look at this server, which runs already, as try does."
)
@click.option("--certificate", "--cert", "certificate", type=_FILE, metavar="FILE", help="Try this certificate (PEM).")
@click.option("--key", type=_FILE, metavar="FILE", help="Its private key.")
@click.option("--ca", "--cacert", "ca", type=_FILE, metavar="FILE", help="The authority that issued it.")
@click.option(
    "--passphrase-file",
    type=_FILE,
    metavar="FILE",
    help="Holds the key's passphrase, if it has one.",
)
def init(
    directory: str,
    nginx: str | None,
    image: str | None,
    runtime: str | None,
    allow_commands: bool,
    certificate: str | None,
    key: str | None,
    ca: str | None,
    passphrase_file: str | None,
    endpoint: str | None,
) -> int:
    """Write a first scenario and lab.yaml; nothing is overwritten.

    It runs at once. With --from-nginx it starts an nginx configuration and records who gets in with which client
    certificate (exit code 1: somewhere that proves nothing), with --certificate it tries certificates that you have.
    """
    from mtls_runner.cli import init as command

    request = command.InitRequest(
        directory, nginx, image, runtime, allow_commands, certificate, key, ca, passphrase_file, endpoint
    )
    return command.init(request)


@root.command()
@_paths(metavar="FILE...")
@click.option("--update", is_flag=True, help="Run all cases, and replace expectations that don't hold.")
@click.option("--check", is_flag=True, help="Write nothing: print what --update would change; the exit code is 1 then.")
@_image()
@_runtime
@_allow_commands
@_jobs()
@_color
def record(
    paths: tuple[str, ...],
    update: bool,
    check: bool,
    image: str | None,
    runtime: str | None,
    allow_commands: bool,
    jobs: int | None,
    color: str,
) -> int:
    """Write what happens into a scenario, as what is expected.

    Runs the cases that have no `expect` yet, three times; what differs is left out. Every other byte of FILE stays. It says
    what to look at first: such an expectation gets a comment (# look: ...), and each run warns until that is gone.
    """
    from mtls_runner.cli import record as command
    from mtls_runner.cli.choose import Choice

    return command.record_files(
        Choice(paths, image=image, runtime=runtime, commands=tuple(root.commands), allow_commands=allow_commands),
        command.RecordRequest(update, check, jobs, color),
    )


@root.command()
@_file
@click.option("--for", "period", default="1y", show_default=True, metavar="TIME", help="How far to look: 90d, 52w, 1y.")
@_expression()
@_backend()
@_tool()
@_image()
@_runtime
@_allow_commands
@_color
def rehearse(
    file: str,
    period: str,
    expression: str | None,
    backend: str | None,
    tool: str | None,
    image: str | None,
    runtime: str | None,
    allow_commands: bool,
    color: str,
) -> int:
    """Say on which dates something changes: what expires, becomes valid or runs out, and who is refused then.

    Runs the file just before and just after each such date, with material that is dated so much earlier. The exit code is 1
    where a case ends otherwise. Own files need libfaketime and programs (nginx as a process, curl); servers that run
    already stay where they are.
    """
    from mtls_runner.cli import rehearse as command
    from mtls_runner.cli.choose import Choice

    choice = Choice(
        (file,),
        expression,
        backend=backend,
        tool=tool,
        image=image,
        runtime=runtime,
        commands=tuple(root.commands),
        allow_commands=allow_commands,
    )
    return command.rehearse(choice, period, color)


@root.command("try")
@click.argument("url", metavar="URL")
@click.option(
    "--cert", "certificate", type=_FILE, metavar="FILE", help="Present this certificate (PEM, DER or PKCS#12)."
)
@click.option("--key", type=_FILE, metavar="FILE", help="Its private key, where the certificate's file holds none.")
@click.option(
    "--passphrase-file",
    type=_FILE,
    metavar="FILE",
    help="Holds the key's passphrase; else MTLS_RUN_PASSPHRASE does, or you are asked on a terminal.",
)
@click.option("--cacert", "ca", type=_FILE, metavar="FILE", help="Trust these; what this system trusts when not given.")
@click.option(
    "--tls",
    multiple=True,
    type=click.Choice(["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
    help="Offer this version only; may be repeated.",
)
@_tool(help=f"Connect with this client ({_CLIENTS}).")
@click.option("--log", metavar="FILE", help="The server's own log, which says more; - is standard input.")
@click.option("--save", type=click.Path(dir_okay=False), metavar="FILE", help="Write what was seen as a scenario.")
@click.option("--resolve", metavar="HOST:PORT:ADDR", help="Connect to that address, as curl does.")
@click.option(
    "--max-time", "timeout", type=click.FloatRange(0.1), default=10.0, metavar="SECONDS", help="For the exchange; 10."
)
@_color
def try_(
    url: str,
    certificate: str | None,
    key: str | None,
    passphrase_file: str | None,
    ca: str | None,
    tls: tuple[str, ...],
    tool: str | None,
    log: str | None,
    save: str | None,
    resolve: str | None,
    timeout: float,
    color: str,
) -> int:
    """Try a server that runs, with a certificate that you have: who refuses whom, why, and what to do about it.

    Makes the connection with your files as they are, shows the handshake, compares what both ends have, and lists the most
    likely causes, each with lines of openssl or curl that would settle it. The exit code is 0 where you were let in, else 1.
    """
    from mtls_runner.cli import attempt as command

    typed = command.Typed(url, certificate, key, ca, passphrase_file, tls, tool, log, resolve, timeout)
    return command.try_endpoint(typed, save, color)


@root.group(cls=WholeSentences)
def implementation() -> None:
    """Programs that serve or connect, declared in YAML: list them, look at one, prove one, begin a new one."""


@implementation.command("list")
def implementation_list() -> int:
    """Say of each whether it is installed, its version and TLS library, and what it honours."""
    from mtls_runner.cli import implementation as command

    return command.list_all()


@implementation.command("show")
@click.argument("name")
def implementation_show(name: str) -> int:
    """Show what one honours, and how its lines are read."""
    from mtls_runner.cli import implementation as command

    return command.show(name)


@implementation.command("check")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "everything", is_flag=True, help="Run the whole catalogue, and not only until all was seen.")
def implementation_check(names: tuple[str, ...], *, everything: bool) -> int:
    """Prove some: run controls and faults for each thing that they honour and each line that they read.

    Prints what was never seen, what was not proved, and what ends otherwise than the declaration says; the exit code is 1
    where there is any. Without NAME, all that come with mtls-run are proved, and each pattern of their dialects has to be
    seen by one of them.
    """
    from mtls_runner.cli import implementation as command

    return command.check(names, everything=everything)


@implementation.command("new")
@click.argument("name")
def implementation_new(name: str) -> int:
    """Write a commented start: implementations/NAME/implementation.yaml."""
    from mtls_runner.cli import implementation as command

    return command.new(name)


@root.command()
def clean() -> int:
    """Remove what killed runs left: directories, containers."""
    from mtls_runner.cli import clean as command

    return command.clean()


@root.command()
@_paths(required=False, metavar="[PATH]...")
@_backend()
@_tool()
@_image()
@_runtime
def config(
    paths: tuple[str, ...], backend: str | None, tool: str | None, image: str | None, runtime: str | None
) -> int:
    """Show which value every setting has, and where it came from.

    Of the scenarios in the working directory where no PATH is given.
    """
    from mtls_runner.cli import config as command
    from mtls_runner.cli.choose import Choice

    return command.config(
        Choice(paths, backend=backend, tool=tool, image=image, runtime=runtime, commands=tuple(root.commands))
    )


@root.command()
@click.argument("page", required=False, type=click.Choice(list(PAGES)), metavar="[PAGE]")
def reference(page: str | None) -> int:
    """Print a page of the documentation: scenario-language, commands, tutorial, recipes, …

    Without PAGE, say which there are.
    """
    from mtls_runner.cli import manual as command

    return command.reference(page)


@root.command()
@click.argument("name", type=click.Choice(["scenario", "lab", "implementation", "report"]), default="scenario")
def schema(name: str) -> int:
    """Print a JSON Schema: of scenario files, lab.yaml, implementation.yaml or the report."""
    from mtls_runner.cli import schema as command

    return command.schema(name)


@root.command()
@click.option(
    "--servers",
    "--backend",
    "servers",
    multiple=True,
    metavar="NAMES",
    shell_complete=_offer("backends"),
    help=f"Which, separated by commas ({_BACKENDS}), all, installed, or an image's version (nginx@1.26); the two that "
    "the catalogue is made for when not given.",
)
@click.option(
    "--clients",
    "--tool",
    "clients",
    multiple=True,
    metavar="NAMES",
    shell_complete=_offer("clients"),
    help=f"Likewise ({_CLIENTS}).",
)
@_expression(help="As for run, on FILE::CASE of the catalogue.")
@click.option(
    "--fault", "faults", multiple=True, metavar="CASE", help="Only this case, and its control. May be repeated."
)
@_image()
@_runtime
@_jobs(help="Cases at once; one for each processor.")
@click.option("--shard", metavar="N/M", help="Only the Nth of M parts, for several machines.")
@click.option(
    "--merge", "merged", multiple=True, metavar="FILE", help="Run nothing; join what --json wrote. May be repeated."
)
@click.option(
    "--resume",
    "resumed",
    metavar="FILE",
    help="Go on from FILE, and keep it current: what it has of the same versions and catalogue is not run again.",
)
@click.option("--json", "json_path", metavar="FILE", help="Write everything that was seen; - is standard output.")
@click.option("--html", "html_path", metavar="FILE", help="Write it as one HTML page to explore.")
@click.option("--markdown", "markdown_path", metavar="FILE", help="Write the table as Markdown.")
@click.option(
    "--pages",
    metavar="DIR",
    help="Write atlas.md, atlas.html and divergences.md there: by server and client, and where they differ.",
)
@click.option(
    "--check",
    "check_path",
    metavar="FILE",
    help="Fail unless that Markdown file says the same, or name each cell that is not as in that JSON file.",
)
@click.option("--where", "show_where", is_flag=True, help="Show where the catalogue's scenario files lie, run nothing.")
def conformance(
    servers: tuple[str, ...],
    clients: tuple[str, ...],
    expression: str | None,
    faults: tuple[str, ...],
    image: str | None,
    runtime: str | None,
    jobs: int | None,
    shard: str | None,
    merged: tuple[str, ...],
    resumed: str | None,
    json_path: str | None,
    html_path: str | None,
    markdown_path: str | None,
    pages: str | None,
    check_path: str | None,
    show_where: bool,
) -> int:
    """Run the catalogue of faults everywhere; show who refuses what, and why.

    Each fault stands beside an accepted control that differs from it in one thing, over TLS 1.2 and 1.3. What servers judge
    is run at every server that is chosen, with the two clients that the catalogue is made for; what clients judge with every
    client, at the two servers; a few faults everywhere.
    """
    from mtls_runner.cli import conformance as command

    if show_where:
        return command.where()
    return command.conformance(
        command.ConformanceRequest(
            servers=servers,
            clients=clients,
            expression=expression,
            faults=faults,
            image=image,
            runtime=runtime,
            jobs=jobs,
            shard=shard,
            merged=merged,
            resumed=resumed,
            json_path=json_path,
            html_path=html_path,
            markdown_path=markdown_path,
            check_path=check_path,
            pages=pages,
        )
    )
