"""``--junit``: a JUnit XML report as Jenkins, GitLab, GitHub actions and Surefire's readers take it.

One ``testsuite`` for each scenario file. Valid under Jenkins' ``junit-10.xsd`` (jenkinsci/xunit-plugin), with elements in
the order that Surefire's ``surefire-test-report-3.0.xsd`` asks for.
"""

from __future__ import annotations

import platform
import tempfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TextIO
from xml.etree import ElementTree as ET

from msgspec import Struct, field

from mtls_runner.model.case import Plan
from mtls_runner.model.verdict import CaseFinished, Event, PlanStarted, RunFinished, RunStarted, Status, Verdict
from mtls_runner.reporters import for_xml, headline
from mtls_runner.reporters.failure import explain, typed_again

__all__ = ["JunitReporter"]

_CHUNK = 1 << 16
"""Bytes that are copied at once; ASCII, as ElementTree writes by default: what is no ASCII stands as a reference."""
_TAGS = {Status.FAIL: "failure", Status.ERROR: "error", Status.SKIP: "skipped"}


class _Suite(Struct):
    path: str
    start: int
    counts: Counter[Status] = field(default_factory=Counter)
    undetermined: int = 0
    seconds: float = 0.0


class JunitReporter:
    """Writes an element for each case into a temporary file as it comes, and puts them behind the counts at the end.

    Args:
        stream: where to; the caller opens and closes it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._suites: list[_Suite] = []
        self._plan: Plan | None = None
        self._typed: tuple[str, ...] = ()
        self._started = datetime.now(UTC)
        self._cases = tempfile.TemporaryFile()  # noqa: SIM115 - until the end

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, CaseFinished) and self._plan is not None:
            suite = self._suites[-1]
            element = _case(event.verdict, self._plan, self._typed)
            ET.indent(element, level=2)
            self._cases.write(b"    " + ET.tostring(element) + b"\n")
            suite.counts[event.verdict.status] += 1
            suite.undetermined += event.verdict.undetermined is not None
            suite.seconds += event.verdict.duration
        elif isinstance(event, RunStarted):
            self._typed = event.typed
        elif isinstance(event, PlanStarted):
            self._plan = event.plan
            self._suites.append(_Suite(str(event.plan.path), self._cases.tell()))
        elif isinstance(event, RunFinished):
            self._write(event)

    def close(self) -> None:
        """Flush."""
        self._cases.close()
        self._stream.flush()

    def _write(self, event: RunFinished) -> None:
        counts = sum((suite.counts for suite in self._suites), Counter[Status]())
        seconds = sum(suite.seconds for suite in self._suites)
        self._stream.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        self._stream.write(_opened(ET.Element("testsuites", {"name": "mtls-run"} | _totals(counts, seconds))) + "\n")
        ends = [*(suite.start for suite in self._suites[1:]), self._cases.tell()]
        self._cases.seek(0)
        for suite, end in zip(self._suites, ends, strict=True):
            self._stream.write("  " + _opened(self._suite(suite)) + "\n")
            properties = ET.Element("properties")
            for name, value in {**event.versions, "undetermined": str(suite.undetermined)}.items():
                ET.SubElement(properties, "property", name=for_xml(name), value=for_xml(value))
            ET.indent(properties, level=2)
            self._stream.write("    " + ET.tostring(properties, encoding="unicode") + "\n")
            while (left := end - self._cases.tell()) > 0:
                self._stream.write(self._cases.read(min(left, _CHUNK)).decode("ascii"))
            self._stream.write("  </testsuite>\n")
        self._stream.write("</testsuites>\n")

    def _suite(self, suite: _Suite) -> ET.Element:
        element = ET.Element("testsuite", {"name": for_xml(suite.path)})
        element.attrib.update(_totals(suite.counts, suite.seconds))
        element.set("skipped", str(suite.counts[Status.SKIP]))
        element.set("timestamp", self._started.strftime("%Y-%m-%dT%H:%M:%S"))
        element.set("hostname", for_xml(platform.node() or "localhost"))
        return element


def _opened(element: ET.Element) -> str:
    """Its start tag: what is in it comes next."""
    return ET.tostring(element, encoding="unicode").removesuffix(" />") + ">"


def _totals(counts: Counter[Status], seconds: float) -> dict[str, str]:
    return {
        "tests": str(counts.total()),
        "failures": str(counts[Status.FAIL]),
        "errors": str(counts[Status.ERROR]),
        "time": _seconds(seconds),
    }


def _case(verdict: Verdict, plan: Plan, typed: tuple[str, ...]) -> ET.Element:
    case = verdict.case
    element = ET.Element(
        "testcase",
        name=for_xml(case.id.removeprefix(f"{plan.path}::")),
        classname=for_xml(".".join(PurePath(plan.path).with_suffix("").parts)),
        time=_seconds(verdict.duration),
    )
    tag = _TAGS.get(verdict.status)
    if tag is not None:
        message = verdict.skip_reason if verdict.status is Status.SKIP else headline(verdict)
        outcome = ET.SubElement(element, tag, message=for_xml(message))
        if tag != "skipped":
            outcome.set("type", "mismatch" if tag == "failure" else "lab")
            outcome.text = for_xml(explain(verdict, plan.text, again=typed_again(case, typed)))
    told = (
        () if case.plain else zip(case.steps, verdict.steps, strict=False)
    )  # those behind one that failed are not done
    steps = "".join(f"{number} {step.name}: {headline(done)}\n" for number, (step, done) in enumerate(told, 1))
    ET.SubElement(element, "system-out").text = for_xml(f"{case.id}\n{headline(verdict)}\n{steps}")
    return element


def _seconds(duration: float) -> str:
    return f"{duration:.3f}"
