"""What a shell is offered, asked as the shells' own scripts ask (click's documentation, "Shell Completion")."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Cli

Write = Callable[[str, str], Path]


@pytest.mark.parametrize(
    ("words", "shell", "offered"),
    [
        (["con"], "bash", ["config", "conformance"]),
        (["a.y"], "bash", ["file:a.y"]),
        (["s"], "bash", ["serve", "schema", "small.yaml"]),  # no file that is no scenario
        (["small.yaml", "sm"], "bash", ["file:sm"]),
        (["small.yaml", "--backend", "ngi"], "bash", ["nginx"]),
        (["conformance", "--tool", "cu"], "bash", ["curl"]),
        (["try", "https://localhost/", "--tool", "cu"], "bash", ["curl"]),
        (["rehearse", "small.yaml", "--backend", "ngi"], "bash", ["nginx"]),
        (["rehearse", "small.yaml", "--tool", "cu"], "bash", ["curl"]),
        (["implementation", "show", "ha"], "bash", ["haproxy"]),
        (["implementation", "check", "haproxy", "gn"], "bash", ["gnutls"]),
        (["small.yaml", "--report", "j"], "bash", ["json=", "junit="]),
        (["small.yaml", "--tag", ""], "bash", ["quick"]),
        (["small.yaml::with"], "zsh", ["small.yaml::without a certificate", "small.yaml::with the certificate"]),
        (["record", "small.yaml::witho"], "zsh", ["small.yaml::without a certificate"]),
        (["rehearse", "small.yaml::witho"], "zsh", ["small.yaml::without a certificate"]),
        # bash parts words at colons
        (["small.yaml", "::"], "bash", [r"::without\ a\ certificate", r"::with\ the\ certificate"]),
        (["small.yaml", "::", "without"], "bash", [r"without\ a\ certificate"]),
        (["run", "small.yaml", "::", r"with\ "], "bash", [r"with\ the\ certificate"]),
        (["explain", "small.yaml", "witho"], "zsh", ["without a certificate"]),
        (["broken.yaml::w"], "zsh", []),
        (["missing.yaml::w"], "zsh", []),
    ],
)
def test_what_is_offered(cli: Cli, write: Write, words: list[str], shell: str, offered: list[str]) -> None:
    write("small.yaml", SMALL)
    write("broken.yaml", "cases: [")
    write("some.txt", "")
    line = " ".join(["mtls-run", *words])
    done = cli(env={"_MTLS_RUN_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words))})
    assert done.returncode == 0, done.stderr
    if shell == "bash":
        found = [text.removeprefix("plain,").replace("file,", "file:") for text in done.stdout.splitlines()]
    else:
        found = done.stdout.splitlines()[1::3]
    assert found == offered
