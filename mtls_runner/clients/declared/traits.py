"""What a declared client says of itself."""

from __future__ import annotations

from mtls_runner.errors import LabError
from mtls_runner.model.implementation import Implementation
from mtls_runner.model.port import Client
from mtls_runner.model.traits import ClientTraits, Runtime
from mtls_runner.registry import NO_CONSENT
from mtls_runner.runtimes.installed import clock, missing_program

__all__ = ["traits"]


def traits(implementation: Implementation, *, consent: bool = False) -> ClientTraits:
    """The traits of a declaration; ``consent``: commands that did not come with a package may run."""
    declared = implementation.client
    if declared is None:
        raise LabError(f"{implementation.title} is declared as a server only")

    def make() -> Client:
        from mtls_runner.clients.declared.client import DeclaredToolClient

        return DeclaredToolClient(implementation, declared)

    waits_for_consent = not implementation.shipped and not consent

    def missing() -> str | None:
        if waits_for_consent:
            return NO_CONSENT.format(what=f"{implementation.title} runs a command that the scenario's tree brings")
        return missing_program(implementation)

    return ClientTraits(
        name=implementation.name,
        sentence=implementation.title,
        make=make,
        library=implementation.library,
        completes_chains=declared.completes_chains,
        runtimes=(Runtime.PROCESS,),
        unknown_words=not implementation.comes_with_lab,
        missing=missing,
        waits_for_consent=waits_for_consent,
        clock=lambda container: clock(implementation, declared.faketime, container),
    )
