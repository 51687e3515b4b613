"""Compares observations with expectations: the verdict on a step, and on a case as a whole. No I/O.

Only what is written is compared, and what could not be observed never matches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.errors import DeadlineExceeded
from mtls_runner.model import listed
from mtls_runner.model.case import Case, Check, Expectation, Match, Matcher, Observed, Step, Versions
from mtls_runner.model.names import ascii_host, same_form
from mtls_runner.model.observation import Observation, Outcome, Reason, field_value
from mtls_runner.model.verdict import Mismatch, Status, Undetermined, Verdict

__all__ = ["Comparison", "compare", "judge", "observed_text", "whole"]

_UNOBSERVED = "not observed"
_SHOWN = 200
_NAMES = frozenset(("client_subject", "server_subject", "client_ca_names"))
"""Fields that hold distinguished names, which are equal where they mean the same, however they are written."""
_COMPRESSED = "CompressedCertificate"
"""Takes the place of a Certificate message where both ends can compress (RFC 8879 §4); an expected ``Certificate`` matches it."""
_AGREED = (Outcome.ACCEPTED, Outcome.ANSWERED, Outcome.SERVER_REFUSED, Outcome.CLIENT_REFUSED)
_NONE_SENT = "PEER_DID_NOT_RETURN_A_CERTIFICATE"


def _counting(expectation: Expectation, versions: Versions) -> Sequence[Check]:
    """The checks that apply to these versions; of several for one path, the last one."""
    chosen: dict[str, Check] = {}
    for check in expectation.checks:
        if versions.within(check.only_for):
            chosen[check.path] = check
    return tuple(chosen.values())


def _field(observation: Observation, path: str) -> Observed:
    """The observed value under an expectation's path."""
    name, _, inner = path.partition(".")
    if inner:
        pairs: Iterable[tuple[str, str]] | None = getattr(observation, name)
        return field_value(pairs or (), inner)
    value: Observed | bytes = getattr(observation, name)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _absence_was_seen(observation: Observation, path: str) -> bool:
    """Whether ``None`` under this path means that there was nothing, rather than that it could not be observed."""
    name = path.partition(".")[0]
    server = observation.server
    match name:
        case "headers" | "upstream_headers" | "upstream":
            return getattr(observation, name) is not None
        case "client_verify" | "server_verify_code" | "server_log":
            return server is not None
        case "client_subject":
            # An embedded server that refuses a certificate has seen one, but can't be asked for it.
            return server is not None and (bool(server.handshake_complete) or server.error_symbol == _NONE_SENT)
        case "server_name":
            return server is not None and (bool(server.handshake_complete) or bool(server.messages))
        case "alpn":
            return observation.tls_version is not None
        case _:
            return True


def _cut(observation: Observation) -> str:
    """A note on how much of the body was not kept; ``""``: all was."""
    response = observation.client.response if observation.client is not None else None
    if response is None or not response.cut:
        return ""
    return f", cut after {len(response.body)} of {response.size} bytes (client.body_limit)"


def _same_name(value: Observed) -> Observed:
    if isinstance(value, tuple):
        return tuple(map(same_form, value))
    return same_form(value) if isinstance(value, str) else value


def _as_sent(value: Observed) -> Observed:
    """A server name as clients send it, from what people type."""
    with contextlib.suppress(ValueError):
        return ascii_host(value) if isinstance(value, str) else value
    return value


def _fits(matcher: Matcher, value: Observed, path: str) -> bool:
    if path == "server_name" and matcher.kind is Match.EQUALS:
        matcher = Matcher(matcher.kind, _as_sent(matcher.value))
    if path in _NAMES and (
        matcher.kind is Match.EQUALS or (matcher.kind is Match.CONTAINS and isinstance(value, tuple))
    ):
        matcher, value = Matcher(matcher.kind, _same_name(matcher.value)), _same_name(value)
    if path == "handshake" and isinstance(value, tuple) and _COMPRESSED not in str(matcher.value):
        value = tuple("Certificate" if name == _COMPRESSED else name for name in value)
    return matcher.fits(value, lines=path == "server_log")


def _show(value: Observed) -> str:
    if value is None:
        return "none"
    if isinstance(value, tuple):
        return "[" + ", ".join(value) + "]"
    text = str(value) if not isinstance(value, bool) else str(value).lower()
    if len(text) > _SHOWN:
        text = f"{text[:_SHOWN]}… ({len(text)} characters)"
    return text if text.isprintable() and text else repr(text)


def observed_text(observation: Observation, path: str) -> str:
    """The observed value under an expectation's path, as a mismatch shows it."""
    return _show(_field(observation, path))


def _wanted(check: Check) -> str:
    words = {Match.EQUALS: "", Match.CONTAINS: "contains ", Match.MATCHES: "matches ", Match.IN_ORDER: "in order "}
    return " or ".join(words[m.kind] + _show(m.value) for m in check.alternatives)


class Comparison(Struct, frozen=True):
    """The mismatches, in the order in which the author wrote the checks, and the reason if it is one of several possible ones."""

    mismatches: tuple[Mismatch, ...] = ()
    undetermined: Undetermined | None = None


def compare(expectation: Expectation, observation: Observation, versions: Versions) -> Comparison:
    """Compare what was seen with what was expected.

    Args:
        expectation: of the case.
        observation: what happened.
        versions: of both programs, for checks that count for some only; ``""``: not known.
    """
    mismatches = []
    undetermined = None
    for check in _counting(expectation, versions):
        if check.path == "reason":
            found = _reason(check, observation)
            if isinstance(found, Mismatch):
                mismatches.append(found)
            else:
                undetermined = found
            continue
        value = _field(observation, check.path)
        unseen = value is None and not _absence_was_seen(observation, check.path)
        cut = _cut(observation) if check.path == "body" else ""
        # whether the whole body is equal is not known if it was cut
        counted = [matcher for matcher in check.alternatives if not cut or matcher.kind is not Match.EQUALS]
        try:
            if not unseen and any(_fits(matcher, value, check.path) for matcher in counted):
                continue
            predicted = " (predicted)" if check.path == "curl_exit" and observation.predicted else ""
            observed = _UNOBSERVED if value is None else _show(value) + cut + predicted
        except DeadlineExceeded as error:
            observed = str(error)
        found = Mismatch(check.path, _wanted(check), observed, check.span, seen=value is not None)
        mismatches.append(_masked(found))
    return Comparison(tuple(mismatches), undetermined if not mismatches else None)


def _masked(mismatch: Mismatch) -> Mismatch:
    """The mismatch without the values of ``Set-Cookie``, ``Authorization`` and the like."""
    from mtls_runner.snippet import MASK, is_secret

    if not is_secret(mismatch.path.partition(".")[2]):
        return mismatch
    return replace(mismatch, expected=MASK, observed=f"another value ({MASK})" if mismatch.seen else mismatch.observed)


def _reason(check: Check, observation: Observation) -> Mismatch | Undetermined | None:
    """Compare reasons: all that the evidence allows must be among the expected ones; if only some are, it is undetermined."""
    allowed = observation.reasons
    wanted = {matcher.value for matcher in check.alternatives}
    if not allowed:
        if observation.determined and None in wanted:
            return None
        determined = observation.determined
        return Mismatch(check.path, _wanted(check), "none" if determined else _UNTOLD, check.span, seen=not determined)
    common = tuple(reason for reason in allowed if reason in wanted)
    if not common:
        one = str(allowed[0]) if len(allowed) == 1 else f"one of {listed(allowed)}"
        return Mismatch(check.path, _wanted(check), one, check.span)
    others = tuple(reason for reason in allowed if reason not in wanted)
    return Undetermined(common, others, check.span) if others else None


_UNTOLD = f"{Reason.OTHER}, nothing says why"


def judge(case: Case, step: Step, seen: Observation, versions: Versions) -> Verdict:
    """The verdict on a step: what was seen, compared with what it expects.

    Args:
        case, step: what was run.
        seen: what came of it.
        versions: of both programs, for checks that count for some only; ``""``: not known.
    """
    error = seen.summary if seen.outcome is None else _disobeyed(case, step, seen)
    if error:
        return Verdict(case, Status.ERROR, seen, error=error, step=step)
    held = compare(step.expect, seen, versions)
    status = Status.FAIL if held.mismatches else Status.PASS
    return Verdict(case, status, seen, held.mismatches, undetermined=held.undetermined, step=step)


def _disobeyed(case: Case, step: Step, seen: Observation) -> str:
    """Which end spoke a version of TLS that the case has it not speak: then nothing is proved of what the case is about. Only
    versions that were agreed on count, of a server that the lab has configured.
    """
    version, client, server = seen.tls_version, step.client, case.server
    if version is None or client is None or seen.outcome not in _AGREED or client.location is not None:
        return ""
    ends = [(client.tool.name if seen.client is not None else "the client", client.tls)]
    if case.plain and client.connect is None and not server.backend.runs_already and not server.option("config"):
        ends.append((server.backend.name, server.tls))
    return next(
        (
            f"{name} has to speak {' or '.join(versions)} here, and speaks {version}: it was not told, or does not honour it"
            for name, versions in ends
            if version not in versions
        ),
        "",
    )


def whole(case: Case, done: Sequence[Verdict]) -> Verdict:
    """The verdict on a case, from those of the steps that were done (at least one)."""
    last = done[-1]
    seen = next((one.observation for one in reversed(done) if one.observation is not None), None)
    doubts = [one.undetermined for one in done if one.undetermined is not None]
    mismatches, error = last.mismatches, last.error
    if not case.plain:
        number = len(done)
        mismatches = tuple(replace(mismatch, step=number) for mismatch in mismatches)
        error = f"step {number} ({case.steps[number - 1].name}): {error}" if error else ""
    return Verdict(
        case,
        last.status,
        seen,
        mismatches,
        error=error,
        steps=tuple(done),
        undetermined=doubts[0] if doubts and last.status is Status.PASS else None,
        span=last.span,
        unusable=last.unusable,
    )
