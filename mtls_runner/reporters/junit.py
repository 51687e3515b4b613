"""``--junit``: a JUnit XML report as Jenkins, GitLab, GitHub actions and Surefire's readers take it.

One ``testsuite`` for each scenario file. Valid under Jenkins' ``junit-10.xsd`` (jenkinsci/xunit-plugin), with elements in
the order that Surefire's ``surefire-test-report-3.0.xsd`` asks for.
"""

from __future__ import annotations

import platform
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TextIO
from xml.etree import ElementTree as ET

from mtls_runner.model.case import Plan
from mtls_runner.model.verdict import CaseFinished, Event, PlanStarted, RunFinished, Status, Verdict
from mtls_runner.reporters import explain, for_xml, headline

__all__ = ["JunitReporter"]

_TAGS = {Status.FAIL: "failure", Status.ERROR: "error", Status.SKIP: "skipped"}


@dataclass(slots=True)
class _Suite:
    plan: Plan
    cases: list[ET.Element] = field(default_factory=list)
    counts: Counter[Status] = field(default_factory=Counter)
    undetermined: int = 0
    seconds: float = 0.0


class JunitReporter:
    """Keeps an element for each case, and writes them at the end, since the counts come first.

    Args:
        stream: where to; the caller opens and closes it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._suites: list[_Suite] = []
        self._started = datetime.now(UTC)

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, CaseFinished):
            suite = self._suites[-1]
            suite.cases.append(_case(event.verdict, suite.plan))
            suite.counts[event.verdict.status] += 1
            suite.undetermined += event.verdict.undetermined is not None
            suite.seconds += event.verdict.duration
        elif isinstance(event, PlanStarted):
            self._suites.append(_Suite(event.plan))
        elif isinstance(event, RunFinished):
            self._write(event)

    def close(self) -> None:
        """Flush."""
        self._stream.flush()

    def _write(self, event: RunFinished) -> None:
        counts = sum((suite.counts for suite in self._suites), Counter[Status]())
        seconds = sum(suite.seconds for suite in self._suites)
        root = ET.Element("testsuites", {"name": "mtls-run"} | _totals(counts, seconds))
        for suite in self._suites:
            element = ET.SubElement(root, "testsuite", {"name": for_xml(str(suite.plan.path))})
            element.attrib.update(_totals(suite.counts, suite.seconds))
            element.set("skipped", str(suite.counts[Status.SKIP]))
            element.set("timestamp", self._started.strftime("%Y-%m-%dT%H:%M:%S"))
            element.set("hostname", for_xml(platform.node() or "localhost"))
            properties = ET.SubElement(element, "properties")
            for name, value in {**event.versions, "undetermined": str(suite.undetermined)}.items():
                ET.SubElement(properties, "property", name=for_xml(name), value=for_xml(value))
            element.extend(suite.cases)
        ET.indent(root)
        self._stream.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        self._stream.write(ET.tostring(root, encoding="unicode") + "\n")


def _totals(counts: Counter[Status], seconds: float) -> dict[str, str]:
    return {
        "tests": str(counts.total()),
        "failures": str(counts[Status.FAIL]),
        "errors": str(counts[Status.ERROR]),
        "time": _seconds(seconds),
    }


def _case(verdict: Verdict, plan: Plan) -> ET.Element:
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
            outcome.text = for_xml(explain(verdict, plan.text))
    told = (
        () if case.plain else zip(case.steps, verdict.steps, strict=False)
    )  # those behind one that failed are not done
    steps = "".join(f"{number} {step.name}: {headline(done)}\n" for number, (step, done) in enumerate(told, 1))
    ET.SubElement(element, "system-out").text = for_xml(f"{case.id}\n{headline(verdict)}\n{steps}")
    return element


def _seconds(duration: float) -> str:
    return f"{duration:.3f}"
