"""Mutated scenario files: reading and explaining one ends in a plan or in messages, never in a traceback or a hang.

    python -m tests.mutated --count 100000 --seed 1 [--jobs 2]

Each file is one of the repository's scenarios with a few things changed: bytes, lines, indentation, keys and values
swapped, taken from other files or replaced by what has broken readers before. The same seed makes the same files;
``--only N`` makes one and says what comes of it. Nothing is connected to and no command is run.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path

from mtls_runner.errors import MtlsRunError, ScenarioError
from mtls_runner.explain.explanation import explain
from mtls_runner.language import Overrides, load
from mtls_runner.snippet.rendering import render

from .workers import workers

__all__ = ["finding", "mutant"]

ROOT = Path(__file__).parents[1]
LIMIT = 60
"""Seconds for one file, of this process's own time: more is a hang."""
FOLDERS = ("scenarios", "mtls_runner/conformance")
LARGEST = 4000
"""Bytes of a scenario that is changed: a larger one takes longer and is no other."""
ODD: Sequence[str] = (
    *("{{address}}", "${HOME}", "$(id)", "a;b"),
    *("a\\tb", "- - - a", "? ? ?", "{a: {a: {a: {a: {a: {a: {a: 1}}}}}}}"),
)


@cache
def sources() -> tuple[tuple[str, str], ...]:
    """Every scenario of the repository: its folder, and its text."""
    found = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.yaml"))
    return tuple(
        (str(path.parent.relative_to(ROOT)), path.read_text("utf-8")) for path in found if path.stat().st_size < LARGEST
    )


@cache
def words() -> tuple[str, ...]:
    """Keys and values of all sources."""
    return tuple(sorted({word for _, text in sources() for word in re.findall(r"[\w./*:=-]{2,40}", text)}))


# --- what is done to a file ---------------------------------------------------------------------------------------------


def _somewhere(text: str, chance: random.Random) -> int:
    return chance.randrange(len(text) + 1)


def _line(text: str, chance: random.Random) -> tuple[list[str], int]:
    lines = text.splitlines(keepends=True) or [""]
    return lines, chance.randrange(len(lines))


def _insert_odd(text: str, chance: random.Random) -> str:
    at = _somewhere(text, chance)
    return text[:at] + chance.choice(ODD) + text[at:]


def _replace_value(text: str, chance: random.Random) -> str:
    found = list(re.finditer(r"(?<=: )[^\n,}\]]+", text))
    if not found:
        return text
    match = chance.choice(found)
    new = chance.choice(ODD) if chance.random() < 0.7 else chance.choice(words())
    return text[: match.start()] + new + text[match.end() :]


def _replace_key(text: str, chance: random.Random) -> str:
    found = list(re.finditer(r"[\w.-]+(?=:)", text))
    if not found:
        return text
    match = chance.choice(found)
    return text[: match.start()] + chance.choice(words()) + text[match.end() :]


def _drop(text: str, chance: random.Random) -> str:
    low = _somewhere(text, chance)
    return text[:low] + text[low + chance.choice((1, 1, 2, 5, 20, 200)) :]


def _swap_characters(text: str, chance: random.Random) -> str:
    at = _somewhere(text, chance)
    return text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]


def _punctuation(text: str, chance: random.Random) -> str:
    found = list(re.finditer(r"[:,{}\[\]\-'\"#&*!|>%@`]", text))
    if not found:
        return text
    match = chance.choice(found)
    return text[: match.start()] + chance.choice(":,{}[]-'\"#&*!|>%@`\uff1a; \t") + text[match.end() :]


def _drop_line(text: str, chance: random.Random) -> str:
    lines, at = _line(text, chance)
    del lines[at]
    return "".join(lines)


def _repeat_line(text: str, chance: random.Random) -> str:
    lines, at = _line(text, chance)
    lines[at:at] = [lines[at]] * chance.choice((1, 2, 50))
    return "".join(lines)


def _move_line(text: str, chance: random.Random) -> str:
    lines, at = _line(text, chance)
    line = lines.pop(at)
    lines.insert(chance.randrange(len(lines) + 1), line)
    return "".join(lines)


def _indent(text: str, chance: random.Random) -> str:
    lines, at = _line(text, chance)
    lines[at] = (
        chance.choice(("  ", " ", "\t", "        ")) + lines[at] if chance.random() < 0.5 else lines[at].lstrip(" ")
    )
    return "".join(lines)


def _graft(text: str, chance: random.Random) -> str:
    """A block of lines from another scenario."""
    other, start = _line(chance.choice(sources())[1], chance)
    lines, at = _line(text, chance)
    lines[at:at] = other[start : start + chance.randrange(1, 8)]
    return "".join(lines)


def _matrix(text: str, chance: random.Random) -> str:
    path = f"{chance.choice(('server', 'client', 'client.request'))}.{chance.choice(words())}"
    return f"{text}\nmatrix:\n  {path}: [{chance.choice(ODD)}, {chance.choice(words())}]\n"


def _breaks(text: str, chance: random.Random) -> str:
    return text.replace("\n", chance.choice(("\r\n", "\r", "\x85", "\n\n", "")))


CHANGES: Sequence[Callable[[str, random.Random], str]] = (
    *(_insert_odd, _replace_value, _replace_value, _replace_value, _replace_key, _replace_key, _drop, _swap_characters),
    *(_punctuation, _punctuation, _drop_line, _repeat_line, _move_line, _indent, _graft, _matrix),
)


def mutant(seed: int, number: int) -> tuple[str, bytes]:
    """The file of that number, and its folder; always the same one."""
    chance = random.Random(f"{seed}/{number}")  # noqa: S311 - it has to come out the same
    folder, text = chance.choice(sources())
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 5, 9))):
        text = chance.choice(CHANGES)(text, chance)
    if chance.random() < 0.02:
        text = _breaks(text, chance)
    data = text.encode("utf-8", "surrogatepass")
    if data and chance.random() < 0.03:
        at = chance.randrange(len(data))
        data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
    return folder, data


# --- what comes of it ---------------------------------------------------------------------------------------------------


class _Hang(BaseException):
    """More than :data:`LIMIT`."""


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    def late(*_: object) -> None:
        raise _Hang(f"more than {LIMIT} s")

    before = signal.signal(signal.SIGVTALRM, late)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def finding(data: bytes, path: Path) -> str:
    """``plan``, ``messages``, or a traceback's last place and its exception.

    Args:
        data: the file's content.
        path: where to put it.
    """
    path.write_bytes(data)
    try:
        with _limited(), warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("error")
            try:
                plan = load(path, Overrides())
            except ScenarioError as error:
                text = data.decode("utf-8-sig", "replace")
                if not [render(diagnostic, text) for diagnostic in error.diagnostics]:
                    return "no message"
                return "messages"
            except MtlsRunError as error:
                return f"{type(error).__name__} without a place: {error}"
            for _ in explain(plan, datetime.now(UTC), in_full=True):
                pass
            repr(plan)
            return "plan"
    except (Exception, _Hang) as error:  # noqa: BLE001 - what it is all about
        frames = [f for f in traceback.extract_tb(error.__traceback__) if "mtls_runner" in f.filename]
        last = frames[-1] if frames else traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno} {last.name}: {str(error)[:200]}"


def _chunk(seed: int, numbers: Sequence[int]) -> list[tuple[int, str]]:
    os.chdir(ROOT)
    with tempfile.TemporaryDirectory() as directory:
        for folder in FOLDERS:  # with the files that scenarios name
            shutil.copytree(ROOT / folder, Path(directory, folder), ignore=shutil.ignore_patterns("*.py*"))
        made = ((number, *mutant(seed, number)) for number in numbers)
        return [(number, finding(data, Path(directory, folder, "mutant.yaml"))) for number, folder, data in made]


def main() -> int:
    """Make them all, say what came of them by kind; 0 if each was a plan or messages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", type=int, metavar="N", help="print file N and what comes of it")
    typed = parser.parse_args()
    if typed.only is not None:
        _, data = mutant(typed.seed, typed.only)
        sys.stdout.buffer.write(data + b"\n")
        print("->", *(found for _, found in _chunk(typed.seed, [typed.only])))
        return 0
    kinds: Counter[str] = Counter()
    first: dict[str, int] = {}
    chunks = [range(low, min(low + 200, typed.count)) for low in range(0, typed.count, 200)]
    with workers(typed.jobs) as pool:
        for chunk in pool.map(partial(_chunk, typed.seed), chunks):
            for number, found in chunk:
                kind = re.sub(r"\d+", "N", found) if found not in ("plan", "messages") else found
                kinds[kind] += 1
                if first.setdefault(kind, number) == number and kind not in ("plan", "messages"):
                    print(f"file {number}: {found}", flush=True)
    for kind, count in kinds.most_common():
        print(f"{count:7}  {kind}  (first: file {first[kind]})")
    wrong = typed.count - kinds["plan"] - kinds["messages"]
    print(f"seed {typed.seed}: {typed.count - wrong} passed, {wrong} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
