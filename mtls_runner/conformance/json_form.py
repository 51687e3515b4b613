"""A measurement as JSON: everything that was seen, to be kept, gone on with, joined and compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mtls_runner.conformance.catalogue import Combination
from mtls_runner.conformance.difference import Change
from mtls_runner.conformance.from_verdicts import steady
from mtls_runner.conformance.measurement import (
    CellKind,
    MeasuredCase,
    MeasuredCell,
    MeasuredEnd,
    MeasuredFile,
    Measurement,
    Seen,
)
from mtls_runner.errors import UsageError
from mtls_runner.model.observation import Outcome, Reason

__all__ = ["FORMAT", "Json", "json_text", "plain_seen", "read_json"]

Json = str | int | float | bool | None | list["Json"] | Mapping[str, "Json"]

FORMAT = 1
_SEEN = {"alert": None, "alert_from": None, "status": None, "curl_exit": None, "predicted": False, "verify_code": None}
"""Of what was seen, what is left out where it says nothing."""


def json_text(measurement: Measurement) -> str:
    """The whole document; the same for the same measurement, a line for each server of a case, so that a change shows as one."""
    texts = _Texts()
    cases = [(file, case, list(_cells(case, texts))) for file in measurement.files for case in file.cases]
    summary = {**measurement.counts, "versions": dict(sorted(measurement.versions.items()))}
    lines = ["{", f'"format": {FORMAT},', f'"summary": {_one(summary)},']
    for role, ends in (("servers", measurement.servers), ("clients", measurement.clients)):
        told = ({"title": end.title, "library": end.library, "versions": dict(end.versions)} for end in ends.values())
        lines += [*_object(role, zip(ends, map(_one, told), strict=True)), ","]
    lines += [*_object("texts", sorted(texts.known.items())), ",", '"files": [']
    for number, file in enumerate(measurement.files):
        head = {"name": file.name, "description": file.description, "path": file.path}
        lines.append(("," if number else "") + _one(head)[:-1] + ', "cases": [')
        own = [(case, cells) for of, case, cells in cases if of is file]
        for index, (case, cells) in enumerate(own):
            changes = [[change.path, change.before, change.after] for change in case.changes]
            about = {"name": case.name, "line": case.line, "fault": case.fault}
            about |= {"control": case.control, "changes": changes} if case.control else {}
            lines.append(("," if index else "") + _one(about)[:-1] + ', "cells": {')
            lines += _listed([f"{_one(server)}: {_one(rest)}" for server, rest in cells])
            lines.append("}}")
        lines.append("]}")
    return "\n".join([*lines, "]", "}", ""])


class _Texts:
    """Texts that occur in many cells, each kept once under a name that is a digest of it."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def name(self, value: Json) -> str:
        text = _one(value)
        digest = hashlib.sha256(text.encode()).hexdigest()
        length = next(size for size in range(6, 65) if self.known.get(digest[:size], text) == text)
        self.known[digest[:length]] = text
        return digest[:length]


def _cells(case: MeasuredCase, texts: _Texts) -> Iterator[tuple[str, Json]]:
    """The cells by server, client and TLS version: kind, key, and what was seen or why nothing was."""
    servers: dict[str, dict[str, dict[str, Json]]] = {}
    for place in sorted(case.cells):
        cell = case.cells[place]
        told: dict[str, Json] = {"kind": cell.kind.value, "key": cell.key}
        if cell.seen is not None:
            told["seen"] = texts.name(plain_seen(cell.seen))
        if cell.why:
            told["why"] = texts.name(cell.why)
        if not cell.as_expected:
            told["unexpected"] = True
        if cell.others:
            told["others"] = [texts.name(plain_seen(one)) for one in cell.others]
        servers.setdefault(place.backend, {}).setdefault(place.tool, {})[place.tls] = told
    yield from ((server, dict(clients)) for server, clients in servers.items())


def plain_seen(seen: Seen) -> Json:
    """What was seen, for JSON; what says nothing is left out."""
    told: dict[str, Json] = {"outcome": seen.outcome.value if seen.outcome is not None else None}
    if seen.reasons:
        told["reasons"] = [reason.value for reason in seen.reasons]
    told |= {name: value for name, nothing in _SEEN.items() if (value := getattr(seen, name)) != nothing}
    if seen.lines:
        told["lines"] = list(seen.lines)
    return told


def _object(name: str, entries: Iterable[tuple[str, str]]) -> list[str]:
    return [f"{_one(name)}: {{", *_listed([f"{_one(key)}: {text}" for key, text in entries]), "}"]


def _listed(lines: Sequence[str]) -> list[str]:
    return [*(line + "," for line in lines[:-1]), *lines[-1:]]


def _one(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def read_json(path: str) -> Measurement:
    """A file that :func:`json_text` wrote.

    Raises:
        UsageError: it can't be read, or is something else.
    """
    try:
        document: Any = json.loads(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} can't be read: {error}") from error
    except ValueError as error:
        raise UsageError(f"{path} is no measurement: {error}") from error
    try:
        if document["format"] != FORMAT:
            raise UsageError(
                f"{path} is a measurement of format {document['format']}; this version reads format {FORMAT}"
            )
        texts = document["texts"]
        return Measurement(
            tuple(_file(file, texts) for file in document["files"]),
            document["summary"]["versions"],
            _ends(document["servers"]),
            _ends(document["clients"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{path} is no measurement (conformance --json): {type(error).__name__} {error}") from error


def _ends(told: Any) -> dict[str, MeasuredEnd]:
    return {name: MeasuredEnd(name, end["title"], end["library"], end["versions"]) for name, end in told.items()}


def _file(told: Any, texts: Any) -> MeasuredFile:
    return MeasuredFile(told["name"], told["description"], told["path"], tuple(_case(c, texts) for c in told["cases"]))


def _case(told: Any, texts: Any) -> MeasuredCase:
    cells = {
        Combination(server, client, tls): _cell(cell, texts)
        for server, clients in told["cells"].items()
        for client, versions in clients.items()
        for tls, cell in versions.items()
    }
    changes = tuple(Change(*change) for change in told.get("changes", ()))
    return MeasuredCase(told["name"], told["line"], told["fault"], told.get("control", ""), changes, cells)


def _cell(told: Any, texts: Any) -> MeasuredCell:
    return MeasuredCell(
        CellKind(told["kind"]),
        _read_seen(texts[told["seen"]]) if "seen" in told else None,
        texts[told["why"]] if "why" in told else "",
        not told.get("unexpected", False),
        tuple(_read_seen(texts[name]) for name in told.get("others", ())),
        told["key"],
    )


def _read_seen(told: Any) -> Seen:
    outcome = told["outcome"]
    return Seen(
        Outcome(outcome) if outcome is not None else None,
        tuple(map(Reason, told.get("reasons", ()))),
        **{name: told.get(name, nothing) for name, nothing in _SEEN.items()},
        lines=tuple(map(steady, told.get("lines", ()))),
    )
