"""``mtls-run init --from-nginx``: a scenario of what nginx does with somebody's configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from mtls_runner.errors import EngineError, UsageError
from mtls_runner.init.nginx_recorded import Findings, observe
from mtls_runner.init.nginx_scenario import nginx_scenario
from mtls_runner.init.write import Draft, refuse_taken
from mtls_runner.language import Overrides
from mtls_runner.model.traits import Runtime
from mtls_runner.model.verdict import Event
from mtls_runner.registry import consent_given
from mtls_runner.runtimes.process import find_program

__all__ = ["from_nginx"]

_AS_PROCESS = "--runtime process --allow-commands"


def from_nginx(
    main: Path, directory: Path, overrides: Overrides, listener: Callable[[Event], None] | None = None
) -> Draft:
    """Read the configuration, start it, ask it, and write down what it does.

    Args:
        main: a whole ``nginx.conf``, or a file for ``conf.d``.
        directory: where the scenario will lie.
        overrides: the image, and how nginx is run.
        listener: is told what happens meanwhile.

    Raises:
        UsageError: it can't be read or tested, nginx does not start with it, or the scenario is there already.
        LabError: the lab is broken.
    """
    scenario = nginx_scenario(main, overrides.image)
    refuse_taken(directory / f"{scenario.name}.yaml")
    how, why = _how(overrides, responders=bool(scenario.values["ocsp"]))
    findings = Findings()
    if why:
        scenario.notes.append(f"not recorded, since {why}")
    else:
        findings = observe(scenario, how, listener)
        scenario.notes += findings.left_out
    name = f"{scenario.name}.yaml"
    return Draft(
        name,
        scenario.text(directory, findings.by),
        scenario.notes,
        tuple(scenario.beside.items()),
        findings.looks,
        findings.unproved,
        "record " if why else f"{_AS_PROCESS} " if how.runtime is Runtime.PROCESS else "",
    )


def _how(overrides: Overrides, *, responders: bool) -> tuple[Overrides, str]:
    """How nginx can be asked; and why it can't, or ``""``."""
    consent = overrides.allow_commands or consent_given()
    if overrides.runtime is Runtime.PROCESS and not consent:
        raise UsageError(
            "--runtime process: a configuration can have nginx do anything on this machine: --allow-commands lets it"
        )
    installed = find_program("nginx") is not None
    if overrides.runtime is not Runtime.PROCESS:
        from mtls_runner.servers.container.engine import Engine

        try:
            Engine.connect()
        except EngineError as error:
            if not (installed and consent):
                other = (
                    f"the nginx of this machine can be asked by {_AS_PROCESS}" if installed else "no nginx is installed"
                )
                return overrides, f"{error}; {other}"
            overrides = replace(overrides, runtime=Runtime.PROCESS)
        else:
            return overrides, ""
    if responders:
        return overrides, "ssl_ocsp needs a container: nginx as a process has no OCSP responders of the lab's"
    return replace(overrides, allow_commands=True), "" if installed else "there is no nginx on this machine"
