"""The fixtures in a pytest of their own: what an author of tests sees when something is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from ..cli.conftest import FAILING, SMALL
from ..inner_pytest import run_pytest

pytest_plugins = ["pytester"]

HERE = Path(__file__).parent

CLIENT = """
import socket, ssl, pytest

def get(lab, context):
    with socket.create_connection((lab.host, lab.port), 10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as tls:
            tls.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            return tls.recv(4096)
"""


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    shutil.copy(HERE / "clients.yaml", pytester.path)
    return pytester


def run(project: pytest.Pytester, test: str, *arguments: str) -> pytest.RunResult:
    (project.path / "test_it.py").write_text(CLIENT + test)
    return run_pytest(project, *arguments)


CASES = """
@pytest.mark.mtls_scenario("clients.yaml")
def test_it(mtls_case):
    try:
        get(mtls_case.lab, mtls_case.lab.context("good"))
    except OSError:
        pass
    mtls_case.check()
"""


def test_a_client_that_does_not_do_what_the_case_says_is_found_out(project: pytest.Pytester) -> None:
    result = run(project, CASES, "-v")
    result.assert_outcomes(passed=2, failed=4)
    result.stdout.fnmatch_lines(["test_it.py::test_it?good? PASSED*", "test_it.py::test_it?none? FAILED*"])
    result.stdout.fnmatch_lines(["*outcome: expected server-refused, observed accepted*", "*clients.yaml:13:*"])


def test_workers_share_the_cases(project: pytest.Pytester) -> None:
    """Those of a test, and those of files that are collected themselves."""
    for name, text in (("small.yaml", SMALL), ("failing.yaml", FAILING)):
        (project.path / name).write_text(text)
    result = run(project, CASES, "-n", "2", "test_it.py", "small.yaml", "failing.yaml")
    result.assert_outcomes(passed=2 + 6, failed=4 + 2)


def test_cases_that_no_other_client_can_run_are_skipped(project: pytest.Pytester) -> None:
    with (project.path / "clients.yaml").open("a") as file:
        file.write(
            "  - {name: qx, client: {certificate: sealed, passphrase: wrong}, expect: client-unusable}\n"
            "  - {name: qx2, client: good, steps: [{expect: accepted}, reload, {expect: accepted}]}\n"
        )
    result = run(project, CASES, "-rs", "-k", "qx")
    result.assert_outcomes(skipped=2, deselected=6)
    for reason in ("expects client-unusable", "several steps"):
        result.stdout.fnmatch_lines([f"SKIPPED*can't run this case: it *{reason}*"])


def test_a_client_that_presents_nothing_though_it_should_is_found_out(project: pytest.Pytester) -> None:
    result = run(project, CASES.replace('context("good")', "context()"), "-k", "good or none")
    result.assert_outcomes(passed=1, failed=1, deselected=4)
    result.stdout.fnmatch_lines(["*outcome: expected accepted, observed server-refused*"])


def test_what_the_backend_cannot_do_is_skipped(project: pytest.Pytester) -> None:
    text = (HERE / "clients.yaml").read_text().replace("trust: [ca],", "trust: [ca], verify_depth: 1,")
    (project.path / "clients.yaml").write_text(text)
    result = run(project, "@pytest.mark.mtls_scenario('clients.yaml')\ndef test_it(mtls_lab): mtls_lab.url\n", "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*verify depth*"])


MISTAKES = {
    "@pytest.mark.mtls_scenario('no.yaml')\ndef test_it(mtls_lab): pass": "there is no scenario 'no.yaml' beside*",
    "@pytest.mark.mtls_scenario()\ndef test_it(mtls_lab): pass": "mtls_scenario takes one scenario file or more*",
    "@pytest.mark.mtls_scenario('clients.yaml', sever='x')\ndef test_it(mtls_lab): pass": "mtls_scenario takes*",
    "@pytest.mark.mtls_scenario('bad.yaml')\ndef test_it(mtls_case): pass": "*bad.yaml:9:*sever*",
    "@pytest.mark.mtls_scenario('bad.yaml')\ndef test_it(mtls_lab): pass": "*bad.yaml:9:*sever*",
    "def test_it(mtls_case): pass": "*mtls_case needs a scenario*",
}


def test_mistakes_are_errors_that_say_what_to_do(project: pytest.Pytester) -> None:
    text = (HERE / "clients.yaml").read_text().replace("\nserver:", "\nsever:")
    (project.path / "bad.yaml").write_text(text)
    for number, mistake in enumerate(MISTAKES):
        (project.path / f"test_{number}.py").write_text(f"import pytest\n{mistake}\n")
    result = run_pytest(project, "--continue-on-collection-errors")
    result.assert_outcomes(errors=len(MISTAKES))
    for message in MISTAKES.values():
        result.stdout.fnmatch_lines([f"*{message}"])


def test_nothing_is_left_behind(project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    place = project.path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    test = """
@pytest.mark.mtls_scenario("clients.yaml")
def test_it(mtls_lab):
    import threading
    get(mtls_lab, mtls_lab.context("sealed"))
    assert mtls_lab.client("sealed").paths
    assert [thread for thread in threading.enumerate() if thread.name.startswith("mtls-run")]
    assert False
"""
    (project.path / "conftest.py").write_text(
        "import threading\n"
        "def pytest_unconfigure():\n"
        "    print('threads', [one.name for one in threading.enumerate() if one is not threading.main_thread()])\n"
    )
    result = run(project, test, "-s")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["threads []"])
    assert not [path for path in place.rglob("*") if path.suffix in (".pem", ".key", ".crt")]
