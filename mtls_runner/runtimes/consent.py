"""Commands need consent: what a scenario's own tree brings is run only where somebody who is not the scenario says so."""

from __future__ import annotations

import os

__all__ = ["NEEDED", "VARIABLE", "given"]

VARIABLE = "MTLS_RUN_ALLOW_COMMANDS"
#: A skip's reason.
NEEDED = "{what}: --allow-commands (or " + VARIABLE + "=1, or pytest's mtls_allow_commands) lets it"


def given() -> bool:
    """Whether the environment gives it for everything."""
    return os.environ.get(VARIABLE) == "1"
