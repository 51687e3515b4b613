"""What a scenario or a server could make go on for ever, or grow without end: patterns, bodies."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mtls_runner import ScenarioError, Status, load, regular_expressions
from mtls_runner.engine import run
from mtls_runner.model.verdict import CaseFinished, Verdict
from mtls_runner.regular_expressions import occurs

HANGS = "(a|aa)+$"
TEXT = "a" * 200 + "b"


def verdicts(path: Path, text: object) -> Iterator[Verdict]:
    path.write_text(yaml.safe_dump(text))
    plan = load(path)
    return (event.verdict for event in run([plan]) if isinstance(event, CaseFinished))


def scenario(body: str, expect: object, **client: object) -> dict[str, object]:
    return {
        "ca": {},
        "leaves": {"server": {}},
        "server": {"client_auth": "none", "response": {"body": body}},
        "cases": [{"name": "one", "client": client, "expect": {"outcome": "accepted", "body": expect}}],
    }


def test_a_pattern_that_would_take_for_ever_fails_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = verdicts(tmp_path / "hangs.yaml", scenario(TEXT, {"matches": HANGS}))
    monkeypatch.setattr(
        regular_expressions, "SECONDS", 0.5
    )  # once it is loaded: then patterns are tried on short texts
    (verdict,) = ran
    assert verdict.status is Status.FAIL
    assert [found.observed for found in verdict.mismatches] == ["the regular expression gave no answer within 0.5 s"]


def test_the_negative_twin_the_same_pattern_with_an_answer(tmp_path: Path) -> None:
    (verdict,) = verdicts(tmp_path / "ends.yaml", scenario("a" * 200, {"matches": HANGS}))
    assert verdict.status is Status.PASS, verdict


def test_a_pattern_that_takes_for_ever_on_nothing_is_a_mistake_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regular_expressions, "SECONDS", 0.5)
    file = tmp_path / "nothing.yaml"
    file.write_text(yaml.safe_dump(scenario("", {"matches": "^" + "(||)" * 30 + "x?$"})))
    with pytest.raises(ScenarioError, match=r"nothing\.yaml:\d+:\d+: the regular expression gave no answer within"):
        load(file)


@pytest.mark.parametrize(
    "pattern",
    ["^FAILED", "b$", "^(a|b)*$", "(?i)B", r"(a)\1b", "a(?=b)", "(?<!a)b", "^a{200}b$", "x|y|b", "(aa)+c", r"\Ab", "é"],
)
def test_as_python_searches(pattern: str) -> None:
    for text in ("", TEXT, "a\nb\n", "é", "FAILED:10", "ab" * 3000):
        assert occurs(pattern, [text]) == bool(re.search(pattern, text)), text
    assert occurs(pattern, ["FAILED", "b"]) == any(re.search(pattern, text) for text in ("FAILED", "b"))


# --- bodies ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expect", "passes"),
    [({"contains": "begin"}, True), ({"matches": "^begin"}, True), ({"contains": "end"}, False), ("begin a", False)],
)
def test_of_a_body_that_is_cut_only_what_was_kept_is_known(expect: object, passes: bool, tmp_path: Path) -> None:
    text = scenario("begin and end", expect, body_limit=7)
    for tool in ("python", "curl"):
        (verdict,) = verdicts(tmp_path / f"{tool}.yaml", {**text, "cases": _with_tool(text["cases"], tool)})
        assert verdict.observation is not None
        assert "7 of 13 bytes of the body kept (body_limit)" in verdict.observation.summary
        assert (verdict.status is Status.PASS) is passes, verdict
        assert all("cut after 7 of 13 bytes" in found.observed for found in verdict.mismatches)


def _with_tool(cases: object, tool: str) -> object:
    assert isinstance(cases, list)
    return [{**case, "client": {**case["client"], "tool": tool}} for case in cases]


def test_the_negative_twin_a_body_within_its_limit_is_whole(tmp_path: Path) -> None:
    (verdict,) = verdicts(tmp_path / "whole.yaml", scenario("begin a", "begin a", body_limit=7))
    assert verdict.status is Status.PASS
    assert verdict.observation is not None
    assert "kept" not in verdict.observation.summary


MEASURE = """
import resource, sys
from pathlib import Path
from mtls_runner import Overrides, load
from mtls_runner.engine import run
from mtls_runner.model.verdict import CaseFinished

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

found = []
for name in ("small", "large"):
    for event in run([load(Path(f"{name}.yaml"), Overrides(tool=TOOL))]):
        if isinstance(event, CaseFinished):
            assert event.verdict.status == "pass", event.verdict
            print(event.verdict.observation.summary)
    found.append(peak())
print(found[1] - found[0], resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize("tool", ["python", "curl"])
def test_a_large_body_costs_no_memory(tool: str, tmp_path: Path) -> None:
    """Of openssl s_server, in a process of its own, so that only the client's side is measured; in kB."""
    size = (8 if tool == "curl" else 64) << 20  # curl's trace of a body takes it long
    for name, length in (("small", 10), ("large", size)):
        with (tmp_path / name).open("wb") as file:
            file.truncate(length)
    subject = ["-subj", "/CN=localhost", "-keyout", "k", "-out", "c"]
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", *subject],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        timeout=60,
    )
    command = ["openssl", "s_server", "-accept", "127.0.0.1:0", "-WWW", "-cert", "c", "-key", "k"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        try:
            assert server.stdout is not None
            port = next(int(line.rpartition(":")[2]) for line in server.stdout if line.startswith("ACCEPT"))
            for name in ("small", "large"):
                client = {"insecure": True, "timeout": 100, "request": {"path": f"/{name}"}}
                text = {
                    "ca": {},
                    "server": {"backend": "external", "address": f"127.0.0.1:{port}"},
                    "cases": [{"name": name, "client": client, "expect": "accepted"}],
                }
                (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(text))
            told = subprocess.run(
                [sys.executable, "-c", MEASURE.replace("TOOL", repr(tool))],
                cwd=tmp_path,
                check=True,
                capture_output=True,
                text=True,
                timeout=110,
            ).stdout
        finally:
            server.kill()
    assert f"1048576 of {size} bytes of the body kept" in told
    more, child = map(int, told.splitlines()[-1].split())
    assert more < size / 1024 / 2
    assert child < 60_000
