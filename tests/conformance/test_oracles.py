"""What others say of the catalogue's cases: openssl, curl, nginx. Nothing here is judged by the lab's own tables but the
class of a verify code, and each comparison counts how often it was made.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from mtls_runner.model.endpoint import ClientAuth
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.tls import verify_reason

from .openssl_verify import client_asks, errors, server_asks
from .results import Cell, Results

pytestmark = pytest.mark.timeout(900)

#: The server's chain is good for openssl, and the client refuses by a rule of its own.
OWN_RULES = {
    # Python sets X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, for which openssl verify has no option.
    ("python", "by a name that fits a wildcard for a part of a label"),
    # curl's servercert() wants an issuer name.
    ("curl", "the server's intermediate has no name"),
}

#: ``openssl verify`` stops after some errors that nginx goes on after (40, proxies; 44, a list that is not about it): what nginx
#: meets last there.
GOES_ON = {
    "the client's certificate is a proxy certificate": 72,
    "a list about authorities only, for the client's certificate": 3,
}


def trust_file(results: Results, cell: Cell, ids: Iterable[str]) -> Path:
    path = results.directories[cell.group.plan.name] / "bundles" / f"{'+'.join(ids)}.pem"
    assert path.is_file(), path
    return path


def client_chain_verdicts(results: Results, scratch: Path) -> Iterable[tuple[Cell, tuple[int, ...]]]:
    """Cells in which the server had a client's chain to judge, and openssl's errors for it."""
    for cell in results.ran:
        server, seen = cell.verdict.case.server, cell.seen
        judged = seen.outcome in (Outcome.ACCEPTED, Outcome.SERVER_REFUSED) and seen.client is not None
        if not judged or seen.client is None or not seen.client.sent_chain:
            continue
        if server.client_auth in (ClientAuth.REQUIRED, ClientAuth.OPTIONAL):
            trust = trust_file(results, cell, server.trust)
            crls = trust.with_name(f"crl={'+'.join(server.crl)}.pem") if server.crl else None
            yield cell, errors(seen.client.sent_chain, trust, server_asks(server, crls), scratch)


def server_chain_verdicts(results: Results, scratch: Path) -> Iterable[tuple[Cell, tuple[int, ...]]]:
    """Cells in which the client had a server's chain to judge, and openssl's errors for it."""
    for cell in results.ran:
        client, seen = cell.verdict.case.client, cell.seen
        if client is None or client.insecure or seen.client is None or not seen.client.received_chain:
            continue
        if seen.outcome is not Outcome.NO_AGREEMENT:
            trust = trust_file(results, cell, client.trust)
            yield cell, errors(seen.client.received_chain, trust, client_asks(client), scratch)


def check_client_chains(results: Results, scratch: Path, *, first: bool) -> int:
    compared = 0
    for cell, found in client_chain_verdicts(results, scratch):
        compared += 1
        if cell.seen.outcome is Outcome.ACCEPTED or cell.seen.reason is Reason.WRONG_CURVE:
            # A key's curve against the groups (TLS 1.2) is no concern of openssl verify.
            assert found == (), cell
            continue
        assert found, cell
        if not first and cell.entry.name in GOES_ON:
            found = (*found, GOES_ON[cell.entry.name])
            assert cell.seen.server_verify_code == found[-1], cell
        reasons = {verify_reason(code) for code in (found[:1] if first else found)}
        assert cell.seen.reason in reasons, (str(cell), found)
        if first:
            assert cell.seen.server_verify_code == found[0], cell
    return compared


def check_server_chains(results: Results, scratch: Path) -> int:
    compared = 0
    for cell, found in server_chain_verdicts(results, scratch):
        compared += 1
        seen, by_name = cell.seen, cell.seen.reason is Reason.NAME_MISMATCH and cell.place.tool == "curl"
        if (
            seen.outcome is Outcome.CLIENT_REFUSED
            and not by_name
            and (cell.place.tool, cell.entry.name) not in OWN_RULES
        ):
            assert found, cell
            assert verify_reason(found[0]) in seen.reasons, (str(cell), found)
            told = seen.determined or (cell.place.tool == "curl" and seen.ssl_verify_result == 1)
            assert told, (str(cell), seen.written)  # a set only where curl gives no code
        else:
            assert found == (), cell
    return compared


def test_openssl_agrees_on_every_client_chain(on_python: Results, tmp_path: Path) -> None:
    assert check_client_chains(on_python, tmp_path, first=True) > 0.4 * on_python.possible


def test_openssl_agrees_on_every_server_chain(on_python: Results, tmp_path: Path) -> None:
    assert check_server_chains(on_python, tmp_path) > 0.65 * on_python.possible


def test_openssl_agrees_on_every_client_chain_that_nginx_judged(on_nginx: Results, tmp_path: Path) -> None:
    """nginx goes on after each error and names the last one; ``openssl verify`` goes on after some."""
    assert check_client_chains(on_nginx, tmp_path, first=False) > 0.4 * on_nginx.possible


def test_openssl_agrees_on_every_chain_that_nginx_sent(on_nginx: Results, tmp_path: Path) -> None:
    assert check_server_chains(on_nginx, tmp_path) > 0.65 * on_nginx.possible


def test_nginx_logs_the_reason(on_nginx: Results) -> None:
    """Its own words: the log's code and ``$ssl_client_verify``."""
    refused = accepted = 0
    for cell in on_nginx.ran:
        seen, server = cell.seen, cell.verdict.case.server
        if seen.outcome is Outcome.SERVER_REFUSED and seen.reason in (
            Reason.NO_CERTIFICATE,
            Reason.CERTIFICATE_WITHHELD,
        ):
            assert seen.client_verify == "NONE", cell
            assert any("client sent no required SSL certificate" in line for line in seen.server_log or ()), cell
        elif seen.reason is Reason.WRONG_CURVE:
            assert any(":wrong curve" in line for line in seen.server_log or ()), cell
        elif seen.outcome is Outcome.SERVER_REFUSED:
            refused += 1
            code = seen.server_verify_code
            assert code, cell
            assert verify_reason(code) is seen.reason, cell
            assert any(f"client SSL certificate verify error: ({code}:" in line for line in seen.server_log or ()), cell
            assert (seen.client_verify or "").startswith("FAILED:"), cell
        elif seen.outcome is Outcome.ACCEPTED and server.client_auth is ClientAuth.REQUIRED:
            accepted += 1
            assert seen.client_verify == "SUCCESS", cell
            assert not any("verify error" in line for line in seen.server_log or ()), cell
    assert refused > 0.15 * on_nginx.possible
    assert accepted > 0.15 * on_nginx.possible
