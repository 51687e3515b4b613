"""Faults whose cause is known, tried as a person would: with files and an address, and nothing else to go by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mtls_runner import Case, Lab, LabError, Outcome, Overrides, Plan, Reason, load
from mtls_runner.diagnosis.attempt import Attempt, attempt
from mtls_runner.diagnosis.endpoint import endpoint
from mtls_runner.diagnosis.inputs import AttemptInputs
from mtls_runner.model.endpoint import Address, ClientSpec

from ..container_engine import IMAGE
from ..once import nginx_runtime

ROOT = Path(__file__).parents[2]
SCENARIOS = tuple(ROOT / "scenarios" / name for name in ("wrong-certificates.yaml", "client-view.yaml"))
OWN = (Path(__file__).with_name("more-faults.yaml"),)

#: Either name is true: which one a verifier gives hangs on its library.
ALIKE = (
    frozenset((Reason.UNKNOWN_CA, Reason.BAD_SIGNATURE)),
    frozenset((Reason.NO_CERTIFICATE, Reason.CERTIFICATE_WITHHELD)),
)


@dataclass(frozen=True)
class Result:
    """One fault.

    Args:
        what: on which server, which case.
        place: of the true cause in the list, from 1; 0: it is not there.
        tried: what came of it.
    """

    what: str
    place: int
    tried: Attempt

    def __str__(self) -> str:
        listed = "".join(f"\n    {cause.reason}: {cause.text}" for cause in self.tried.causes[:3])
        seen = self.tried.observation
        return f"{self.what}: {self.place}, {seen.outcome}, {len(seen.reasons)} reasons{listed}"


def faults(backend: str, tool: str = "python", scenarios: tuple[Path, ...] = SCENARIOS) -> Iterator[Result]:
    """Every case of the scenarios that is not to be accepted, against one server."""
    for path in scenarios:
        plan = load(path, Overrides(backend=backend, image=IMAGE, runtime=nginx_runtime()))
        with Lab(plan) as lab:
            for case in plan.cases:
                if case.client is None or case.client.tool.name != tool or _expected(case)[0] is Outcome.ACCEPTED:
                    continue
                if lab.cannot(case) is None and _can_be_typed(case.client):
                    result = _result(lab, plan, case, backend, tool)
                    if not result.tried.accepted:  # what one library minds, another may not
                        yield result


def places(backend: str, tool: str, scenario: Path) -> list[tuple[int, str]]:
    """Of each fault of a scenario the true cause's place in the list, and what there is to say."""
    return [(result.place, str(result)) for result in faults(backend, tool, (scenario,))]


def _can_be_typed(client: ClientSpec) -> bool:
    """Whether the command line has an option for all that it is told: the rest is a program's own settings."""
    plain = ClientSpec(client.tool)
    mine = (
        "ciphers",
        "ciphersuites",
        "groups",
        "signature_algorithms",
        "security_level",
        "alpn",
        "verify_flags",
        "crl",
    )
    return not client.cert_status and all(getattr(client, name) == getattr(plain, name) for name in mine)


def _result(lab: Lab, plan: Plan, case: Case, backend: str, tool: str) -> Result:
    outcome, reasons = _expected(case)
    tried = attempt(inputs(lab, case, tool))
    true = set(reasons) | {other for alike in ALIKE for other in alike if not alike.isdisjoint(reasons)}
    place = next(
        (number for number, cause in enumerate(tried.causes, 1) if cause.outcome is outcome and cause.reason in true),
        0,
    )
    return Result(f"{backend}, {tool}: {plan.path.name}::{case.name}", place, tried)


def inputs(lab: Lab, case: Case, tool: str = "python") -> AttemptInputs:
    """What a person would type who has the files of a case and its server's address.

    Raises:
        LabError: nobody connects.
    """
    client = case.client
    if client is None:
        raise LabError("a server's own case")
    given = None
    if client.certificate is not None:
        given = lab.material.presented(client.certificate, client.chain, client.key, client.passphrase)
    address = client.connect or lab.server(case.server).address
    host = client.server_name or address.host
    resolve = f"{host}:{address.port}:{address.host}" if host != address.host else None
    return AttemptInputs(
        endpoint(f"https://{Address(host, address.port)}{client.request.path}", resolve),
        certificate=given.certificate if given is not None else None,
        key=given.key if given is not None else None,
        ca=lab.material.bundle(client.trust) if client.trust else None,
        passphrase=client.passphrase,
        tls=client.tls,
        tool=tool,
    )


def _expected(case: Case) -> tuple[Outcome | None, tuple[Reason, ...]]:
    outcome: Outcome | None = None
    reasons: list[Reason] = []
    for check in case.expect.checks:
        if check.path == "outcome" and not check.only_for:
            outcome = Outcome(str(check.alternatives[0].value))
        if check.path == "reason":
            reasons += [Reason(str(way.value)) for way in check.alternatives if way.value]
    return outcome, tuple(reasons)
