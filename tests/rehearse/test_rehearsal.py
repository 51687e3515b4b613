"""Runs at another time, and a year lived through: against what OpenSSL says of the unmoved certificates at that moment."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mtls_runner import load
from mtls_runner.cli import main
from mtls_runner.rehearse.rehearsal import dates
from mtls_runner.runtimes.clock import stands

from ..container_engine import absent, not_here

NOW = datetime.now(UTC)
ABSOLUTE = NOW + timedelta(days=120)

SCENARIO = f"""\
ca: {{subject: CN=Root, days: 3650}}
leaves:
  server: {{usage: server, days: 3650}}
  relative: {{usage: client, not_after: +60d}}
  absolute: {{usage: client, not_after: "{ABSOLUTE:%Y-%m-%dT%H:%M:%SZ}"}}
  future: {{usage: client, not_before: +30d, not_after: +300d}}
server: {{certificate: server, trust: ca}}
cases:
  - {{name: relative, client: relative, expect: accepted}}
  - {{name: absolute, client: absolute, expect: accepted}}
  - {{name: future, client: future, expect: {{server-refused: not-yet-valid}}}}
"""
LEAVES = ("relative", "absolute", "future")
_CODES = {0: ("accepted", None), 9: ("server-refused", "not-yet-valid"), 10: ("server-refused", "expired")}


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return written(tmp_path, monkeypatch)


def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The scenario, in the directory that the program is in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".git").mkdir()
    path = tmp_path / "year.yaml"
    path.write_text(SCENARIO)
    return Path("year.yaml")


def _openssl(leaf: str, then: datetime) -> tuple[str, str | None]:
    """What OpenSSL says of a certificate with the dates that are written in the file, at a moment."""
    files = ["-CAfile", "forged/authorities/ca.crt", f"forged/leaves/{leaf}.crt"]
    done = subprocess.run(
        ["openssl", "verify", "-attime", str(int(then.timestamp())), *files],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    said = next((line.split()[1] for line in done.stderr.splitlines() if line.startswith("error ")), None)
    assert (done.returncode == 0) == (said is None), done.stderr
    return _CODES[int(said or 0)]


@pytest.mark.parametrize("days", [0, 40, 90, 150, 400])
def test_a_run_at_another_time_ends_as_openssl_says_of_that_time(scenario: Path, days: int) -> None:
    assert main(["forge", str(scenario), "-o", "forged"]) == 0
    wanted = {leaf: _openssl(leaf, NOW + timedelta(days=days)) for leaf in LEAVES}
    main(["run", str(scenario), "--at", f"+{days}d", "--json", "report.json"])
    cases = json.loads(Path("report.json").read_text())["cases"]
    assert {case["name"]: (case["observed"]["outcome"], case["observed"]["reason"]) for case in cases} == wanted


def test_a_date_means_that_day(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(scenario), "--at", f"{NOW + timedelta(days=90):%Y-%m-%d}"]) == 1
    told = capsys.readouterr().out
    assert f"as of {NOW + timedelta(days=90):%Y-%m-%d} 00:00Z" in told
    assert f"expired {NOW + timedelta(days=60):%Y-%m-%d}" in told  # the date as it is without --at


def test_hints_tell_the_dates_that_were_written(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Relative and absolute ones, of certificates and of a CRL, of who was refused and of who was let in."""
    text = scenario.read_text().replace("server: {cert", "crls: {ca: {next_update: +50d}}\nserver: {cert")
    scenario.write_text(f"{text}  - {{name: listed, client: future, server: {{crl: ca}}, expect: accepted}}\n")
    assert main(["run", str(scenario), "--at", "+150d"]) == 1
    hints = [line.split("hint:")[1].strip() for line in capsys.readouterr().out.splitlines() if "hint:" in line]
    day = {days: f"{NOW + timedelta(days=days):%Y-%m-%d}" for days in (30, 50, 60, 120, 300)}
    assert hints == [
        f"The certificate `relative` expired {day[60]} (line 4).",
        f"The certificate `absolute` expired {day[120]} (line 5).",
        f"`future` is valid, from {day[30]} to {day[300]}.",
        f"The certificate `future` is looked up in the CRL `ca`, which expired {day[50]} (line 7).",
    ]


def test_a_year_is_told_by_its_dates(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", str(scenario), "--for", "200d"]) == 1
    told = [line.split("   ")[0] for line in capsys.readouterr().out.splitlines()]
    day = {days: f"{NOW + timedelta(days=days):%Y-%m-%d}" for days in (30, 60, 120)}
    assert told == [
        f"on {day[30]} the server begins to accept `future`",
        f"on {day[60]} the server begins to refuse `relative`: expired",
        f"on {day[120]} the server begins to refuse `absolute`: expired",
    ]


def test_nothing_changes_before_the_first_date(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rehearse", str(scenario), "--for", "20d"]) == 0
    assert "no case ends otherwise than today" in capsys.readouterr().out


@pytest.mark.parametrize("wrong", ["soon", "-5d", "900y"])
def test_what_is_no_time_to_come(scenario: Path, capsys: pytest.CaptureFixture[str], wrong: str) -> None:
    assert main(["rehearse", str(scenario), "--for", wrong]) == 2
    assert f"--for {wrong}: a time" in capsys.readouterr().err


def test_own_files_stand_still(scenario: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["forge", str(scenario), "-o", "forged"]) == 0
    own = SCENARIO.replace(
        "relative: {usage: client, not_after: +60d}",
        "relative: {certificate: forged/leaves/relative.crt, key: forged/leaves/relative.key}",
    )
    Path("own.yaml").write_text(own)
    assert main(["run", "own.yaml", "--at", "+90d", "--json", "report.json"]) == 1
    cases = {case["name"]: case for case in json.loads(Path("report.json").read_text())["cases"]}
    assert cases["relative"]["verdict"] == "skip"
    assert "own files have the dates that they have" in cases["relative"]["skip_reason"]
    assert cases["future"]["observed"]["outcome"] == "accepted"
    assert main(["run", "own.yaml"]) in (0, 1)
    capsys.readouterr()
    assert main(["rehearse", "own.yaml", "--for", "200d"]) == 1
    told = capsys.readouterr().out
    assert "not rehearsed: relative: relative: own files" in told
    assert "refuse `relative`" not in told


def test_a_server_that_does_not_start_breaks_no_rehearsal_and_a_client_that_is_not_there_does(
    scenario: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MTLS_RUN_CURL", "/bin/false")
    text = SCENARIO.replace("server: {usage: server,", "server: {passphrase: right, usage: server,")
    scenario.write_text(text.replace("certificate: server,", "certificate: server, passphrase: wrong,"))
    assert main(["rehearse", str(scenario), "--for", "200d"]) == 0
    assert f"on {NOW + timedelta(days=60):%Y-%m-%d} nothing changes" in capsys.readouterr().out
    scenario.write_text(SCENARIO.replace("client: relative,", "client: {certificate: relative, tool: curl},"))
    assert main(["rehearse", str(scenario), "--for", "200d"]) == 3
    assert "relative: /bin/false --version" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("backend", "tool", "image"),
    [
        ("nginx", "curl", ""),
        ("haproxy", "curl", ""),
        ("apache", "s_client", ""),
        ("stunnel", "s_client", ""),
        ("s_server", "curl", ""),
        ("nginx", "curl", "mtls-run/debian-nginx"),
        ("haproxy", "curl", "mtls-run/haproxy"),
    ],
)
@pytest.mark.skipif("CI" not in os.environ and stands("curl") is not None, reason="no libfaketime")
def test_clocks_move_where_dates_can_not(
    scenario: Path, capsys: pytest.CaptureFixture[str], backend: str, tool: str, image: str
) -> None:
    """Those that start slowly are in ``slow.py``."""
    clocks_move(scenario, capsys, backend, tool, image)


def clocks_move(scenario: Path, capsys: pytest.CaptureFixture[str], backend: str, tool: str, image: str) -> None:
    """Both ends' clocks: own files, as OpenSSL sees them at that time; what the lab makes has the dates that were written."""
    assert main(["forge", str(scenario), "-o", "forged"]) == 0
    own = SCENARIO.replace(
        "relative: {usage: client, not_after: +60d}",
        "relative: {certificate: forged/leaves/relative.crt, key: forged/leaves/relative.key}",
    ).replace(
        "ca: {subject: CN=Root, days: 3650}",
        "ca: {certificate: forged/authorities/ca.crt, key: forged/authorities/ca.key}",
    )
    own = own.replace("  server: {usage: server, days: 3650}", "  server: {usage: server, not_after: +90d}")
    Path("own.yaml").write_text(own)
    if image and (why := absent(image)) is not None:
        not_here(why)
    runtime = ["container", "--image", image] if image else ["process"]
    options = ["--backend", backend, "--tool", tool, "--runtime", *runtime]
    for days, ends in (
        (50, ("accepted", None)),
        (70, ("server-refused", "expired")),
        (100, ("client-refused", "expired")),
    ):
        main(["run", "own.yaml", *options, "-k", "relative", "--at", f"+{days}d", "--json", "report.json"])
        (case,) = json.loads(Path("report.json").read_text())["cases"]
        assert (case["observed"]["outcome"], case["observed"]["reason"]) == ends
        if ends[0] != "client-refused":
            assert _openssl("relative", NOW + timedelta(days=days)) == ends
    if backend != "nginx" or image:
        return
    capsys.readouterr()
    assert main(["rehearse", "own.yaml", *options, "-k", "relative", "--for", "70d"]) == 1
    told = capsys.readouterr().out
    assert f"on {NOW + timedelta(days=60):%Y-%m-%d}" in told
    assert "begins to refuse `relative`: expired" in told


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--backend", "s_server", "--tool", "python"], "python: it has the clock of this machine"),
        (["--backend", "go", "--tool", "curl"], "go: Go asks the kernel for the time"),
    ],
)
def test_clocks_that_can_not_be_moved_are_a_skip(scenario: Path, options: list[str], why: str) -> None:
    assert main(["forge", str(scenario), "-o", "forged"]) == 0
    own = SCENARIO.replace(
        "ca: {subject: CN=Root, days: 3650}",
        "ca: {certificate: forged/authorities/ca.crt, key: forged/authorities/ca.key}",
    )
    Path("own.yaml").write_text(own)
    main(["run", "own.yaml", *options, "--at", "+10d", "--json", "report.json"])
    reasons = {case["skip_reason"] for case in json.loads(Path("report.json").read_text())["cases"]}
    assert len(reasons) == 1
    assert why in reasons.pop()


@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_own_crls_have_dates_as_openssl_reads_them(scenario: Path, form: str) -> None:
    issuer = SCENARIO + "crls: {ca: {revoked: [relative], next_update: +45d}}\n"
    scenario.write_text(issuer.replace("trust: ca}", "trust: ca, crl: ca}"))
    assert main(["forge", str(scenario), "-o", "forged"]) == 0
    (made,) = Path("forged").rglob("*.crl*")
    command = ["openssl", "crl", "-in", str(made), "-outform", form, "-out", "own.crl"]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    told = subprocess.run(
        ["openssl", "crl", "-inform", form, "-in", "own.crl", "-noout", "-nextupdate"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    ).stdout
    ends = datetime.strptime(told.strip().partition("=")[2], "%b %d %H:%M:%S %Y %Z").replace(tzinfo=UTC)
    own = SCENARIO + "crls: {own: {file: own.crl}}\n"
    Path("own.yaml").write_text(own.replace("trust: ca}", "trust: ca, crl: own}"))
    plan = load(Path("own.yaml"))
    found = {what: date.when for date in dates(plan, NOW, NOW + timedelta(days=50)) for what in date.what}
    assert found["the CRL `own` runs out"] == ends
    Path("own.crl").write_bytes(b"not a CRL")
    assert not any("CRL" in what for date in dates(plan, NOW, NOW + timedelta(days=50)) for what in date.what)
