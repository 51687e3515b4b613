"""What ``docs/conformance.md`` calls covered is there, under that name, with that control."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from .conftest import SCENARIOS, each_once, plan_of

ROOT = SCENARIOS.parent
PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip().strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and not line.startswith("| assertion |")
]
_QUOTED = re.compile(r"`([^`]+)`")


@cache
def names(file: str) -> frozenset[str]:
    return frozenset(each_once(plan_of(f"nginx/{file}")))


def test_every_case_and_every_control_exists() -> None:
    cases = controls = 0
    for assertion, case, control, *_ in ROWS:
        if case.startswith("none"):
            assert len(case) > len("none: "), assertion
            continue
        file = ""
        for quoted in _QUOTED.findall(case):
            if "::" in quoted:
                file, _, name = quoted.partition("::")
                assert name in names(file), quoted
                cases += 1
            elif quoted in names(file):
                cases += 1
        assert file, assertion
        assert control, f"{assertion}: without a control it proves nothing"
        for quoted in _QUOTED.findall(control):
            path, _, test = quoted.partition("::")
            if path.startswith("tests/"):
                assert f"def {test}(" in (ROOT / path).read_text(encoding="utf-8"), quoted
            else:
                assert quoted in names(file), f"{assertion}: there is no case {quoted!r} in {file}"
            controls += 1
    assert cases > 40
    assert controls > 35


def test_every_assertion_has_an_answer() -> None:
    counts = {
        section.splitlines()[0]: sum(line.startswith("| ") for line in section.splitlines()) - 1
        for section in PAGE.split("\n## ")[1:]
    }
    # nginx-tests' own plans; where several assertions share a line or one is split, the difference is said.
    planned = {
        "ssl_verify_client.t": 14,
        "ssl_verify_client_trusted.t": 3,
        "ssl_verify_depth.t": 9,
        "ssl_certificate_chain.t": 3,
        "ssl_crl.t": 5 + 1,
        "ssl_ocsp.t": 15 - 1,  # the cache's two are one line
        "ssl_stapling.t": 10 + 1,
        "ssl_password_file.t": 3 + 3,  # the first one's four server blocks are a line each
        "ssl_certificate.t": 11,
        "ssl_sni.t": 8,
        "ssl_sni_sessions.t": 6,
        "ssl_reject_handshake.t": 7,
        "ssl_session_reuse.t": 8,
        "ssl_sigalg.t": 6,
        "ssl_client_escaped_cert.t": 3,
        "h2_ssl_verify_client.t": 3,
    }
    assert {name: counts.get(name) for name in planned} == planned


def test_the_page_is_about_files_that_are_here() -> None:
    named = set(re.findall(r"`(?:scenarios/nginx/)?((?:own-config/)?[a-z-]+\.yaml)::", PAGE))
    assert named
    for file in named:
        assert Path(SCENARIOS / "nginx" / file).is_file(), file
