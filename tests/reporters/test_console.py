from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from mtls_runner.model.case import Plan
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.verdict import Mismatch, Progress, RunStarted, Verdict
from mtls_runner.reporters import ASCII_MARKS, MARKS, PlainPage, marks_for
from mtls_runner.reporters.console import ConsoleReporter
from mtls_runner.reporters.live import RichPage
from tests.reporters import samples

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def plain(plans: Sequence[Plan], verdicts: Sequence[Verdict], *, verbose: bool = False, **rest: Any) -> list[str]:
    stream = io.StringIO()
    reporter = ConsoleReporter(PlainPage(stream), MARKS, verbose=verbose)
    for event in samples.events(plans, verdicts, **rest):
        reporter.handle(event)
    reporter.close()
    assert "\x1b" not in stream.getvalue()
    return stream.getvalue().splitlines()


def test_each_case_says_who_refused_whom_under_its_file() -> None:
    cases = [samples.case("good"), samples.case("a longer name")]
    told = plain([samples.plan(*cases)], [samples.passed(cases[0]), samples.passed(cases[1])])
    assert told[:4] == [
        "labs/sample.yaml  python server, curl client",
        "  What it shows.",
        "  ✓ good           server accepted the client: 200",
        "  ✓ a longer name  server accepted the client: 200",
    ]
    assert told[-2:] == ["2 passed of 2 cases in 0.50 s", "python 3.11.7, openssl 3.0.19, curl 7.88.1"]


def test_backend_tool_and_version_stand_where_they_vary_and_only_there() -> None:
    cases = [
        samples.case("one", tool="curl", tls=TlsVersion.V1_2),
        samples.case("two", tool="python", tls=TlsVersion.V1_2),
    ]
    told = plain([samples.plan(*cases)], [samples.passed(case) for case in cases])
    assert told[0] == "labs/sample.yaml  python server, TLSv1.2"
    assert told[2].startswith("  ✓ one  curl    server")
    assert told[3].startswith("  ✓ two  python  server")


def test_what_the_name_says_is_not_said_twice() -> None:
    cases = [samples.case("one", tool=tool, client_tool=tool) for tool in ("curl", "python")]
    told = plain([samples.plan(*cases)], [samples.passed(case) for case in cases])
    assert told[2] == "  ✓ one[client.tool=curl]    server accepted the client: 200"


def test_a_failure_shows_expected_against_observed_with_the_scenarios_own_line() -> None:
    cases = [samples.case("good"), samples.case("bad")]
    told = plain([samples.plan(*cases)], [samples.passed(cases[0]), samples.failed(cases[1])])
    assert "  ✗ bad   reason: expected expired, observed unknown-ca" in told
    details = told[told.index("FAILED labs/sample.yaml::bad") :]
    assert any("labs/sample.yaml:6:30" in line for line in details)
    line = next(index for index, text in enumerate(details) if "expect: {server-refused: expired}" in text)
    caret = details[line + 1]
    assert caret.index("^") == details[line].index("expired}")
    assert "  seen:     server refused the client: unknown-ca (alert unknown_ca)" in details
    assert "  evidence: client: received alert unknown_ca (48)" in details
    assert "  hint:     add the issuer to trust" in details
    assert "  again:    mtls-run labs/sample.yaml::bad" in details
    assert details[-2] == "1 failed, 1 passed of 2 cases in 0.50 s"


def test_without_a_failure_there_are_no_details() -> None:
    case = samples.case()
    told = plain([samples.plan(case)], [samples.passed(case)])
    assert not any(line.startswith(("FAILED", "BROKEN")) for line in told)


def test_every_mismatch_is_shown() -> None:
    case = samples.case()
    wrong = [Mismatch(path, "1", "2", samples.span(6, 14)) for path in ("outcome", "reason", "status")]
    told = plain([samples.plan(case)], [samples.failed(case, *wrong)])
    assert "  ✗ one  outcome: expected 1, observed 2 (and 2 more)" in told
    assert sum("expected 1, observed 2" in line for line in told) == 4


def test_what_a_matrix_multiplies_is_explained_once() -> None:
    cases = [samples.case(f"bad[{number}]") for number in range(3)] + [samples.case("other")]
    other = Mismatch("status", "200", "400", samples.span())
    verdicts = [*map(samples.failed, cases[:3]), samples.failed(cases[3], other)]
    told = plain([samples.plan(*cases)], verdicts)
    assert [line for line in told if line.startswith("FAILED")] == [
        "FAILED labs/sample.yaml::bad[0]",
        "FAILED labs/sample.yaml::other",
    ]
    likewise = told.index("  likewise: labs/sample.yaml::bad[1]")
    assert told[likewise + 1] == "            labs/sample.yaml::bad[2]"
    assert told[likewise + 2] == ""


def test_the_command_to_repeat_it_is_shown_where_its_files_are_kept() -> None:
    case = samples.case()
    command = "  by hand:  curl -K case.curlrc https://localhost:1/"
    assert command in plain([samples.plan(case)], [samples.failed(case)], kept="kept")
    assert command not in plain([samples.plan(case)], [samples.failed(case)])


def test_a_broken_lab_and_its_next_step_are_shown() -> None:
    case = samples.case()
    told = plain([samples.plan(case)], [samples.broken(case)], error="and the rest too")
    assert "  ! one  no container engine" in told
    assert "BROKEN labs/sample.yaml::one" in told
    assert "    start one with: dockerd" in told
    assert "the lab broke: and the rest too" in told


def test_skips_are_counted_by_reason() -> None:
    cases = [samples.case(f"case {number}") for number in range(3)]
    verdicts = [samples.skipped(cases[0]), samples.skipped(cases[1]), samples.skipped(cases[2], "no curl")]
    told = plain([samples.plan(*cases)], verdicts)
    assert "  - case 0  skipped: Python's ssl has no verify depth" in told
    assert "skipped 2: Python's ssl has no verify depth" in told
    assert "skipped 1: no curl" in told


def test_an_interrupted_run_says_how_much_never_ran() -> None:
    cases = [samples.case("one"), samples.case("two")]
    told = plain([samples.plan(*cases)], [samples.passed(cases[0])], interrupted=True)
    assert told[-2] == "interrupted: 1 passed, 1 not run of 2 cases in 0.50 s"


def test_warnings_and_kept_material_are_told() -> None:
    case = samples.case()
    told = plain(
        [samples.plan(case, warnings=(samples.warning("never used"),))], [samples.passed(case)], kept="kept/here"
    )
    assert "  labs/sample.yaml:2:1: warning: never used" in told
    assert "kept the material of labs/sample.yaml in kept/here" in told


def test_verbose_shows_both_handshakes_and_quiet_does_not() -> None:
    case = samples.case()
    loud = plain([samples.plan(case)], [samples.passed(case)], verbose=True)
    quiet = plain([samples.plan(case)], [samples.passed(case)])
    assert "      > ClientHello (512 bytes)" in loud
    assert "      server: python ssl" in loud
    assert not any("ClientHello" in line for line in quiet)


def test_names_from_a_file_cannot_move_the_cursor() -> None:
    case = samples.case("evil \x1b[2J\u202e name")
    told = plain([samples.plan(case)], [samples.failed(case)])
    assert any("evil \\x1b[2J\\u202e name" in line for line in told)


def test_wide_characters_keep_the_columns() -> None:
    cases = [samples.case("証明書"), samples.case("abcdef")]
    told = plain([samples.plan(*cases)], [samples.passed(case) for case in cases])
    assert told[2].startswith("  ✓ 証明書  server")
    assert told[3].startswith("  ✓ abcdef  server")


def test_a_terminal_gets_colours_and_the_same_words() -> None:
    cases = [samples.case("good"), samples.case("bad")]
    verdicts = [samples.passed(cases[0]), samples.failed(cases[1])]
    stream = io.StringIO()
    reporter = ConsoleReporter(RichPage(stream, color=True, live=False), MARKS)
    for event in samples.events([samples.plan(*cases)], verdicts):
        reporter.handle(event)
    reporter.close()
    assert "\x1b[32m" in stream.getvalue()
    told = [line.rstrip() for line in ANSI.sub("", stream.getvalue()).splitlines()]
    assert told == plain([samples.plan(*cases)], verdicts)


def test_no_color_on_a_terminal_means_none() -> None:
    case = samples.case()
    stream = io.StringIO()
    reporter = ConsoleReporter(RichPage(stream, color=False, live=False), MARKS)
    for event in samples.events([samples.plan(case)], [samples.failed(case)]):
        reporter.handle(event)
    assert not ANSI.search(stream.getvalue())


def test_a_terminal_has_a_live_line_and_a_pipe_has_not() -> None:
    def progress(page: PlainPage | RichPage, stream: io.StringIO) -> str:
        reporter = ConsoleReporter(page, MARKS)
        reporter.handle(RunStarted((), 8))
        reporter.handle(Progress("making RSA keys", 2, 8))
        reporter.close()
        return stream.getvalue()

    stream = io.StringIO()
    assert "making RSA keys" in progress(RichPage(stream, color=True, live=True), stream)
    stream = io.StringIO()
    assert progress(PlainPage(stream), stream) == ""


@pytest.mark.parametrize(("encoding", "marks"), [("utf-8", MARKS), ("ascii", ASCII_MARKS), ("latin-1", ASCII_MARKS)])
def test_marks_fit_the_encoding(encoding: str, marks: dict[str, str]) -> None:
    assert marks_for(io.TextIOWrapper(io.BytesIO(), encoding=encoding)) == marks


def test_rich_is_loaded_for_terminals_only() -> None:
    code = "import sys, mtls_runner.reporters.console, mtls_runner.reporters.json_report, mtls_runner.reporters.junit\n"
    done = subprocess.run(
        [sys.executable, "-c", code + "print('rich' in sys.modules, 'cryptography' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["False", "False"]
