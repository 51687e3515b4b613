"""The document as Markdown: the project's own page of outcomes is made of it."""

from __future__ import annotations

from collections.abc import Iterator

from mtls_runner.conformance.table import COLUMNS, OutcomeTable, TableSection

__all__ = ["headed", "markdown", "same", "table_head", "table_row"]

_MADE_WITH = "Made with "
_HEADINGS = {"outcome": "outcome", "how": "how it shows", "curl exit": "curl exits with", "verify code": "verify code"}

_HOW_TO_READ = """\
Every line below is a real handshake, run by `mtls-run conformance` over TLS 1.2 and 1.3,
{ends}. The scenario files are the product's own catalogue; they are commented,
and `mtls-run conformance --where` says where they are installed, so that they can be read, copied and run one by one.

Each fault stands beside a *control*: a case that is accepted and differs from it in what the third column says, and in
nothing else. A value that stands alone is the same everywhere; where servers, clients or TLS versions differ, the cell says
by which. What is told:

- **outcome**: who refused whom, and why ([Reasons](#reasons) says what each means and what to do). A case is accepted where
  the handshake was completed and the server answered.
- **how it shows**: the alert that ended the handshake, or the HTTP status. nginx completes the handshake and refuses a client
  by HTTP; most others refuse by an alert. An exit of curl's or a status alone says neither who refused nor why.
- **curl exits with**: of curl 7.88 to 8.15; from 8.16 on a client that can't use its own key exits with 43 instead of 58. The
  Python client says what curl would exit with.
- **verify code**: OpenSSL's (`X509_V_ERR_…`), of the end that refused. nginx names the last error that it met, all others
  the first. curl writes 1 where it checks by itself (names), and where an error of OpenSSL's own came before its verdict
  (a signature that does not verify).
"""


def markdown(document: OutcomeTable) -> str:
    """The whole page; the same for the same outcomes, whenever and wherever it is made, but for one line of versions."""
    return "\n".join(_lines(document)) + "\n"


def same(one: str, other: str) -> bool:
    """Whether two pages say the same, whatever versions they were made with."""

    def body(text: str) -> list[str]:
        return [line for line in text.splitlines() if not line.startswith(_MADE_WITH)]

    return body(one) == body(other)


def _lines(document: OutcomeTable) -> Iterator[str]:
    yield "# What happens if …"
    yield ""
    yield "<!-- Made by mtls-run conformance --markdown docs/outcomes.md; not to be changed by hand. -->"
    yield ""
    yield _HOW_TO_READ.replace("{ends}", document.ends)
    versions = ", ".join(f"{name} {version}" for name, version in sorted(document.versions.items()))
    yield f"{_MADE_WITH}{versions}."
    yield ""
    yield f"{document.faults} faults and their controls:"
    yield ""
    for section in document.sections:
        yield f"- [{section.name}](#{section.name}): {_first(section.description)}"
    yield "- [where ends differ](#where-ends-differ), [what was not run](#what-was-not-run), [reasons](#reasons)"
    for section in document.sections:
        yield from _section(section)
    yield from _differences(document)
    yield from _skips(document)
    yield from _reasons(document)


def _first(description: str) -> str:
    sentence, _, _ = description.partition(". ")
    return sentence.rstrip(".") + "."


def _section(section: TableSection) -> Iterator[str]:
    scenario = f"Scenario: `mtls_runner/conformance/catalogue/{section.name}.yaml`"
    yield from headed(f"## {section.name}", section.description, scenario)
    first, *others = (_HEADINGS[column] for column in COLUMNS)
    yield from table_head("case", first, "other than its control", *others)
    for row in section.rows:
        outcome, *rest = row.cells
        name = f"**{row.name}**" if row.fault else row.name
        against = f"{row.changes} (*{row.control}*)" if row.control else ""
        yield table_row(name, outcome, against, *rest)


def _differences(document: OutcomeTable) -> Iterator[str]:
    yield from headed(
        "## Where ends differ",
        "Cases whose outcome or reason hangs on the server, the client or the TLS version; the scenario's comments say why.",
    )
    yield from table_head("in", "case", "outcome")
    for section, name, told in document.differences:
        yield table_row(section, name, told)


def _skips(document: OutcomeTable) -> Iterator[str]:
    yield from headed(
        "## What was not run",
        "What an end has no setting for is skipped, never run as if the setting had been applied.",
    )
    yield from table_head("why", "which")
    for reason, which in document.skips:
        yield table_row(reason, which)


def _reasons(document: OutcomeTable) -> Iterator[str]:
    yield from headed(
        "## Reasons",
        "Every reason that the lab gives, OpenSSL's verify codes that it stands for, and alerts that mean it when nothing else\n"
        "is known.",
    )
    yield from table_head("reason", "means", "usually", "verify codes", "alerts")
    for row in document.reasons:
        yield table_row(f"`{row.reason}`", row.meaning, row.hint, ", ".join(row.codes), ", ".join(row.alerts))


def headed(heading: str, *paragraphs: str) -> Iterator[str]:
    """A heading (``## …``) and paragraphs below it, with empty lines before each."""
    for text in (heading, *paragraphs):
        yield from ("", text)


def table_head(*cells: str) -> Iterator[str]:
    """The beginning of a table: an empty line, the header row and the delimiter row."""
    yield from ("", table_row(*cells), table_row(*["---"] * len(cells)))


def table_row(*cells: str) -> str:
    """A row of a table."""
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "&lt;").replace("*.", "\\*.")
