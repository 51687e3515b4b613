"""The JSON Schemas of the three files, for editors: made from the models, committed under ``schema/``.

``python -m mtls_runner.language.json_schema`` writes them, ``--check`` says whether they are current. They are draft-07,
which YAML editors understand best.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from mtls_runner.language.expectation import CASE_OUTCOMES
from mtls_runner.language.implementations.models import ImplementationModel
from mtls_runner.language.scenario import LabFile, Scenario
from mtls_runner.language.shared_words import described
from mtls_runner.language.values import Json
from mtls_runner.model.observation import Outcome
from mtls_runner.registry import Registry, registry
from mtls_runner.tls import REASONS

__all__ = ["SCHEMAS", "main", "schema", "schema_text"]

#: Name → model; the file is ``<name>.schema.json``.
SCHEMAS: Mapping[str, type[BaseModel]] = {"scenario": Scenario, "lab": LabFile, "implementation": ImplementationModel}
_DRAFT = "http://json-schema.org/draft-07/schema#"
_DEEPER = r"^(client|server)\.[a-z0-9_]+(\.[A-Za-z0-9_/-]+)+$"
#: Axes that are not possible: a case has one server, and its start is no case's matter.
_NOT_VARIED = frozenset({"server.like", "server.expect"})


#: Forms of ``expect`` that yaml-language-server offers (its README, "Adding custom completion").
_FORMS: list[Json] = [
    {"label": "accepted", "description": "The client gets its answer.", "body": "accepted"},
    *(
        {"label": f"{{{outcome}: …}}", "description": sentence, "body": {outcome: f"${{1:{reason}}}"}}
        for outcome, reason, sentence in (
            ("server-refused", "no-certificate", "The server refuses the client, for this reason."),
            ("client-refused", "unknown-ca", "The client refuses the server, for this reason."),
            ("no-agreement", "protocol-version", "The two find nothing in common."),
            ("client-unusable", "wrong-passphrase", "The client can't use its own material."),
        )
    ),
]


def schema(name: str) -> Json:
    """The schema of ``scenario``, ``lab`` or ``implementation``."""
    made = SCHEMAS[name].model_json_schema(ref_template="#/definitions/{model}")
    definitions = made.pop("$defs", {})
    for outcome_holder in ("Checks", "Expect", "UpstreamChecks"):
        if outcome_holder in definitions:
            definitions[outcome_holder]["properties"] |= dict(_outcome_keys())
    if name == "scenario":
        definitions["Matrix"] = _axes(definitions)
        for holder in (made, definitions["CaseModel"]):
            holder["properties"]["matrix"] |= {"$ref": "#/definitions/Matrix"}
        definitions["CaseModel"]["oneOf"] = [{"required": ["expect"]}, {"required": ["steps"]}]
        # an outcome, by either name, that of a server behind this one, or what differs somewhere
        definitions["Expect"]["anyOf"] = [
            {"required": [key]} for key in ("outcome", *CASE_OUTCOMES, "upstream", "where")
        ]
        definitions["CaseModel"]["properties"]["expect"]["defaultSnippets"] = _FORMS
    return {
        "$schema": _DRAFT,
        "$id": f"urn:mtls-run:schema:{name}",
        "title": f"mtls-run {name} file",
        **_plain(made),
        "definitions": {key: _plain(value) for key, value in sorted(definitions.items())},
    }


def schema_text(name: str, known: Registry | None = None) -> str:
    """The schema as it is committed; with the names of ``known`` in the place of those that come with the lab."""
    made = schema(name)
    if known is not None:
        ours = registry()
        made = _renamed(made, [(list(ours.backends), list(known.backends)), (list(ours.clients), list(known.clients))])
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def _renamed(node: Json, names: Sequence[tuple[list[str], list[str]]]) -> Json:
    """Each list of words that is one of these is the other."""
    if isinstance(node, dict):
        return {key: _renamed(value, names) for key, value in node.items()}
    if not isinstance(node, list):
        return node
    return next((after for before, after in names if node == before), None) or [_renamed(item, names) for item in node]


def _outcome_keys() -> Iterator[tuple[str, Json]]:
    """``{server-refused: expired}``, with the reasons that the outcome can have."""
    for name, outcome in CASE_OUTCOMES.items():
        reasons = sorted(reason.value for reason in REASONS[outcome])
        if reasons:
            one: Json = {"enum": reasons}
            yield (
                name,
                {"description": _SENTENCES[outcome], "anyOf": [one, {"type": "array", "items": one, "minItems": 1}]},
            )


_SENTENCES: Mapping[Outcome, str] = {
    Outcome.SERVER_REFUSED: "The server refuses the client's certificate, or the lack of it, for this reason.",
    Outcome.CLIENT_REFUSED: "The client refuses the server's certificate, for this reason.",
    Outcome.NO_AGREEMENT: "The two ends have nothing in common that both could use.",
    Outcome.CLIENT_UNUSABLE: "The client's own key, certificate or passphrase can't be used; nothing is sent.",
    Outcome.NO_CONNECTION: "Nothing listened, or the connection ended and neither end says why.",
    Outcome.PROTOCOL_ERROR: "The other end broke TLS or HTTP, in this way.",
    Outcome.TIMED_OUT: "The time limit passed, in this phase.",
}


def _axes(definitions: Mapping[str, Json]) -> Json:
    """A matrix's keys, each with one value or a list of them."""
    properties: Json = {}
    for side in ("client", "server"):
        for field, entry in definitions[f"{side.capitalize()}Description"]["properties"].items():
            axis = f"{side}.{field}"
            if axis in _NOT_VARIED:
                continue
            value = {"$ref": f"#/definitions/{side.capitalize()}Description/properties/{field}"}
            properties[axis] = {
                "description": entry.get("description", ""),
                "anyOf": [value, {"type": "array", "items": value, "minItems": 1}],
            }
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {_DEEPER: {}},
        "additionalProperties": False,
    }


def _plain(node: Json) -> Json:
    """The schema without what says nothing to an author, and in draft-07: nothing may stand beside a ``$ref``."""
    kept: Json = {}
    for key, value in node.items():
        if key in ("title", "default") and not isinstance(value, dict):
            continue
        if key == "description" and isinstance(value, str):
            value = described(value)
        kept[key] = _named(value) if key in ("properties", "patternProperties", "definitions") else _any(value)
    if "patternProperties" in kept and "additionalProperties" not in kept and "properties" not in kept:
        kept["additionalProperties"] = False  # a key of another form is a mistake
    if "$ref" in kept and len(kept) > 1:
        kept["allOf"] = [{"$ref": kept.pop("$ref")}]
    if "anyOf" in kept:
        kept["anyOf"] = list(_flat(kept["anyOf"]))
    return kept


def _named(value: Mapping[str, Json]) -> Json:
    return {name: _plain(entry) for name, entry in value.items()}


def _any(value: object) -> object:
    if isinstance(value, dict):
        return _plain(value)
    return [_any(item) for item in value] if isinstance(value, list) else value


def _flat(choices: Sequence[Json]) -> Iterator[Json]:
    """Choices among choices are choices, each once."""
    seen: list[Json] = []
    for choice in choices:
        for one in choice["anyOf"] if set(choice) == {"anyOf"} else (choice,):
            if one not in seen:
                seen.append(one)
                yield one


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes or checks the committed files; the exit code is 1 where one is not current."""
    parser = argparse.ArgumentParser(prog="python -m mtls_runner.language.json_schema", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a committed schema is not current")
    parser.add_argument("--to", type=Path, default=Path(__file__).parents[2] / "schema", help="the directory")
    options = parser.parse_args(arguments)
    stale = 0
    for name in SCHEMAS:
        path: Path = options.to / f"{name}.schema.json"
        text = schema_text(name)
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if options.check:
            stale = 1
            sys.stderr.write(f"{path} is not current: run python -m mtls_runner.language.json_schema\n")
        else:
            path.write_text(text, encoding="utf-8")
            sys.stdout.write(f"{path}\n")
    return stale


if __name__ == "__main__":
    sys.exit(main())
