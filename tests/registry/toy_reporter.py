"""A reporter of one file: a line for each case."""

from __future__ import annotations

from typing import TextIO

from mtls_runner.model.traits import ReporterTraits
from mtls_runner.model.verdict import CaseFinished, Event, RunFinished


class ToyReporter:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def handle(self, event: Event) -> None:
        if isinstance(event, CaseFinished):
            case = event.verdict.case
            tool = case.client.tool if case.client is not None else ""
            self._stream.write(f"{event.verdict.status} {case.server.backend} {tool} {case.name}\n")
        elif isinstance(event, RunFinished):
            self._stream.write("the end\n")

    def close(self) -> None:
        self._stream.flush()


TRAITS = ReporterTraits(name="toy", sentence="a line for each case", make=ToyReporter)
