"""Commands that make files to be kept: keys and certificates, a script, a first scenario."""

from __future__ import annotations

from typing import Any

import click

from mtls_runner.cli.commands import (
    EXISTING_FILE,
    allow_commands_option,
    backend_option,
    file_argument,
    image_option,
    runtime_option,
)

__all__ = ["export", "forge", "init"]


@click.command()
@file_argument
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

    return command.forge(Choice((file,)), output, forms)


@click.command()
@file_argument
@click.option("-o", "--output", required=True, metavar="DIR", help="Where to; made when it is not there.")
@backend_option(help="Every server on this backend: python (as openssl s_server) or nginx.")
@image_option(help="The container image for nginx.")
def export(file: str, output: str, **choice: Any) -> int:
    """Write a scenario as a shell script of plain openssl, nginx and curl.

    DIR/run.sh makes the keys and certificates, starts the servers, runs one curl for each case and compares. It says what
    it can't show, and why. DIR may be exported into again, as with forge.
    """
    from mtls_runner.cli import export as command
    from mtls_runner.cli.choose import Choice

    return command.export(Choice((file,), **choice), output)


@click.command()
@click.argument("directory", default=".", type=click.Path(file_okay=False), metavar="[DIR]")
@click.option(
    "--from-nginx",
    "nginx",
    type=EXISTING_FILE,
    metavar="FILE",
    help="Test this configuration.",
)
@image_option(help="With --from-nginx: the container image; lab.yaml's, or nginx:1.27.")
@runtime_option
@allow_commands_option
@click.option(
    "--from-endpoint", "endpoint", metavar="URL", help="Look at this server, which runs already, as try does."
)
@click.option(
    "--certificate", "--cert", "certificate", type=EXISTING_FILE, metavar="FILE", help="Try this certificate (PEM)."
)
@click.option("--key", type=EXISTING_FILE, metavar="FILE", help="Its private key.")
@click.option("--ca", "--cacert", "ca", type=EXISTING_FILE, metavar="FILE", help="The authority that issued it.")
@click.option(
    "--passphrase-file",
    type=EXISTING_FILE,
    metavar="FILE",
    help="Holds the key's passphrase, if it has one.",
)
def init(**typed: Any) -> int:
    """Write a first scenario and lab.yaml; nothing is overwritten.

    It runs at once. With --from-nginx it starts an nginx configuration and records who gets in with which client
    certificate (exit code 1: somewhere that proves nothing), with --certificate it tries certificates that you have.
    """
    from mtls_runner.cli import init as command

    return command.init(command.InitRequest(**typed))
