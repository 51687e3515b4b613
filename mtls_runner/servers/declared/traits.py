"""What a declared server says of itself."""

from __future__ import annotations

from mtls_runner.errors import LabError
from mtls_runner.model.implementation import Implementation
from mtls_runner.model.port import ServerBackend
from mtls_runner.model.traits import BackendTraits, Refusal, Runtime
from mtls_runner.registry import NO_CONSENT
from mtls_runner.runtimes.installed import clock, missing_program

__all__ = ["traits"]


def traits(implementation: Implementation, *, consent: bool = False) -> BackendTraits:
    """The traits of a declaration; ``consent``: commands that did not come with a package may run."""
    declared = implementation.server
    if declared is None:
        raise LabError(f"{implementation.title} is declared as a client only")

    def make() -> ServerBackend:
        from mtls_runner.servers.declared.backend import DeclaredBackend

        return DeclaredBackend(implementation, declared, consent=consent)

    waits_for_consent = not implementation.shipped and not consent

    def missing() -> str | None:
        if waits_for_consent:
            return NO_CONSENT.format(what=f"{implementation.title} runs a command that the scenario's tree brings")
        # In a container it needs no program of this machine's; as a process, its backend says what is missing.
        return None if declared.container is not None else missing_program(implementation)

    return BackendTraits(
        name=implementation.name,
        sentence=implementation.title,
        summary=f"{implementation.title} as a process",
        make=make,
        library=implementation.library,
        completes_chains=declared.completes_chains,
        refusal=Refusal.ALERT,
        runtimes=(Runtime.PROCESS, Runtime.CONTAINER) if declared.container is not None else (Runtime.PROCESS,),
        image=declared.container.image if declared.container is not None else "",
        image_variable=f"MTLS_RUN_IMAGE_{implementation.name.upper()}",
        verify_depth=declared.verify_depth,
        directives=declared.directives,
        opens_keys=declared.honours.opens_keys,
        missing=missing,
        waits_for_consent=waits_for_consent,
        unknown_words=not implementation.comes_with_lab,
        clock=lambda container: clock(implementation, declared.faketime, container),
    )
