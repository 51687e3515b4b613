"""Fills in docs/tutorial.md by running it: ``python -m tests.tutorial [--check]``.

A ``yaml`` block after a ``file`` mark is that file. A ``diff`` block changes the file of the command that follows it, and a
``console`` block is a command with what it prints. Everything runs in a copy, whose files are the unchanged ones again at the
next heading. With ``--check`` nothing is written, and anything but figures that differs is an error.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from ..warm import run_warm

__all__ = ["ENGINE_STEP", "filled", "without_figures"]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/tutorial.md"
ENGINE_STEP = "## 12."
"""The heading of what needs a container engine."""
_BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>yaml|diff|console)\n(?P<body>.*?)```", re.DOTALL)


def without_figures(text: str) -> str:
    """Without what differs from run to run and from machine to machine: times, ports, sizes, versions."""
    text = re.sub(r"\s+\(\d+\.\d s\)$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\d+\.\d\d s\b", "N s", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "DATE", text)
    text = re.sub(r"\bport \d+", "port N", text)
    text = re.sub(r"\(\d+ bytes\)", "(N bytes)", text)
    text = re.sub(r"\bpython 3\.\S+?(?=[,:)]|$)", "python N", text, flags=re.MULTILINE)
    return re.sub(r"^python N.*", "VERSIONS", text, flags=re.MULTILINE)


def _patched(text: str, diff: str) -> str:
    """``-`` lines become the ``+`` lines that follow them."""
    old = "".join(line[1:] for line in diff.splitlines(keepends=True) if line.startswith("-"))
    new = "".join(line[1:] for line in diff.splitlines(keepends=True) if line.startswith("+"))
    if text.count(old) != 1:
        raise SystemExit(f"the tutorial changes what is not there once:\n{old}")
    return text.replace(old, new)


def _output(command: str, place: Path) -> str:
    program, *arguments = shlex.split(command)
    environment = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR", "MTLS_RUN_IMAGE")
    }
    done = run_warm(program, arguments, cwd=place, env=environment | {"LANG": "C.UTF-8"})
    if done.returncode not in (0, 1) or done.stderr:
        raise SystemExit(f"{command} exits with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def _section(text: str, place: Path) -> str:
    shutil.copytree(ROOT / "docs/tutorial", place / "docs/tutorial", dirs_exist_ok=True)
    changes: list[str] = []

    def fill(block: re.Match[str]) -> str:
        kind, body = block["kind"], block["body"]
        if block["file"]:
            lines = (ROOT / "docs" / block["file"]).read_text().splitlines(keepends=True)
            body = "".join(line for line in lines if not line.startswith("# yaml-language-server"))
            return f"<!-- file: {block['file']} -->\n```{kind}\n{body}```"
        if kind == "diff":
            changes.append(body)
        elif kind == "console":
            command = body.partition("\n")[0].removeprefix("$ ")
            path = place / re.findall(r"docs/tutorial/[\w-]+\.yaml", command)[0]
            while changes:
                path.write_text(_patched(path.read_text(), changes.pop(0)))
            fresh = f"$ {command}\n{_output(command, place)}"
            # Figures alone are no reason to change the page.
            body = body if without_figures(body) == without_figures(fresh) else fresh
        return f"```{kind}\n{body}```"

    return _BLOCK.sub(fill, text)


def filled(page: str) -> str:
    """The page, or a step of it, with every block as it is now."""
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        shutil.copy(ROOT / "lab.yaml", place)
        return "".join(_section(section, place) for section in re.split(r"(?m)^(?=## )", page))


def main() -> int:
    """Write the page, or say how it differs."""
    page = PAGE.read_text()
    fresh = filled(page)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(fresh)
        return 0
    sys.stdout.writelines(difflib.unified_diff(page.splitlines(True), fresh.splitlines(True), "is", "should be"))
    return int(page != fresh)


if __name__ == "__main__":
    sys.exit(main())
