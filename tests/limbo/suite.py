"""x509-limbo (C2SP, Apache-2.0): a public suite of certificate-validation cases, read from a file outside of the project."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

__all__ = ["ABSENT", "Case", "cases", "location"]

_VARIABLE = "MTLS_RUN_LIMBO"
_DEFAULT = Path(__file__).parents[3] / "shared" / "data" / "x509-limbo.json"


def location() -> Path:
    """Where the suite's file is, or would be."""
    named = os.environ.get(_VARIABLE)
    return Path(named) if named else _DEFAULT


ABSENT = f"x509-limbo's file is not there; {_VARIABLE} can name it"


@dataclass(frozen=True)
class Case:
    """One case of the suite, in its own words (``limbo/models.py``).

    ``server`` says whose certificate it is: a server's, or a client's. ``name`` is what the certificate must be good for,
    ``DNS`` or ``IP``; ``holders`` are addresses that a client's certificate must be good for. ``accepted`` is what the suite
    wishes.
    """

    id: str
    server: bool
    trusted: tuple[str, ...] = field(repr=False)
    untrusted: tuple[str, ...] = field(repr=False)
    certificate: str = field(repr=False)
    key: str | None = field(repr=False)
    name_kind: str | None
    name: str | None
    fixed_time: bool
    crls: tuple[str, ...] = field(repr=False)
    max_chain_depth: int | None
    holders: tuple[str, ...]
    features: tuple[str, ...]
    accepted: bool


@cache
def cases() -> tuple[Case, ...]:
    """All cases in the file's order; none where there is no file."""
    path = location()
    if not path.is_file():
        return ()
    found = []
    for entry in json.loads(path.read_text())["testcases"]:
        name = entry["expected_peer_name"] or {"kind": None, "value": None}
        found.append(
            Case(
                id=entry["id"],
                server=entry["validation_kind"] == "SERVER",
                trusted=tuple(entry["trusted_certs"]),
                untrusted=tuple(entry["untrusted_intermediates"]),
                certificate=entry["peer_certificate"],
                key=entry["peer_certificate_key"],
                name_kind=name["kind"],
                name=name["value"],
                fixed_time=entry["validation_time"] is not None,
                crls=tuple(entry["crls"]),
                max_chain_depth=entry["max_chain_depth"],
                holders=tuple(holder["value"] for holder in entry["expected_peer_names"]),
                features=tuple(entry["features"]),
                accepted=entry["expected_result"] == "SUCCESS",
            )
        )
    return tuple(found)
