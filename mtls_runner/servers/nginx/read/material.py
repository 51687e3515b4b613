"""The keys and certificates that an nginx configuration names, as the lab's own under the same paths."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct, field

from mtls_runner.servers.nginx.read.configuration import Directive, Reading, ServerBlock
from mtls_runner.servers.nginx.read.examples import examples
from mtls_runner.servers.nginx.read.files import ROOT

__all__ = ["SERVER_CA", "Leaf", "NginxMaterial", "material", "names_of"]

SERVER_CA = "server-ca"

_NAME = re.compile(r"(\*\.|\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_TO_UPSTREAM = re.compile(r"(proxy|grpc|uwsgi)_ssl_(certificate|certificate_key|password_file|trusted_certificate|crl)")
_BY_NAME = re.compile(r"\$(?:\{)?(ssl_server_name|host|server_name)\}?")
_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


class Leaf(Struct):
    """A certificate that nginx presents, to clients or to an upstream."""

    id: str
    names: list[str]
    key: str
    passphrase: bool = False
    usage: str = "server"


class NginxMaterial(Struct):
    """What the scenario makes, and where the configuration expects it.

    Args:
        leaves: by the path of their certificate.
        authorities: that client certificates are checked against, by path; each value an id.
        files: path → pieces of the material, one behind the other, as the scenario writes them.
        own: path → file here.
        revocation: whether clients are looked up in CRLs.
        notes: what can't be carried over.
    """

    leaves: dict[str, Leaf] = field(default_factory=dict)
    authorities: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)
    own: dict[str, Path] = field(default_factory=dict)
    revocation: bool = False
    notes: list[str] = field(default_factory=list)

    def put(self, path: str, *what: str) -> None:
        """Say what lies there, too."""
        pieces = self.files.setdefault(path, [])
        pieces += [piece for piece in what if piece not in pieces]


def names_of(block: ServerBlock) -> list[str]:
    """Names of a ``server`` block by which a client can ask for it: of ``*.example.com`` one below, of an expression one that
    fits."""
    found = []
    for name in (name for directive in block.all("server_name") for name in directive.arguments):
        if name.startswith("~"):
            found += [text for text in examples(name[1:]) if _NAME.fullmatch(text)][:1]
        elif name.endswith(".*"):
            found.append(name.removesuffix("*") + "test")
        elif _NAME.fullmatch(name):
            found.append(f"www{name[1:]}" if name.startswith("*.") else name.removeprefix("."))
    return [name.lower() for name in dict.fromkeys(found) if name != "localhost"]


def material(reading: Reading, blocks: Sequence[ServerBlock], issuers: Sequence[str]) -> NginxMaterial:
    """What the blocks name.

    Args:
        reading: the whole configuration.
        blocks: those that speak TLS.
        issuers: ids of authorities that rules name: they are among all that is trusted.
    """
    made = NginxMaterial(own=dict(reading.files))
    for block in blocks:
        _presented(block, made)
        _checked(block, made, issuers)
        for name in ("ssl_dhparam", "ssl_session_ticket_key", "ssl_stapling_file"):
            for directive in block.all(name):
                local = _here(str(ROOT / directive.arguments[0]), reading.main) if directive.arguments else None
                if local is not None:
                    made.own.setdefault(str(ROOT / directive.arguments[0]), local)
    _upstream(reading, made)
    return made


def _paths(directive: Directive, block: ServerBlock | None, made: NginxMaterial) -> Iterator[str]:
    """Where it is; one that is found by the client's name is at several places."""
    value = directive.arguments[0] if directive.arguments else ""
    by_name = _BY_NAME.sub("\0", value)
    if "$" in by_name or value.startswith(("data:", "engine:", "store:")):
        made.notes.append(f"{directive.place}: {directive.name} {value}: only paths can be given the lab's material")
    elif "\0" in by_name:
        for name in names_of(block) if block is not None else ():
            yield str(ROOT / by_name.replace("\0", name))
    elif value:
        yield str(ROOT / value)


def _presented(block: ServerBlock, made: NginxMaterial) -> None:
    keys, passwords = block.all("ssl_certificate_key"), block.one("ssl_password_file")
    for number, directive in enumerate(block.all("ssl_certificate")):
        for path in _paths(directive, block, made):
            leaf = made.leaves.get(path)
            if leaf is None:
                leaf = made.leaves[path] = Leaf(_leaf_id(block, made), [], _key(block, number))
            leaf.names += [name for name in _certified(block) if name not in leaf.names]
            leaf.passphrase |= passwords is not None
            made.put(path, f"leaves.{leaf.id}.chain")
            for key in _paths(keys[number], block, made) if number < len(keys) else ():
                made.put(key, f"leaves.{leaf.id}.key")
    for path in _paths(passwords, None, made) if passwords is not None else ():
        made.put(path, *(f"leaves.{leaf.id}.passphrase" for leaf in list(made.leaves.values())[:1]))


def _certified(block: ServerBlock) -> list[str]:
    wild = [name for one in block.all("server_name") for name in one.arguments if name.startswith("*.")]
    return [*names_of(block), *(name for name in wild if _NAME.fullmatch(name))]


def _leaf_id(block: ServerBlock, made: NginxMaterial) -> str:
    if not made.leaves:
        return "server"
    names = names_of(block)
    base = "server-" + (_UNSAFE.sub("-", names[0]).strip("-") if names else str(len(made.leaves) + 1))
    taken = {leaf.id for leaf in made.leaves.values()}
    return next(
        name for number in range(len(taken) + 1) if (name := f"{base}-{number}" if number else base) not in taken
    )


def _key(block: ServerBlock, number: int) -> str:
    """RSA as most have it; ECDSA where it is the second of two, or where the ciphers of TLS 1.2 leave nothing else."""
    ciphers = block.value("ssl_ciphers")
    only = "ECDSA" in ciphers and "RSA" not in ciphers.replace("ECDSA", "")
    return "ec-p256" if number or only else "rsa-2048"


def _checked(block: ServerBlock, made: NginxMaterial, issuers: Sequence[str]) -> None:
    trusted = []
    for name in ("ssl_client_certificate", "ssl_trusted_certificate"):
        for directive in block.all(name)[:1]:
            for path in _paths(directive, block, made):
                number = len(made.authorities) + 1
                authority = made.authorities.setdefault(path, f"client-ca-{number}" if number > 1 else "client-ca")
                made.put(path, f"{authority}.certificate", *(f"{issuer}.certificate" for issuer in issuers))
                trusted.append(authority)
    for directive in block.all("ssl_crl")[:1]:
        for path in _paths(directive, block, made):
            made.put(path, *(f"{authority}.crl" for authority in (*dict.fromkeys(trusted), *issuers)))
            made.revocation |= bool(trusted)


def _here(path: str, main: Path) -> Path | None:
    """The file of that path: beside the configuration, or on this machine."""
    places = [Path(path)]
    if path.startswith(f"{ROOT}/"):
        places.insert(0, main.parent / path.removeprefix(f"{ROOT}/"))
    return next((place for place in places if place.is_file()), None)


def _upstream(reading: Reading, made: NginxMaterial) -> None:
    """What nginx itself presents to an application behind it, and whom it trusts there."""
    for directive in reading.directives:
        found = _TO_UPSTREAM.fullmatch(directive.name)
        for path in _paths(directive, None, made) if found else ():
            if found is None or path in made.files:
                continue
            if found[2] in ("trusted_certificate", "crl"):
                made.put(path, f"{SERVER_CA}.{found[2].removeprefix('trusted_')}")
                continue
            leaf = made.leaves.setdefault("", Leaf("to-upstream", [], "ec-p256", usage="client"))
            leaf.passphrase |= found[2] == "password_file"
            part = {"certificate": "chain", "certificate_key": "key", "password_file": "passphrase"}[found[2]]
            made.put(path, f"leaves.{leaf.id}.{part}")
