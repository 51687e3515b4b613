"""Material that lives for seconds is dated when its case runs, so that it makes no difference what ran before or beside it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from cryptography import x509

from mtls_runner import RunOptions, Status, Verdict

from ..verdicts import verdicts_by_name

SCENARIO = """\
ca: {}
leaves:
  brief: {not_after: +40m}
  lasting: {not_after: +2h}
  soon: {usage: client, not_before: +40m}
  short: {usage: client, not_after: +3s}
crls:
  fresh: {issuer: ca, next_update: +40m}
servers:
  brief: {certificate: brief, client_auth: none}
  lasting: {certificate: lasting, client_auth: optional, trust: ca}
  listed: {like: lasting, crl: fresh}
cases:
  - {name: brief at first, server: brief, expect: accepted}
  - {name: lasting at first, server: lasting, expect: accepted}
  - name: two seconds
    server: lasting
    client: short
    steps:
      - {wait: 2}
      - {wait: {expired: short}}
      - {expect: {server-refused: expired}}
  - {name: brief at last, server: brief, expect: accepted}
  - {name: lasting at last, server: lasting, expect: accepted}
  - {name: not yet, server: lasting, client: soon, expect: {server-refused: not-yet-valid}}
  - {name: a fresh list, server: listed, expect: accepted}
"""


def _not_after(verdict: Verdict) -> datetime:
    assert verdict.observation is not None
    assert verdict.observation.client is not None
    chain = verdict.observation.client.received_chain
    assert chain
    return x509.load_der_x509_certificate(chain[0]).not_valid_after_utc


@pytest.mark.parametrize("jobs", [1, 8])
def test_whatever_ran_before_or_beside_it(tmp_path: Path, jobs: int) -> None:
    path = tmp_path / "dated.yaml"
    path.write_text(SCENARIO)
    seen = verdicts_by_name(path, options=RunOptions(jobs=jobs))
    assert {name: one.status for name, one in seen.items()} == dict.fromkeys(seen, Status.PASS), seen
    if jobs == 1:
        assert _not_after(seen["brief at last"]) > _not_after(seen["brief at first"])
    # the twin: what lasts is made once
    assert _not_after(seen["lasting at last"]) == _not_after(seen["lasting at first"])
