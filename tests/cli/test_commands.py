"""The front door: what the installed program prints and how it exits."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import click
import jsonschema  # type: ignore[import-untyped]
import pytest

from mtls_runner.cli import prepared_help
from mtls_runner.cli.commands import root
from tests.cli.conftest import FAILING, SKIPPED, SMALL, UNAVAILABLE, Cli
from tests.container_engine import IMAGE

Write = Callable[[str, str], Path]
ROOT = Path(__file__).parents[2]


def test_all_passed(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    done = cli("small.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    told = done.stdout.splitlines()
    assert told[0].startswith("small.yaml  python server, python client")
    assert sum("✓ without a certificate" in line and "no-certificate" in line for line in told) == 2
    assert sum("✓ with the certificate" in line for line in told) == 2
    assert any(line.startswith("4 passed of 4 cases in ") for line in told)
    assert "python 3" in told[-1]


def test_a_wrong_reason_fails_and_shows_both(cli: Cli, write: Write) -> None:
    write("failing.yaml", FAILING)
    done = cli("run", "failing.yaml")
    assert done.returncode == 1
    assert "reason: expected expired, observed no-certificate" in done.stdout
    assert "expect: {server-refused: expired}" in done.stdout
    assert "2 failed, 2 passed of 4 cases" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_ids_agree_in_list_json_junit_and_selection(cli: Cli, write: Write) -> None:
    write("labs/small.yaml", SMALL)
    write("labs/failing.yml", FAILING)
    write("labs/lab.yaml", "defaults: {client: {timeout: 9}}\n")
    listed = cli("labs", "--list").stdout.splitlines()
    assert len(listed) == 8
    assert listed[0] == "labs/failing.yml::without a certificate[client.tls=TLSv1.2]"
    done = cli("labs", "--json", "report.json", "--junit", "report.xml", "-j", "3")
    assert done.returncode == 1
    report = json.loads((cli.directory / "report.json").read_text())
    assert [case["id"] for case in report["cases"]] == listed
    root = ET.parse(cli.directory / "report.xml").getroot()  # noqa: S314 - our own
    assert [f"{suite.get('name')}::{case.get('name')}" for suite in root for case in suite.iter("testcase")] == listed
    assert cli(listed[3], "--list").stdout.splitlines() == [listed[3]]
    assert cli("labs", "-k", "small and TLSv1.3 and not without", "--list").stdout.splitlines() == [
        "labs/small.yaml::with the certificate[client.tls=TLSv1.3]"
    ]
    assert cli("labs", "--tag", "quick", "--list").stdout.splitlines() == listed
    assert cli("labs", "--tag", "slow", "--list").returncode == 5


def test_the_json_report_is_valid_and_silent_about_secrets(cli: Cli, write: Write) -> None:
    secret = "correct horse battery staple"
    text = SMALL.replace("usage: server, key", f"usage: server, passphrase: {secret}, key")
    text = text.replace("expect: accepted", "expect: {accepted: , status: 418}").replace(
        "{accepted: , ", "{outcome: accepted, "
    )
    write("secret.yaml", text)
    done = cli("secret.yaml", "-v", "--json", "report.json", "--junit", "report.xml")
    assert done.returncode == 1
    schema = json.loads((Path(__file__).parents[2] / "schema" / "report.schema.json").read_text())
    written = (cli.directory / "report.json").read_text()
    report = json.loads(written)
    jsonschema.Draft202012Validator(schema).validate(report)
    assert report["summary"]["fail"] == 2
    assert report["cases"][0]["observed"]["reason"] == "no-certificate"
    for text in (written, (cli.directory / "report.xml").read_text(), done.stdout, done.stderr):
        assert secret not in text
        assert "PRIVATE KEY" not in text


def test_verbose_is_a_transcript_of_both_ends(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    told = cli("small.yaml", "-v", "-k", "'with the' and TLSv1.3").stdout
    for line in (
        "> ClientHello",
        "< ServerHello",
        "TLSv1.3, TLS_",
        "subject: CN=server.test",
        "subject: CN=client.test",
    ):
        assert line in told
    assert (
        told.index("client: python") < told.index("> GET /") < told.index("< HTTP status 200") < told.index("server: ")
    )
    assert "ClientHello" not in cli("small.yaml").stdout


def test_every_mistake_of_every_file_is_shown_and_nothing_runs(cli: Cli, write: Write) -> None:
    write("good.yaml", SMALL)
    write("one.yaml", SMALL.replace("client_auth", "clientauth"))
    write(
        "two.yaml",
        SMALL.replace("expect: accepted", "expect: acepted").replace("subject: CN=Lab CA", "subjct: CN=Lab CA"),
    )
    report = write("report.json", "old")
    done = cli("good.yaml", "one.yaml", "two.yaml", "--json", "report.json")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "one.yaml:7:" in done.stderr
    assert "two.yaml:3:" in done.stderr
    assert "two.yaml:13:" in done.stderr
    assert "did you mean" in done.stderr
    assert "^" in done.stderr
    assert "nothing was run" in done.stderr
    assert "Traceback" not in done.stderr
    assert report.read_text() == "old"


def test_an_empty_file_is_a_mistake(cli: Cli, write: Write) -> None:
    write("empty.yaml", "")
    done = cli("empty.yaml")
    assert done.returncode == 2
    assert "empty.yaml" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["smal.yaml"], "did you mean 'small.yaml'?"),
        (["cofig"], "did you mean 'config'?"),
        (["small.yaml", "-k", "and"], "-k, column 1"),
        (["small.yaml", "--backend", "ngnix"], "did you mean 'nginx'?"),
        (["small.yaml", "--tool", "crul"], "did you mean 'curl'?"),
        (["small.yaml", "--jsn", "x"], "--json"),
        (["small.yaml", "-j", "0"], "-j"),
        (["small.yaml", "--json", "no/where.json"], "can't write the report no/where.json"),
        (["small.yaml", "--json", "same", "--junit", "./x/../same"], "--json and --junit both write ./x/../same"),
        (
            ["--html", "other.yaml", "small.yaml"],
            "--html other.yaml: a report does not go to a file that ends in .yaml",
        ),
        (["--html", "passphrase", "small.yaml"], "--html passphrase would replace"),
        (["conformance", "--json", "same", "--html", "same"], "--json and --html both write same"),
        (["run"], "PATH"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_clear_word(
    cli: Cli, write: Write, arguments: list[str], said: str
) -> None:
    write("small.yaml", SMALL.replace("usage: client,", "usage: client, passphrase: {file: passphrase},"))
    write("other.yaml", SMALL)
    write("passphrase", "hunter2")
    (cli.directory / "x").mkdir()
    before = {path.name: path.read_bytes() for path in cli.directory.iterdir() if path.is_file()}
    done = cli(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert {path.name: path.read_bytes() for path in cli.directory.iterdir() if path.is_file()} == before


def test_nothing_selected_is_told_by_its_own_code(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    done = cli("small.yaml", "-k", "nothing-like-it")
    assert (done.returncode, done.stdout) == (5, "")
    assert "no case matches" in done.stderr


def test_the_first_failure_ends_the_run(cli: Cli, write: Write) -> None:
    write("a.yaml", FAILING)
    write("b.yaml", SMALL)
    done = cli("a.yaml", "b.yaml", "-x", "--json", "report.json")
    assert done.returncode == 1
    report = json.loads((cli.directory / "report.json").read_text())
    assert [case["verdict"] for case in report["cases"]] == ["fail"]
    assert report["summary"]["not_run"] == 7
    assert "7 not run" in done.stdout


def test_warnings_are_told_and_are_mistakes_under_strict(cli: Cli, write: Write) -> None:
    write("unused.yaml", SMALL.replace("leaves:\n", "leaves:\n  idle: {subject: CN=idle.test, key: ec-p256}\n"))
    lenient = cli("unused.yaml")
    assert lenient.returncode == 0
    assert "warning:" in lenient.stdout
    strict = cli("unused.yaml", "--strict")
    assert strict.returncode == 2
    assert "idle" in strict.stderr


def test_skips_have_their_reason_and_are_failures_under_strict(cli: Cli, write: Write) -> None:
    write("skipped.yaml", SKIPPED)
    write("small.yaml", SMALL)
    alone = cli("skipped.yaml", "--json", "report.json")
    assert alone.returncode == 5
    assert "skipped 4: " in alone.stdout
    assert "depth" in alone.stdout
    cases = json.loads((cli.directory / "report.json").read_text())["cases"]
    assert {case["verdict"] for case in cases} == {"skip"}
    assert all("depth" in case["skip_reason"] for case in cases)
    assert cli("skipped.yaml", "small.yaml").returncode == 0
    strict = cli("skipped.yaml", "small.yaml", "--strict")
    assert strict.returncode == 1
    assert "4 failed, 4 passed of 8 cases" in strict.stdout
    assert "skipped, which --strict forbids" in strict.stdout


def test_a_broken_lab_is_no_failure_and_outweighs_one(cli: Cli, write: Write) -> None:
    write("unavailable.yaml", UNAVAILABLE)
    write("failing.yaml", FAILING)
    done = cli("failing.yaml", "unavailable.yaml", "--junit", "report.xml")
    assert done.returncode == 3
    assert "2 failed, 4 broken, 2 passed of 8 cases" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    root = ET.parse(cli.directory / "report.xml").getroot()  # noqa: S314 - our own
    assert (root.get("failures"), root.get("errors")) == ("2", "4")


def test_json_on_standard_output_leaves_the_console_to_the_other(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    done = cli("small.yaml", "--json", "-")
    assert done.returncode == 0
    assert json.loads(done.stdout)["summary"]["pass"] == 4
    assert "4 passed" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "coloured"),
    [([], {}, False), (["--color=always"], {}, True), (["--color"], {}, True), (["--color=never"], {}, False)],
)
def test_colours(cli: Cli, write: Write, arguments: list[str], environment: dict[str, str], coloured: bool) -> None:
    write("small.yaml", SMALL)
    done = cli("small.yaml", *arguments, env=environment)
    assert done.returncode == 0
    assert ("\x1b[" in done.stdout) is coloured


def test_an_encoding_without_the_marks_gets_words(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL.replace("with the certificate", "with thé 証明書"))
    done = cli("small.yaml", env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"})
    assert done.returncode == 0
    assert "  ok    with" in done.stdout
    assert done.stdout.isascii()


def test_versions_of_everything(cli: Cli) -> None:
    done = cli("--version")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names[:3] == ["mtls-run", "python", "openssl"]
    assert "curl" in names


def test_help_shows_options_and_commands(cli: Cli) -> None:
    done = cli("--help")
    assert done.returncode == 0
    for word in ("--strict", "--json FILE", "PATH", "Commands:", "clean", "--version"):
        assert word in done.stdout
    assert cli("-h").stdout == done.stdout
    bare = cli()
    assert bare.returncode == 2
    assert "--strict" in bare.stdout + bare.stderr


def test_clean_finds_nothing_and_touches_nothing(cli: Cli, tmp_path: Path) -> None:
    place = tmp_path / "tmp"
    place.mkdir()
    done = cli("clean", env={"TMPDIR": str(place)})
    assert done.returncode == 0
    assert "nothing was left behind" in done.stdout


@pytest.mark.parametrize("name", ["scenario", "lab", "report"])
def test_schemas_are_the_committed_ones(cli: Cli, name: str) -> None:
    committed = Path(__file__).parents[2] / "schema" / f"{name}.schema.json"
    assert cli("schema", name).stdout == committed.read_text(encoding="utf-8")


def test_config_says_where_each_value_came_from(cli: Cli, write: Write) -> None:
    write("lab.yaml", "defaults:\n  client: {timeout: 7}\n")
    write("small.yaml", SMALL)
    done = cli("config", "small.yaml", "--tool", "curl")
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.splitlines()]
    assert rows[0] == ["small.yaml"]
    assert ["client.tool", "curl", "--tool"] in rows
    assert ["client.timeout", "7", "lab.yaml:2:12"] in rows
    assert ["server.client_auth", "required", "small.yaml:7:31"] in rows
    assert ["client.repeat", "1", "built", "in"] in rows
    write("lab.yaml", "defaults:\n  clint: {timeout: 7}\n")
    wrong = cli("config", "small.yaml")
    assert wrong.returncode == 2
    assert "lab.yaml:2:3" in wrong.stderr


def test_a_mistake_in_lab_yaml_is_shown_once(cli: Cli, write: Write) -> None:
    write("lab.yaml", "defaults:\n  clint: {timeout: 7}\n")
    write("a.yaml", SMALL)
    write("b.yaml", SMALL)
    done = cli("a.yaml", "b.yaml")
    assert done.returncode == 2
    assert done.stderr.count("lab.yaml:2:3") == 1


def test_keep_leaves_the_material_private_and_never_overwrites(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    done = cli("small.yaml", "--keep", "kept")
    assert done.returncode == 0
    assert "kept the material of small.yaml in kept" in done.stdout
    files = [path for path in (cli.directory / "kept").rglob("*") if path.is_file()]
    assert files
    assert stat.S_IMODE((cli.directory / "kept").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in files if "key" in path.name} == {0o600}
    again = cli("small.yaml", "--keep", "kept")
    assert (again.returncode, again.stdout) == (2, "")
    assert "kept is not empty" in again.stderr
    assert "small.yaml/in: Not a directory" in cli("small.yaml", "--keep", "small.yaml/in").stderr
    assert cli("small.yaml").returncode == 0
    write("lab.yaml", "artifacts: out\n")
    assert cli("small.yaml", "--keep").returncode == 0
    assert len(list((cli.directory / "out").iterdir())) == 1


@pytest.mark.usefixtures("nginx_engine")
def test_what_is_kept_beside_where_it_is_typed_serves_an_upstream_too(cli: Cli) -> None:
    """The engine knows no directory that one is in."""
    scenario = Path(__file__).parents[2] / "scenarios" / "nginx" / "escaped-cert.yaml"
    done = cli(str(scenario), "--keep", "kept", "--image", IMAGE)
    assert done.returncode == 0, done.stdout
    assert any((cli.directory / "kept").iterdir())


def test_config_follows_what_a_server_is_like(cli: Cli, write: Write) -> None:
    servers = "servers:\n  first: {backend: nginx, certificate: server}\n  second: {like: first, client_auth: none}\n"
    write(
        "small.yaml",
        "ca: {}\nleaves: {server: {}}\n" + servers + "cases: [{name: it, server: second, expect: accepted}]\n",
    )
    rows = [line.split() for line in cli("config", "small.yaml").stdout.splitlines()]
    assert ["servers.second.backend", "nginx", "small.yaml:4:11"] in rows
    assert ["servers.second.client_auth", "none", "small.yaml:5:25"] in rows
    assert ["servers.first.client_auth", "required", "built", "in"] in rows


def test_config_knows_a_server_that_the_scenario_declares(cli: Cli, write: Write) -> None:
    write(
        "own.yaml",
        "ca: {}\nleaves: {server: {}}\nserver:\n  backend: {command: [./service], dialect: openssl}\n"
        "cases: [{name: it, expect: accepted}]\n",
    )
    done = cli("config", "own.yaml")
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["server.backend", "declared", "here", "own.yaml:4:3"] in rows
    assert ["server.backend", "nginx", "--backend"] in [
        line.split() for line in cli("config", "own.yaml", "--backend", "nginx").stdout.splitlines()
    ]


@pytest.mark.parametrize(
    "line", ["explain small.yaml", "config small.yaml", "--list small.yaml", "schema", "--help", "--version"]
)
def test_whatever_nobody_reads_ends_as_any_program_does(cli: Cli, write: Write, line: str) -> None:
    write("small.yaml", SMALL)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = cli(*line.split(), stdout=writer)
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("line", ["explain small.yaml", "small.yaml"])
def test_a_full_disk_is_no_bug(cli: Cli, write: Write, line: str) -> None:
    write("small.yaml", SMALL)
    with Path("/dev/full").open("w") as full:
        done = cli(*line.split(), stdout=full.fileno())
    assert done.returncode == 3
    assert done.stderr.startswith("mtls-run: not all could be written: No space left on device (")
    assert "Traceback" not in done.stderr
    assert "DEBUG" not in done.stderr


#: One call of each command whose own start no other test sees (those of stopping begin run, forge and export, too).
COLD = {
    "run": ("small.yaml", "--html", "report.html", "--tool", "curl"),
    "explain": ("small.yaml",),
    "forge": ("small.yaml", "-o", "forged"),
    "export": ("small.yaml", "-o", "exported"),
    "init": ("first.yaml",),
    "implementation": ("show", "haproxy"),
    "clean": (),
    "config": ("small.yaml",),
    "schema": ("report",),
    "conformance": ("--where",),
}


@pytest.mark.parametrize("command", sorted(set(root.list_commands(click.Context(root))) - {"serve"}))
def test_each_command_loads_all_that_it_needs(cli: Cli, write: Write, command: str) -> None:
    write("small.yaml", SMALL)
    done = cli.cold(command, *COLD.get(command, ("--help",)))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


HEAVY = ("click", "pydantic", "docker", "rich", "cryptography", "jinja2", "yaml", "h11", "ssl", "pytest")


def loaded(cli: Cli, *arguments: str, **environment: str) -> set[str]:
    """Which of the heavy modules a command loads, in a process of its own."""
    code = (
        "import sys; from mtls_runner.cli import main; code = main(sys.argv[1:])\n"
        f"print('loaded', code, *(name for name in {HEAVY!r} if name in sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cli.directory,
        env=cli.environment(**environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    words = done.stdout.splitlines()[-1].split()
    assert words[:2] == ["loaded", "0"], done.stdout + done.stderr
    return set(words[2:])


def test_help_loads_nothing_heavy(cli: Cli) -> None:
    assert loaded(cli, "--help") == set()


@pytest.mark.parametrize("columns", [80, 100])
def test_what_help_shows_is_what_click_would_make_of_it(cli: Cli, columns: int) -> None:
    program = click.Context(root, info_name="mtls-run", terminal_width=columns, **root.context_settings)
    made = root.get_help(program) + "\n"
    assert prepared_help(columns) == made
    assert cli("--help", env={"COLUMNS": str(columns)}).stdout == made
    assert prepared_help(columns + 1) is None
    assert "click" in loaded(cli, "--help", COLUMNS=str(columns + 1)) or columns == 100  # more than 100 are not used


def test_a_run_on_the_embedded_backend_loads_no_container_engine_and_no_colours(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    heavy = loaded(cli, "small.yaml")
    assert not heavy & {"docker", "rich", "jinja2", "pytest"}
    assert {"yaml", "ssl"} <= heavy


def test_of_very_many_mistakes_the_first_are_shown_and_all_counted(cli: Cli, write: Write) -> None:
    write("twice.yaml", SMALL + "tags: []\n" * 300)
    done = cli("twice.yaml")
    assert done.returncode == 2
    assert done.stderr.count("error: duplicate key") == 100
    assert "and 200 more" in done.stderr
    assert "300 mistakes" in done.stderr


def test_what_never_ends_is_no_scenario(cli: Cli) -> None:
    done = cli("/dev/zero")
    assert done.returncode == 2
    assert "the file is larger than 1 MiB" in done.stderr


def test_a_run_loads_what_it_needs_of_the_package(cli: Cli, tmp_path: Path) -> None:
    """The tutorial's scenario, on the embedded server with both clients, in a process of its own; nothing has failed before."""
    code = (
        "import sys; from pathlib import Path; from mtls_runner.cli import main; code = main(sys.argv[1:])\n"
        "import mtls_runner; home = str(Path(mtls_runner.__file__).parent)\n"
        "files = {name: getattr(module, '__file__', '') or '' for name, module in sys.modules.items()}\n"
        "ours = {name for name, file in files.items() if name.split('.')[0] == 'mtls_runner' or file.startswith(home)}\n"
        "print('loaded', code, len(ours), 'docker' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "scenarios/basic.yaml"],
        cwd=ROOT,
        env=cli.environment(XDG_CACHE_HOME=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    *_, summary, last = (line for line in done.stdout.splitlines() if line.startswith(("8 passed", "loaded")))
    assert summary.startswith("8 passed"), done.stdout + done.stderr
    _, exit_code, modules, docker = last.split()
    assert (exit_code, docker) == ("0", "False")
    assert int(modules) <= 80  # each costs a start, and a reader, something
