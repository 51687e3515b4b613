"""Commands that run servers and clients otherwise than ``run`` does: to be tried by hand, recorded, rehearsed; one attempt at a
server that runs already; and what killed runs left."""

from __future__ import annotations

from typing import Any

import click

from mtls_runner.cli.commands import (
    EXISTING_FILE,
    NamingOption,
    allow_commands_option,
    backend_option,
    client_names,
    color_option,
    expression_option,
    file_argument,
    image_option,
    jobs_option,
    paths_argument,
    runtime_option,
    tool_option,
)

__all__ = ["clean", "record", "rehearse", "serve", "try_"]


@click.command()
@file_argument
@expression_option()
@backend_option()
@image_option()
@runtime_option
@allow_commands_option
@click.option(
    "--port", type=click.IntRange(1, 65535), metavar="N", help="Reach the first server at this port, the next at N+1, …"
)
@click.option("--dir", "place", metavar="DIR", help="Put keys and certificates there, and leave them at the end.")
@click.option("-v", "--verbose", is_flag=True, help="Show all that a server saw of each connection.")
@color_option
def serve(file: str, port: int | None, place: str | None, verbose: bool, color: str, **choice: Any) -> int:
    """Keep a scenario's servers running, to be tried by hand.

    Prints the curl and openssl commands of every case, shows each connection as it comes, and removes everything at Ctrl-C.
    """
    from mtls_runner.cli import serve as command
    from mtls_runner.cli.choose import Choice

    return command.serve(Choice((file,), **choice), verbose=verbose, color=color, port=port, directory=place)


@click.command()
@paths_argument(metavar="FILE...")
@click.option("--update", is_flag=True, help="Run all cases, and replace expectations that don't hold.")
@click.option("--check", is_flag=True, help="Write nothing: print what --update would change; the exit code is 1 then.")
@image_option()
@runtime_option
@allow_commands_option
@jobs_option()
@color_option
def record(paths: tuple[str, ...], update: bool, check: bool, jobs: int | None, color: str, **choice: Any) -> int:
    """Write what happens into a scenario, as what is expected.

    Runs the cases that have no `expect` yet, three times; what differs is left out. Every other byte of FILE stays. It says
    what to look at first: such an expectation gets a comment (# look: ...), and each run warns until that is gone.
    """
    from mtls_runner.cli import record as command
    from mtls_runner.cli.choose import Choice

    return command.record_files(Choice(paths, **choice), command.RecordRequest(update, check, jobs, color))


@click.command()
@file_argument
@click.option("--for", "period", default="1y", show_default=True, metavar="TIME", help="How far to look: 90d, 52w, 1y.")
@expression_option()
@backend_option()
@tool_option()
@image_option()
@runtime_option
@allow_commands_option
@color_option
def rehearse(file: str, period: str, color: str, **choice: Any) -> int:
    """Say on which dates something changes: what expires, becomes valid or runs out, and who is refused then.

    Runs the file just before and just after each such date, with material that is dated so much earlier. The exit code is 1
    where a case ends otherwise. Own files need libfaketime and programs (nginx as a process, curl); servers that run
    already stay where they are.
    """
    from mtls_runner.cli import rehearse as command
    from mtls_runner.cli.choose import Choice

    return command.rehearse(Choice((file,), **choice), period, color)


@click.command("try")
@click.argument("url", metavar="URL")
@click.option(
    "--cert", "certificate", type=EXISTING_FILE, metavar="FILE", help="Present this certificate (PEM, DER or PKCS#12)."
)
@click.option(
    "--key", type=EXISTING_FILE, metavar="FILE", help="Its private key, where the certificate's file holds none."
)
@click.option(
    "--passphrase-file",
    type=EXISTING_FILE,
    metavar="FILE",
    help="Holds the key's passphrase; else MTLS_RUN_PASSPHRASE does, or you are asked on a terminal.",
)
@click.option(
    "--cacert", "ca", type=EXISTING_FILE, metavar="FILE", help="Trust these; what this system trusts when not given."
)
@click.option(
    "--tls",
    multiple=True,
    type=click.Choice(["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]),
    help="Offer this version only; may be repeated.",
)
@tool_option(cls=NamingOption, names=client_names, help="Connect with this client ({names}).")
@click.option("--log", metavar="FILE", help="The server's own log, which says more; - is standard input.")
@click.option("--save", type=click.Path(dir_okay=False), metavar="FILE", help="Write what was seen as a scenario.")
@click.option("--resolve", metavar="HOST:PORT:ADDR", help="Connect to that address, as curl does.")
@click.option(
    "--max-time", "timeout", type=click.FloatRange(0.1), default=10.0, metavar="SECONDS", help="For the exchange; 10."
)
@color_option
def try_(save: str | None, color: str, **typed: Any) -> int:
    """Try a server that runs, with a certificate that you have: who refuses whom, why, and what to do about it.

    Makes the connection with your files as they are, shows the handshake, compares what both ends have, and lists the most
    likely causes, each with lines of openssl or curl that would settle it. The exit code is 0 where you were let in, else 1.
    """
    from mtls_runner.cli import attempt as command

    return command.try_endpoint(command.Typed(**typed), save, color)


@click.command()
def clean() -> int:
    """Remove what killed runs left: directories, containers."""
    from mtls_runner.cli import clean as command

    return command.clean()
