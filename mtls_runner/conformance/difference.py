"""What two cases differ in: the proof that a fault and its control differ in one thing only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum

from msgspec import Struct
from msgspec.structs import astuple

from mtls_runner.model.case import Case
from mtls_runner.model.certificate import (
    BasicConstraints,
    CertificateSpec,
    Extension,
    KeySpec,
    Moment,
    NameConstraints,
    Secret,
    SignatureSpec,
)
from mtls_runner.model.endpoint import ChainKind, ChainSpec, ClientSpec, KeySource, ServerSpec

__all__ = ["Change", "changes"]


class Change(Struct, frozen=True):
    """One thing that differs: its dotted path, and what it was and is, for people."""

    path: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.path}: {self.before} → {self.after}"


#: Fields that hold ids of certificates.
_REFERENCES: Mapping[type, frozenset[str]] = {
    CertificateSpec: frozenset(("issuer",)),
    KeySpec: frozenset(("same_as",)),
    KeySource: frozenset(("id",)),
    ServerSpec: frozenset(("certificate", "trust", "advertise")),
    ClientSpec: frozenset(("certificate", "trust")),
    ChainSpec: frozenset(("ids",)),
}
#: What a thing is called in its own plan, and what the matrix varies.
_UNTOLD: Mapping[type, frozenset[str]] = {
    CertificateSpec: frozenset(("id", "authority")),
    ServerSpec: frozenset(("id", "backend", "options", "passphrase")),
    ClientSpec: frozenset(("tool", "tls")),
}
_DESCENDED = (CertificateSpec, ServerSpec, ClientSpec, KeySpec, KeySource, SignatureSpec)


def changes(control: Case, fault: Case, certificates: Mapping[str, CertificateSpec]) -> tuple[Change, ...]:
    """Everything that ``fault`` has otherwise than ``control``; certificates are compared by what they are, not by id.

    Args:
        control, fault: of one plan, run in one place.
        certificates: the plan's.
    """
    comparison = _Comparison(certificates)
    found = list(comparison.things("server", control.server, fault.server))
    found += comparison.things("client", control.client, fault.client)
    return tuple(dict.fromkeys(found))


class _Comparison:
    def __init__(self, certificates: Mapping[str, CertificateSpec]) -> None:
        self._certificates = certificates
        # A pair that was met already is the same change, wherever it shows again (in trust, in what is sent, …).
        self._met: set[tuple[str, str]] = set()

    def things(self, path: str, before: object, after: object) -> Iterator[Change]:
        if before == after:
            return
        kind = type(before)
        if kind is not type(after) or not isinstance(before, _DESCENDED):
            if isinstance(before, ChainSpec) and isinstance(after, ChainSpec):
                yield from self._chains(path, before, after)
            else:
                again = "another" if isinstance(before, Secret) and isinstance(after, Secret) else _text(after)
                yield Change(path, _text(before), again)
            return
        references, untold = _REFERENCES.get(kind, frozenset()), _UNTOLD.get(kind, frozenset())
        if isinstance(before, CertificateSpec) and isinstance(after, CertificateSpec):
            yield from self._validity(path, before, after)
            untold |= {"not_before", "not_after"}
        # First what an end presents: a certificate of its chain that goes with it is the same change.
        for name in sorted(before.__struct_fields__, key=lambda one: one != "certificate"):
            if name in untold:
                continue
            one, other = getattr(before, name), getattr(after, name)
            inner = f"{path}.{name}"
            if name in references:
                yield from self._references(inner, one, other)
            else:
                yield from self.things(inner, one, other)

    def _validity(self, path: str, before: CertificateSpec, after: CertificateSpec) -> Iterator[Change]:
        one, other = (before.not_before, before.not_after), (after.not_before, after.not_after)
        if one != other:
            yield Change(f"{path}.validity", " to ".join(map(_moment, one)), " to ".join(map(_moment, other)))

    def _chains(self, path: str, before: ChainSpec, after: ChainSpec) -> Iterator[Change]:
        if before.kind is after.kind is ChainKind.IDS:
            yield from self._references(path, before.ids, after.ids)
        else:
            yield Change(path, _text(before), _text(after))

    def _references(self, path: str, before: object, after: object) -> Iterator[Change]:
        if before == after:
            return
        if isinstance(before, tuple) and isinstance(after, tuple):
            if len(before) != len(after):
                yield Change(path, _text(before), _text(after))
                return
            pairs = list(zip(before, after, strict=True))
            if sorted(before) == sorted(after):  # the same ones in another order
                yield Change(path, _text(before), _text(after))
                return
            for one, other in pairs:
                yield from self._pair(path, one, other)
        elif isinstance(before, str) and isinstance(after, str):
            yield from self._pair(path, before, after)
        else:
            nothing = "self" if path.endswith(".issuer") else "none"
            yield Change(path, _text(before, nothing), _text(after, nothing))

    def _pair(self, path: str, before: str, after: str) -> Iterator[Change]:
        if before == after or (before, after) in self._met:
            return
        self._met.add((before, after))
        one, other = self._certificates.get(before), self._certificates.get(after)
        inner = list(self.things(path, one, other)) if one is not None and other is not None else []
        # Nothing but another name, or not even that: another authority or leaf of the same kind.
        if all(change.path == f"{path}.subject" for change in inner):
            yield Change(path, before, after)
        else:
            yield from inner


_SHOWN = 64
"""Octets of an extension; of a longer one its length is told."""


def _moment(moment: Moment) -> str:
    if moment.absolute is not None:
        return moment.absolute.date().isoformat()
    seconds = int(moment.offset.total_seconds())
    sign = "-" if seconds < 0 else "+"
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds % length == 0 or abs(seconds) >= 30 * length:
            return f"{sign}{abs(seconds) // length}{unit}"
    return f"{sign}{abs(seconds)}s"


def _text(value: object, nothing: str = "none") -> str:
    match value:
        case None | ():
            return nothing
        case bool():
            return str(value).lower()
        case Secret():
            return "a passphrase"
        case Enum():
            return str(value.value)
        case BasicConstraints():
            length = f", path length {value.path_length}" if value.path_length is not None else ""
            critical = ", critical" if value.critical else ""
            return f"CA:{str(value.ca).upper()}{length}{critical}"
        case NameConstraints():
            parts = [
                *(f"permitted {name}" for name in value.permitted),
                *(f"excluded {name}" for name in value.excluded),
            ]
            return ", ".join(parts) + ("" if value.critical else ", not critical")
        case Extension():
            content = value.value.hex() if len(value.value) <= _SHOWN else f"of {len(value.value)} octets"
            return f"{value.oid}{' critical' if value.critical else ''} {content}"
        case ChainSpec():
            return _text(value.ids) if value.kind is ChainKind.IDS else value.kind.value
        case tuple() | frozenset():
            ordered = value if isinstance(value, tuple) else sorted(value)
            return ", ".join(_text(member) for member in ordered) or nothing
        case Struct():
            return ", ".join(map(_text, astuple(value)))
        case "":
            return "empty"
        case _:
            return str(value)
