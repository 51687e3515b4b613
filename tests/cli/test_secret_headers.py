"""What secret header fields hold is in no report, no command to type and no message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import SMALL, Cli

SCENARIO = SMALL.replace(
    "    client: client\n    expect: accepted\n",
    """    client:
      certificate: client
      request: {headers: {Authorization: Bearer hunter2, X-Api-Key: hunter2, Cookie: s=hunter2, X-Plain: plain-1}}
    expect: {outcome: accepted, headers: {set-cookie: t=hunter2, x-csrf-token: hunter2-another, x-shown: plain-2}}
""",
).replace(
    "trust: [ca]}",
    "trust: [ca], response: {headers: {Set-Cookie: t=hunter2, X-Csrf-Token: hunter2-one, X-Shown: plain-3}}}",
)


@pytest.mark.parametrize("tool", ["python", "curl"])
def test_secret_headers_are_shown_nowhere(cli: Cli, write: Callable[[str, str], Path], tool: str) -> None:
    write("lab.yaml", "{}")
    write("scenario.yaml", SCENARIO)
    reports = ["--json", "report.json", "--junit", "report.xml", "--html", "report.html"]
    done = cli("scenario.yaml", "--tool", tool, "-v", *reports)
    assert done.returncode == 1
    assert "headers.x-csrf-token: expected ***, observed another value (***)" in done.stdout
    assert "headers.x-shown: expected plain-2, observed plain-3" in done.stdout
    assert "authorization: ***" in done.stdout.lower()
    assert "plain-1" in done.stdout
    told = {name: (cli.directory / name).read_text() for name in reports[1::2]}
    explained = cli("explain", "scenario.yaml::with the certificate")
    assert "plain-2" in explained.stdout
    wrong = write("wrong.yaml", SCENARIO.replace("accepted, headers", "acepted, headers").replace("Bearer", "[Bearer"))
    broken = cli("wrong.yaml")
    assert broken.returncode == 2
    wrong.unlink()
    for text in (done.stdout, done.stderr, *told.values(), explained.stdout, broken.stderr):
        assert "hunter2" not in text
