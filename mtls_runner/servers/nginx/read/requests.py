"""What clients can ask for: the names of a port's ``server`` blocks, and paths and methods that make a difference there."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from mtls_runner.servers.nginx.read.configuration import Reading, ServerBlock
from mtls_runner.servers.nginx.read.examples import examples
from mtls_runner.servers.nginx.read.material import names_of
from mtls_runner.servers.nginx.read.rules import Rules

__all__ = ["hosts", "paths", "uri"]

_IN_A_URI = re.compile(r"[A-Za-z0-9/._~!$&'()*+,;=:@%?-]+")


def hosts(
    first: ServerBlock, numbers: Collection[int], reading: Reading, notes: list[str]
) -> Iterator[tuple[str, ServerBlock]]:
    """A name for each block, the default one first, which may do without; notes on those that nobody can ask for."""
    taken: set[str] = set()
    for block in sorted(reading.servers, key=lambda block: block.number != first.number):
        if block.number not in numbers:
            continue
        if block.value("ssl_reject_handshake") == "on":
            notes.append(f"{block.place}: this server ends every handshake (ssl_reject_handshake): it is not tested")
            continue
        name = next((name for name in names_of(block) if name not in taken), "")
        if name or block.number == first.number:
            taken.add(name)
            yield name, block
        else:
            notes.append(f"{block.place}: no client can ask for this server by a name of its own: it is not tested")


def paths(block: ServerBlock, found: Rules) -> Iterator[tuple[str, bool, tuple[str, ...]]]:
    """A path for each location, whether a rule is in it, and the methods that make a difference there."""
    said = tuple(dict.fromkeys(one.text for one in found.of("method") if re.fullmatch("[A-Z]+", one.text)))
    said += ("POST",) if said and "POST" not in said else ()
    if said:
        yield "/", block.number in found.blocks, said
    internal = {d.around[-1] for d in block.inside if d.name == "internal" and d.around}
    limited = {d.around[-1]: d.arguments for d in block.inside if d.name == "limit_except" and d.around}
    for directive in block.inside:
        if directive.name != "location" or not directive.arguments:
            continue
        *modifier, match = directive.arguments
        if match.startswith("@") or directive.opens in internal:
            continue
        allowed = limited.get(directive.opens)
        other = next((m for m in ("POST", "DELETE", "GET") if allowed and m not in allowed), "")
        first = allowed[0] if allowed and "GET" not in allowed else "GET"
        methods = tuple(dict.fromkeys((first, *([other] * bool(other)), *said)))
        star = modifier[:1] == ["~*"]
        made = examples(match, ignore_case=star)[:1] if modifier[:1] in (["~"], ["~*"]) else [match]
        for path in made:
            yield uri(path), directive.opens in found.blocks, methods


def uri(path: str) -> str:
    """As a client sends it; ``""``: it can't be sent as it is."""
    if not path.startswith("/"):
        path = f"/x{path}" if path.startswith(".") else f"/{path}"
    return path if _IN_A_URI.fullmatch(path) else ""
