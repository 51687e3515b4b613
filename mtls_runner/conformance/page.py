"""A measurement as one HTML page to explore: faults by servers or clients, with filters; no network, texts are escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from markupsafe import Markup

from mtls_runner.conformance.by_end import judging
from mtls_runner.conformance.catalogue import program
from mtls_runner.conformance.json_form import Json, plain_seen
from mtls_runner.conformance.measurement import CellKind, MeasuredCase, MeasuredEnd, Measurement, Seen
from mtls_runner.conformance.reproduction import needs_depth, scenario, start
from mtls_runner.model.observation import Outcome
from mtls_runner.text_templates import environment

__all__ = ["page"]


def page(measurement: Measurement) -> str:
    """``docs/atlas.html`` as a whole."""
    text = json.dumps(_data(measurement), ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return (
        environment("mtls_runner.conformance", html=True)
        .get_template("atlas.html")
        .render(
            faults=measurement.faults,
            servers=measurement.servers,
            clients=measurement.clients,
            seen=measurement.counts[CellKind.SEEN],
            versions=", ".join(f"{name} {version}" for name, version in sorted(measurement.versions.items())),
            data=Markup(text),  # noqa: S704 - JSON in which nothing can end the element
        )
    )


def _data(measurement: Measurement) -> Json:
    servers, clients = list(measurement.servers.values()), list(measurement.clients.values())
    numbers = _Numbers(servers, clients)
    cases = list(judging(measurement))
    at = {(file.name, case.name): number for number, (file, case, _) in enumerate(cases)}
    told: list[Json] = []
    for file, case, who in cases:
        control = at.get((file.name, case.control))
        told.append(
            {
                "name": case.name,
                "file": file.name,
                "fault": case.fault,
                "judges": _sorted(who),
                "changes": case.changes_told,
                **({"control": control} if control is not None else {}),
                "scenario": scenario(file.name, case.name),
                **({"start": start(file.name, case.name)} if _never_starts(case) else {}),
                "cells": list(numbers.cells(case)),
            }
        )
    seen = list(numbers.seen)
    return {
        "servers": [{**_end(end), "depth": needs_depth(program(end.name))} for end in servers],
        "clients": [_end(end) for end in clients],
        "files": {file.name: file.description for file in measurement.files},
        "cases": told,
        "seen": [plain_seen(one) for one in seen],
        "whys": list(numbers.whys),
        "tls": list(numbers.tls),
        "choices": {
            "outcome": _sorted(str(one.outcome) for one in seen),
            "reason": _sorted(str(reason) for one in seen for reason in one.reasons),
            "alert": _sorted(one.alert for one in seen if one.alert is not None),
            "library": _sorted(end.library for end in (*servers, *clients) if end.library),
        },
    }


def _never_starts(case: MeasuredCase) -> bool:
    return any(cell.seen is not None and cell.seen.outcome is Outcome.SERVER_UNUSABLE for cell in case.cells.values())


def _sorted(values: Iterable[str]) -> Json:
    return [*sorted(set(values))]


def _end(end: MeasuredEnd) -> dict[str, Json]:
    return {"name": end.name, "told": end.told, "library": end.library}


class _Numbers:
    """What stands in many cells stands once, and they have its number."""

    def __init__(self, servers: list[MeasuredEnd], clients: list[MeasuredEnd]) -> None:
        self._servers = {end.name: number for number, end in enumerate(servers)}
        self._clients = {end.name: number for number, end in enumerate(clients)}
        self.seen: dict[Seen, int] = {}
        self.whys: dict[str, int] = {}
        self.tls: dict[str, int] = {}

    def cells(self, case: MeasuredCase) -> Iterator[Json]:
        """Server, client, TLS version, what was seen, what else was seen; or -1, the kind, and why not."""
        for place, cell in sorted(case.cells.items()):
            where: list[Json] = [
                self._servers[place.backend],
                self._clients.get(place.tool, -1),
                self.tls.setdefault(place.tls, len(self.tls)),
            ]
            if cell.seen is None:
                yield [*where, -1, cell.kind.value, self.whys.setdefault(cell.why, len(self.whys))]
            else:
                several = (cell.seen, *cell.others)
                yield [*where, *(self.seen.setdefault(one, len(self.seen)) for one in several)]
