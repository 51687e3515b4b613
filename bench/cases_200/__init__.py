"""200 cases: the lab against the same cases written by hand with pytest, trustme and ``ssl``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.figure import Figure, benchmark
from bench.mix import scenario
from bench.process import Command, interleave, medians, mtls_run

_HERE = Path(__file__).parent
_COUNT = 200
_LIBRARIES = "click, cryptography.x509, h11, importlib.metadata, pydantic.main, ssl, yaml"
"""importlib.metadata is Pydantic's, which wants it with the first model."""


@benchmark("cases-200")
def cases_200(directory: Path, times: int) -> Iterator[Figure]:
    """Whole processes. The peer loads no plug-in that it doesn't need, and neither side the system's trust store.

    What the lab can't do without is shown beside it: loading the libraries, and the handshakes one after the other.
    """
    (directory / "mix.yaml").write_text(scenario(_COUNT))
    by_hand = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", str(_HERE / "pytest.ini")]
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(_HERE.parent.parent), "CASES": str(_COUNT)}
    columns = interleave(
        [
            mtls_run(directory, "mix.yaml"),
            Command([*by_hand, str(_HERE / "test_by_hand.py")], directory, environment),
            Command([sys.executable, "-c", f"import {_LIBRARIES}"], directory, {"PYDANTIC_DISABLE_PLUGINS": "__all__"}),
            Command([sys.executable, "-m", "bench.cases_2000.bare", str(_COUNT), "mix"], directory, environment),
        ],
        times,
    )
    ours, peer, libraries, _ = medians(columns)
    handshakes = median(float(run.output) for run in columns[3])
    yield Figure("200 cases, whole process", ours, peer, "s", "pytest + trustme + ssl", 0.55, times)
    yield Figure("their libraries and handshakes alone", libraries + handshakes, peer, "s", "the same", None, times)
