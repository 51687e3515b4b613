"""One scenario whose leaves are all someone's own, run once."""

from __future__ import annotations

from collections.abc import Mapping

from mtls_runner import Lab, Observation, Overrides, Verdict, load

from .issuer import Form, Issuer

__all__ = ["TOOLS", "observed", "run", "scenario"]

TOOLS = ("python", "curl")


def scenario(forms: Mapping[str, Form], cases: str) -> str:
    """The text: every form a leaf, a server that trusts their root, and one that trusts another."""
    leaves = "".join(f"  {name}: {form.written()}\n" for name, form in forms.items())
    return (
        "name: own material\n"
        "authorities:\n  root: {certificate: root.crt}\n  stranger: {certificate: stranger.crt}\n"
        f"leaves:\n  server: {{certificate: server.crt, key: server.key, chain: inter.crt, issuer: root}}\n{leaves}"
        "servers:\n"
        "  own: {certificate: server, trust: [root]}\n"
        "  foreign: {certificate: server, trust: [stranger]}\n"
        f"cases:\n{cases}"
    )


def case(name: str, client: str, expect: str, server: str = "own") -> str:
    return f"  - {{name: {name}, server: {server}, client: {client}, expect: {expect}}}\n"


def run(mine: Issuer, name: str, text: str, overrides: Overrides | None = None) -> dict[str, Verdict]:
    path = mine.path(f"{name}.yaml")
    path.write_text(text)
    with Lab(load(path, overrides or Overrides())) as lab:
        return {one.name: lab.run(one) for one in lab.plan.cases}


def observed(verdict: Verdict) -> Observation:
    assert verdict.observation is not None, verdict.error
    return verdict.observation
