"""The mix of cases that the benchmarks share: good, none and foreign client certificates over TLS 1.2 and 1.3."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice

__all__ = ["KINDS", "VERSIONS", "mix", "scenario"]

KINDS = ("good", "none", "foreign")
VERSIONS = ("TLSv1.2", "TLSv1.3")

_HEAD = """\
name: mix
authorities:
  ca: {subject: CN=Lab Root CA}
  foreign-ca: {subject: CN=Foreign Root CA}
leaves:
  server: {issuer: ca, subject: CN=localhost}
  good: {issuer: ca, subject: CN=client, usage: client}
  foreign: {like: good, issuer: foreign-ca}
server:
  certificate: server
  trust: [ca]
  response: {status: 200, body: hello}
cases:
"""
_NONE = {"TLSv1.2": "handshake_failure", "TLSv1.3": "certificate_required"}


def mix(count: int, kinds: Sequence[str] = KINDS) -> list[tuple[str, str]]:
    """Kind of client certificate and TLS version of each case."""
    pairs = [(kind, version) for kind in kinds for version in VERSIONS]
    return list(islice(cycle(pairs), count))


def scenario(count: int) -> str:
    """A scenario file with these cases, each of which says what exactly must happen."""
    lines = [_HEAD]
    for number, (kind, version) in enumerate(mix(count)):
        client = f"tls: {version}" if kind == "none" else f"tls: {version}, certificate: {kind}"
        match kind:
            case "good":
                expect = "{outcome: accepted, status: 200, body: hello}"
            case "none":
                expect = (
                    f"{{outcome: server-refused, reason: no-certificate, alert: {_NONE[version]}, alert_from: server}}"
                )
            case _:
                expect = "{outcome: server-refused, reason: unknown-ca, alert: unknown_ca, alert_from: server}"
        lines.append(f"  - {{name: {kind} {number}, client: {{{client}}}, expect: {expect}}}\n")
    return "".join(lines)
