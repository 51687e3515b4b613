"""The pytest plug-in: scenario files as tests, and scenarios' servers for tests of one's own client.

Each case of a scenario file is a test, under the id that the console shows. It collects files that are named on the command
line, or that match the ini option ``mtls_scenarios``; everybody else's YAML stays untouched. The fixtures ``mtls_lab`` and
``mtls_case`` start a scenario's servers for a test, see ``docs/pytest.md``. Nothing of the lab is imported before a scenario
is collected or a fixture used.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mtls_runner.pytest_plugin.fixtures import MARKER, _mtls_labs, mtls_case, mtls_lab, parametrize
from mtls_runner.pytest_plugin.scenario_file import CaseItem, ScenarioFile
from mtls_runner.pytest_plugin.stopping import told_exit_code

if TYPE_CHECKING:
    from mtls_runner.pytest_plugin.case import MtlsCase
    from mtls_runner.pytest_plugin.client_material import ClientMaterial
    from mtls_runner.pytest_plugin.connection import Connection
    from mtls_runner.pytest_plugin.lab import MtlsLab

__all__ = [
    "CaseItem",
    "ClientMaterial",
    "Connection",
    "MtlsCase",
    "MtlsLab",
    "ScenarioFile",
    "_mtls_labs",
    "mtls_case",
    "mtls_lab",
]

_HOMES = {
    "ClientMaterial": "client_material",
    "Connection": "connection",
    "MtlsCase": "case",
    "MtlsLab": "lab",
}

_SUFFIXES = frozenset({".yaml", ".yml"})
_SETTINGS = frozenset({"lab.yaml", "lab.yml"})
# One of these at the beginning of a line makes a file ours: other plug-ins' tests are YAML too, and servers' configurations.
_OURS = re.compile(r"^(?:ca|authorities|leaves|servers?|cases|matrix)[ \t]*:", re.MULTILINE)
_ENOUGH = 1 << 20
"""Characters; no scenario is longer."""
_KEYS = re.compile(r"^[\w-]+[ \t]*:", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options, all beginning with ``--mtls-``, and the ini option."""
    group = parser.getgroup("mtls-run", "mutual TLS scenarios")
    group.addoption("--mtls-backend", metavar="NAME", help="run every scenario's servers on this backend")
    group.addoption("--mtls-tool", metavar="NAME", help="use this client in every scenario")
    group.addoption(
        "--mtls-runtime",
        choices=["process", "container"],
        help="run servers as processes or in containers, where the backend has a choice",
    )
    group.addoption("--mtls-image", metavar="IMAGE", help="the container image for every container server")
    group.addoption(
        "--mtls-strict",
        action="store_true",
        help="warnings are errors, what is skipped or undetermined is a failure",
    )
    parser.addini(
        "mtls_allow_commands",
        "whether scenarios may run commands that their tree brings",
        type="bool",
        default=False,
    )
    parser.addini(
        "mtls_scenarios",
        "glob patterns of scenario files, relative to the root directory (** is any number of directories)",
        type="args",
        default=[],
    )


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def pytest_configure(config: pytest.Config) -> None:
    """The marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(*files, server=None): scenario files (or glob patterns) beside the test or above it; gives mtls_lab "
        "their server, or runs the test for each of their cases that mtls_case stands for",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Once for each scenario or case of the marker."""
    parametrize(metafunc)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> ScenarioFile | None:
    """Take a scenario file."""
    if file_path.suffix not in _SUFFIXES or file_path.name in _SETTINGS:
        return None
    meant = _matches(file_path, parent.config) or parent.session.isinitpath(file_path)
    if meant and _looks_like_one(file_path):
        file: ScenarioFile = ScenarioFile.from_parent(parent, path=file_path)
        return file
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a case without a verdict, since the lab broke, as an error and not as a failure.

    Every consumer (the terminal's summary, ``--junit-xml``, ``-rE``) tells the two apart by the phase.
    """
    report = yield
    if isinstance(item, CaseItem) and report.when == "call":
        if item.broken and report.failed:
            report.when = "setup"
        elif report.skipped and isinstance(report.longrepr, tuple):
            path, line, _ = item.reportinfo()
            report.longrepr = (os.fspath(path), line + 1, report.longrepr[2])
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """A session that a signal ended says so by its exit code."""
    code = told_exit_code(session.config)
    if code is not None:
        session.exitstatus = code


def _looks_like_one(path: Path) -> bool:
    """Whether a file that was meant is a scenario, if only a bad one, rather than another plug-in's test, or a server's file."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        text = file.read(_ENOUGH)
    return _OURS.search(text) is not None or _KEYS.search(text) is None


def _matches(path: Path, config: pytest.Config) -> bool:
    patterns: list[str] = config.getini("mtls_scenarios")
    if not patterns or not path.is_relative_to(config.rootpath):
        return False
    parts = path.relative_to(config.rootpath).parts
    return any(_fits(parts, tuple(part for part in pattern.split("/") if part != ".")) for pattern in patterns)


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_fits(parts[skip:], pattern[1:]) for skip in range(len(parts) + 1))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
