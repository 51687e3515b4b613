"""The command line. Importing it costs click and nothing else; each command loads what it needs when it runs."""

from mtls_runner.cli.main import main

__all__ = ["main"]
