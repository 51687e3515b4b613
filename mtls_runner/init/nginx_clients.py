"""Whom to try an nginx configuration with: good ones, those that its rules name, and those that differ from them in one thing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from msgspec import Struct, field

from mtls_runner.language.emit import scalar
from mtls_runner.servers.nginx.read.configuration import ServerBlock
from mtls_runner.servers.nginx.read.rules import Rules
from mtls_runner.servers.nginx.read.subjects import subject_for

__all__ = ["NginxClient", "NginxClients", "clients", "issuers"]

_DEEPEST = 5
"""No longer chains of intermediates are made to try ``ssl_verify_depth``."""
_FINGERPRINT = re.compile("[0-9a-f]{40}")
_PASSWORD = "Authorization: Basic bGFiOmxhYg=="  # noqa: S105 - lab:lab, which lies beside the scenario
_OURS = re.compile(
    r"(server|client-ca|foreign|expired|for-servers|revoked|depth|good|inter|issuer|of-issuer|serial|fingerprint|to-upstream)\b"
    r"|(ca|self|none|full|leaf)$"
)
"""Ids that others have."""
_UNSAFE = re.compile(r"[^A-Za-z0-9]+")


class NginxClient(Struct, frozen=True):
    """A leaf of the scenario.

    Args:
        id: of it.
        text: its description, in YAML's flow style.
        said: a comment.
        named: a rule is about it.
    """

    id: str
    text: str
    said: str = ""
    named: bool = False


class NginxClients(Struct):
    """All clients that an nginx configuration is tried with.

    Args:
        all: in order.
        issuers: id → subject of authorities that rules name.
        subjects: id → subject of leaves that rules name.
        intermediates: how many, one below the other.
        fingerprints: what the configuration has → the leaf that it stands for.
        headers: that rules demand of a request.
        notes: what nobody can be made for.
    """

    all: list[NginxClient] = field(default_factory=list)
    issuers: dict[str, str] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)
    intermediates: int = 0
    fingerprints: dict[str, str] = field(default_factory=dict)
    headers: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def issuers(found: Rules) -> dict[str, str]:
    """Id → subject of authorities that rules name."""
    subjects = dict.fromkeys(subject_for(literal) for literal in found.of("issuer"))
    return {f"issuer-{number}": subject for number, subject in enumerate(filter(None, subjects), 1)}


def clients(found: Rules, blocks: Sequence[ServerBlock], authorities: int) -> NginxClients:
    """For all that rules name, and all that ``server`` blocks look at.

    Args:
        found: see :mod:`mtls_runner.servers.nginx.read.rules`.
        blocks: that speak TLS.
        authorities: how many there are that client certificates are checked against.
    """
    made = NginxClients(issuers=issuers(found))
    ocsp = ", ocsp: ocsp" if any(block.value("ssl_ocsp", "off") != "off" for block in blocks) else ""
    base = f"issuer: client-ca, subject: CN=client, usage: client{ocsp}"
    made.all.append(NginxClient("good", f"{{{base}}}"))
    for number in range(2, authorities + 1):
        made.all.append(NginxClient(f"good-{number}", f"{{like: good, issuer: client-ca-{number}}}"))
    named = list(_named(found, made))
    made.all += named
    first = next((client.id for client in named if client.id in made.subjects), "good")
    made.all += [
        NginxClient("foreign", f"{{like: {first}, issuer: foreign-ca}}", "each bad one differs in one thing"),
        NginxClient("expired", f"{{like: {first}, not_before: -10d, not_after: -1d}}"),
        NginxClient("for-servers", f"{{like: {first}, usage: server}}"),
    ]
    if ocsp or any(block.all("ssl_crl") for block in blocks):
        made.all.append(NginxClient("revoked", f"{{like: {first}, revoked: keyCompromise}}"))
    made.all += _by_intermediates(blocks, made, first)
    if any(d.arguments[:1] != ("off",) for b in blocks for d in (*b.all("auth_basic"), *b.nested("auth_basic"))):
        made.headers.append(_PASSWORD)
    made.headers += [literal.text for literal in found.of("header")]
    return made


def _named(found: Rules, made: NginxClients) -> Iterator[NginxClient]:
    for literal in found.of("issuer"):
        subject = subject_for(literal)
        if subject is None:
            made.notes.append(f"{literal.place}: no authority can be made for {literal.text}")
    for id_ in made.issuers:
        yield NginxClient(f"of-{id_}", f"{{like: good, issuer: {id_}}}", named=True)
    taken: set[str] = {"CN=client"}
    for literal in found.of("subject"):
        subject = subject_for(literal)
        if subject is None:
            made.notes.append(f"{literal.place}: no subject can be made for {literal.text}")
        elif subject not in taken:
            taken.add(subject)
            id_ = _id(subject, [*made.subjects, *(client.id for client in made.all)])
            made.subjects[id_] = subject
            yield NginxClient(id_, f"{{like: good, subject: {scalar(subject)}}}", literal.place, named=True)
    for number, literal in enumerate(found.of("serial"), 1):
        if re.fullmatch("[0-9A-Fa-f]{1,40}", literal.text):
            text = f"{{like: good, serial: {int(literal.text, 16)}}}"
            yield NginxClient(f"serial-{number}", text, literal.place, named=True)
    for number, literal in enumerate(found.of("fingerprint"), 1):
        if _FINGERPRINT.fullmatch(literal.text):
            made.fingerprints[literal.text] = f"fingerprint-{number}"
            yield NginxClient(f"fingerprint-{number}", "{like: good}", literal.place, named=True)
        else:
            made.notes.append(f"{literal.place}: {literal.text} is no fingerprint that nginx knows (SHA-1, 40 digits)")


def _by_intermediates(blocks: Sequence[ServerBlock], made: NginxClients, first: str) -> Iterator[NginxClient]:
    """Chains as long as an ``ssl_verify_depth`` lets them be, and one longer; a CRL would be needed for each authority."""
    if any(block.all("ssl_crl") or block.all("ssl_ocsp") for block in blocks):
        return
    depths = {block.value("ssl_verify_depth") for block in blocks}
    numbers = sorted({int(depth) for depth in depths if depth.isdigit() and 0 < int(depth) <= _DEEPEST})
    for number in dict.fromkeys(n for depth in numbers for n in (depth, depth + 1)):
        made.intermediates = max(made.intermediates, number)
        yield NginxClient(f"depth-{number}", f"{{like: {first}, issuer: inter-{number}}}", f"{number} intermediates")


def _id(subject: str, taken: Sequence[str]) -> str:
    value = re.search(r"CN=([^,]*)", subject) or re.search(r"=([^,]*)", subject)
    base = _UNSAFE.sub("-", subject if value is None or "CN=client" in subject else value[1]).strip("-").lower()[:40]
    base = f"named-{base}".strip("-") if not base or _OURS.match(base) else base
    return next(name for n in range(1, len(taken) + 3) if (name := f"{base}-{n}" if n > 1 else base) not in taken)
