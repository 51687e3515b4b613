"""``mtls-run serve``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from mtls_runner.cli import STOP
from mtls_runner.cli.choose import Choice
from mtls_runner.cli.commands_to_type import TypedCase, entries
from mtls_runner.cli.diagnostics import complain
from mtls_runner.cli.one_file import live_progress, one_plan
from mtls_runner.cli.program import ExitCode
from mtls_runner.engine.lab import Lab
from mtls_runner.engine.serving import Ended, OpenServers, Visit
from mtls_runner.errors import ScenarioError, ServerUnusable, UsageError
from mtls_runner.explain.expected import expected
from mtls_runner.model.case import Plan
from mtls_runner.model.endpoint import Address, ServerSpec
from mtls_runner.model.observation import Outcome
from mtls_runner.model.port import RunningServer
from mtls_runner.private_files import claim
from mtls_runner.reporters import Page, Style, is_terminal, one_line, steady_page
from mtls_runner.reporters.transcript import server_lines
from mtls_runner.reporters.visit import visit
from mtls_runner.runtimes.listening import Relay

__all__ = ["serve"]

_Servers = dict[ServerSpec, "RunningServer | ServerUnusable"]


def serve(
    choice: Choice, *, verbose: bool, color: str, port: int | None = None, directory: str | None = None
) -> ExitCode:
    """Start a scenario's servers, say how to reach them, and tell who comes, until a signal ends it.

    Args:
        choice: one file.
        verbose: with all that a server saw of each connection.
        color: as for ``run``.
        port: where the first server is reached, the next one at the next, and so on; ``None``: wherever there is room.
        directory: where the material is put, and left; ``None``: in a private directory, until the end.

    Raises:
        UsageError: what was typed is wrong.
        LabError: the lab is broken.
        KeyboardInterrupt: a signal came before anything was served.
    """
    try:
        plan = one_plan(choice)
    except ScenarioError as error:
        return complain(error.diagnostics, color)
    page = steady_page(color, sys.stdout)
    keep = Path(directory) if directory is not None else None
    with STOP.cleanly():
        if keep is not None:
            claim(keep)
        code = _serve(plan, page, _Request(port, keep, verbose=verbose))
    if code is ExitCode.OK:
        if is_terminal(sys.stdout):
            page.line()  # which has echoed ^C
        left = f"servers are gone, the material is left in {directory}" if keep else "servers and material are gone"
        page.line((one_line(f"stopped; {left}"), Style.TEXT))
    return code


class _Request(Struct, frozen=True):
    port: int | None
    keep: Path | None
    verbose: bool


def _serve(plan: Plan, page: Page, request: _Request) -> ExitCode:
    with ExitStack() as stack:
        with live_progress() as progress:
            lab = Lab(plan, request.keep, report=progress, apart=True)
            opened = stack.enter_context(OpenServers(lab))
            stack.enter_context(lab)
            notes = lab.notes()
            servers = _started(plan, lab, opened)
            notes += lab.servers.warned()
            reached = _reached(servers, request.port, stack)
        names = _named(list(dict.fromkeys(case.server for case in plan.cases)))
        material = f"  material in {lab.material.directory}"
        page.line((one_line(f"{plan.path}: {plan.name}"), Style.STRONG), (material, Style.DIM))
        for note in notes:
            page.line((one_line(f"  note: {note}"), Style.WARNING))
        _tell_servers(plan, servers, reached, names, page)
        for case in {case.server: case for case in plan.cases if case.server not in servers}.values():
            why = one_line(lab.servers.cannot(case.server, case.client) or "")
            page.line((f"  {names[case.server]}  {case.server.backend}  not run: {why}", Style.SKIP))
        if not reached:
            return ExitCode.BROKEN if servers else ExitCode.NOTHING_RUN
        for entry in entries(plan, lab, reached, relative=request.keep is not None):
            _tell_entry(entry, names, page)
        page.line()
        scribe = _Scribe(page, names if len(reached) > 1 else {}, verbose=request.verbose)
        code = _until_the_end(opened, len(reached), scribe)
    for visitor in opened.rest():
        scribe.tell(visitor)
    return code


def _started(plan: Plan, lab: Lab, opened: OpenServers) -> _Servers:
    servers: _Servers = {}
    for case in plan.cases:
        if case.server not in servers and lab.servers.cannot(case.server, case.client) is None:
            try:
                servers[case.server] = opened.start(case.server)
            except ServerUnusable as error:
                servers[case.server] = error
    return servers


def _reached(servers: _Servers, port: int | None, stack: ExitStack) -> dict[ServerSpec, Address]:
    """Where people come to: behind a port that was asked for, the server listens at another."""
    found: dict[ServerSpec, Address] = {}
    for spec, server in servers.items():
        if not isinstance(server, ServerUnusable):
            found[spec] = server.address
            if port is not None and not spec.backend.runs_already:
                found[spec] = stack.enter_context(_relay(port + len(found) - 1, server.address)).address
    return found


def _relay(port: int, behind: Address) -> Relay:
    try:
        return Relay("127.0.0.1", port, behind)
    except (OSError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "there is no such port"
        raise UsageError(f"--port: nothing can listen at 127.0.0.1:{port}: {why}") from error


def _named(specs: Sequence[ServerSpec]) -> dict[ServerSpec, str]:
    """The name of each server: its id, with a number where a matrix or a case makes several of one."""
    names = {}
    for spec in specs:
        alike = [other for other in specs if other.id == spec.id]
        names[spec] = one_line(spec.id) + (f" ({alike.index(spec) + 1})" if len(alike) > 1 else "")
    return names


def _tell_servers(
    plan: Plan, servers: _Servers, reached: dict[ServerSpec, Address], names: dict[ServerSpec, str], page: Page
) -> None:
    expected_to_fail = {
        case.server for case in plan.cases if case.client is None and expected(case).outcome is Outcome.SERVER_UNUSABLE
    }
    for spec, server in servers.items():
        if isinstance(server, ServerUnusable):
            as_expected = spec in expected_to_fail
            said = "does not start, as the scenario expects" if as_expected else "does not start"
            style = Style.TEXT if as_expected else Style.ERROR
            page.line((f"  {names[spec]}  {spec.backend}  {said}: {one_line(str(server))}", style))
        else:
            page.line((f"  {names[spec]}  {spec.backend}  https://{_host(reached[spec])}/", Style.TEXT))


def _host(address: Address) -> str:
    return str(address).replace("127.0.0.1", "localhost", 1)


def _tell_entry(entry: TypedCase, names: dict[ServerSpec, str], page: Page) -> None:
    page.line()
    server = f"  (server {names[entry.server]})" if len(names) > 1 else ""
    page.line((one_line(entry.title), Style.STRONG), (server, Style.DIM))
    page.line((f"  expected: {one_line(entry.expected)}", Style.TEXT))
    for command in entry.commands:
        page.line((f"  {command}", Style.COMMAND))
    for reason in entry.reasons:
        page.line((f"  not by hand: {one_line(reason)}", Style.SKIP))


class _Scribe:
    """Prints a line for each connection.

    Args:
        page: where to.
        names: of servers, where there are several.
        verbose: with all that the server saw.
    """

    def __init__(self, page: Page, names: dict[ServerSpec, str], *, verbose: bool) -> None:
        self._page = page
        self._names = names
        self._verbose = verbose

    def begin(self) -> None:
        """Show the first line."""
        self._page.line(("Serving until Ctrl-C. Whoever comes is shown here:", Style.STRONG))

    def tell(self, event: Visit | Ended) -> None:
        """One line, or more when verbose."""
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        if isinstance(event, Ended):
            self._page.line((f"{now}  server {one_line(event.server.id)} ended by itself", Style.ERROR))
            return
        name = f"{self._names[event.server]}  " if event.server in self._names else ""
        self._page.line((f"{now}  ", Style.DIM), (name, Style.TEXT), *visit(event.view))
        if self._verbose:
            for line, style in server_lines(event.view):
                self._page.line((f"      {line}", style))


def _until_the_end(opened: OpenServers, running: int, scribe: _Scribe) -> ExitCode:
    """Until a signal comes, or the last server ends by itself."""
    try:
        with STOP.gently(opened.stop):
            scribe.begin()
            while running and (event := opened.next()) is not None:
                running -= isinstance(event, Ended)
                scribe.tell(event)
            STOP.patience()
    except KeyboardInterrupt:  # nobody reads what is told, or somebody is in a hurry
        return ExitCode.OK
    return ExitCode.OK if running else ExitCode.BROKEN
