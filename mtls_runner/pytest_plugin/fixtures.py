"""The fixtures ``mtls_lab`` and ``mtls_case``, and the marker ``mtls_scenario``, for tests of somebody's own TLS client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mtls_runner.pytest_plugin.loading import find, load_plan
from mtls_runner.pytest_plugin.stopping import clean_up_when_stopped

if TYPE_CHECKING:
    from mtls_runner.engine.lab import Lab
    from mtls_runner.model.case import Case, Plan
    from mtls_runner.model.endpoint import ServerSpec
    from mtls_runner.pytest_plugin.case import MtlsCase
    from mtls_runner.pytest_plugin.lab import MtlsLab

__all__ = ["MARKER", "mtls_case", "mtls_lab", "parametrize"]

__tracebackhide__ = True

MARKER = "mtls_scenario"

_USAGE = "mtls_scenario takes one scenario file or more, as texts or paths, and perhaps server=ID"


_PLANS = pytest.StashKey[dict[Path, "Plan"]]()


def _plan(path: Path, config: pytest.Config) -> Plan:
    """A file's plan, read once; a client of one's own takes the tool's place, so a matrix over tools is no matrix here."""
    plans = config.stash.setdefault(_PLANS, {})
    if path not in plans:
        from mtls_runner.registry import registry

        plans[path] = load_plan(path, config, tool=registry().clients.default.name)
    return plans[path]


class Labs:
    """The session's labs: each scenario's servers start once and stop when the session ends."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._stack = ExitStack()
        self._labs: dict[Path, Lab] = {}

    def open(self, path: Path) -> Lab:
        """The lab of a file.

        Raises:
            UsageError: the file is invalid; with every mistake.
            LabError: there is no place to work in.
        """
        from mtls_runner.engine.lab import Lab
        from mtls_runner.errors import UsageError

        lab = self._labs.get(path)
        if lab is None:
            try:
                plan = _plan(path, self._config)
            except pytest.Collector.CollectError as error:
                raise UsageError(str(error)) from None
            clean_up_when_stopped(self._config)
            lab = self._labs[path] = self._stack.enter_context(Lab(plan))
        return lab

    def close(self) -> None:
        """Stop everything."""
        self._stack.close()


@pytest.fixture(scope="session")
def _mtls_labs(pytestconfig: pytest.Config) -> Iterator[Labs]:
    labs = Labs(pytestconfig)
    try:
        yield labs
    finally:
        labs.close()


class _Finder:
    """Finds scenarios as a test names them."""

    def __init__(self, labs: Labs, request: pytest.FixtureRequest) -> None:
        self._labs = labs
        self._request = request

    def __call__(self, scenario: str | Path, server: str | None) -> tuple[Lab, ServerSpec]:
        from mtls_runner.errors import UsageError
        from mtls_runner.pytest_plugin.lab import server_of

        try:
            path, *more = find(str(scenario), self._request.path, self._request.config.rootpath)
        except FileNotFoundError as error:
            raise UsageError(str(error)) from None
        if more:
            raise UsageError(f"{scenario!r} are several scenarios: {path}, {', '.join(map(str, more))}")
        lab = self._labs.open(path)
        return lab, server_of(lab, server)


@pytest.fixture
def mtls_lab(_mtls_labs: Labs, request: pytest.FixtureRequest) -> MtlsLab:
    """Start scenarios' servers: ``mtls_lab("labs/basic.yaml")``, or mark the test with ``mtls_scenario``."""
    from mtls_runner.pytest_plugin.lab import MtlsLab

    finder = _Finder(_mtls_labs, request)
    marker = request.node.get_closest_marker(MARKER)
    if marker is None:
        return MtlsLab(finder)
    scenario = request.param if hasattr(request, "param") else marker.args[0]
    lab, server = finder(scenario, marker.kwargs.get("server"))
    _skip_what_cannot_be(lab, next(case for case in lab.plan.cases if case.server == server))
    return MtlsLab(finder, (lab, server))


@pytest.fixture
def mtls_case(_mtls_labs: Labs, request: pytest.FixtureRequest) -> MtlsCase:
    """One case of the scenario that the test is marked with; the test runs once for each."""
    from mtls_runner.pytest_plugin.case import MtlsCase, not_for_others

    if not hasattr(request, "param"):
        pytest.fail("mtls_case needs a scenario: mark the test with @pytest.mark.mtls_scenario('scenario.yaml')", False)
    path, case_id = request.param
    lab = _mtls_labs.open(path)
    case = next(case for case in lab.plan.cases if case.id == case_id)
    reason = not_for_others(case)
    if reason is not None:
        pytest.skip(f"somebody's own client can't run this case: {reason}")
    _skip_what_cannot_be(lab, case)
    strict: bool = request.config.getoption("mtls_strict")
    return MtlsCase(case, lab, _Finder(_mtls_labs, request), strict=strict)


def _skip_what_cannot_be(lab: Lab, case: Case) -> None:

    # What the lab's own client can't do is not the matter of somebody else's.
    reason = lab.servers.cannot(case.server, None) if case.client is not None else None
    if reason is not None:
        pytest.skip(reason)


def parametrize(metafunc: pytest.Metafunc) -> None:
    """Run a marked test once for each case, if it asks for cases, or else once for each scenario, if there are several.

    Raises:
        CollectError: a scenario is not there or invalid, or the marker is used wrongly.
    """
    marker = metafunc.definition.get_closest_marker(MARKER)
    if marker is None:
        return
    files = _files(marker, metafunc)
    for path in files:
        _plan(path, metafunc.config)
    if "mtls_case" in metafunc.fixturenames:
        params = []
        for path in files:
            plan = _plan(path, metafunc.config)
            for case in plan.cases:
                name = case.id.removeprefix(f"{plan.path}::")
                params.append(pytest.param((path, case.id), id=name if len(files) == 1 else f"{path.stem}::{name}"))
        metafunc.parametrize("mtls_case", params, indirect=True)
    elif "mtls_lab" in metafunc.fixturenames and len(files) > 1:
        metafunc.parametrize("mtls_lab", files, ids=[path.stem for path in files], indirect=True)


def _files(marker: pytest.Mark, metafunc: pytest.Metafunc) -> list[Path]:
    if not marker.args or set(marker.kwargs) - {"server"} or not all(isinstance(a, str | Path) for a in marker.args):
        raise pytest.Collector.CollectError(_USAGE)
    files: list[Path] = []
    for scenario in marker.args:
        try:
            files += find(str(scenario), metafunc.definition.path, metafunc.config.rootpath)
        except FileNotFoundError as error:
            raise pytest.Collector.CollectError(str(error)) from None
    return files
