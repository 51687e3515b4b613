"""The PKI of a scenario as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from mtls_runner.explain.words import TextLine, listed
from mtls_runner.model import plural
from mtls_runner.model.case import Plan
from mtls_runner.reporters.html.tree import Node, forest

__all__ = ["pki"]

_USAGES = {"serverAuth": "servers", "clientAuth": "clients"}


def pki(plan: Plan, now: datetime) -> Iterator[TextLine]:
    """A line for each certificate below the one that signed it, and one for each CRL."""
    trees = forest(plan, {}, now)
    count = sum(not spec.authority for spec in plan.certificates.values())
    authorities = plural(len(plan.certificates) - count, "authority", "authorities")
    yield TextLine(f"PKI: {authorities}, {plural(count, 'leaf', 'leaves')}", heading=True)
    for tree in trees:
        yield from _tree(tree, plan, "", "")
    for crl in plan.crls.values():
        revoked = f"revokes {listed(crl.revoked)}" if crl.revoked else "revokes nobody"
        what = f"the user's own file {crl.file.name}" if crl.file is not None else f"of {crl.issuer}, {revoked}"
        odd = f"; wrong on purpose: {', '.join(crl.defects)}" if crl.defects else ""
        until = "" if crl.file is not None else f"; next update {crl.next_update.resolve(now):%Y-%m-%d}"
        yield TextLine(f"CRL {crl.id}: {what}{until}{odd}", indent=2)


def _tree(node: Node, plan: Plan, before: str, below: str) -> Iterator[TextLine]:
    under = below + ("│  " if node.issued else "   ")
    yield TextLine(_sentence(node, plan), indent=2, mark=f"{before}{node.id}: ", under=under)
    for number, issued in enumerate(node.issued):
        last = number == len(node.issued) - 1
        yield from _tree(issued, plan, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))


def _sentence(node: Node, plan: Plan) -> str:
    parts = [node.role]
    spec = plan.certificates[node.id]
    if spec.files is None:
        if not spec.authority:
            parts[0] += _purpose(spec.extended_key_usage)
        parts.append(node.subject or "no subject")
        parts += [fact for fact in node.facts if fact != ", ".join(spec.extended_key_usage or ())]
        valid = (
            f"{node.ill} ({node.valid_from} to {node.valid_until})" if node.ill else f"valid until {node.valid_until}"
        )
        parts.append(valid)
    else:
        parts += node.facts
    if node.revoked:
        parts.append(f"revoked: {node.revoked}")
    if node.oddities:
        parts.append(f"wrong on purpose: {', '.join(node.oddities)}")
    if node.trusted_by:
        parts.append(f"trusted by {listed(node.trusted_by)}")
    return "; ".join(parts)


def _purpose(usage: Sequence[str] | None) -> str:
    if usage is None:
        return " for any purpose"
    return f" for {listed(_USAGES.get(each, each) for each in usage)}" if usage else " for nothing"
