"""``python -m tests.kills [--times N] [--seed N] [process|container…]``: a lab that is killed leaves nothing behind.

Not a part of the suite: it kills a run a hundred times, each at another moment of it, which takes a second or two, and five where
the machine has eight times as much to do as it can. A run that goes well says how long one takes. Afterwards no process of the
lab's may be left (whatever it started ends by itself), and after ``mtls-run clean`` no container of its and no directory.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mtls_runner.deadlines import Deadline

from .container_engine import IMAGE, containers_of

_SCENARIO = """\
name: killed
ca: {{}}
leaves: {{server: {{}}, client: {{usage: client}}}}
servers:
  one: {{backend: {backend}, runtime: {runtime}, certificate: server, trust: [ca]}}
  two: {{like: one, client_auth: optional}}
cases:
  - {{name: one, server: one, client: client, expect: accepted}}
  - {{name: two, server: two, client: client, expect: accepted}}
"""
_BACKENDS = {"process": ("nginx", "haproxy", "lighttpd"), "container": ("nginx",)}
_SECONDS = 20.0
_TOLD_EVERY = 20
_LAB = [sys.executable, "-c", "import sys; from mtls_runner.cli import main; sys.exit(main())"]


def _processes(directory: Path) -> Iterator[str]:
    """Whoever works in there, or was told of it."""
    told = str(directory).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
            if told in line or told in (process / "environ").read_bytes():
                yield line.replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue


def _left(directory: Path, pid: int, environment: dict[str, str]) -> Iterator[str]:
    deadline = Deadline.after(_SECONDS)
    while (processes := list(_processes(directory))) and not deadline.passed:
        time.sleep(0.05)  # between two looks
    yield from (f"process {line}" for line in processes)
    clean = [*_LAB, "clean"]
    subprocess.run(clean, env=environment, check=True, capture_output=True, timeout=120)
    yield from (f"container {name}" for name in containers_of(pid))
    yield from (f"directory {path}" for path in directory.glob("mtls-run-*/run-*"))


def _killed(runtime: str, times: int, chance: random.Random) -> Iterator[str]:
    for backend in _BACKENDS[runtime]:
        with tempfile.TemporaryDirectory(prefix="mtls-run-kills-") as name:
            directory = Path(name)
            scenario = directory / "killed.yaml"
            scenario.write_text(_SCENARIO.format(backend=backend, runtime=runtime))
            environment = {**os.environ, "TMPDIR": name, "MTLS_RUN_IMAGE": IMAGE}
            command = [*_LAB, str(scenario)]
            began = time.monotonic()
            subprocess.run(command, env=environment, check=True, capture_output=True, timeout=120)
            whole = time.monotonic() - began
            for number in range(1, times + 1):
                moment = chance.uniform(0, whole)
                with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
                    try:
                        process.wait(moment)
                    except subprocess.TimeoutExpired:
                        process.kill()
                for what in _left(directory, process.pid, environment):
                    yield f"{backend}, {runtime}, kill {number} after {moment:.3f} of {whole:.3f} s: {what}"
                if number % _TOLD_EVERY == 0 or number == times:
                    print(f"{backend}, {runtime}: killed {number} times", flush=True)


def main() -> int:
    """The exit code is 1 where something was left."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("runtimes", nargs="*", choices=[[], *_BACKENDS], metavar="process|container")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    left = 0
    for runtime in options.runtimes or _BACKENDS:
        for what in _killed(runtime, options.times, random.Random(options.seed)):  # noqa: S311 - moments, no secrets
            print(f"  {what}", flush=True)
            left += 1
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
