"""The keys and certificates that an nginx configuration names, as the lab's own under the same paths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mtls_runner.servers.nginx.read.configuration import Directive, Reading, ServerBlock
from mtls_runner.servers.nginx.read.files import ROOT

__all__ = ["CLIENT_CA", "SERVER_CA", "Leaf", "NginxMaterial", "material", "names_of"]

SERVER_CA = "server-ca"
CLIENT_CA = "client-ca"

_NAME = re.compile(r"(\*\.|\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")
_TO_UPSTREAM = re.compile(r"(proxy|grpc|uwsgi)_ssl_(certificate|certificate_key|password_file|trusted_certificate|crl)")
_DH_PARAMETERS = "dhparam.pem"
_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


@dataclass(slots=True)
class Leaf:
    """A certificate that nginx presents, to clients or to an upstream."""

    id: str
    names: list[str]
    key: str
    passphrase: bool = False
    usage: str = "server"


@dataclass(slots=True)
class NginxMaterial:
    """What the scenario makes, and where the configuration expects it.

    Args:
        leaves: by the path of their certificate in the container.
        authorities: that client certificates are checked against, by path; each value an id.
        files: path in the container → piece of the material, as the scenario writes it.
        own: path in the container → file here.
        crls: ids of authorities whose CRL nginx looks clients up in.
        dh: name of a file with DH parameters to write beside the scenario, or ``""``.
        notes: what can't be carried over.
    """

    leaves: dict[str, Leaf] = field(default_factory=dict)
    authorities: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    own: dict[str, Path] = field(default_factory=dict)
    crls: dict[str, str] = field(default_factory=dict)
    dh: str = ""
    notes: list[str] = field(default_factory=list)

    def put(self, path: str, what: str, directive: Directive) -> None:
        """Say what lies there; two different things can't."""
        if self.files.setdefault(path, what) != what:
            self.notes.append(
                f"{directive.place}: {path} holds both {self.files[path]} and {what}, which the lab can't make"
            )


def names_of(block: ServerBlock) -> tuple[list[str], list[str]]:
    """DNS names of a ``server`` block for a certificate, and those that stand for none (``_``, expressions)."""
    given = [name for directive in block.all("server_name") for name in directive.arguments]
    good = [name for name in given if _NAME.fullmatch(name) and not name.endswith("*")]
    return [name.removeprefix(".") for name in good], [name for name in given if name not in good]


def material(reading: Reading, blocks: Sequence[ServerBlock]) -> NginxMaterial:
    """What the blocks name.

    Args:
        reading: the whole configuration.
        blocks: those that speak TLS.
    """
    made = NginxMaterial(own=dict(reading.files))
    for block in blocks:
        _presented(block, made)
        _checked(block, made)
        _other(block, made, reading)
    _upstream(reading, made)
    return made


def _path(directive: Directive, made: NginxMaterial) -> str | None:
    value = directive.arguments[0] if directive.arguments else ""
    if "$" in value or value.startswith(("data:", "engine:", "store:")):
        made.notes.append(
            f"{directive.place}: {directive.name} {value}: only plain paths can be given the lab's material"
        )
        return None
    return str(ROOT / value) if value else None


def _presented(block: ServerBlock, made: NginxMaterial) -> None:
    certificates, keys = block.all("ssl_certificate"), block.all("ssl_certificate_key")
    password = block.one("ssl_password_file")
    for number, directive in enumerate(certificates):
        path = _path(directive, made)
        if path is None:
            continue
        leaf = made.leaves.get(path)
        if leaf is None:
            leaf = made.leaves[path] = Leaf(_leaf_id(block, made), [], _key(block, number))
        leaf.names += [name for name in names_of(block)[0] if name not in leaf.names]
        leaf.passphrase |= password is not None
        made.put(path, f"leaves.{leaf.id}.chain", directive)
        key = _path(keys[number], made) if number < len(keys) else None
        if key is not None:
            made.put(key, f"leaves.{leaf.id}.key", keys[number])
    first = made.leaves.get(str(ROOT / block.value("ssl_certificate")))
    place = _path(password, made) if password is not None else None
    if password is not None and place is not None and first is not None and place not in made.files:
        made.put(place, f"leaves.{first.id}.passphrase", password)


def _leaf_id(block: ServerBlock, made: NginxMaterial) -> str:
    if not made.leaves:
        return "server"
    names = names_of(block)[0]
    base = "server-" + (_UNSAFE.sub("-", names[0]).strip("-").lower() if names else str(len(made.leaves) + 1))
    taken = {leaf.id for leaf in made.leaves.values()}
    return next(
        name for number in range(len(taken) + 1) if (name := f"{base}-{number}" if number else base) not in taken
    )


def _key(block: ServerBlock, number: int) -> str:
    """RSA as most have it; ECDSA where it is the second of two, or where the ciphers of TLS 1.2 leave nothing else."""
    if number:
        return "ec-p256"
    ciphers = block.value("ssl_ciphers")
    return "ec-p256" if "ECDSA" in ciphers and "RSA" not in ciphers.replace("ECDSA", "") else "rsa-2048"


def _checked(block: ServerBlock, made: NginxMaterial) -> None:
    for name in ("ssl_client_certificate", "ssl_trusted_certificate"):
        directive = block.one(name)
        path = _path(directive, made) if directive is not None else None
        if directive is None or path is None:
            continue
        if path not in made.authorities:
            number = len(made.authorities) + 1
            made.authorities[path] = CLIENT_CA if number == 1 else f"{CLIENT_CA}-{number}"
        made.put(path, f"{made.authorities[path]}.certificate", directive)
    crl = block.one("ssl_crl")
    path = _path(crl, made) if crl is not None else None
    authority = made.authorities.get(str(ROOT / block.value("ssl_client_certificate")))
    if crl is not None and path is not None and authority is not None:
        made.crls[path] = authority
        made.put(path, f"{authority}.crl", crl)


def _other(block: ServerBlock, made: NginxMaterial, reading: Reading) -> None:
    for name in ("ssl_dhparam", "ssl_session_ticket_key", "ssl_stapling_file"):
        for directive in block.all(name):
            path = _path(directive, made)
            if path is None or path in made.own:
                continue
            local = _here(path, reading.main)
            if local is not None:
                made.own[path] = local
            elif name == "ssl_dhparam":
                made.dh = _DH_PARAMETERS
                made.own[path] = Path(_DH_PARAMETERS)
            else:
                made.notes.append(f"{directive.place}: {name} {path} is not here: nginx will not start without it")


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
        path = _path(directive, made) if found else None
        if found is None or path is None or path in made.files:
            continue
        if found[2] == "trusted_certificate":
            made.put(path, f"{SERVER_CA}.certificate", directive)
            continue
        if found[2] == "crl":
            made.notes.append(
                f"{directive.place}: {directive.name} is not carried over: nginx will not start without it"
            )
            continue
        leaf = made.leaves.setdefault("", Leaf("to-upstream", [], "ec-p256", usage="client"))
        leaf.passphrase |= found[2] == "password_file"
        part = {"certificate": "chain", "certificate_key": "key", "password_file": "passphrase"}[found[2]]
        made.put(path, f"leaves.{leaf.id}.{part}", directive)
