"""What an editor offers, says and shows in a scenario: yaml-language-server itself, with the schema of this project."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mtls_runner.model.observation import Outcome

from ..container_engine import not_here
from ..once import once
from .language_server import LanguageServer, absent, language_server

ROOT = Path(__file__).parents[2]
SCENARIOS = sorted([*(ROOT / "scenarios").rglob("*.yaml"), *(ROOT / "docs").rglob("*.yaml")])
CATALOGUE = sorted(
    path for path in (ROOT / "mtls_runner/conformance/catalogue").glob("*.yaml") if path.name != "lab.yaml"
)
MODELINE = "# yaml-language-server: $schema=schema/scenario.schema.json\n"
HERE = ROOT / "unsaved.yaml"
"""Where the edited text would be saved."""

HEAD = MODELINE + "ca: {subject: CN=My CA}\nleaves:\n  server: {}\nserver: {certificate: server}\n"
#: What a scenario says of the server's own start, never of a connection.
OF_A_SERVER = {Outcome.SERVER_STARTED, Outcome.SERVER_UNUSABLE}


@pytest.fixture(scope="module")
def installed() -> None:
    reason = absent()
    if reason is not None:
        not_here(reason)


@pytest.fixture(scope="module")
def server(installed: None) -> Iterator[LanguageServer]:  # noqa: ARG001
    with language_server() as running:
        yield running


def test_it_offers_the_outcomes(server: LanguageServer) -> None:
    offered = server.completions(HERE, HEAD + "cases:\n  - name: x\n    expect:\n      outcome: |\n")
    assert {str(outcome) for outcome in Outcome if outcome not in OF_A_SERVER} <= offered
    assert "no-certificate" not in offered


def test_it_offers_the_forms_of_an_expectation(server: LanguageServer) -> None:
    offered = server.completions(HERE, HEAD + "cases:\n  - name: x\n    expect: |\n")
    assert {"accepted", "{server-refused: …}", "{client-refused: …}"} <= offered


def test_it_offers_keys_and_reasons(server: LanguageServer) -> None:
    assert {"ca", "leaves", "server", "cases", "matrix"} <= server.completions(HERE, MODELINE + "name: x\n|\n")
    offered = server.completions(HERE, HEAD + "cases:\n  - name: x\n    expect:\n      reason: |\n")
    assert {"no-certificate", "expired", "unknown-ca"} <= offered
    assert "accepted" not in offered
    assert {"required", "optional", "none"} <= server.completions(HERE, MODELINE + "server:\n  client_auth: |\n")


def test_it_flags_an_unknown_key_and_an_unknown_word(server: LanguageServer) -> None:
    case = "cases:\n  - name: x\n    expect: {outcome: accepted}\n"
    assert server.diagnostics(HERE, HEAD + case) == []
    problems = server.diagnostics(HERE, HEAD + case.replace("name:", "nmae:"))
    assert {problem.partition(": ")[0] for problem in problems} == {"7"}
    assert "nmae" in "".join(problems)
    problems = server.diagnostics(HERE, HEAD + case.replace("accepted", "acepted"))
    assert {problem.partition(": ")[0] for problem in problems} == {"8"}


def test_hovering_shows_the_description_and_an_example(server: LanguageServer) -> None:
    shown = server.hover(HERE, MODELINE + "server:\n  client_|auth: required\n")
    assert "client certificate" in shown
    assert "optional_no_ca" in shown
    assert server.hover(HERE, MODELINE + "server:\n  nothing_|here: 1\n") != shown


@pytest.fixture(scope="module")
def found(installed: None, tmp_path_factory: pytest.TempPathFactory) -> dict[Path, list[str]]:  # noqa: ARG001
    """What is wrong with each scenario as it is."""
    return once(tmp_path_factory, "editor", lambda _: _found())


def _found() -> dict[Path, list[str]]:
    texts = [(path, path.read_text()) for path in SCENARIOS]
    texts += [(ROOT / path.name, MODELINE + path.read_text()) for path in CATALOGUE]
    with language_server() as running:
        return dict(zip((*SCENARIOS, *CATALOGUE), running.diagnostics_of_all(texts), strict=True))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_accepts_every_scenario(found: dict[Path, list[str]], path: Path) -> None:
    assert "yaml-language-server: $schema=" in path.read_text(), "an editor finds the schema by this line"
    assert found[path] == []


@pytest.mark.parametrize("path", CATALOGUE, ids=lambda path: path.name)
def test_it_accepts_the_conformance_catalogue(found: dict[Path, list[str]], path: Path) -> None:
    assert found[path] == []


def test_it_has_the_schema_of_what_it_accepts(server: LanguageServer) -> None:
    """A schema that is not found accepts everything."""
    texts = [(path, "\n".join([*path.read_text().rstrip().splitlines(), "unheard_of: 1"])) for path in SCENARIOS]
    for path, wrong in zip(SCENARIOS, server.diagnostics_of_all(texts), strict=True):
        assert wrong, path


def test_it_accepts_lab_yaml(server: LanguageServer) -> None:
    path = ROOT / "lab.yaml"
    assert server.diagnostics(path, path.read_text()) == []
    assert server.diagnostics(path, path.read_text() + "unheard_of: 1\n") != []
