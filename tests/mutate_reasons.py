"""Changes each line of the reason tables in ``mtls_runner/tls/__init__.py``, one at a time, and shows that a test fails.

``python tests/mutate_reasons.py`` prints what survived, and exits 1 if anything did. The mutant never touches the disk: a
child of this process gets it for ``mtls_runner.tls`` and runs the fast tests of the tables.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "mtls_runner" / "tls" / "__init__.py"
TESTS = ("tests.tls.test_reason_table", "tests.tls.test_names")

_CODE = re.compile(r'(?P<before>\s+\((?P<number>\d+), "(?P<symbol>\w+)", )(?P<reason>None|r\.\w+)(?P<after>\),.*)')


@dataclass(frozen=True, slots=True)
class Mutant:
    """One changed line."""

    line: int
    before: str
    after: str

    def source(self, lines: list[str]) -> str:
        """The whole module with that line changed."""
        return "\n".join([*lines[: self.line], self.after, *lines[self.line + 1 :]]) + "\n"


def mutants(lines: list[str]) -> Iterator[Mutant]:
    """For each line of a table: another reason, another key, another symbol, and the line left out."""
    for number, line in enumerate(lines):
        code = _CODE.fullmatch(line)
        if code is not None:
            other = "r.OTHER" if code["reason"] != "r.OTHER" else "r.POLICY"
            yield Mutant(number, line, f"{code['before']}{other}{code['after']}")
            yield Mutant(number, line, line.replace(f'"{code["symbol"]}"', f'"{code["symbol"]}_X"'))
            yield Mutant(number, line, line.replace(f"({code['number']},", f"({int(code['number']) + 1000},"))
            yield Mutant(number, line, "")


def survives(source: str) -> bool:
    """Whether all tests pass with that source; in a child, so that nothing of it stays."""
    child = os.fork()
    if child == 0:
        os._exit(_run(source))
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def _run(source: str) -> int:
    spec = importlib.util.spec_from_loader("mtls_runner.tls", loader=None, origin=str(SOURCE), is_package=True)
    if spec is None:
        raise SystemExit("there is no such module")
    spec.submodule_search_locations = [str(SOURCE.parent)]
    module = importlib.util.module_from_spec(spec)
    sys.modules["mtls_runner.tls"] = module
    try:
        exec(compile(source, str(SOURCE), "exec"), module.__dict__)  # noqa: S102 - this project's own source
        for name in TESTS:
            tests = importlib.import_module(name)
            for key, function in list(vars(tests).items()):
                if not key.startswith("test_") or function.__code__.co_argcount:
                    continue  # a test with parameters is about something else than the tables
                with contextlib.suppress(pytest.skip.Exception):
                    function()
    except BaseException:  # noqa: BLE001 - whatever it is, the mutant is found out
        return 1
    return 0


def main() -> int:
    """Try them all; 1 when one survives."""
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    for name in ("mtls_runner.model.observation", "mtls_runner.model.endpoint", "tests.tls"):
        importlib.import_module(name)  # once, not in every child
    lines = SOURCE.read_text("utf-8").splitlines()
    if not survives("\n".join(lines) + "\n"):
        print("the tests fail without any change")
        return 1
    found = list(mutants(lines))
    survivors = [mutant for mutant in found if survives(mutant.source(lines))]
    for mutant in survivors:
        print(
            f"survived: {SOURCE.name}:{mutant.line + 1}: {mutant.before.strip()} → {mutant.after.strip() or 'left out'}"
        )
    print(f"{len(found)} changes, {len(survivors)} survived")
    return 1 if survivors or len(found) < 300 else 0


if __name__ == "__main__":
    sys.exit(main())
