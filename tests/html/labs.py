"""Scenarios that are really run for the page, and how."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

from mtls_runner.engine import run
from mtls_runner.language import Overrides, load
from mtls_runner.model.verdict import Event
from mtls_runner.reporters.access.page import AccessHtml
from mtls_runner.reporters.html.report import HtmlReporter

__all__ = ["HOSTILE", "PKI", "access", "everyday", "page", "rendered"]

PKI = """\
name: everyday refusals
description: What a team checks before each release of its edge.
authorities:
  ca: {subject: CN=Lab Root CA}
  issuing: {subject: CN=Lab Issuing CA, issuer: ca}
  foreign-ca: {subject: CN=Somebody Else's CA}
leaves:
  server: {issuer: ca}
  good: {issuer: ca, subject: CN=client, usage: client}
  deep: {like: good, issuer: issuing}
  foreign: {like: good, issuer: foreign-ca}
  expired: {like: good, not_before: -10d, not_after: -5d}
  early: {like: good, not_before: +5d, not_after: +10d}
  for-servers: {like: good, usage: server}
server: {certificate: server, trust: [ca], response: {body: hello}}
cases:
"""
_KINDS = (
    ("no certificate", "", "{server-refused: no-certificate}"),
    ("the right one", "good", "accepted"),
    ("of a foreign authority", "foreign", "{server-refused: unknown-ca}"),
    ("expired", "expired", "{server-refused: expired}"),
    ("not yet valid", "early", "{server-refused: not-yet-valid}"),
    ("meant for servers", "for-servers", "{server-refused: wrong-purpose}"),
    ("without its intermediate", "deep, chain: leaf", "{server-refused: unknown-ca}"),
    ("with its intermediate", "deep", "accepted"),
)
_WRONG = ("expected in vain", "expired", "{server-refused: revoked}")

SECRETS = ("sesame-root-91", "sesame-server-92", "sesame-client-93", "sesame-wrong-94")
HOSTILE = r"""
name: "<script>hacked=1</script> & \"quotes\" 'too'"
description: "</style><img src=x onerror=hacked=2> \u202Egnp.exe"
ca: {subject: 'CN=\<b\>root', passphrase: sesame-root-91}
leaves:
  server: {subject: 'CN=\</svg\>\<script\>hacked=3', passphrase: sesame-server-92}
  client: {usage: client, passphrase: sesame-client-93}
server:
  certificate: server
  trust: [ca]
  response: {headers: {x-evil: "</pre><script>hacked=4</script>"}, body: "</pre><script>hacked=5</script>\e[31mred\0 {{ 7*7 }}"}
cases:
  - name: "<img src=x onerror=hacked=6> \" onclick=hacked=7 {{ 7*7 }} {% raw %}"
    client:
      certificate: client
      request: {path: "/<svg/onload=hacked=8>?a=\"b\"&c", headers: {x-in: "</pre><script>hacked=9</script>"}}
    expect: {outcome: accepted, headers: {x-evil: {contains: "<script>"}}}
  - name: wrong body
    client: client
    expect: {outcome: accepted, body: "</td><script>hacked=10</script>"}
  - name: wrong passphrase
    client: {certificate: client, passphrase: sesame-wrong-94}
    expect: accepted
  - name: nobody there
    client: {certificate: client, connect: "127.0.0.1:1"}
    expect: {no-connection: refused}
"""


def everyday(names: int, *, wrong: int = 0, variants: bool = True) -> str:
    """A scenario with so many cases, ``wrong`` of them at the end expected in vain, each with TLS 1.2 and 1.3."""
    cases = []
    for number in range(names):
        name, leaf, expected = _WRONG if number >= names - wrong else _KINDS[number % len(_KINDS)]
        client = f"client: {{certificate: {leaf}}}, " if leaf else ""
        cases.append(f"  - {{name: '{name}, {number + 1}', {client}expect: {expected}}}\n")
    return PKI + "".join(cases) + ("matrix: {client.tls: [TLSv1.2, TLSv1.3]}\n" if variants else "")


def access(directory: Path, text: str) -> str:
    """The page of who gets in where, of a scenario that is run."""
    path = directory / "access.yaml"
    path.write_text(text, "utf-8")
    stream = io.StringIO()
    reporter = AccessHtml(stream)
    for event in run([load(path)]):
        reporter.handle(event)
    return stream.getvalue()


def rendered(events: Iterable[Event]) -> str:
    """The page that these events make."""
    stream = io.StringIO()
    reporter = HtmlReporter(stream)
    for event in events:
        reporter.handle(event)
    reporter.close()
    return stream.getvalue()


def page(directory: Path, scenario: str) -> str:
    """Run it, all of it in this process, and render it."""
    path = directory / "lab.scenario.yaml"
    path.write_text(scenario, "utf-8")
    return rendered(run([load(path, Overrides(backend="python", tool="python"))]))
