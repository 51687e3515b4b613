"""What was compared with what, line by line, whether or not it went well."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from mtls_runner.diagnosis.cause import Cause, Certainty
from mtls_runner.diagnosis.evidence import Evidence
from mtls_runner.diagnosis.keys import algorithms_for
from mtls_runner.model.certificate import moment
from mtls_runner.model.chain import lineage
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.pki.public_keys import public_key

__all__ = ["Compared", "compared"]

_R = Reason
_TRUST = frozenset(
    (_R.UNKNOWN_CA, _R.SELF_SIGNED, _R.BAD_SIGNATURE, _R.PATH_LENGTH, _R.INVALID_CA, _R.NAME_CONSTRAINTS)
)
_DATES = frozenset((_R.EXPIRED, _R.NOT_YET_VALID))
_STRENGTH = frozenset((_R.WEAK_KEY, _R.WEAK_DIGEST))


class Compared(Struct, frozen=True):
    """One thing that was compared, and whether it fits.

    Args:
        what: ``client's dates``, …
        good: it fits; ``None``: nothing here says whether it does.
        told: of both sides.
    """

    what: str
    good: bool | None
    told: str


def compared(evidence: Evidence, causes: tuple[Cause, ...]) -> Iterator[Compared]:
    """The lines: of the server's certificate, then of the client's.

    Args:
        evidence: of the attempt.
        causes: all that were found; what a line is about is bad where one of them is certain of it.
    """
    surely = {(cause.outcome, cause.reason) for cause in causes if cause.certainty is Certainty.CERTAIN}
    yield from _server(evidence, surely)
    yield from _client(evidence, surely)


def _server(evidence: Evidence, surely: set[tuple[Outcome, Reason]]) -> Iterator[Compared]:
    held = evidence.inventory
    leaf = held.certificates.get(held.received[0]) if held.received else None
    if leaf is None:
        return
    bad = {reason for outcome, reason in surely if outcome is Outcome.CLIENT_REFUSED}
    asked = evidence.client.server_name or evidence.inputs.endpoint.address.host
    names = ", ".join(leaf.san) if leaf.san else leaf.subject
    yield Compared("server's name", _R.NAME_MISMATCH not in bad, f"{asked} was asked for; it is {names}")
    above = lineage(held.certificates, leaf.id)
    trusting = evidence.inputs.ca.name if evidence.inputs.ca is not None else "this system's authorities"
    told = f"sent {len(held.received)}, leads to {above[-1].subject}; trusted: {trusting}"
    yield Compared("server's chain", bad.isdisjoint(_TRUST), told)
    yield Compared("server's dates", bad.isdisjoint(_DATES), _dates(evidence, leaf.id))
    yield Compared("server's usage", _R.WRONG_PURPOSE not in bad, _usage(evidence, leaf.id))
    yield Compared("server's key", bad.isdisjoint(_STRENGTH), _key(evidence, leaf.id))


def _client(evidence: Evidence, surely: set[tuple[Outcome, Reason]]) -> Iterator[Compared]:
    held, view = evidence.inventory, evidence.view
    if view.certificate_requested or (evidence.shaken and view.certificate_requested is not None):
        given = evidence.inputs.certificate is not None
        asked = "the server asks for one" if view.certificate_requested else "the server asks for none"
        yield Compared(
            "certificate",
            None if not view.certificate_requested and not given else view.certificate_requested is given,
            f"{asked}; " + (f"{evidence.leaf or 'one'} is given" if given else "none is given"),
        )
    leaf = held.certificates.get(evidence.leaf)
    if leaf is None:
        return
    bad = {reason for outcome, reason in surely if outcome is not Outcome.CLIENT_REFUSED}
    above = lineage(held.certificates, leaf.id)
    names = (
        f"the server names {', '.join(_subjects(evidence))}" if held.named is not None else "the server names nobody"
    )
    good = None if held.named is None and evidence.refused and bad.isdisjoint(_TRUST) else bad.isdisjoint(_TRUST)
    yield Compared("client's issuer", good, f"{', then '.join(one.subject for one in above[1:]) or 'itself'}; {names}")
    yield Compared("client's dates", bad.isdisjoint(_DATES), _dates(evidence, leaf.id))
    yield Compared("client's usage", _R.WRONG_PURPOSE not in bad, _usage(evidence, leaf.id))
    offered = view.requested_algorithms
    key = public_key(held.ders[leaf.id])
    fitting = [name for name in algorithms_for(key, view.tls_version) if offered is not None and name in offered]
    signs = (
        f"; signs by {fitting[0]}" if fitting else f"; the server takes {', '.join(offered[:4])}, …" if offered else ""
    )
    sound = bad.isdisjoint(_STRENGTH | {_R.CERTIFICATE_WITHHELD, _R.WRONG_CURVE})
    yield Compared("client's key", sound and (not offered or bool(fitting)), _key(evidence, leaf.id) + signs)
    if held.own is not None and held.own.private is not None:
        yield Compared(
            "key and certificate",
            view.problem is not _R.KEY_MISMATCH,
            "they belong together" if view.problem is not _R.KEY_MISMATCH else "they do not belong together",
        )


def _subjects(evidence: Evidence) -> list[str]:
    held = evidence.inventory
    found = [held.certificates[id_].subject for id_ in held.named or ()]
    return [*found[:3], "…"] if len(found) > 3 else found


def _dates(evidence: Evidence, id_: str) -> str:
    spec, now = evidence.inventory.certificates[id_], evidence.now
    begin, end = spec.not_before.resolve(now), spec.not_after.resolve(now)
    return f"{moment(begin, now)} to {moment(end, now)}; it is {moment(now, now)}"


def _usage(evidence: Evidence, id_: str) -> str:
    spec = evidence.inventory.certificates[id_]
    usages = ", ".join(spec.extended_key_usage) if spec.extended_key_usage is not None else "any (no extendedKeyUsage)"
    return usages + (f"; {', '.join(spec.key_usage)}" if spec.key_usage is not None else "")


def _key(evidence: Evidence, id_: str) -> str:
    spec = evidence.inventory.certificates[id_]
    return (
        f"{public_key(evidence.inventory.ders[id_])}, signed with {spec.signature.hash or 'what its issuer prescribes'}"
    )
