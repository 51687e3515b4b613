"""What the lab makes of the odd files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mtls_runner import Lab, Outcome, Overrides, Verdict, load

from ..own_material.issuer import Issuer
from .bare import Question
from .files import Odd

__all__ = ["OUTCOMES", "Seen", "observed"]

OUTCOMES: dict[Outcome | None, str] = {
    Outcome.ACCEPTED: "accepted",
    Outcome.SERVER_REFUSED: "refused",
    Outcome.CLIENT_REFUSED: "refused",
    Outcome.NO_AGREEMENT: "refused",  # nginx with a key of another kind than its certificate's has nothing to sign with
    Outcome.CLIENT_UNUSABLE: "unusable",
    Outcome.SERVER_UNUSABLE: "unusable",
    Outcome.SERVER_STARTED: "started",
}


class Seen:
    """The lab's answer to one question, and all that it says."""

    def __init__(self, verdict: Verdict) -> None:
        self.observation = verdict.observation
        self.error = verdict.error
        outcome = self.observation.outcome if self.observation is not None else None
        self.answer = OUTCOMES.get(outcome, f"error: {verdict.error or outcome}")

    @property
    def told(self) -> str:
        """What the person reads."""
        if self.observation is None:
            return self.error or ""
        return " ".join((self.observation.summary, *self.observation.evidence))


def observed(
    mine: Issuer, odd: Mapping[Question, Odd], expected: Mapping[Question, str], nginx: Overrides
) -> dict[Question, Seen]:
    """Run it all in one scenario.

    Args:
        mine: has the files.
        odd: the questions.
        expected: what the bare programs say: a server that can't start must be known to be such a one.
        nginx: how it is run.
    """
    questions = list(odd)
    path = mine.path("odd.yaml")
    path.write_text(_scenario(questions, odd, expected))
    with Lab(load(path, nginx)) as lab, ThreadPoolExecutor(4) as pool:
        by_name = {case.name: case for case in lab.plan.cases}
        cases = [by_name.get(f"server.s{number}") or by_name[f"c{number}"] for number in range(len(questions))]
        return dict(zip(questions, map(Seen, pool.map(lab.run, cases)), strict=True))


def _scenario(questions: Sequence[Question], odd: Mapping[Question, Odd], expected: Mapping[Question, str]) -> str:
    authorities = ["  root: {certificate: root.crt}"]
    leaves = [
        "  tidy-client: {certificate: client.crt, key: client.key, chain: inter.crt}",
        "  tidy-server: {certificate: server.crt, key: server.key, chain: inter.crt}",
    ]
    servers = [
        "  strict: {certificate: tidy-server, trust: [root]}",
        "  plain: {certificate: tidy-server, client_auth: none}",
    ]
    cases: list[str] = []
    for number, question in enumerate(questions):
        written = odd[question].form.written()
        tool, backend = f"tool: {question.program}", f"backend: {question.program}"
        unusable = expected[question] == "unusable"
        starts = ", expect: {starts: false}" if unusable else ""
        client, server = "trust: [root]", f"s{number}"
        match question.role:
            case "client":
                leaves.append(f"  o{number}: {written}")
                client, server = f"certificate: o{number}, trust: [root], {tool}", "strict"
            case "client-trust":
                authorities.append(f"  o{number}: {written}")
                client, server = f"trust: [o{number}], {tool}", "plain"
            case "server":
                leaves.append(f"  o{number}: {written}")
                servers.append(f"  s{number}: {{{backend}, certificate: o{number}, client_auth: none{starts}}}")
            case "server-trust":
                authorities.append(f"  o{number}: {written}")
                client = "certificate: tidy-client, trust: [root]"
                servers.append(f"  s{number}: {{{backend}, certificate: tidy-server, trust: [o{number}]{starts}}}")
        if question.role in ("server", "server-trust") and unusable:
            continue
        cases.append(f"  - {{name: c{number}, server: {server}, client: {{{client}}}, expect: accepted}}")
    sections = {"authorities": authorities, "leaves": leaves, "servers": servers, "cases": cases}
    return "".join(f"{name}:\n" + "".join(f"{line}\n" for line in lines) for name, lines in sections.items())
