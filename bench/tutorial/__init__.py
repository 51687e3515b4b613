"""``scenarios/basic.yaml`` against the same lab built by hand with openssl and curl."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.figure import Figure, benchmark
from bench.process import Command, interleave, medians, mtls_run

_HERE = Path(__file__).parent
_SCENARIO = _HERE.parent.parent / "scenarios" / "basic.yaml"


@benchmark("tutorial")
def tutorial(directory: Path, times: int) -> Iterator[Figure]:
    """The lab's keys come from its pool, which the first, untimed round fills; the script makes them each time."""
    script = Command(["bash", str(_HERE / "by_hand.sh")], directory, {})
    columns = interleave([mtls_run(directory, str(_SCENARIO)), script], max(9, times))
    ours, peer = medians(columns)
    yield Figure("basic.yaml, warm key pool", ours, peer, "s", "openssl script + 2 curls", 0.5, len(columns[0]))
