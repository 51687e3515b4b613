"""The JSON Schema of the ``--json`` report; ``schema/report.schema.json`` is made from it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum

from mtls_runner.model.case import Action
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.observation import Outcome, Phase, Reason
from mtls_runner.model.verdict import Status

__all__ = ["report_schema", "report_schema_text"]

Schema = str | int | bool | None | list["Schema"] | Mapping[str, "Schema"]

_PAIRS: Schema = {
    "type": "array",
    "items": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2},
}
_TEXTS: dict[str, Schema] = {"type": "array", "items": {"type": "string"}}


_EXPECTED: dict[str, Schema] = {
    "type": "object",
    "description": (
        "What the scenario expects, by field of `observed`: a value, `{contains|matches|in-order: …}`, or a "
        "list of alternatives. Under `where`: what counts for some versions of the tool only."
    ),
}


def _text(description: str) -> dict[str, Schema]:
    return {"type": "string", "description": description}


def _whole(description: str, minimum: int = 0) -> dict[str, Schema]:
    return {"type": "integer", "minimum": minimum, "description": description}


def _seconds(description: str) -> dict[str, Schema]:
    return {"type": "number", "minimum": 0, "description": description}


def _flag(description: str) -> dict[str, Schema]:
    return {"type": "boolean", "description": description}


def _one_of(words: type[StrEnum], description: str) -> dict[str, Schema]:
    return {"enum": [str(word) for word in words], "description": description}


def _or_null(schema: Schema, description: str = "") -> dict[str, Schema]:
    nullable: dict[str, Schema] = {"anyOf": [schema, {"type": "null"}]}
    return nullable | ({"description": description} if description else {})


def _object(description: str, properties: Mapping[str, Schema]) -> dict[str, Schema]:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


#: What format 1 did not have; a mismatch of a step had the step in its ``path``, in words.
_SINCE_2 = frozenset(
    (
        "format",
        "reasons",
        "determined",
        "undetermined",
        "curl_exit_predicted",
        "step",
        "reuse",
        "upstream",
        "received",
        "redirects",
        "body_sent",
    )
)


def report_schema() -> dict[str, Schema]:
    """JSON Schema, draft 2020-12: of the reports that are written, and of those that were before."""
    now = _object(
        "What `mtls-run --json FILE` writes: every case that got a verdict, in the files' order, and a summary.",
        {
            "format": {"const": 2, "description": "Of this report."},
            "cases": {"type": "array", "items": _case()},
            "summary": _summary(),
        },
    )
    before = _without(now, _SINCE_2)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "mtls-run report",
        "oneOf": [{"title": "format 2", **now}, {"title": "format 1, which does not say so", **before}],
    }


def _without(schema: Mapping[str, Schema], names: frozenset[str]) -> dict[str, Schema]:
    """The schema without some properties, at any depth."""
    made: dict[str, Schema] = {}
    for key, value in schema.items():
        if key == "properties" and isinstance(value, Mapping):
            made[key] = {name: _inner(inner, names) for name, inner in value.items() if name not in names}
        elif key == "required" and isinstance(value, list):
            made[key] = [name for name in value if name not in names]
        else:
            made[key] = _inner(value, names)
    return made


def _inner(schema: Schema, names: frozenset[str]) -> Schema:
    if isinstance(schema, Mapping):
        return _without(schema, names)
    return [_inner(each, names) for each in schema] if isinstance(schema, list) else schema


def report_schema_text() -> str:
    """The schema as it is committed."""
    return json.dumps(report_schema(), indent=1, ensure_ascii=False) + "\n"


def _case() -> Schema:
    return _object(
        "One case.",
        {
            "id": _text("`path::case name[parameters]`, the same in the console, JUnit and pytest."),
            "file": _text("The scenario file, as named on the command line."),
            "line": _whole("Where in it the case begins, from 1.", 1),
            "name": _text("The case's name with its parameters."),
            "backend": _text("What ran the server."),
            "tool": _or_null({"type": "string"}, "The client; null for a server's own expectation."),
            "tls": _or_null(
                _one_of(TlsVersion, ""), "The one version that the case is planned to speak; null: several, or none."
            ),
            "tags": _TEXTS | {"description": "Of the file."},
            "verdict": _one_of(Status, "error: the lab itself broke, or what happened fits no outcome."),
            "duration_s": _seconds("Seconds that the case took."),
            "expected": _EXPECTED,
            "observed": _or_null(
                _observed(), "What both ends saw (of steps: the last one's); null when nothing was run."
            ),
            "mismatches": {"type": "array", "description": "Why it failed.", "items": _mismatch()},
            "undetermined": _undetermined(),
            "skip_reason": _or_null({"type": "string"}, "Why it was skipped."),
            "error": _or_null({"type": "string"}, "Why there is no verdict."),
            "steps": {"type": "array", "description": "Of a case that has some, in order.", "items": _step()},
        },
    )


def _step() -> Schema:
    return _object(
        "One step of a case.",
        {
            "name": _text("As people are told it."),
            "action": _one_of(Action, "What it does."),
            "line": _whole("Where in the file it is written, from 1.", 1),
            "resume": _or_null(_whole("Number of the step, from 1, whose session it offers.", 1), "Null: a fresh one."),
            "reuse": _or_null(
                _whole("Number of the step, from 1, on whose connection it asks.", 1), "Null: on one of its own."
            ),
            "verdict": _or_null(_one_of(Status, ""), "Null: an earlier one did not pass, so that it was not done."),
            "duration_s": _or_null({"type": "number", "minimum": 0}, "Seconds that it took."),
            "expected": _EXPECTED,
            "observed": _or_null(_observed(), "What both ends saw; null where there is nothing to see."),
            "mismatches": {"type": "array", "description": "Why it failed.", "items": _mismatch()},
            "undetermined": _undetermined(),
            "error": _or_null({"type": "string"}, "Why there is no verdict."),
        },
    )


def _undetermined() -> Schema:
    return _or_null(
        {"type": "array", "items": _one_of(Reason, ""), "minItems": 1},
        "The expected reason holds, but the evidence allows these too; null: it allows no other.",
    )


def _mismatch() -> Schema:
    return _object(
        "One check that failed, in words for people.",
        {
            "path": _text("The field of `observed`; `headers.<name>` looks inside."),
            "step": _or_null(_whole("Number of the step that it is about, from 1.", 1), "Null: the case has only one."),
            "expected": _text("What was expected."),
            "observed": _text("What was observed; `not observed` when nothing was."),
            "file": _text("The file that says so."),
            "line": _whole("Its line, from 1.", 1),
            "column": _whole("Its column, from 1.", 1),
        },
    )


def _observed() -> Schema:
    return _object(
        "What happened. What could not be observed is null.",
        {
            "outcome": _or_null(_one_of(Outcome, ""), "The one word for it; null: nothing that the lab recognises."),
            "reason": _or_null(
                _one_of(Reason, ""),
                "Why, where the evidence allows one reason; other: nothing says why; null: nothing was refused, or it allows "
                "several.",
            ),
            "reasons": {"type": "array", "items": _one_of(Reason, ""), "description": "What the evidence allows."},
            "determined": _flag("The evidence allows exactly one reason, or the outcome has none."),
            "summary": _text("One sentence: who refused whom, and why."),
            "hint": _text("What usually causes it or what to do; may be empty."),
            "evidence": _TEXTS | {"description": "The facts that outcome and reason rest on, of both ends."},
            "status": _or_null(_whole("HTTP status.", 100)),
            "headers": _or_null(_PAIRS, "The response's headers, names in lower case."),
            "curl_exit": _or_null(_whole("curl's exit; for another client what curl would have exited with.")),
            "curl_exit_predicted": _flag(
                "Nobody observed curl_exit: another client says what curl would have exited with."
            ),
            "alert": _or_null(_text("The fatal alert that ended it, as RFC 8446 §6 names it.")),
            "alert_from": _or_null({"enum": ["client", "server"]}, "The end that sent it."),
            "upstream": _or_null(
                {"type": "object", "additionalProperties": {"type": "string"}},
                "What a server of the file that is behind it saw: outcome, reason, client_subject, as far as there are.",
            ),
            "ssl_verify_result": _or_null(
                _whole("The client's own X509_V_* result for the server's chain; 0: OK, 1 at curl: its own check.")
            ),
            "server_verify_code": _or_null(_whole("The server's X509_V_* result for the client's chain; 0 is OK.")),
            "tls_version": _or_null(_text("As negotiated.")),
            "cipher": _or_null(_text("As negotiated, OpenSSL's name.")),
            "alpn": _or_null(_text("As negotiated.")),
            "server_subject": _or_null(_text("Subject of the server's certificate, RFC 4514.")),
            "client_subject": _or_null(_text("Subject of the client certificate that the server saw, RFC 4514.")),
            "client_verify": _or_null(_text("As nginx's $ssl_client_verify: SUCCESS, NONE, FAILED:…")),
            "client_chain": _or_null(_TEXTS, "Ids or subjects of the certificates that the client really sent."),
            "server_chain": _or_null(_TEXTS, "The same for the server."),
            "client_ca_names": _or_null(_TEXTS, "Authorities that the server advertised, RFC 4514."),
            "upstream_headers": _or_null(_PAIRS, "Headers of the request that the server forwarded."),
            "handshake": _or_null(_TEXTS, "Handshake messages in order, as the client saw them."),
            "resumed": _or_null(_flag("A session was resumed.")),
            "server_name": _or_null(_text("The name that the server received (SNI); null: none, or it doesn't tell.")),
            "server_signature_algorithm": _or_null(
                _text("By which the server proved to have its key, as RFC 8446 §4.2.3 names it.")
            ),
            "client_signature_algorithm": _or_null(_text("The same for the client.")),
            "server_log": _or_null(_TEXTS, "The server's log lines of this connection."),
            "body": _or_null(
                _text("The response's body as text, its first 64 KiB; other bytes than UTF-8's as \\xNN.")
            ),
            "body_size": _or_null(_whole("The whole body's size in bytes.")),
            "body_sent": _or_null(_flag("All of the request's body went out; null: it has none, or nobody counted.")),
            "redirects": _or_null(_whole("How many were followed; null: the client follows none.")),
            "received": _or_null(_text("What a client that speaks tls or tcp got to read, as the body.")),
            "client": _or_null(_client()),
            "server": _or_null(_server(), "Null where the server can't be asked or never saw the client."),
        },
    )


def _client() -> Schema:
    return _object(
        "The client's own words.",
        {
            "tool": _text("Who."),
            "tool_version": _text("Its version."),
            "phase": _one_of(Phase, "How far it came."),
            "error": _or_null({"type": "string"}, "Its last word."),
            "error_symbol": _or_null({"type": "string"}, "OpenSSL's symbolic reason, or an errno name."),
            "command": _or_null({"type": "string"}, "What a person types to repeat it; without a secret."),
        },
    )


def _server() -> Schema:
    return _object(
        "The server's own words.",
        {
            "source": _text("Where they come from."),
            "handshake_complete": _or_null({"type": "boolean"}, "Whether it finished its handshake; null: not told."),
            "error": _or_null({"type": "string"}, "Its last word."),
            "error_symbol": _or_null({"type": "string"}, "OpenSSL's symbolic reason."),
            "server_name": _or_null({"type": "string"}, "The server name (SNI) that it received."),
            "refused_status": _or_null(_whole("HTTP status by which it refused the certificate itself.", 100)),
        },
    )


def _summary() -> Schema:
    return _object(
        "The run as a whole.",
        {
            "total": _whole("Cases that were chosen."),
            "pass": _whole("Passed."),
            "undetermined": _whole(
                "Hold by a reason that the evidence allows among others; they passed, under --strict failed."
            ),
            "fail": _whole("Failed; under --strict also what was skipped or is undetermined."),
            "error": _whole("Without a verdict, since the lab broke."),
            "skip": _whole("Skipped."),
            "not_run": _whole("Never came to run."),
            "duration_s": _seconds("Seconds from start to end."),
            "interrupted": _flag("By Ctrl-C or SIGTERM."),
            "lab_error": _or_null({"type": "string"}, "What broke the run as a whole."),
            "versions": {
                "type": "object",
                "description": "Of everything that took part.",
                "additionalProperties": {"type": "string"},
            },
        },
    )
