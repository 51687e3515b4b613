"""The catalogue's own rows against an nginx that the lab has not started: the same nginx, whose log is the oracle."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from msgspec.structs import replace

import mtls_runner.conformance
from mtls_runner import Overrides, Plan, load
from mtls_runner.engine.lab import Lab
from mtls_runner.errors import ServerUnusable
from mtls_runner.model.case import Case
from mtls_runner.model.endpoint import ServerSpec, TlsVersion
from mtls_runner.model.observation import Outcome
from mtls_runner.model.traits import Runtime
from mtls_runner.model.verdict import Status
from tests.named import backend

CATALOGUE = Path(mtls_runner.conformance.__file__).parent / "catalogue"


def strangers(lab: Lab, plan: Plan, method: str, tls: TlsVersion = TlsVersion.V1_3) -> list[tuple[Case, Case]]:
    """Each case as the lab knows its server, and as one that it does not know."""
    pairs = []
    for case in plan.cases:
        if case.client is None or case.tls is not tls or lab.cannot(case) is not None:
            continue
        asking = case.by(replace(case.client, request=replace(case.client.request, method=method)))
        try:
            address = lab.server(case.server).address
        except ServerUnusable:
            continue
        server = ServerSpec(case.server.id, backend("external"), None, None, address=address)
        pairs.append((asking, replace(asking, server=server)))
    return pairs


@pytest.mark.parametrize(("name", "method"), [("trust", "GET"), ("purpose", "HEAD")])
def test_who_can_be_told_from_outside_is_told_right(name: str, method: str) -> None:
    """nginx's own error page tells that it refused, and not why; HEAD has no page, and a control connection tells."""
    plan = load(CATALOGUE / f"{name}.yaml", Overrides(backend="nginx", tool="python", runtime=Runtime.PROCESS))
    told: Counter[str] = Counter()
    with Lab(plan) as lab:
        pairs = strangers(lab, plan, method)
        with Lab(replace(plan, cases=tuple(stranger for _, stranger in pairs))) as outside:
            outside._material = lab.material  # what nginx was given
            for known, stranger in pairs:
                truth, seen = lab.run(known).observation, outside.run(stranger).observation
                assert truth is not None
                assert seen is not None
                if seen.outcome is Outcome.ANSWERED:
                    told["can't be told"] += 1
                    continue
                assert seen.outcome is truth.outcome, (known.name, seen.evidence)
                assert set(truth.reasons) <= set(seen.reasons), (known.name, seen.written, truth.written)
                told["undetermined" if not seen.determined else "determined"] += 1
    assert told["undetermined"] >= 5
    assert told["determined"] >= 10
    assert told["can't be told"] <= (2 if method == "HEAD" else 0), told


DEMANDING = """
authorities: {ca: {}}
leaves: {server: {issuer: ca}}
servers:
  any: {certificate: server, trust: ca}
  rsa-only: {certificate: server, trust: ca, ciphers: ECDHE-RSA-AES128-GCM-SHA256}
cases:
  - {name: none, server: any, expect: {outcome: server-refused, reason: no-certificate}}
  - {name: nothing in common, server: rsa-only, expect: no-agreement}
matrix: {client.tls: [TLSv1.2], client.tool: [curl, aiohttp, httpx, requests, node, rtls]}
"""


def test_over_tls_1_2_a_missing_certificate_is_told_from_nothing_in_common(tmp_path: Path) -> None:
    """For both the server sends handshake_failure; the one comes when keys have been made already."""
    (tmp_path / "demanding.yaml").write_text(DEMANDING)
    plan = load(tmp_path / "demanding.yaml")
    with Lab(plan) as lab:
        pairs = strangers(lab, plan, "GET", TlsVersion.V1_2)
        with Lab(replace(plan, cases=tuple(stranger for _, stranger in pairs))) as outside:
            outside._material = lab.material
            wrong = [verdict for _, one in pairs if (verdict := outside.run(one)).status is not Status.PASS]
    assert len(pairs) == 12
    assert not wrong, [(one.case.name, one.observation) for one in wrong]
