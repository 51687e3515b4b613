"""What each client certificate must lead to, as the configuration has it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mtls_runner.servers.nginx.read.configuration import ServerBlock

__all__ = ["CaseDraft", "Demands", "ExpectedAnswer", "demands"]

_AUTH = {"on": "required", "optional": "optional", "optional_no_ca": "optional_no_ca"}
_FORBIDDING = (401, 403)
_CLOSING = 444
_DEEPEST = 5
"""No longer chains of intermediates are made to try ``ssl_verify_depth``."""
_MORE = frozenset(("auth_basic", "auth_request", "auth_jwt", "deny", "limit_except"))
_SUBJECT = re.compile(r"\$ssl_client_(s_dn|i_dn|fingerprint|serial|escaped_cert|raw_cert|cert)\b")
_CONDITION = re.compile(r"\$ssl_client_verify\s*(!=|=|!~\*?|~\*?)\s*(\S+)")
#: ``$ssl_client_verify`` of one that sent none, and of one that did not verify.
_NONE, _FAILED = "NONE", "FAILED:unable to verify the first certificate"


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """An expectation: outcomes (one, unless it can't be read out of the configuration), a reason or a status."""

    outcome: tuple[str, ...]
    reason: str = ""
    status: int = 0


@dataclass(frozen=True, slots=True)
class CaseDraft:
    """One case: who presents what, and what must come of it; ``certificate`` is a leaf's id, or ``""`` for none."""

    name: str
    certificate: str
    answer: ExpectedAnswer


@dataclass(slots=True)
class Demands:
    """What a ``server`` block demands.

    Args:
        client_auth: in the scenario language's words.
        depth: how many intermediates it takes.
        cases: in order.
        notes: what can't be read out of it.
    """

    client_auth: str
    depth: int
    cases: list[CaseDraft] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Rule:
    """``if ($ssl_client_verify …) { return STATUS; }``."""

    operator: str
    operand: str
    status: int

    def holds(self, verify: str) -> bool:
        if self.operator in ("=", "!="):
            return (verify == self.operand) is (self.operator == "=")
        flags = re.IGNORECASE if self.operator.endswith("*") else 0
        try:
            matches = re.search(self.operand, verify, flags) is not None
        except re.error:
            return False
        return matches is not self.operator.startswith("!")


def demands(block: ServerBlock, *, has_crl: bool) -> Demands:
    """Read them out of a block that speaks TLS.

    Args:
        block: see :mod:`mtls_runner.servers.nginx.read.configuration`.
        has_crl: it looks clients up in a CRL of the lab's.
    """
    auth = _AUTH.get(block.value("ssl_verify_client", "off"), "none")
    depth = block.value("ssl_verify_depth", "1")
    found = Demands(auth, int(depth) if depth.isdigit() else 1)
    rules = list(_rules(block))
    open_ = ExpectedAnswer(("accepted",))
    let_in = _let_in(block, found, asked=auth != "none")
    without = _turned_away(rules, _NONE, "no-certificate") or (open_ if auth == "none" else let_in)
    found.cases.append(
        CaseDraft("no client certificate", "", _refused("no-certificate") if auth == "required" else without)
    )
    if auth == "none":
        return found
    failed = _turned_away(rules, _FAILED, "unknown-ca") or let_in
    found.cases += [
        CaseDraft("a good one", "good", let_in),
        CaseDraft("of a foreign authority", "foreign", failed if auth == "optional_no_ca" else _refused("unknown-ca")),
        CaseDraft("expired", "expired", _refused("expired")),
        CaseDraft("for servers only", "for-servers", _refused("wrong-purpose")),
    ]
    if has_crl:
        found.cases.append(CaseDraft("revoked", "revoked", _refused("revoked")))
    elif auth != "optional_no_ca" and 0 < found.depth <= _DEEPEST:
        found.cases += [
            CaseDraft(
                f"as far from its root as ssl_verify_depth {found.depth} lets it be", f"depth-{found.depth}", let_in
            ),
            CaseDraft("one intermediate too many", f"depth-{found.depth + 1}", _refused("unknown-ca")),
        ]
    return found


def _refused(reason: str) -> ExpectedAnswer:
    return ExpectedAnswer(("server-refused",), reason)


def _turned_away(rules: list[_Rule], verify: str, reason: str) -> ExpectedAnswer | None:
    """What a client meets whom the configuration's own rule turns away; ``None``: none does."""
    rule = next((rule for rule in rules if rule.holds(verify)), None)
    if rule is None:
        return None
    if rule.status in _FORBIDDING:
        return _refused(reason)
    if rule.status == _CLOSING:
        return ExpectedAnswer(("no-connection",), "closed")
    return ExpectedAnswer(("accepted",), status=rule.status)


def _let_in(block: ServerBlock, found: Demands, *, asked: bool) -> ExpectedAnswer:
    """``accepted``, unless there is more to it than the certificate."""
    root = _root_location(block)
    for directive in block.inside:
        here = len(directive.path) == 2 or root in directive.around
        more = directive.name in _MORE and directive.arguments[:1] != ("off",)
        holder = directive.name in ("if", "map") and any(map(_SUBJECT.search, directive.arguments))
        if asked and here and (more or holder):
            found.notes.append(
                f"{directive.place}: {directive.name} decides too who gets in: say in the scenario whether the good "
                "certificate is `accepted` or refused (`{server-refused: not-authorized}`)"
            )
            return ExpectedAnswer(("accepted", "server-refused"))
    return ExpectedAnswer(("accepted",))


def _rules(block: ServerBlock) -> Iterator[_Rule]:
    """Those that hold for ``/``: in the ``server`` itself, then in its ``location /``."""
    root = _root_location(block)
    for place in (("if",), ("location", "if")):
        condition = None
        for directive in block.inside:
            if directive.name == "if":
                condition = _CONDITION.search(" ".join(directive.arguments).strip("()"))
            here = directive.path[2:] == place and (len(place) == 1 or root in directive.around)
            status = directive.arguments[0] if directive.arguments else ""
            if condition is not None and here and directive.name == "return" and status.isdigit():
                yield _Rule(condition[1], condition[2].strip("\"'"), int(status))


def _root_location(block: ServerBlock) -> int | None:
    """Number of the block of ``location /``."""
    for this, following in zip(block.inside, block.inside[1:], strict=False):
        if this.name == "location" and this.arguments[-1:] == ("/",) and len(following.around) > len(this.around):
            return following.around[-1]
    return None
