"""A scenario file that visits hostile servers, and a context for them."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from mtls_runner import Overrides, Verdict, load
from mtls_runner.engine import RunOptions, run
from mtls_runner.model.verdict import CaseFinished, RunFinished

__all__ = ["make_context", "visit"]

_PATIENT = 10.0


def make_context(directory: Path) -> Callable[[Path], ssl.SSLContext]:
    """What makes contexts with a self-signed certificate, which they share; none is asked of the client."""
    certificate, key = directory / "server.crt", directory / "server.key"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "1",
            ),
            *("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )

    def make(keys: Path) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        context.keylog_filename = str(keys)
        return context

    return make


def visit(
    directory: Path,
    ports: Mapping[str, int],
    expected: Mapping[str, str],
    tool: str,
    *,
    timeout: float,
    jobs: int = 8,
    request: Mapping[str, object] | None = None,
) -> Mapping[str, Verdict]:
    """Run a case for each server and return what came of it.

    Args:
        directory: to write the scenario file in.
        ports: of the servers, by behaviour.
        expected: ``outcome`` or ``outcome: reason`` for each.
        tool: the client.
        timeout: a client's that is expected to take it, in seconds; others have more, on a machine that does much else.
        jobs: cases at a time.
        request: each client's; a plain GET by default.
    """
    cases, servers = [], {}
    asked = {"request": dict(request)} if request is not None else {}
    for number, (name, port) in enumerate(ports.items()):
        outcome, _, reason = expected[name].partition(": ")
        servers[f"s{number}"] = {"backend": "external", "address": f"127.0.0.1:{port}"}
        expect = {outcome: reason} if reason else outcome
        limit = timeout if outcome == "timed-out" else max(timeout, _PATIENT)
        client = {"insecure": True, "timeout": limit} | asked
        cases.append({"name": name, "server": f"s{number}", "client": client, "expect": expect})
    text = {
        "ca": {},
        "servers": servers,
        "cases": cases,
    }
    file = directory / f"hostile-{tool}.yaml"
    file.write_text(yaml.safe_dump(text, sort_keys=False))
    verdicts = {}
    for event in run([load(file, Overrides(tool=tool))], RunOptions(jobs=jobs)):
        match event:
            case CaseFinished():
                verdicts[event.verdict.case.name] = event.verdict
            case RunFinished():
                assert not event.error, event.error
    return verdicts
