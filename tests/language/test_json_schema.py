"""The committed schemas: current, accepting what loads, rejecting what doesn't, and telling an editor's reader something."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from mtls_runner.language.document import Plain, Value, parse, read
from mtls_runner.language.json_schema import SCHEMAS, main, schema
from mtls_runner.model.observation import Outcome, Reason
from tests.language.conftest import MINIMAL

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "mtls_runner" / "conformance" / "catalogue"
SCENARIOS = sorted(
    [*(ROOT / "scenarios").rglob("*.yaml"), *(path for path in CATALOGUE.glob("*.yaml") if path.name != "lab.yaml")]
)


def as_json(value: Value) -> object:
    """As a YAML 1.2 reader would hand it to a validator."""
    if isinstance(value, Plain):
        return value.value
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return value


@cache
def committed(name: str) -> jsonschema.Draft7Validator:
    text = json.loads((ROOT / "schema" / f"{name}.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator.check_schema(text)
    return jsonschema.Draft7Validator(text)


def test_the_committed_schemas_are_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0
    for name in SCHEMAS:
        (tmp_path / f"{name}.schema.json").write_text("{}")
    assert main(["--check", "--to", str(tmp_path)]) == 1
    assert "is not current" in capsys.readouterr().err
    assert main(["--to", str(tmp_path)]) == 0
    assert main(["--check", "--to", str(tmp_path)]) == 0


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_scenario_is_accepted_and_names_its_schema(path: Path) -> None:
    document = read(path)
    assert [error.message for error in committed("scenario").iter_errors(as_json(document.value))] == []
    first = document.text.splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (path.parent / first.partition("=")[2]).resolve() == ROOT / "schema" / "scenario.schema.json"


def test_there_are_scenarios() -> None:
    assert SCENARIOS


def test_the_lab_file_is_accepted() -> None:
    assert list(committed("lab").iter_errors(as_json(read(ROOT / "lab.yaml").value))) == []
    assert list(committed("lab").iter_errors({"jobs": 0}))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("usage: client", "usgae: client"),
        ("accepted", "acepted"),
        ("expect: accepted", "expect: {server-refused: name-mismatch}"),
        ("expect: accepted", "expect: {outcome: accepted, alert: nonsense}"),
        ("expect: accepted", "expect: {outcome: accepted, where: [{when: {backend: squid}, expect: {status: 200}}]}"),
        ("    expect: accepted\n", ""),
        ("{certificate: server}", "{tls: TLSv1.4}"),
        ("{certificate: server}", "{client_auth: on}"),
        ("{certificate: server}", "{port: 70000}"),
        ("{certificate: server}", "{response: {status: two}}"),
        ("client: client\n", "client: {tool: wget}\n"),
        ("client: client\n", "client: {timeout: '3'}\n"),
        ("{subject: CN=Root}", "{passphrase: {fiel: x}}"),
        ("{subject: CN=Root}", "{key: {algorithm: rsa-1}}"),
        ("{subject: CN=Root}", "{days: 0}"),
        ("{subject: CN=Root}", "{defects: typo}"),
        ("cases:", "matrix: {client.tsl: x}\ncases:"),
        ("cases:", "matrix: {client.tls: TLSv9}\ncases:"),
        ("cases:", "nonsense: 1\ncases:"),
        ("  server: {}", "  ser ver: {}"),
        ("  server: {}", "  server: {not_after: tomorrow}"),
        ("  server: {}", "  server: {not_before: 10}"),
        ("expect: accepted", "expect: {status: 200}"),
        ("expect: accepted", "expect: {outcome: accepted, status: 99}"),
    ],
)
def test_what_does_not_load_is_rejected(old: str, new: str) -> None:
    assert old in MINIMAL
    assert list(committed("scenario").iter_errors(as_json(parse(MINIMAL, Path("x")).value))) == []
    assert list(committed("scenario").iter_errors(as_json(parse(MINIMAL.replace(old, new), Path("x")).value)))


@pytest.mark.parametrize(
    "text",
    [
        "expect: {server-refused: [expired, unknown-ca], status: [400, 403]}",
        "expect: [accepted, timed-out]",
        "expect: {where: [{when: {tool: curl}, expect: accepted}]}",
        "expect: {outcome: accepted, headers: {a: {contains: b}, c: null}, client_chain: [a, b]}",
        "client: null\n    expect: accepted",
        "server: {like: server, tls: TLSv1.2}\n    expect: accepted",
        "matrix: {client.tls: [[TLSv1.2], TLSv1.3], server.response.status: 200}\n    expect: accepted",
    ],
)
def test_short_forms_are_accepted(text: str) -> None:
    value = as_json(parse(MINIMAL.replace("    client: client\n    expect: accepted", f"    {text}"), Path("x")).value)
    assert list(committed("scenario").iter_errors(value)) == []


def properties(node: object, path: str = "") -> Iterator[tuple[str, Mapping[str, object]]]:
    if isinstance(node, dict):
        for name, described in node.get("properties", {}).items():
            if isinstance(described, dict):
                yield f"{path}.{name}", described
        for key, value in node.items():
            yield from properties(value, f"{path}/{key}")
    elif isinstance(node, list):
        for item in node:
            yield from properties(item, path)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_key_is_described_and_most_have_an_example(name: str) -> None:
    found = dict(properties(schema(name)))
    assert len(found) > 50
    own = {
        path: node for path, node in found.items() if "anyOf" not in path
    }  # {contains: …}, {file: …} speak for themselves
    assert [path for path, node in own.items() if not node.get("description")] == []
    without = [path for path, node in own.items() if not node.get("examples") and "Matrix" not in path]
    assert all(path.rpartition(".")[2] in {*Outcome, "name", "names"} for path in without), without


def test_examples_are_accepted_by_their_own_schema() -> None:
    whole = schema("scenario")
    for path, node in properties(whole):
        examples = node.get("examples")
        for example in examples if isinstance(examples, list) else ():
            validator = jsonschema.Draft7Validator({**node, "definitions": whole["definitions"]})
            assert [error.message for error in validator.iter_errors(example)] == [], path


def test_it_is_called_so_and_offers_forms_that_it_accepts() -> None:
    whole = schema("scenario")
    assert whole["$id"] == "urn:mtls-run:schema:scenario"
    expect = whole["definitions"]["CaseModel"]["properties"]["expect"]
    validator = jsonschema.Draft7Validator({**expect, "definitions": whole["definitions"]})
    bodies = [
        json.loads(re.sub(r"\$\{1:(.*?)\}", r"\1", json.dumps(form["body"]))) for form in expect["defaultSnippets"]
    ]
    assert {"server-refused": "no-certificate"} in bodies
    assert [body for body in bodies if list(validator.iter_errors(body))] == []


def test_outcomes_and_reasons_are_offered() -> None:
    checks = schema("scenario")["definitions"]["Checks"]["properties"]
    offered = json.dumps(checks)
    for word in Reason:
        assert f'"{word.value}"' in offered
    assert "server-started" not in offered
    assert set(checks["outcome"]["anyOf"][0]["enum"]) == {
        outcome.value
        for outcome in Outcome
        if not outcome.value.startswith("server-") or outcome is Outcome.SERVER_REFUSED
    }
