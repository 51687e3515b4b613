"""The command line. Importing it costs nothing; each command loads what it needs when it runs."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: "Sequence[str] | None" = None) -> int:
    """Run a command; ``None``: the process's own arguments. Returns the exit code."""
    from mtls_runner.cli.stop import STOP

    with STOP.listening(for_good=arguments is None):
        from mtls_runner.cli.program import program

        return program(arguments)
