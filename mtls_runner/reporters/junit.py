"""``--junit``: a JUnit XML report as Jenkins, GitLab, GitHub actions and Surefire's readers take it.

One ``testsuite`` for each scenario file. Valid under Jenkins' ``junit-10.xsd`` (jenkinsci/xunit-plugin), with elements in
the order that Surefire's ``surefire-test-report-3.0.xsd`` asks for.
"""

from __future__ import annotations

import platform
from collections import Counter
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TextIO
from xml.etree import ElementTree as ET

from mtls_runner.model.case import Plan
from mtls_runner.model.event import CaseFinished, Event, PlanStarted, RunFinished
from mtls_runner.model.verdict import Status, Verdict
from mtls_runner.reporters.escape import for_xml
from mtls_runner.reporters.failure import explain, headline

__all__ = ["JunitReporter"]

_TAGS = {Status.FAIL: "failure", Status.ERROR: "error", Status.SKIP: "skipped"}


class JunitReporter:
    """Gathers elements and writes them at the end.

    Args:
        stream: where to; the caller opens and closes it.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._suites: list[tuple[Plan, list[Verdict]]] = []
        self._started = datetime.now(UTC)

    def handle(self, event: Event) -> None:
        """One event."""
        if isinstance(event, CaseFinished):
            self._suites[-1][1].append(event.verdict)
        elif isinstance(event, PlanStarted):
            self._suites.append((event.plan, []))
        elif isinstance(event, RunFinished):
            self._write(event)

    def close(self) -> None:
        """Flush."""
        self._stream.flush()

    def _write(self, event: RunFinished) -> None:
        verdicts = [verdict for _, members in self._suites for verdict in members]
        root = ET.Element("testsuites", {"name": "mtls-run"} | _totals(verdicts))
        for plan, members in self._suites:
            suite = ET.SubElement(root, "testsuite", {"name": for_xml(str(plan.path))} | _totals(members))
            suite.set("skipped", str(sum(verdict.status is Status.SKIP for verdict in members)))
            suite.set("timestamp", self._started.strftime("%Y-%m-%dT%H:%M:%S"))
            suite.set("hostname", for_xml(platform.node() or "localhost"))
            if event.versions:
                properties = ET.SubElement(suite, "properties")
                for name, version in event.versions.items():
                    ET.SubElement(properties, "property", name=for_xml(name), value=for_xml(version))
            for verdict in members:
                suite.append(_case(verdict, plan))
        ET.indent(root)
        self._stream.write('<?xml version="1.0" encoding="UTF-8"?>\n')
        self._stream.write(ET.tostring(root, encoding="unicode") + "\n")


def _totals(verdicts: list[Verdict]) -> dict[str, str]:
    counts = Counter(verdict.status for verdict in verdicts)
    return {
        "tests": str(len(verdicts)),
        "failures": str(counts[Status.FAIL]),
        "errors": str(counts[Status.ERROR]),
        "time": _seconds(sum(verdict.duration for verdict in verdicts)),
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
    ET.SubElement(element, "system-out").text = for_xml(f"{case.id}\n{headline(verdict)}\n")
    return element


def _seconds(duration: float) -> str:
    return f"{duration:.3f}"
