"""A case of the catalogue as a scenario of its own, with what it needs and nothing else: to read, copy and run."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from mtls_runner.conformance.catalogue import CATALOGUE, Combination, program
from mtls_runner.conformance.known import nameable
from mtls_runner.conformance.measurement import MOST_REASONS, Seen
from mtls_runner.language.document import Plain, Value, read
from mtls_runner.language.emit import Written, flow, scalar
from mtls_runner.model.observation import Outcome

__all__ = ["MOST_LINES", "command", "expectation", "filled", "needs_depth", "scenario", "start"]

_SECTIONS = ("authorities", "leaves", "crls", "servers")
_SINGLE = {"authorities": "ca", "servers": "server"}
"""The key under which a file describes the only one."""

_REFERRING = frozenset(
    (
        "advertise",
        "certificate",
        "chain",
        "client",
        "crl",
        "issuer",
        "like",
        "other_certificates",
        "revoked",
        "same_as",
        "server",
        "trust",
    )
)
"""Keys whose values are names of something else in the file."""
_NAMING = frozenset(("key", "serial"))

#: What stands for a place in a scenario, and for what was seen there.
_BLANKS = {
    "server": "SERVER-NAME",
    "client": "CLIENT-NAME",
    "tls": "TLS-VERSION",
    "expect": "EXPECTED-HERE",
    "depth": "DEPTH-HERE",
}
_DEPTH = "verify_depth"
_STARTS = {Outcome.SERVER_STARTED: True, Outcome.SERVER_UNUSABLE: False}
MOST_LINES = 15
"""Lines of a scenario; from a longer one, what is not needed is left out."""


@cache
def scenario(file: str, case: str) -> str:
    """The scenario of a case of the catalogue, with placeholders for the place and for what was seen there.

    Args:
        file: its file's name, without a suffix.
        case: its name.

    Returns:
        ``""`` where the catalogue no longer has it.
    """
    document = _document(file)
    found = next((one for one in _list(document, "cases") if one.get("name") == case), None)
    if found is None:
        return start(file, case)
    text = _scenario(document, found, case)
    if text.count("\n") > MOST_LINES:
        document = _trusting_less(document, found)
        text = _scenario(document, found, case)
    if text.count("\n") <= MOST_LINES:
        return text
    return _scenario(_liking_none(document), found, case, tight=True)


@cache
def start(file: str, case: str) -> str:
    """The scenario of the start of a case's server, where it does not start: clients play no part then.

    Args:
        file, case: as for :func:`scenario`.
    """
    document = _document(file)
    servers = document.get("servers")
    known = {**servers} if isinstance(servers, dict) else {"server": document.get("server", {})}
    found = next((one for one in _list(document, "cases") if one.get("name") == case), None)
    own = found.get("server", "server") if found is not None else case.removeprefix("server.")
    name = own if isinstance(own, str) else "this"
    if isinstance(own, dict):  # of the only server, where it does not say of which
        known[name] = {"like": next(iter(known)), **own}
    if name not in known:
        return ""
    several = {key: value for key, value in document.items() if key != "server"}
    needed = _Needed({**several, "servers": known})
    needed.take(name)
    return "\n".join(needed.lines(expecting=name)) + "\n"


def _trusting_less(document: Mapping[str, Value], found: Mapping[str, Value]) -> Mapping[str, Value]:
    """The document without authorities that servers trust for other cases only."""
    needed = _Needed(document, untold="trust")
    needed.take(found.get("client"))
    own = found.get("server")
    needed.take(own.get("certificate") if isinstance(own, dict) else own)

    known = document.get("authorities")
    authorities = known if isinstance(known, dict) else {}

    def counts(name: Value) -> bool:
        """Whether this authority is needed, or another one with its name."""
        if name in needed.names:
            return True
        described = authorities.get(str(name))
        return isinstance(described, dict) and described.get("like") in needed.names and "subject" not in described

    def less(server: Value) -> Value:
        trust = server.get("trust") if isinstance(server, dict) else None
        if not isinstance(server, dict) or not isinstance(trust, list):
            return server
        return {**server, "trust": [name for name in trust if counts(name)] or trust}

    servers = document.get("servers")
    changed: dict[str, Value] = {}
    if isinstance(servers, dict):
        changed["servers"] = {name: less(server) for name, server in servers.items()}
    if "server" in document:
        changed["server"] = less(document["server"])
    return {**document, **changed}


def _liking_none(document: Mapping[str, Value]) -> Mapping[str, Value]:
    """The document with each ``like:`` of a server replaced by what it takes over."""
    servers = document.get("servers")
    if not isinstance(servers, dict):
        return document

    def whole(server: Value) -> Value:
        liked = server.get("like") if isinstance(server, dict) else None
        if not isinstance(server, dict) or not isinstance(liked, str):
            return server
        taken_over = whole(servers[liked])
        own = {key: value for key, value in server.items() if key != "like"}
        return {**taken_over, **own} if isinstance(taken_over, dict) else server

    return {**document, "servers": {name: whole(server) for name, server in servers.items()}}


def _scenario(document: Mapping[str, Value], found: Mapping[str, Value], case: str, *, tight: bool = False) -> str:
    needed = _Needed(document)
    needed.take(dict(found))
    needed.take(document.get("server"))
    client = found.get("client", "")
    described: dict[str, Written] = {
        **(_written_map(client) if isinstance(client, dict) else {"certificate": _plain(client)})
    }
    described |= {"tool": _BLANKS["client"], "tls": _BLANKS["tls"]}
    parts = [flow({"name": case})[1:-1]]
    if "server" in found:
        parts.append(f"server: {flow(_plain(found['server']))}")
    parts += [f"client: {flow(described)}", f"expect: {_BLANKS['expect']}"]
    if tight:
        parts = [f"{{{', '.join(parts[:-2])},", f" {', '.join(parts[-2:])}}}"]
    lines = [*needed.lines(tight=tight), "cases:", f"  - {parts[0]}", *(f"    {part}" for part in parts[1:])]
    return "\n".join(lines) + "\n"


def filled(text: str, place: Combination, seen: Seen) -> str:
    """A scenario for one place, expecting what was seen there."""
    server = program(place.backend)
    values = {
        "server": server,
        "client": place.tool,
        "tls": place.tls,
        "expect": expectation(seen),
        "depth": ", verify_depth: 1" if needs_depth(server) else "",
    }
    for name, blank in _BLANKS.items():
        text = text.replace(f", {blank}" if name == "depth" else blank, values[name])
    return text


def needs_depth(server: str) -> bool:
    """Whether it allows no intermediate by itself, as the catalogue's chains have one."""
    backends = nameable().backends  # a measurement may be of another tree
    return server in backends and backends[server].verify_depth == 0


def expectation(seen: Seen) -> str:
    """The expectation as a scenario writes it."""
    if seen.outcome in _STARTS:
        why = {"reason": _one_or_more(seen)} if 0 < len(seen.reasons) <= MOST_REASONS else {}
        return flow({"starts": _STARTS[seen.outcome], **why})
    if seen.outcome is None or (not seen.reasons and seen.determined):
        return str(seen.outcome)
    if not 0 < len(seen.reasons) <= MOST_REASONS:
        return flow({"outcome": str(seen.outcome)})
    return flow({str(seen.outcome): _one_or_more(seen)})


def _one_or_more(seen: Seen) -> Written:
    reasons = [str(reason) for reason in seen.reasons]
    return reasons[0] if len(reasons) == 1 else reasons


def command(case: str, side: str, names: Sequence[str]) -> str:
    """What measures a case anew at these servers, or clients, with whatever version is installed."""
    return f"mtls-run conformance --{side}s {','.join(names)} --fault {_quoted(case)}"


def _quoted(text: str) -> str:
    """For a shell; an apostrophe is easier to read between double quotes."""
    plain = not any(sign in text for sign in '"$`\\!')
    return f'"{text}"' if plain and "'" in text else shlex.quote(text)


class _Needed:
    """What a case refers to, directly or not.

    Args:
        document: the file.
        untold: a key that is not followed.
    """

    def __init__(self, document: Mapping[str, Value], untold: str = "") -> None:
        self._followed = _REFERRING - {untold}
        self._known: dict[str, dict[str, Value]] = {}
        for section in _SECTIONS:
            single = _SINGLE.get(section, "")
            own = document.get(section)
            self._known[section] = {**own} if isinstance(own, dict) else {}
            if single in document and not self._known[section]:
                self._known[section] = {single: document[single]}
        self._single = {section for section, single in _SINGLE.items() if single in document}
        self.names: dict[str, None] = {}
        self._taken: set[tuple[str, str]] = set()
        # A certificate without an issuer has the only authority's, or the first one's.
        first = next(iter(self._known["authorities"]), None)
        if first is not None:
            self.take(first)

    def take(self, value: Value) -> None:
        for text in _texts(value, self._followed):
            for section, known in self._known.items():
                if text in known and (section, text) not in self._taken:
                    self._taken.add((section, text))
                    self.names[text] = None
                    self.take(known[text])

    def lines(self, expecting: str = "", *, tight: bool = False) -> Iterator[str]:
        """Of the file.

        Args:
            expecting: the server whose start is what is expected.
            tight: what can stand on one line does.
        """
        for section, known in self._known.items():
            single = section in self._single
            used = {name: _plain(value) for name, value in known.items() if single or (section, name) in self._taken}
            if section == "servers":
                used = {name: self._server(value, name == expecting) for name, value in used.items()}
            if tight and section == "crls" and used:
                yield f"{section}: {flow(used)}"
                continue
            if used and not single:
                yield f"{section}:"
            for name, value in used.items():
                line = f"{scalar(name)}: {flow(value)}".replace(f"{_BLANKS['depth']}: null", _BLANKS["depth"])
                yield line if single else f"  {line}"

    def _server(self, value: Written, expecting: bool) -> Written:
        described = dict(value) if isinstance(value, Mapping) else {}
        described.pop("expect", None)
        if "like" not in described:
            described = {"backend": _BLANKS["server"], **described}
            if _DEPTH not in described:
                described[_BLANKS["depth"]] = None
        return {**described, "expect": _BLANKS["expect"]} if expecting else described


@cache
def _document(file: str) -> Mapping[str, Value]:
    value = read(Path(CATALOGUE) / f"{file}.yaml").value
    return value if isinstance(value, dict) else {}


def _list(document: Mapping[str, Value], key: str) -> list[dict[str, Value]]:
    found = document.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _texts(value: Value, followed: frozenset[str]) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, followed)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in followed or isinstance(each, dict):
                # the key of a certificate is an algorithm's name, and that of an authorityKeyIdentifier somebody's
                yield from _texts(each, followed | _NAMING if key == "authority_key_identifier" else followed)


def _plain(value: Value) -> Written:
    if isinstance(value, Plain):
        return (
            value.value
            if isinstance(value.value, (bool, int)) and str(value.value).lower() == value.lower()
            else str(value)
        )
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return _written_map(value) if isinstance(value, dict) else value


def _written_map(value: Mapping[str, Value]) -> dict[str, Written]:
    return {name: _plain(each) for name, each in value.items()}
