"""x509-limbo's cases as real handshakes: each ends as ``openssl verify`` ends for the same chain.

The suite's own wishes are not what is asked here: OpenSSL deviates from some, and the lab reports what is. Where it
deviates is in ``docs/x509-limbo.md``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mtls_runner import EngineError, Overrides, Status
from mtls_runner.pki.keys import KeyPool
from mtls_runner.servers.container.engine import Engine

from ..container_engine import IMAGE, not_here
from .exchange import BEYOND, ONLY_NGINX, UNREACHED, WAYS, Result, run, why_not
from .oracle import disagreeing_versions, version
from .suite import ABSENT, Case, cases
from .table import TABLE, table

pytestmark = [
    pytest.mark.skipif(not cases(), reason=ABSENT),
    pytest.mark.skipif(bool(disagreeing_versions()), reason=disagreeing_versions()),
]
OK, PEER_FAILED_VERIFICATION = 0, 60
#: The trusted certificate is what OpenSSL can't decode, and a client doesn't see that in what it received.
UNPREDICTED = {"rfc5280::root-inconsistent-ca-extensions"}
RUNNABLE = [case for case in cases() if not why_not(case)]


@pytest.fixture(scope="session")
def pool() -> KeyPool:
    return KeyPool()


def failures(result: Result) -> str:
    """What did not end as the scenario says, for people; ``""``: everything did."""
    wrong = {
        name: verdict.error or [f"{m.path}: expected {m.expected}, observed {m.observed}" for m in verdict.mismatches]
        for name, verdict in result.verdicts.items()
        if verdict.status is not Status.PASS
    }
    return f"{wrong}\n{result.scenario}" if wrong else ""


@pytest.mark.parametrize("case", RUNNABLE, ids=lambda case: case.id)
def test_a_handshake_ends_as_openssl_verify_does(case: Case, tmp_path: Path, pool: KeyPool) -> None:
    result = run(case, tmp_path, pool)
    assert not failures(result)
    if set(result.verdicts) == {"server.default"}:
        assert result.facts.unusable  # no end can present it, which is what the scenario expects
        return
    assert set(result.verdicts) == {"server.default", *WAYS}
    for way in WAYS:
        seen = result.observed(way)
        assert seen is not None
        assert seen.client is not None
        code = seen.client.verify_code if case.server else seen.server_verify_code
        # curl gives OpenSSL's code only where it has asked for it, which its exit tells, and none for names
        told = way != "curl" or not case.server or (code != 1 and seen.curl_exit in {OK, PEER_FAILED_VERIFICATION})
        if told and case.id not in UNREACHED | BEYOND:
            assert code == result.facts.codes[way], way
    _what_curl_would_exit_with(case, result)


def _what_curl_would_exit_with(case: Case, result: Result) -> None:
    """The Python client's prediction, held against curl where OpenSSL says the same to both."""
    python, curl = result.observed("python"), result.observed("curl")
    assert python is not None
    assert curl is not None
    if case.server and result.facts.codes["python"] == result.facts.codes["curl"]:
        assert python.predicted
        assert not curl.predicted
        assert (python.curl_exit == curl.curl_exit) is (case.id not in UNPREDICTED), (python.curl_exit, curl.curl_exit)


@pytest.mark.parametrize("case", [case for case in RUNNABLE if case.id in ONLY_NGINX], ids=lambda case: case.id)
def test_what_python_can_not_load_nginx_presents(case: Case, tmp_path: Path, pool: KeyPool) -> None:
    try:
        Engine.connect().image(IMAGE)
    except EngineError as error:
        not_here(str(error))
    result = run(case, tmp_path, pool, Overrides(backend="nginx", image=IMAGE))
    assert not failures(result)
    assert set(result.verdicts) == {"server.default", *WAYS}
    assert result.facts.codes["python"]


def test_every_case_runs_or_has_its_reason() -> None:
    assert len(cases()) == 194
    assert [case.id for case in cases() if why_not(case)] == [case.id for case in cases() if case.key is None]
    assert sum(1 for case in RUNNABLE if case.crls) == 8
    assert sum(1 for case in RUNNABLE if not case.fixed_time) == 170
    assert {*UNREACHED, *BEYOND} <= {case.id for case in RUNNABLE}


def test_the_table_is_current() -> None:
    committed = TABLE.read_text()
    made_with = re.search(r"OpenSSL (\d+\.\d+)", committed)
    assert made_with is not None
    if not version().startswith(f"{made_with[1]}."):
        pytest.skip(f"the table was made with OpenSSL {made_with[1]}, this one is {version()}")
    current = table()
    assert re.sub(r"OpenSSL [0-9.]+", "", committed) == re.sub(r"OpenSSL [0-9.]+", "", current)
