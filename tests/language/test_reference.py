"""The users' reference: its tables are the models', its examples load, and it names every key and word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from mtls_runner.language import load
from mtls_runner.language.certificate import KeyUsage, San, Usage
from mtls_runner.language.document import parse
from mtls_runner.language.expectation import Expect, Where
from mtls_runner.language.json_schema import SCHEMAS
from mtls_runner.language.reference import PAGE, TABLES, main
from mtls_runner.language.scenario import ReloadStep, Scenario
from mtls_runner.language.values import Strict
from mtls_runner.model.certificate import Defect
from mtls_runner.model.observation import Outcome, Reason

TEXT = PAGE.read_text(encoding="utf-8")
IN_WORDS: tuple[type[BaseModel], ...] = (Expect, KeyUsage, ReloadStep, San, Usage, Where)
"""Models whose keys the text itself explains."""
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_the_tables_are_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    page = tmp_path / "page.md"
    page.write_text(TEXT.replace("| `passphrase` |", "| `pasphrase` |"))
    assert main(["--check", "--page", str(page)]) == 1
    assert "is not current" in capsys.readouterr().err
    assert main(["--page", str(page)]) == 0
    assert page.read_text() == TEXT


@pytest.fixture
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the files that the examples name."""
    for name in ("nginx.conf", "error.html", "tls.crt", "tls.key", "client.crt", "client.key", "corp-root.crt"):
        (tmp_path / name).touch()
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROOT_PASSPHRASE", "secret")
    return tmp_path / "example.yaml"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.splitlines()[0][:30])
def test_examples_load_without_a_warning(example: str, beside: Path) -> None:
    if (
        "server" not in Scenario.model_validate(parse(example, beside).value).model_fields_set
        and "cases:" not in example
    ):
        return  # a part of a file: its shape is right
    beside.write_text(example)
    assert load(beside).cases
    assert load(beside).warnings == ()


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 7
    assert sum("cases:" in example for example in EXAMPLES) >= 5


def all_models(model: type[BaseModel]) -> set[type[BaseModel]]:
    subclasses = model.__subclasses__()
    return {*subclasses, *(deeper for one in subclasses for deeper in all_models(one))}


def test_every_model_has_a_table_or_is_explained() -> None:
    """But for bases, whose keys are those of the models that they are bases of, and what repeats another."""
    assert SCHEMAS
    leaves = {model for model in all_models(Strict) if not model.__subclasses__()}
    known = {*TABLES.values(), *IN_WORDS}
    assert {model.__name__ for model in leaves - known} == {"ServerWhere"}


@pytest.mark.parametrize("words", [[o.value for o in Outcome], [r.value for r in Reason], [d.value for d in Defect]])
def test_every_word_is_there(words: list[str]) -> None:
    assert [word for word in words if f"`{word}`" not in TEXT] == []
