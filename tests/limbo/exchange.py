"""One case of the suite through the lab: its material as files, a scenario that brings them in, and what OpenSSL predicts.

The scenario is written for a person to read, and expects what the oracle said; the lab passes where it sees the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from mtls_runner import Lab, Observation, Overrides, Status, Verdict, load
from mtls_runner.pki.keys import KeyPool

from .oracle import LEVEL, WORDS, load_error, verify
from .suite import Case

__all__ = [
    "BEYOND",
    "ONLY_NGINX",
    "UNREACHED",
    "WAYS",
    "Beyond",
    "Facts",
    "Result",
    "Unreached",
    "facts",
    "run",
    "why_not",
]

WAYS = ("python", "curl", "strict")
"""Who asks: Python's ``ssl``, curl, and Python's ``ssl`` with ``x509_strict`` at the verifying end."""


@dataclass(frozen=True)
class Unreached:
    """No handshake comes as far as the certificate: what the lab says instead, and why."""

    outcome: str
    reason: str
    why: str


@dataclass(frozen=True)
class Beyond:
    """Verifiers that ask more than ``openssl verify`` does: which, what they say, and why."""

    ways: tuple[str, ...]
    reason: str
    why: str


UNREACHED = {
    "webpki::forbidden-dsa-leaf": Unreached(
        "no-agreement",
        "cipher",
        "a DSA key: OpenSSL's default cipher suites hold none that DSA authenticates, and TLS 1.3 has none at all",
    ),
    "webpki::forbidden-p192-leaf": Unreached(
        "no-agreement",
        "cipher",
        "a P-192 key: no end at the default security level offers that curve, so that the server has nothing to sign with",
    ),
}
ONLY_NGINX = frozenset({"rfc5280::san::malformed", "rfc5280::duplicate-extensions"})
"""Material that SSL_CTX_use_certificate_chain_file does not load, and SSL_CTX_use_certificate does."""

BEYOND = {
    "webpki::san::wildcard-embedded-leftmost-san": Beyond(
        WAYS,
        "name-mismatch",
        "`openssl verify -verify_hostname` takes `ba*.example.com` for a wildcard; Python sets"
        " `X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS`, and curl matches names by itself",
    ),
    "rfc5280::ca-empty-subject": Beyond(
        ("curl",), "not-compliant", "curl refuses a certificate whose issuer has no name, whatever OpenSSL says of it"
    ),
}


@dataclass(frozen=True)
class Facts:
    """What OpenSSL says of one case.

    Args:
        codes: of ``openssl verify``, for each way to ask; 0: good.
        unusable: why no end can load the material at the default security level, or ``""``.
    """

    codes: dict[str, int]
    unusable: str


@dataclass(frozen=True)
class Result:
    """What came of one case: the scenario that was run, and the lab's verdicts by the name of the scenario's case."""

    facts: Facts
    scenario: str
    verdicts: dict[str, Verdict]

    def observed(self, way: str) -> Observation | None:
        """What the lab saw."""
        verdict = self.verdicts.get(way)
        return verdict.observation if verdict is not None else None


_known: dict[str, Facts] = {}


def why_not(case: Case) -> str:
    """Why no handshake can be run with it; ``""``: one can."""
    if case.key is None:
        return "the suite gives no private key, and without it nobody can present the certificate"
    return ""


def run(case: Case, directory: Path, pool: KeyPool, overrides: Overrides | None = None) -> Result:
    """Write the material, ask OpenSSL, let the lab run the scenario.

    Args:
        case: one that can be run.
        directory: to write in.
        pool: for the lab's own keys, where a case needs a server of the lab's.
        overrides: for another backend, which loads material its own way.
    """
    _write(case, directory)
    codes = _codes(case, directory)
    text = _scenario(case, Facts(codes, ""))
    verdicts = _verdicts(text, directory, pool, overrides)
    if overrides is not None:
        return Result(Facts(codes, ""), text, verdicts)
    unusable = ""
    if verdicts["server.default"].status is not Status.PASS or not case.server:
        # nothing but OpenSSL may say that this is as it should be
        unusable = load_error(directory, LEVEL)
    found = _known[case.id] = Facts(codes, unusable)
    if unusable:
        text = _scenario(case, found, permissive=not load_error(directory, 0))
        verdicts = _verdicts(text, directory, pool)
    return Result(found, text, verdicts)


def facts(case: Case) -> Facts:
    """What OpenSSL says, without a handshake; from memory, where :func:`run` has asked already."""
    if case.id not in _known:
        with TemporaryDirectory() as name:
            directory = Path(name)
            _write(case, directory)
            _known[case.id] = Facts(_codes(case, directory), load_error(directory, LEVEL))
    return _known[case.id]


def _codes(case: Case, directory: Path) -> dict[str, int]:
    codes = {way: _code(case, directory, way) for way in ("python", "strict")}
    # what is good without a partial chain is good with one
    return codes | {"curl": _code(case, directory, "curl") if codes["python"] else 0}


def _verdicts(text: str, directory: Path, pool: KeyPool, overrides: Overrides | None = None) -> dict[str, Verdict]:
    path = directory / "scenario.yaml"
    path.write_text(text)
    with Lab(load(path, overrides=overrides or Overrides()), pool=pool) as lab:
        return {entry.name: lab.run(entry) for entry in lab.plan.cases}


def _write(case: Case, directory: Path) -> None:
    files = {
        "peer.pem": (case.certificate,),
        "peer.key": (case.key or "",),
        "untrusted.pem": case.untrusted,
        "sent.pem": (case.certificate, *case.untrusted),
        "trusted.pem": case.trusted,
        "crls.pem": case.crls,
        **{f"trusted-{number}.pem": (one,) for number, one in enumerate(case.trusted, 1)},
    }
    for name, parts in files.items():
        if parts:
            (directory / name).write_text("".join(f"{part.rstrip()}\n" for part in parts))


def _name(case: Case) -> tuple[str, str]:
    """What a client asks for: a case that names nothing gets the lab's default, as ``openssl verify`` does."""
    return (case.name_kind or "DNS", case.name or "localhost")


def _code(case: Case, directory: Path, way: str) -> int:
    ask = partial(verify, directory, untrusted=bool(case.untrusted), crls=bool(case.crls), strict=way == "strict")
    if not case.server:  # the server verifies, whatever the client is: no name is checked
        return ask("sslclient")
    if way != "curl":
        return ask("sslserver", name=_name(case))
    # curl accepts partial chains, and looks at the name once the chain is good
    return ask("sslserver", partial_chain=True) or ask("sslserver", partial_chain=True, name=_name(case))


def _expected(case: Case, way: str, code: int) -> str:
    beyond = BEYOND.get(case.id)
    if case.id in UNREACHED:
        said = UNREACHED[case.id]
        return f"{{outcome: {said.outcome}, reason: {said.reason}}}"
    if beyond is not None and way in beyond.ways:
        return f"{{outcome: client-refused, reason: {beyond.reason}}}"
    if not code:
        return "accepted"
    if not case.server:
        return f"{{outcome: server-refused, reason: {WORDS[code]}, server_verify_code: {code}}}"
    return f"{{outcome: client-refused, reason: {WORDS[code]}}}"


def _servers(case: Case, trust: str, unusable: str, permissive: bool) -> list[str]:
    if not case.server:
        asked = f"certificate: server, {trust}{_crl(case)}"
        return [f"  default: {{{asked}, expect: {{starts: true}}}}", f"  strict: {{{asked}, x509_strict: true}}"]
    starts = f"{{starts: false, reason: {unusable}}}" if unusable else "{starts: true}"
    lines = [f"  default: {{certificate: peer, client_auth: none, expect: {starts}}}"]
    if permissive:  # so that the client's verdict can be seen
        lines.append("  permissive: {certificate: peer, client_auth: none, security_level: 0}")
    return lines


def _crl(case: Case) -> str:
    return ", crl: lists" if case.crls else ""


def _scenario(case: Case, found: Facts, *, permissive: bool = False) -> str:
    codes, unusable = found.codes, found.unusable
    trusted = [f"trusted-{number}" for number in range(1, len(case.trusted) + 1)]
    trust = f"trust: [{', '.join(trusted)}]"
    own = "certificate: peer.pem, key: peer.key" + (", chain: untrusted.pem" if case.untrusted else "")
    lines = [f"name: {json.dumps(case.id)}", "authorities:"]
    lines += [] if case.server else ["  lab: {subject: CN=Lab Root CA}"]
    lines += [f"  {id_}: {{certificate: {id_}.pem}}" for id_ in trusted]
    lines += ["leaves:"] + ([] if case.server else ["  server: {issuer: lab}"]) + [f"  peer: {{{own}}}"]
    lines += ["crls: {lists: {file: crls.pem}}"] if case.crls else []
    lines += ["servers:", *_servers(case, trust, unusable, permissive)]
    if case.server and unusable and not permissive:
        return "\n".join(lines) + "\n"
    lines.append("cases:")
    for way in WAYS:
        client, server = f"tool: {'curl' if way == 'curl' else 'python'}", "default"
        if case.server:
            client += f", {trust}, server_name: {json.dumps(_name(case)[1])}{_crl(case)}"
            client += ", x509_strict: true" if way == "strict" else ""
            server = "permissive" if permissive else "default"
        else:
            client += ", certificate: peer"
            server = "strict" if way == "strict" else "default"
        expected = _expected(case, way, codes[way])
        if unusable and not case.server:
            expected = f"{{client-unusable: {unusable}}}"
        lines += [
            f"  - name: {way}",
            f"    server: {server}",
            f"    client: {{{client}}}",
            f"    expect: {expected}",
        ]
    return "\n".join(lines) + "\n"
