"""A terminal of sixty columns: lines end between words, and a caret stays under what it points at."""

from __future__ import annotations

import io
import re
import shlex
from pathlib import Path

import pytest

from mtls_runner import load, run
from mtls_runner.reporters import MARKS, Style
from mtls_runner.reporters.console import ConsoleReporter
from mtls_runner.reporters.live import RichPage
from mtls_runner.snippet import width

LAB = """\
ca: {}
leaves: {server: {}, old: {usage: client, not_before: -2d, not_after: -1d}}
server: {certificate: server, trust: ca}
cases:
  - {name: a name that is rather long for a terminal this narrow, client: old, expect: {outcome: accepted, status: 200}}
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "columns"), [(Terminal, 60), (Terminal, 200), (io.StringIO, 60)])
def test_lines_end_between_words(
    stream: type[io.StringIO], columns: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.chdir(tmp_path)
    Path("narrow.yaml").write_text(LAB)
    shown = stream()
    reporter = ConsoleReporter(RichPage(shown, color=False, live=False), MARKS)
    for event in run([load(Path("narrow.yaml"))]):
        reporter.handle(event)
    reporter.close()
    lines = shown.getvalue().splitlines()
    (again,) = [line for line in lines if line.startswith("  again: ")]
    name = "a name that is rather long for a terminal this narrow"
    assert shlex.split(again)[1:] == ["mtls-run", f"narrow.yaml::{name}"], "as it is copied, a shell takes it as one"
    if stream is Terminal:
        assert max(width(line) for line in lines if line != again) <= columns
    else:
        assert max(map(width, lines)) > 100  # nobody looks: nothing is broken
    whole = " ".join(" ".join(lines).split())
    for words in (
        "server refused the client: expired, its certificate has expired (alert certificate_expired)",
        "server (python ssl): verify code 10 (X509_V_ERR_CERT_HAS_EXPIRED)",
        "a name that is rather long for a terminal this narrow outcome: expected accepted, observed server-refused",
    ):
        assert words in whole
    number, caret = next((at, line) for at, line in enumerate(lines) if line.lstrip(" |").startswith("^"))
    assert lines[number - 1][caret.index("^") : caret.rindex("^") + 1] == "accepted"
    hint = next(line for line in lines if line.startswith("  hint:"))
    assert lines[lines.index(hint) + 1].startswith(" " * 12 if columns == 60 and stream is Terminal else "  again:")


def test_the_live_line_leaves_room_for_what_the_terminal_writes_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C is echoed as ``^C``: behind a full line that would begin another, and the line would stay."""
    monkeypatch.setenv("COLUMNS", "60")
    shown = Terminal()
    page = RichPage(shown, color=False, live=True)
    page.progress("a case whose name is longer than what is left of the line", 1, 2)
    page.close()
    lines = [line for line in re.split(r"\x1b\[[?0-9;]*[A-Za-z]|\r|\n", shown.getvalue()) if "…" in line]
    assert lines
    assert max(map(width, lines)) <= 60 - len("^C")


def test_a_number_stays_with_what_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = Terminal()
    page = RichPage(shown, color=False, live=False)
    page.line(("  marks (client.tls, client.tool): 1 TLSv1.2,python  2 TLSv1.3,python", Style.DIM))
    page.close()
    assert shown.getvalue().splitlines()[1].strip() == "2 TLSv1.3,python"
