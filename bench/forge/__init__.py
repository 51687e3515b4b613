"""60 different EC certificates, each with a key of its own, on disk: forged, and made by openssl commands."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from bench.figure import Figure, benchmark
from bench.process import Broken, Command, run
from mtls_runner.model.certificate import BasicConstraints, CertificateSpec, KeySpec, Moment
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool

__all__ = ["forge"]

_COUNT = 60
_SCRIPT = Path(__file__).with_name("by_hand.sh")


def _certificates() -> dict[str, CertificateSpec]:
    """An authority and its leaves, with the extensions that the script gives them."""
    begin, end = Moment(timedelta(hours=-1)), Moment(timedelta(days=365))
    ca = CertificateSpec(
        "ca", True, "CN=Lab Root CA", None, KeySpec(), None, begin, end, basic_constraints=BasicConstraints(ca=True)
    )
    leaves = {
        f"leaf-{number}": CertificateSpec(
            f"leaf-{number}",
            False,
            f"CN=leaf-{number}",
            "ca",
            KeySpec(),
            None,
            begin,
            end,
            san=("DNS:localhost", "IP:127.0.0.1"),
            extended_key_usage=("serverAuth", "clientAuth"),
            key_usage=("digitalSignature",),
            basic_constraints=BasicConstraints(ca=False),
        )
        for number in range(_COUNT)
    }
    return {"ca": ca, **leaves}


def _forged(directory: Path) -> float:
    """Seconds from the descriptions to all files."""
    shutil.rmtree(directory, ignore_errors=True)
    began = time.perf_counter()
    specs = _certificates()
    store = Store(directory, specs, start=datetime.now(UTC), pool=KeyPool())
    for name in specs:
        store.credential(name)
    seconds = time.perf_counter() - began
    made = {path.read_bytes() for path in (directory / "leaves").glob("*.crt")}
    if len(made) != _COUNT:
        raise Broken(f"{len(made)} certificates were forged")
    return seconds


def _by_hand(directory: Path) -> float:
    """Seconds that the script says it took for its leaves."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    seconds = run(Command(["bash", str(_SCRIPT), str(_COUNT)], directory, {})).seconds
    if len(list(directory.glob("leaf-*.crt"))) != _COUNT:
        raise Broken("openssl made other than the wanted certificates")
    return seconds


@benchmark("forge")
def forge(directory: Path, times: int) -> Iterator[Figure]:
    """In turns, after one round that nobody times; ours in a process that has its libraries loaded, as a run has."""
    ours, peer = [], []
    for number in range(times + 1):
        one, other = _forged(directory / "forged"), _by_hand(directory / "by-hand")
        if number:
            ours.append(one)
            peer.append(other)
    yield Figure(
        f"{_COUNT} EC certificates", 1000 * median(ours), 1000 * median(peer), "ms", "openssl commands", 0.1, times
    )
