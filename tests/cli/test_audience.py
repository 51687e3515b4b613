"""Reporters that break, pipes that close, interrupts that arrive between two events."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from mtls_runner.atomic_file import AtomicFile
from mtls_runner.cli import Stop
from mtls_runner.cli.run import Audience, Outlet
from mtls_runner.engine.lab import Lab
from mtls_runner.engine.serving import OpenServers, Visit
from mtls_runner.model.case import Plan
from mtls_runner.model.endpoint import Address, ServerSpec
from mtls_runner.model.observation import ServerView
from mtls_runner.model.port import RunningServer, Watch
from mtls_runner.model.verdict import CaseFinished, Event, RunFinished, RunStarted, Verdict
from tests.reporters import samples


class Listener:
    """Writes one word for each event; breaks at a chosen kind."""

    def __init__(self, file: AtomicFile, breaks_at: type[Event] | None = None, error: Exception | None = None) -> None:
        self.file = file
        self.events: list[Event] = []
        self.breaks_at = breaks_at
        self.error = error or ValueError("no such luck")

    def handle(self, event: Event) -> None:
        if self.breaks_at is not None and isinstance(event, self.breaks_at):
            raise self.error
        self.events.append(event)
        self.file.stream.write(type(event).__name__ + "\n")

    def close(self) -> None:
        self.file.stream.flush()


def outlet(path: Path, breaks_at: type[Event] | None = None, error: Exception | None = None) -> tuple[Outlet, Listener]:
    file = AtomicFile(str(path), "the report")
    listener = Listener(file, breaks_at, error)
    return Outlet(path.name, listener, file.stream, file), listener


def sample() -> tuple[list[Plan], list[Verdict]]:
    cases = [samples.case("one"), samples.case("two")]
    return [samples.plan(*cases)], [samples.passed(cases[0]), samples.skipped(cases[1])]


def test_a_reporter_that_raises_stops_nobody_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, listener = outlet(tmp_path / "good")
    bad, _ = outlet(tmp_path / "bad", CaseFinished)
    audience = Audience([bad, good], Stop())
    end = audience.follow(samples.events(*sample()))
    audience.close()
    assert isinstance(end, RunFinished)
    assert audience.broken
    assert len([event for event in listener.events if isinstance(event, CaseFinished)]) == 2
    assert (tmp_path / "good").read_text().endswith("RunFinished\n")
    assert bad.file is not None
    bad.file.discard()
    assert not (tmp_path / "bad").exists()
    shown = capsys.readouterr().err
    assert "bad broke: ValueError: no such luck" in shown
    assert "MTLS_RUN_DEBUG=1" in shown
    assert "Traceback" not in shown


def test_without_trouble_nothing_is_broken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, _ = outlet(tmp_path / "good")
    audience = Audience([good], Stop())
    audience.follow(samples.events(*sample()))
    audience.close()
    assert not audience.broken
    assert not audience.gone
    assert capsys.readouterr().err == ""


def test_a_closed_pipe_ends_the_run_only_when_it_was_the_last_reader(tmp_path: Path) -> None:
    def run(*outlets: Outlet) -> tuple[Audience, list[str]]:
        seen: list[str] = []

        def engine() -> Iterator[Event]:
            try:
                for event in samples.events(*sample()):
                    seen.append(type(event).__name__)
                    yield event
            finally:
                seen.append("closed")

        audience = Audience(outlets, Stop())
        audience.follow(engine())
        audience.close()
        for each in outlets:
            assert each.file is not None
            each.file.discard()
        return audience, seen

    piped, _ = outlet(tmp_path / "pipe", CaseFinished, BrokenPipeError())
    alone, seen = run(piped)
    assert alone.gone
    assert not alone.broken
    assert "RunFinished" not in seen
    assert seen[-1] == "closed"

    piped, _ = outlet(tmp_path / "pipe", CaseFinished, BrokenPipeError())
    good, listener = outlet(tmp_path / "good")
    together, seen = run(piped, good)
    assert not together.gone
    assert isinstance(listener.events[-1], RunFinished)


def test_a_signal_during_a_line_waits_for_its_end_and_reaches_the_engine(tmp_path: Path) -> None:
    thrown: list[bool] = []

    def engine() -> Generator[Event, None, None]:
        yield RunStarted((), 0)
        try:
            yield CaseFinished(samples.passed(samples.case()))
        except KeyboardInterrupt:
            thrown.append(True)
        yield RunFinished({}, 0.1, interrupted=True)

    class Interrupted(Listener):
        def handle(self, event: Event) -> None:
            if isinstance(event, CaseFinished):
                os.kill(os.getpid(), signal.SIGTERM)
            super().handle(event)

    file = AtomicFile(str(tmp_path / "report"), "the report")
    listener = Interrupted(file)
    stop = Stop()
    with stop.listening():
        audience = Audience([Outlet("report", listener, file.stream, file)], stop)
        end = audience.follow(engine())
        audience.close()
    assert thrown == [True]
    assert end is not None
    assert end.interrupted
    assert (tmp_path / "report").read_text() == "RunStarted\nCaseFinished\nRunFinished\n"


class Visited(RunningServer):
    """Somebody comes, and a signal right behind."""

    tells_of_everyone = True
    address = Address("127.0.0.1", 1)

    def watch(self) -> AbstractContextManager[Watch]:
        raise NotImplementedError

    def settled(self) -> Iterator[ServerView]:
        yield ServerView("its log")
        os.kill(os.getpid(), signal.SIGINT)


class OneServer(Lab):
    def server(self, spec: ServerSpec) -> RunningServer:  # noqa: ARG002
        return Visited()


def test_who_came_before_a_signal_is_told() -> None:
    plan = samples.plan(samples.case())
    stop = Stop()
    with stop.listening(), stop.cleanly(), OpenServers(OneServer(plan)) as servers_open, stop.gently(servers_open.stop):
        servers_open.start(plan.cases[0].server)
        told = [servers_open.next(), servers_open.next(), servers_open.next()]
        stop.patience()
    visit = Visit(plan.cases[0].server, ServerView("its log"))
    assert told[0] == visit
    assert None in told


def test_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    stop = Stop()
    with stop.listening(), stop.cleanly():
        assert signal.getsignal(signal.SIGTERM) is not before
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_interrupt_that_gets_lost_comes_again() -> None:
    class Destroyed:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    def destroyed() -> None:
        Destroyed()
        threading.Event().wait(30)

    stop = Stop()
    with stop.listening(), stop.cleanly(), pytest.raises(KeyboardInterrupt):
        destroyed()
