"""Who gets in where, from real handshakes: each cell, the marks, and the same in three forms."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mtls_runner import load, run
from mtls_runner.model.verdict import CaseFinished, Event
from mtls_runner.reporters import PlainPage
from mtls_runner.reporters.access.markdown import AccessMarkdown
from mtls_runner.reporters.access.page import AccessHtml
from mtls_runner.reporters.access.report import AccessConsole
from mtls_runner.reporters.access.table import AccessTable, Kind, access_table, entries

LAB = """\
name: edge
authorities: {ca: {subject: CN=Lab CA}, other: {subject: CN=Other CA}}
leaves:
  server: {issuer: ca}
  good: {issuer: ca, usage: client}
  gone: {like: good, revoked: true}
  stale: {like: good, not_before: -10d, not_after: -1d}
  foreign: {like: good, issuer: other}
servers:
  strict: {certificate: server, trust: [ca], responses: {/missing: {status: 404}}}
  modern: {like: strict, tls: TLSv1.3}
  closed: {like: strict, trust: [other]}
  open: {like: strict, client_auth: none}
cases:
  - {name: none, server: strict, expect: {server-refused: no-certificate}}
  - {name: good, server: strict, client: good, expect: accepted}
  - {name: gone, server: strict, client: gone, expect: accepted}
  - {name: stale, server: strict, client: stale, expect: {server-refused: revoked}}
  - {name: missing, server: strict, client: {certificate: good, request: {path: /missing}}, expect: accepted}
  - {name: post, server: strict, client: {certificate: good, request: {method: POST, path: /missing}}, expect: accepted}
  - {name: modern, server: modern, client: good, expect: {outcome: [accepted, no-agreement]}}
  - {name: modern none, server: modern, expect: {outcome: [server-refused, no-agreement]}}
  - {name: closed, server: closed, client: good, expect: {server-refused: unknown-ca}}
  - {name: open, server: open, client: stale, expect: accepted}
  - name: steps
    server: strict
    client: foreign
    steps: [{expect: {server-refused: unknown-ca}}, {connect: good, expect: accepted}]
matrix: {client.tls: [TLSv1.2, TLSv1.3]}
"""


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> Sequence[Event]:
    path = tmp_path_factory.mktemp("access") / "edge.yaml"
    path.write_text(LAB)
    return list(run([load(path)]))


@pytest.fixture(scope="module")
def table(events: Sequence[Event]) -> AccessTable:
    verdicts = [event.verdict for event in events if isinstance(event, CaseFinished)]
    plan = next(event.plans[0] for event in events if hasattr(event, "plans"))
    return access_table(plan, entries(verdicts), datetime.now(UTC))


def cell(table: AccessTable, door: str, client: str) -> list[tuple[Kind, str, str]]:
    found = next(each for each in table.doors if each.label == door).cells[client]
    return [(state.kind, state.text, where) for state, where in found.states]


def test_cells(table: AccessTable) -> None:
    assert table.clients == ("none", "good", "gone", "stale", "foreign")
    assert [door.label for door in table.doors] == [
        "strict /",
        "strict /missing",
        "strict POST /missing",
        "modern /",
        "closed /",
        "open /",
    ]
    assert cell(table, "strict /", "none") == [(Kind.CLOSED, "no-certificate", "")]
    assert cell(table, "strict /", "good") == [(Kind.OPEN, "", "")]
    assert cell(table, "strict /", "foreign") == [(Kind.CLOSED, "unknown-ca", "")]
    assert cell(table, "strict /missing", "good") == [(Kind.OPEN, "HTTP 404", "")]
    assert cell(table, "modern /", "good") == [
        (Kind.OTHER, "no-agreement: protocol-version", "TLSv1.2"),
        (Kind.OPEN, "", "TLSv1.3"),
    ]
    assert cell(table, "open /", "stale") == [(Kind.OPEN, "", "")]


def test_who_gets_in_though_something_speaks_against_it(table: AccessTable) -> None:
    assert [(door.label, client, minded) for door, client, minded in table.alarms] == [
        ("strict /", "gone", ("it is revoked",))
    ]


def test_what_is_not_as_expected_is_marked(table: AccessTable) -> None:
    (state, _), *_ = table.doors[0].cells["stale"].states
    assert (state.kind, state.text, state.unexpected) == (Kind.CLOSED, "expired", True)
    assert not table.doors[0].cells["none"].states[0][0].unexpected


def test_doors_that_nothing_proves(table: AccessTable) -> None:
    assert {door.label: door.remark.partition(",")[0] for door in table.unproved} == {
        "strict /missing": "nobody is refused here",
        "strict POST /missing": "nobody is refused here",
        "closed /": "nobody gets in here",
    }
    assert [door.label for door in table.public] == ["open /"]
    assert [door.label for door in table.doors if door.proved] == ["strict /", "modern /"]


def test_on_the_console_it_fits(events: Sequence[Event]) -> None:
    def shown(columns: int | None) -> list[str]:
        stream = io.StringIO()
        reporter = AccessConsole(PlainPage(stream), columns)
        for event in events:
            reporter.handle(event)
        reporter.close()
        return stream.getvalue().splitlines()

    whole = shown(None)
    heading = next(line for line in whole if line.startswith("door"))
    assert heading.split() == ["door", "none", "good", "gone", "stale", "foreign"]
    row = next(line for line in whole if line.startswith("strict / "))
    assert row[heading.index("gone") :].startswith("OPEN!")
    assert row[heading.index("stale") :].startswith("closed: expired, not as expected")
    assert any(line.startswith("  look: gone gets in at strict /, though it is revoked") for line in whole)
    narrow = shown(80)
    assert max(len(line) for line in narrow if not line.startswith(("  ", "who"))) <= 80
    assert sum(line.startswith("door") for line in narrow) > 1
    assert sorted("".join(narrow).count(word) for word in ("OPEN!", "unknown-ca", "HTTP 404")) == sorted(
        "".join(whole).count(word) for word in ("OPEN!", "unknown-ca", "HTTP 404")
    )


def test_as_markdown_and_html(events: Sequence[Event]) -> None:
    markdown, html = io.StringIO(), io.StringIO()
    for reporter in (AccessMarkdown(markdown), AccessHtml(html)):
        for event in events:
            reporter.handle(event)
        reporter.close()
    rows = [line for line in markdown.getvalue().splitlines() if line.startswith("|")]
    assert rows[0] == "| door | none | good | gone | stale | foreign |"
    assert rows[2] == (
        "| **strict /** | closed: no-certificate | open | **OPEN\\!** | closed: expired, not as expected | closed: unknown-ca |"
    )
    assert {row.count("|") for row in rows} == {7}
    assert "- **look:** gone gets in at strict /, though it is revoked" in markdown.getvalue()
    assert "1 client gets in though something speaks against it" in html.getvalue()
    assert html.getvalue().count("<td") == 6 * 5


def test_names_mean_nothing_to_markdown(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text(
        "name: 'a | b'\nca: {}\nleaves: {server: {}}\nserver: {certificate: server, client_auth: none}\n"
        "cases: [{name: x, client: {request: {path: '/<b>|*x*'}}, expect: accepted}]\n"
    )
    stream = io.StringIO()
    reporter = AccessMarkdown(stream)
    for event in run([load(path)]):
        reporter.handle(event)
    assert "a \\| b" in stream.getvalue()
    assert "/&lt;b>\\|\\*x\\*" in stream.getvalue()
