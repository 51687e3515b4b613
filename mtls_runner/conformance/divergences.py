"""Where implementations differ on whom they let in, each with a scenario, their words, and what the standard asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from mtls_runner.conformance.by_end import Stand, StandState, judging, let_in, stands
from mtls_runner.conformance.facts import collapsed
from mtls_runner.conformance.markdown import headed
from mtls_runner.conformance.measurement import MeasuredCase, MeasuredFile, Measurement
from mtls_runner.conformance.reproduction import MOST_LINES, command, filled, scenario, start
from mtls_runner.conformance.scope import Side
from mtls_runner.model.observation import Outcome

__all__ = ["AgainstVerifiers", "Divergence", "against_verifiers", "asked", "divergences", "divergences_markdown"]

_FILE = Path(__file__).with_name("divergences.yaml")
_MOST_LINES = 3
"""Of a log, from one library."""


class Divergence(Struct, frozen=True):
    """One case that some let in and others refuse.

    Args:
        file, case: which.
        side: who judges it.
        stands: of all that were measured.
    """

    file: MeasuredFile
    case: MeasuredCase
    side: Side
    stands: Sequence[Stand]

    def those(self, *states: StandState) -> list[Stand]:
        """The ends in one of these states."""
        return [stand for stand in self.stands if stand.state in states]


def divergences(measurement: Measurement) -> list[Divergence]:
    """Faults first, those that the fewest let in before the others; then what is accepted and some refuse."""
    found = [
        Divergence(file, case, side, stands(measurement, case, side))
        for side in Side
        for file, case, who in judging(measurement)
        if _tells(side, who, case)
    ]
    differing = [one for one in found if _differ(one)]
    return sorted(differing, key=_rank)


def _tells(side: Side, who: frozenset[Side], case: MeasuredCase) -> bool:
    """What both judge is told once: by clients where it is the server that presents another certificate than its control's
    server, otherwise by servers.
    """
    if who != set(Side):
        return side in who
    changed = (change.path.split(".") for change in case.changes)
    presents = {end for end, what, *_ in changed if what == "certificate"}
    return side is (Side.CLIENT if presents == {Side.SERVER} else Side.SERVER)


def _differ(one: Divergence) -> bool:
    """Whether two ends differ with the same partner and TLS version."""
    found: dict[tuple[str, str], set[bool]] = {}
    for stand in one.stands:
        for place, seen in stand.seen.items():
            partner = place.tool if one.side is Side.SERVER else place.backend
            found.setdefault((partner, place.tls), set()).add(let_in(seen))
    return any(len(answers) > 1 for answers in found.values())


def _rank(one: Divergence) -> tuple[bool, bool, int]:
    rare = StandState.IN if one.case.fault else StandState.OUT
    return not one.case.fault, not one.those(rare), len(one.those(rare, StandState.BOTH))


class AgainstVerifiers(Struct, frozen=True):
    """Where ``openssl verify``, Go's crypto/x509 and certtool agree on a chain, and ends that are built on one of them differ.

    Args:
        cases: of the catalogue.
        ends: servers or clients, by name.
        takes: they let in what the verifiers refuse; otherwise they refuse what the verifiers take.
        why: for people.
    """

    cases: tuple[str, ...]
    ends: tuple[str, ...]
    takes: bool
    why: str


@lru_cache(maxsize=1)
def _document() -> Mapping[str, Any]:
    from yaml import safe_load

    found: Mapping[str, Any] = safe_load(_FILE.read_text("utf-8"))
    return found


def against_verifiers() -> tuple[AgainstVerifiers, ...]:
    """All known places where ends differ from verifiers."""
    told = _document()["against_verifiers"]
    return tuple(AgainstVerifiers(tuple(one["cases"]), tuple(one["ends"]), one["takes"], one["why"]) for one in told)


@lru_cache(maxsize=1)
def _asked() -> Mapping[tuple[str, str], tuple[str, str]]:
    found = {}
    for about in _document()["asks"]:
        told = (about["section"], " ".join(about["asks"].split()))
        found.update({("case", case): told for case in about.get("cases", ())})
        found.update({("file", file): told for file in about.get("files", ())})
    return found


def asked(file: str, case: str) -> tuple[str, str] | None:
    """The section of a standard, and what it asks of a case, in our words; ``None``: nobody has written it down."""
    known = _asked()
    return known.get(("case", case)) or known.get(("file", file))


def divergences_markdown(measurement: Measurement) -> str:
    """``docs/divergences.md`` as a whole."""
    return "\n".join(_lines(measurement)) + "\n"


def _lines(measurement: Measurement) -> Iterator[str]:
    found = divergences(measurement)
    faults = [one for one in found if one.case.fault]
    yield "# Where implementations differ"
    yield ""
    yield "<!-- Made by mtls-run conformance; not to be changed by hand. -->"
    yield ""
    yield (
        f"{len(faults)} faults that some let in and others refuse, those that the fewest let in first, and "
        f"{len(found) - len(faults)} sound cases that some refuse. Each was measured by real handshakes "
        "([atlas.md](atlas.md)); the command under each measures it again, with your own version. Measured here:"
    )
    yield ""
    ends = (*measurement.servers.values(), *measurement.clients.values())
    yield from dict.fromkeys(f"- {end.told}" for end in ends)
    for title, some in (("Let in by some", faults), ("Refused by some", [one for one in found if not one.case.fault])):
        if some:
            yield from headed(f"## {title}")
        for one in some:
            yield from _one(one)
    yield from _against_verifiers()


def _against_verifiers() -> Iterator[str]:
    yield from headed(
        "## Otherwise than the verifiers",
        "`openssl verify`, Go's crypto/x509 and GnuTLS' certtool were asked about every chain of the catalogue. Where all three "
        "agree, the servers and clients that are built on these libraries do as they say, but here:",
    )
    yield ""
    for one in against_verifiers():
        does = "take what all three refuse" if one.takes else "refuse what all three take"
        cases = "; ".join(f"*{case}*" for case in one.cases)
        yield f"- {cases}: {', '.join(one.ends)} {does}. {one.why}"


def _one(one: Divergence) -> Iterator[str]:
    here = "a server" if one.side is Side.SERVER else "a client"
    against = f" Other than its control (*{one.case.control}*): {one.case.changes_told}." if one.case.control else ""
    yield from headed(f"### {one.case.name}", f"As {here} judges it.{against}")
    yield ""
    taken, refused = one.those(StandState.IN), one.those(StandState.OUT)
    yield f"- **let in by** {_named(taken)}" if taken else "- let in by none in all places"
    for reasons, some in _by_reasons(refused).items():
        yield f"- refused by {_named(some)}: {reasons}"
    for stand in one.those(StandState.BOTH):
        yield f"- {stand.end.name}: {_both(stand)}"
    told = asked(one.file.name, one.case.name)
    if told is not None:
        section, text = told
        yield ""
        yield f"What {section} asks: {text}"
    words = list(_words(one.those(StandState.OUT, StandState.BOTH)))
    if words:
        yield ""
        yield "```text"
        yield from words
        yield "```"
    shown = (taken or one.those(StandState.BOTH))[0] if one.case.fault else (refused or one.those(StandState.BOTH))[0]
    place, seen = next(iter(shown.seen.items()))
    made = start if seen.outcome is Outcome.SERVER_UNUSABLE else scenario
    text = made(one.file.name, one.case.name)
    if 0 < text.count("\n") <= MOST_LINES:
        yield ""
        yield "```yaml"
        yield from filled(text, place, seen).splitlines()
        yield "```"
    yield ""
    others = refused if one.case.fault else taken
    yield f"    {command(one.case.name, one.side, [stand.end.name for stand in (shown, *others[:1])])}"


def _named(some: Sequence[Stand]) -> str:
    return ", ".join(stand.end.name for stand in some)


def _by_reasons(some: Sequence[Stand]) -> Mapping[str, list[Stand]]:
    found: dict[str, list[Stand]] = {}
    for stand in some:
        found.setdefault(", ".join(stand.reasons), []).append(stand)
    return found


def _both(stand: Stand) -> str:
    return collapsed({place: seen.written for place, seen in stand.seen.items()})


def _words(some: Sequence[Stand]) -> Iterator[str]:
    """The first of each library."""
    told: dict[str, list[str]] = {}
    for stand in some:
        lines = [f"{stand.end.name}: {line}" for line in stand.lines[:1]]
        told.setdefault(stand.end.library, []).extend(lines)
    for lines in told.values():
        yield from lines[:_MOST_LINES]
