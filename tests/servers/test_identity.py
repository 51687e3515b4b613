"""The certificate that a proxy forwards is the client's, byte for byte; without its rules anybody's word comes through."""

from __future__ import annotations

import base64
import json
import re
import shutil
import urllib.parse
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mtls_runner.cli import main

from ..container_engine import IMAGE, absent, not_here

ROOT = Path(__file__).parents[2] / "scenarios" / "connections"


def _byte_sequence(value: str) -> bytes:
    """RFC 8941 section 3.3.5, as RFC 9440 uses it."""
    found = re.fullmatch(":([A-Za-z0-9+/=]*):", value)
    assert found is not None
    return base64.b64decode(found[1], validate=True)


def _pem(value: str) -> bytes:
    return x509.load_pem_x509_certificate(urllib.parse.unquote(value).encode()).public_bytes(Encoding.DER)


def _xfcc(value: str) -> bytes:
    """Envoy's documentation of x-forwarded-client-cert: fields between semicolons, PEM in URL encoding."""
    fields = dict(part.split("=", 1) for part in value.split(";"))
    return _pem(fields["Cert"].strip('"'))


Proxy = tuple[str, str, str, Callable[[str], bytes], str, str]
#: Scenario, image, header, its form; and what of the configuration keeps out what clients say of themselves.
PROXIES: list[Proxy] = [
    ("identity", IMAGE, "x-client-cert", _pem, r"proxy_set_header X-Client-\w+ \S+;", ""),
    ("identity-haproxy", "mtls-run/haproxy", "client-cert", _byte_sequence, "del-header .*", "set-header unused x"),
    ("identity-apache", "mtls-run/apache", "client-cert", _byte_sequence, r"RequestHeader unset .*", ""),
    ("identity-envoy", "mtls-run/envoy", "x-forwarded-client-cert", _xfcc, "SANITIZE_SET", "ALWAYS_FORWARD_ONLY"),
]


@pytest.mark.parametrize(("name", "image", "header", "decoded", "rule", "instead"), PROXIES)
def test_what_is_forwarded(
    name: str,
    image: str,
    header: str,
    decoded: Callable[[str], bytes],
    rule: str,
    instead: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    why = absent(image)
    if why is not None:
        not_here(why)
    if image != IMAGE:
        monkeypatch.setenv(f"MTLS_RUN_IMAGE_{name.rpartition('-')[2].upper()}", image)
    for file in ROOT.glob(f"{name}.*"):
        shutil.copy(file, tmp_path)
    scenario, report, kept = (tmp_path / each for each in (f"{name}.yaml", "report.json", "kept"))
    (tmp_path / ".git").mkdir()
    assert main([str(scenario), "--json", str(report), "--keep", str(kept)]) == 0
    seen = {case["name"]: case["observed"] for case in json.loads(report.read_text())["cases"]}

    def der(path: str) -> bytes:
        return x509.load_pem_x509_certificate(next(kept.rglob(path)).read_bytes()).public_bytes(Encoding.DER)

    told = dict(seen["the application is told who comes"]["upstream_headers"])
    assert decoded(told[header]) == der("leaves/client.crt")
    if name == "identity-apache":
        issued = dict(seen["the application is told by whom he is vouched for"]["upstream_headers"])
        assert _byte_sequence(issued["client-cert"]) == der("leaves/issued.crt")
        issuer = x509.load_der_x509_certificate(_byte_sequence(issued["client-cert-chain"]))
        x509.load_der_x509_certificate(der("leaves/issued.crt")).verify_directly_issued_by(issuer)

    (configuration,) = (file for file in tmp_path.glob(f"{name}.*") if file.suffix in (".conf", ".cfg"))
    changed = re.sub(rule, instead, configuration.read_text())
    assert changed != configuration.read_text()
    configuration.write_text(changed)
    assert main([str(scenario), "--json", str(report), "-k", "somebody or twin"]) == 1
    verdicts = {case["name"]: case["verdict"] for case in json.loads(report.read_text())["cases"]}
    assert verdicts["nobody can't say to be somebody"] == "fail"
    assert verdicts["forged, twin"] == "pass"
