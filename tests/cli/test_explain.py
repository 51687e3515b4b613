"""``explain``: what it says will happen is what happens, and it says so without running anything."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mtls_runner.explain.expected import expected
from mtls_runner.explain.explanation import explain as paragraphs
from mtls_runner.explain.steps import ToldStage, steps
from mtls_runner.language import Overrides, load
from mtls_runner.model.observation import Outcome, Phase
from mtls_runner.model.verdict import Status
from tests.cli.conftest import SKIPPED, SMALL, Cli

from ..once import Answers

Write = Callable[[str, str], Path]

SCENARIOS = Path(__file__).parents[2] / "scenarios"

CHAIN = """\
name: chain
description: A chain of three, and what goes wrong with it.
authorities:
  root: {subject: CN=Root}
  inter: {subject: CN=Issuing CA, issuer: root}
  other: {subject: CN=Somebody Else}
leaves:
  server: {issuer: root, usage: server, passphrase: s3cret-in-no-output}
  client: {issuer: inter, subject: CN=client.test, usage: client}
  expired: {like: client, not_before: -10d, not_after: -1d}
  foreign: {like: client, issuer: other}
  for-servers: {like: client, usage: server}
server: {certificate: server, trust: [root]}
cases:
  - {name: good, client: client, expect: {outcome: accepted, status: 200}}
  - {name: expired, client: expired, expect: {server-refused: expired}}
  - {name: foreign, client: foreign, expect: {server-refused: unknown-ca}}
  - {name: leaf only, client: {certificate: client, chain: leaf}, expect: {server-refused: unknown-ca}}
  - {name: for servers, client: for-servers, expect: {server-refused: wrong-purpose}}
  - {name: other name, client: {certificate: client, server_name: other.test}, expect: {client-refused: name-mismatch}}
  - {name: old, client: {certificate: client, tls: TLSv1.1}, expect: {no-agreement: protocol-version}}
"""


def said(cli: Cli, *arguments: str) -> str:
    """In one line, so that it does not matter where lines were broken."""
    done = cli("explain", *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ("good", "It takes the client's certificate: `client` ← `inter` ← `root`, which it trusts."),
        ("expired", "its certificate has expired (the certificate `expired` expired "),
        ("foreign", "(the root `other` (depth 1) is not among what the server trusts)"),
        (
            "leaf only",
            "(the certificate `client` was sent without its issuer `inter`, which the server does not trust either)",
        ),
        (
            "for servers",
            "(the certificate `for-servers` has only the EKU serverAuth; the server wants clientAuth, in every certificate",
        ),
        ("other name", "the client wants other.test, and the certificate names DNS:localhost"),
        ("old", "the client allows TLS 1.1, the server TLS 1.2 and 1.3"),
    ],
)
def test_each_case_has_its_own_reason(cli: Cli, write: Write, case: str, why: str) -> None:
    write("chain.yaml", CHAIN)
    whole = said(cli, "chain.yaml")
    assert whole.count(why) == 1
    alone = said(cli, "chain.yaml", case)
    assert why in alone
    assert "step 1 The client loads" in alone, "every step of the one that was asked for"
    assert "step 1 The client loads" not in whole


def test_the_pki_is_a_tree(cli: Cli, write: Write) -> None:
    write("chain.yaml", CHAIN)
    done = cli("explain", "chain.yaml")
    lines = done.stdout.splitlines()
    tree = [line for line in lines if re.match(r"  (│  |   )*[├└]─ \S", line) or re.match(r"  (root|other): ", line)]
    names = [line.partition(":")[0] for line in tree]
    assert names == [
        "  root", "  ├─ inter", "  │  ├─ client", "  │  ├─ expired", "  │  └─ for-servers", "  └─ server",
        "  other", "  └─ foreign",
    ]  # fmt: skip
    assert "PKI: 3 authorities, 5 leaves" in lines
    assert all(len(line) <= 80 for line in lines)
    assert "s3cret-in-no-output" not in done.stdout


def test_the_server_s_demand_is_told(cli: Cli, write: Write) -> None:
    small = write("small.yaml", SMALL)
    assert "It demands a client certificate that leads to `ca` (CN=Lab CA)." in said(cli, "small.yaml")
    small.write_text(SMALL.replace("client_auth: required", "client_auth: optional").replace(
        "{server-refused: no-certificate}", "accepted"))  # fmt: skip
    told = said(cli, "small.yaml")
    assert "asks for a client certificate and can do without" in told
    assert "demands" not in told
    assert "It goes without a client certificate." in told


def test_what_run_would_skip_is_told_in_its_words(cli: Cli, write: Write) -> None:
    write("skipped.yaml", SKIPPED)
    (why,) = set(re.findall(r"skipped: (.*)", cli("run", "skipped.yaml").stdout))
    told = said(cli, "skipped.yaml")
    assert f"skipped {why}." in told
    assert "skipped Python" not in said(cli, "skipped.yaml", "--backend", "nginx")


def test_how_a_refusal_travels_depends_on_version_and_backend(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    told = said(cli, "small.yaml", "without a certificate")
    assert "in the middle of the handshake" in told
    assert "For the client the TLS 1.3 handshake is complete now" in told
    assert "which reaches the client where it waits for an answer" in told
    nginx = said(cli, "small.yaml", "without a certificate", "--backend", "nginx")
    assert "nginx completes the handshake all the same, and says so by HTTP, status 400." in nginx
    assert "in the middle of the handshake" not in nginx


def test_a_refusal_with_a_status_travels_by_http(cli: Cli, write: Write) -> None:
    """As behind a server that asks without demanding, whose rules are its own."""
    write(
        "status.yaml", SMALL.replace("server-refused: no-certificate", "server-refused: no-certificate, status: 403", 1)
    )
    told = said(cli, "status.yaml", "without a certificate")
    assert "It says so by HTTP, status 403." in told
    assert "by an alert" not in told


def test_how_a_server_refuses_after_the_handshake_is_told_as_declared(cli: Cli, write: Write) -> None:
    text = SMALL.replace("client_auth: required", "client_auth: required, refusal: REFUSAL")
    told = {}
    for form in ("{status: [302, 303], headers: {location: {contains: /login}}}", "closed"):
        write("small.yaml", text.replace("REFUSAL", form))
        told[form] = " ".join(said(cli, "small.yaml").split())
    redirect, closed = told.values()
    assert "Whom it refuses after the handshake, it answers with status 302 or 303 and header location that" in redirect
    assert 'that contains "/login".' in redirect
    assert "Whom it refuses after the handshake, it sends no answer: it closes the connection." in closed
    write("small.yaml", SMALL)
    assert "after the handshake, it" not in said(cli, "small.yaml")


def test_one_case_by_name_with_or_without_its_parameters(cli: Cli, write: Write) -> None:
    write("small.yaml", SMALL)
    both = said(cli, "small.yaml", "with the certificate")
    assert "without a certificate" not in both
    assert "TLS 1.2" in both
    one = said(cli, "small.yaml", "with the certificate[client.tls=TLSv1.3]")
    assert "the server chooses TLS 1.3" in one
    assert "the server chooses TLS 1.2" not in one
    assert said(cli, "small.yaml::with the certificate[client.tls=TLSv1.3]") == one
    done = cli("explain", "small.yaml", "with the certificat")
    assert done.returncode == 2
    assert "did you mean 'with the certificate'?" in done.stderr


def test_nothing_is_run(cli: Cli, write: Write, tmp_path: Path) -> None:
    write("chain.yaml", CHAIN.replace("key: ec-p256", "key: rsa-4096"))
    (tmp_path / "tmp").mkdir()
    code = (
        "import sys\nfrom mtls_runner.cli import main\n"
        "main(['explain', 'chain.yaml'])\n"
        "print([name for name in ('cryptography', 'docker', 'jinja2') if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cli.directory,
        env=cli.environment(TMPDIR=str(tmp_path / "tmp"), XDG_CACHE_HOME=str(tmp_path / "cache")),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr.strip() == "[]"
    assert not list((tmp_path / "tmp").iterdir())
    assert not (tmp_path / "cache").exists()


def test_invalid_files_are_shown(cli: Cli, write: Write) -> None:
    write("wrong.yaml", SMALL.replace("client_auth", "clientauth"))
    done = cli("explain", "wrong.yaml")
    assert done.returncode == 2
    assert "did you mean 'client_auth'?" in done.stderr
    assert done.stdout == ""


# --- against what really happens ---

_PHASES = {
    ToldStage.PREPARE: {Phase.PREPARE},
    ToldStage.CONNECT: {Phase.CONNECT},
    ToldStage.HELLO: {Phase.PREPARE, Phase.HANDSHAKE},  # who can offer no version notices before or while offering
    ToldStage.AGREE: {Phase.HANDSHAKE},
    ToldStage.CHECK_SERVER: {Phase.HANDSHAKE},
    ToldStage.CHECK_CLIENT: {Phase.HANDSHAKE, Phase.REQUEST},
    ToldStage.ANSWER: {Phase.DONE},
}


@pytest.mark.parametrize("name", ["basic", "client-view", "wrong-certificates", "passphrases", "tls-versions"])
def test_it_ends_where_explain_says(name: str, answers: Answers) -> None:
    path = SCENARIOS / f"{name}.yaml"
    plan = load(path, Overrides(backend="python", tool="python"))
    told = 0
    for verdict in answers(path, "python", "python").values():
        seen, case = verdict.observation, verdict.case
        if case.client is None or seen is None:
            continue
        assert verdict.status is Status.PASS
        wanted = expected(case)
        assert (wanted.outcome, wanted.reason) == (seen.outcome, seen.reason)
        last = steps(plan, case, wanted, datetime.now(UTC))[-1]
        assert last.ends
        assert seen.client is not None
        assert seen.client.phase in _PHASES[last.stage], case.id
        if last.stage is ToldStage.CHECK_CLIENT and case.tls is not None:
            early = case.tls != "TLSv1.3"
            assert seen.client.phase is (Phase.HANDSHAKE if early else Phase.REQUEST), case.id
            assert ("in the middle of the handshake" in last.text) is early
        assert ("It takes the client's certificate" in last.text) is (
            seen.outcome is Outcome.ACCEPTED and bool(seen.client_chain)
        )
        told += 1
    assert told > 3


STEPS = """\
name: steps
ca: {subject: CN=Lab CA}
leaves:
  server: {usage: server}
  client: {usage: client, revoked: keyCompromise}
crls:
  before: {issuer: ca, revoked: []}
  after: {issuer: ca, revoked: [client]}
server: {certificate: server, crl: before, tls: TLSv1.3}
cases:
  - name: withdrawn
    client: client
    steps:
      - expect: accepted
      - replace: {crl: after}
      - {name: too early, expect: accepted}
      - reload
      - {name: afresh, expect: {server-refused: revoked}}
"""


def test_a_case_of_several_steps_is_told_step_by_step(cli: Cli, write: Write) -> None:
    write("steps.yaml", STEPS)
    told = said(cli, "steps.yaml")
    first, second, third, fourth, fifth = (told.index(f"step {number} ") for number in range(1, 6))
    assert "It takes the client's certificate: `client` ← `ca`" in told[first:second]
    assert "the CRLs: from `before` to `after`. The server has not read it yet." in told[second:third]
    assert "too early: " in told[third:fourth]
    assert "It takes the client's certificate" in told[third:fourth]
    assert "the server reads its files again." in told[fourth:fifth]
    assert "afresh: " in told[fifth:]
    assert "(the certificate `client` is on the CRL `after` (keyCompromise))" in told[fifth:]
    assert "It takes the client's certificate" not in told[fifth:]


def _files() -> list[Path]:
    catalogue = Path(__file__).parents[2] / "mtls_runner" / "conformance" / "catalogue"
    found = (path for folder in (SCENARIOS, catalogue) for path in folder.rglob("*.yaml"))
    return sorted(path for path in found if path.name != "lab.yaml")


@pytest.mark.parametrize("path", _files(), ids=lambda path: path.stem)
def test_every_scenario_can_be_explained(path: Path) -> None:
    plan = load(path)
    lines = list(paragraphs(plan, datetime.now(UTC), in_full=False))
    headings = {line.text for line in lines if line.heading}
    texts = " ".join(line.mark + line.text for line in lines)
    for name in plan.certificates:
        assert f"{name}: " in texts
    for case in plan.cases:
        assert case.name.partition("[")[0] in headings
        if case.client is not None and not case.steps:
            assert steps(plan, case, expected(case), datetime.now(UTC))[-1].ends
    assert "whatever happens" not in texts


def test_a_default_is_the_programs_own_and_is_told(cli: Cli, write: Write) -> None:
    nginx = CHAIN.replace("server: {certificate: server,", "server: {backend: nginx, certificate: server,")
    for text, told in (
        (CHAIN, "it allows 100 intermediates (verify depth, python's own default)"),
        (nginx, "it allows 1 intermediate (verify depth, nginx's own default)"),
        (nginx.replace("trust: [root]", "trust: [root], verify_depth: 3"), "it allows 3 intermediates (verify depth)"),
    ):
        write("chain.yaml", text)
        assert told in said(cli, "chain.yaml")
    write("chain.yaml", CHAIN.replace("trust: [root]", "client_auth: none"))
    assert "verify depth" not in said(cli, "chain.yaml")


@pytest.mark.parametrize(
    ("name", "told", "not_told"),
    [
        ("bodies", "asks POST /upload with 40 bytes, 4 a second", "asks GET /"),
        (
            "paths",
            "But for /api it demands one and for /who it asks for one, once the handshake is done",
            "by an alert in",
        ),
        ("paths", "It says so by HTTP, status 403.", "It demands a client certificate"),
        (
            "paths",
            "GET /api. Expected: the client gets its answer, and is asked for a certificate for that",
            "; asks GET /;",
        ),
        ("bypasses", "The handshake was for open, and the request is for staff", "status 421 "),
        ("proxy", "What it calls app is `app`: there it is a client itself.", "HAProxy"),
        (
            "redirects",
            "goes where redirects lead with all that it has, to `partner` at partner.example",
            "to `shop` at",
        ),
        ("slow-bodies", "The server waits no longer for the rest of it.", "The time limit passes here."),
        ("slow-bodies", "Server `haproxy`: HAProxy in a container", "as a process"),
        ("unnoticed", "nothing tells the server that its files are others", "which fails (unnoticed)"),
    ],
)
def test_what_goes_over_connections_is_told(cli: Cli, name: str, told: str, not_told: str) -> None:
    text = said(cli, str(SCENARIOS / "connections" / f"{name}.yaml"))
    assert told in text
    assert not_told not in text
