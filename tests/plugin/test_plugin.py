"""The pytest plug-in, in a pytest of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.cli.conftest import FAILING, SKIPPED, SMALL, UNAVAILABLE, Cli

from ..inner_pytest import run_pytest

pytest_plugins = ["pytester"]

IDS = [
    "small.yaml::without a certificate[client.tls=TLSv1.2]",
    "small.yaml::without a certificate[client.tls=TLSv1.3]",
    "small.yaml::with the certificate[client.tls=TLSv1.2]",
    "small.yaml::with the certificate[client.tls=TLSv1.3]",
]


def write(pytester: pytest.Pytester, name: str, text: str) -> Path:
    path = pytester.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_named_file_is_one_test_a_case_under_the_consoles_ids(pytester: pytest.Pytester) -> None:
    write(pytester, "small.yaml", SMALL)
    result = run_pytest(pytester, "small.yaml", "-v")
    result.assert_outcomes(passed=4)
    shown = [line.rpartition(" PASSED")[0] for line in result.outlines if " PASSED" in line]
    assert shown == IDS
    assert Cli(pytester.path)("small.yaml", "--list").stdout.splitlines() == IDS


def test_one_case_is_chosen_by_id_and_by_expression(pytester: pytest.Pytester) -> None:
    write(pytester, "small.yaml", SMALL)
    run_pytest(pytester, IDS[3]).assert_outcomes(passed=1)
    run_pytest(pytester, "small.yaml::with the certificate").assert_outcomes(passed=2)
    run_pytest(pytester, "small.yaml", "-k", "TLSv1.3 and without").assert_outcomes(passed=1, deselected=3)


def test_a_mismatch_is_a_failure_with_the_scenarios_lines_and_no_traceback(pytester: pytest.Pytester) -> None:
    path = write(pytester, "failing.yaml", FAILING)
    result = run_pytest(pytester, "failing.yaml")
    result.assert_outcomes(passed=2, failed=2)
    line = FAILING.splitlines().index("    expect: {server-refused: expired}") + 1
    result.stdout.fnmatch_lines(
        [
            "*without a certificate*TLSv1.2*",
            "reason: expected expired, observed no-certificate",
            f"{path.name}:{line}:*",
            "*expect: {server-refused: expired}*",
            "*seen: *no-certificate*",
        ]
    )
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*pytest_plugin.py*")
    console = Cli(pytester.path)("failing.yaml").stdout
    snippet = [text for text in console.splitlines() if "^" in text]
    assert snippet
    assert set(snippet) <= set(result.outlines)


def test_a_broken_lab_is_an_error_and_not_a_failure(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MTLS_RUN_IMAGE", raising=False)  # it would replace the image that there is not
    write(pytester, "unavailable.yaml", UNAVAILABLE)
    result = run_pytest(pytester, "unavailable.yaml", "--junit-xml=report.xml")
    result.assert_outcomes(errors=4)
    result.stdout.no_fnmatch_line("*Traceback*")
    suite = ET.parse(pytester.path / "report.xml").getroot()[0]  # noqa: S314 - our own
    assert (suite.get("errors"), suite.get("failures")) == ("4", "0")


def test_a_skip_has_its_reason_and_place_and_is_a_failure_under_strict(pytester: pytest.Pytester) -> None:
    write(pytester, "skipped.yaml", SKIPPED)
    result = run_pytest(pytester, "skipped.yaml", "-rs")
    result.assert_outcomes(skipped=4)
    result.stdout.fnmatch_lines(["SKIPPED*skipped.yaml:*depth*"])
    run_pytest(pytester, "skipped.yaml", "--mtls-strict").assert_outcomes(failed=4)


def test_an_invalid_file_is_a_collection_error_with_every_mistake(pytester: pytest.Pytester) -> None:
    write(
        pytester, "bad.yaml", SMALL.replace("client_auth", "clientauth").replace("expect: accepted", "expect: acepted")
    )
    result = run_pytest(pytester, "bad.yaml")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*bad.yaml:7:*", "*bad.yaml:13:*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_warnings_are_errors_under_strict_only(pytester: pytest.Pytester) -> None:
    text = SMALL.replace("leaves:\n", "leaves:\n  idle: {subject: CN=idle.test, key: ec-p256}\n")
    write(pytester, "unused.yaml", text)
    run_pytest(pytester, "unused.yaml").assert_outcomes(passed=4)
    result = run_pytest(pytester, "unused.yaml", "--mtls-strict")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*unused.yaml:5:*idle*"])


def test_other_peoples_yaml_stays_untouched(pytester: pytest.Pytester) -> None:
    write(pytester, "compose.yaml", "services: {web: {image: x}}\n")
    write(pytester, "small.yaml", SMALL)
    write(pytester, "test_it.py", "def test_it(): pass\n")
    run_pytest(pytester).assert_outcomes(passed=1)
    named = run_pytest(pytester, "compose.yaml")
    assert named.ret == pytest.ExitCode.USAGE_ERROR
    named.stderr.fnmatch_lines(["*not found*compose.yaml*"])


def test_the_ini_option_names_scenarios(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmtls_scenarios = labs/**/*.yaml extra/?.yaml\n")
    for name in (
        "labs/one.yaml",
        "labs/deep/er/two.yaml",
        "labs/lab.yaml",
        "extra/a.yaml",
        "extra/bb.yaml",
        "top.yaml",
    ):
        write(pytester, name, "defaults: {client: {timeout: 9}}\n" if name.endswith("lab.yaml") else SMALL)
    write(pytester, "labs/edge.yaml", "static_resources: {listeners: []}\n")  # a server's own configuration
    result = run_pytest(pytester, "--collect-only", "-q")
    files = {line.partition("::")[0] for line in result.outlines if "::" in line}
    assert files == {"labs/one.yaml", "labs/deep/er/two.yaml", "extra/a.yaml"}


def test_a_file_that_is_named_and_matches_is_collected_once(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nmtls_scenarios = *.yaml\n")
    write(pytester, "small.yaml", SMALL)
    run_pytest(pytester, "small.yaml").assert_outcomes(passed=4)


def test_the_tool_can_be_set_for_all(pytester: pytest.Pytester) -> None:
    write(pytester, "small.yaml", SMALL.replace("client.tls: [TLSv1.2, TLSv1.3]", "client.tool: [python, curl]"))
    run_pytest(pytester, "small.yaml", "--collect-only").assert_outcomes()
    result = run_pytest(pytester, "small.yaml", "--mtls-tool", "python")
    result.assert_outcomes(passed=2)
    refused = run_pytest(pytester, "small.yaml", "--mtls-tool", "crul")
    refused.stdout.fnmatch_lines(["there is no tool 'crul'*curl*"])
    refused.stdout.no_fnmatch_line("*pytest_plugin.py*")
    refused.assert_outcomes(errors=1)


def test_nothing_is_left_behind(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    place = pytester.path / "tmp"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    write(pytester, "failing.yaml", FAILING)
    run_pytest(pytester, "failing.yaml").assert_outcomes(passed=2, failed=2)
    assert not [path for path in place.rglob("*") if path.name.startswith("run-") or path.suffix == ".pem"]


def test_importing_it_costs_those_nothing_who_do_not_use_it() -> None:
    code = (
        "import pytest, sys; before = set(sys.modules); import mtls_runner.pytest_plugin, json\n"
        "print(json.dumps(sorted(name for name in set(sys.modules) - before if not name.startswith('json'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    plugin = "mtls_runner.pytest_plugin"
    parts = [f"{plugin}.{name}" for name in ("fixtures", "loading", "scenario_file", "stopping")]
    assert json.loads(done.stdout) == ["mtls_runner", plugin, *parts]


def test_a_failure_of_a_test_of_ones_own_client_is_shown_in_the_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(pytester, "small.yaml", SMALL)
    write(pytester, "unavailable.yaml", UNAVAILABLE)
    monkeypatch.delenv("MTLS_RUN_IMAGE", raising=False)
    pytester.makepyfile(
        """
        import pytest

        def test_broken(mtls_lab):
            mtls_lab("unavailable.yaml").url

        @pytest.mark.mtls_scenario("small.yaml")
        def test_a_typo(mtls_lab):
            mtls_lab.client("cleint")

        @pytest.mark.mtls_scenario("small.yaml")
        def test_nobody(mtls_lab):
            mtls_lab.connections(within=0.01)
        """
    )
    result = run_pytest(pytester)
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            "E *image no-such-image:0 is not here*",
            "E *there is no authority or leaf 'cleint': one of *",
            "E *no connection reached server*",
        ]
    )
    result.stdout.no_fnmatch_line("*pytest_plugin*")
    result.stdout.no_fnmatch_line("*def connections*")
    result.stdout.no_fnmatch_line("*docker*.py*")


def test_a_client_that_speaks_another_version_than_its_case_fails(pytester: pytest.Pytester) -> None:
    write(pytester, "small.yaml", SMALL)
    pytester.makepyfile(
        """
        import http.client
        import ssl
        import pytest

        @pytest.mark.mtls_scenario("small.yaml")
        @pytest.mark.parametrize("obeys", [True, False])
        def test_it(mtls_case, obeys):
            context = mtls_case.context()
            if not obeys:
                context.maximum_version = ssl.TLSVersion.TLSv1_3
            connection = http.client.HTTPSConnection("localhost", mtls_case.lab.port, context=context, timeout=10)
            try:
                connection.request("GET", "/")
                connection.getresponse()
            except OSError:
                pass
            connection.close()
            mtls_case.check()
        """
    )
    result = run_pytest(pytester, "-v")
    result.stdout.fnmatch_lines(["E *the client has to speak TLSv1.2 here, and speaks TLSv1.3: it was not told*"])
    result.assert_outcomes(passed=6, failed=2)


@pytest.mark.skipif(shutil.which("haproxy") is None, reason="no haproxy on this machine")
def test_a_declared_server_says_whom_it_refused_and_why(pytester: pytest.Pytester) -> None:
    """Named by the option or in the scenario; a test that expects another reason or nobody's refusal fails."""
    write(pytester, "small.yaml", SMALL)
    write(pytester, "failing.yaml", FAILING)
    write(pytester, "haproxy.yaml", SMALL.replace("server: {certificate", "server: {backend: haproxy, certificate"))
    pytester.makepyfile(
        """
        import http.client
        import ssl
        import pytest

        def ask(lab, context):
            port = int(lab.url.rpartition(":")[2].rstrip("/"))
            connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=10)
            try:
                connection.request("GET", "/it")
                return connection.getresponse().status
            except OSError:
                return None
            finally:
                connection.close()

        both = pytest.mark.mtls_scenario("small.yaml", "haproxy.yaml")

        @both
        def test_what_it_saw(mtls_lab):
            assert ask(mtls_lab, mtls_lab.context("client")) == 200
            assert (mtls_lab.last.accepted, mtls_lab.last.client_subject) == (True, "CN=client.test")
            assert ask(mtls_lab, mtls_lab.context()) is None
            assert mtls_lab.last.refused_because == "no-certificate"
            assert [one.accepted for one in mtls_lab.connections()] == [True, False]
            assert mtls_lab._spec.backend.name == "haproxy"

        @pytest.mark.mtls_scenario("haproxy.yaml")
        def test_of_a_stranger_nobody_knows_what_it_narrows(mtls_lab):
            context = mtls_lab.context("client")
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers("ECDHE+AESGCM")
            context.set_ecdh_curve("secp256k1")
            assert ask(mtls_lab, context) is None
            assert mtls_lab.last.reasons == ("cipher", "group", "signature-algorithm")

        @both
        def test_wrong(mtls_lab):
            ask(mtls_lab, mtls_lab.context())
            assert mtls_lab.last.refused_because == "expired"

        @both
        def test_each_case(mtls_case):
            assert (ask(mtls_case, mtls_case.context()) == 200) is mtls_case.accepted
            mtls_case.check()

        @pytest.mark.mtls_scenario("failing.yaml")
        def test_each_wrong_case(mtls_case):
            ask(mtls_case, mtls_case.context())
            mtls_case.check()
        """
    )
    result = run_pytest(pytester, "--mtls-backend", "haproxy")
    result.assert_outcomes(passed=13, failed=4)
    result.stdout.fnmatch_lines(["FAILED*test_wrong*haproxy*"])
    result.stdout.fnmatch_lines(["E *reason: expected expired, observed no-certificate"])
