"""Names with letters of any language work as people type them: SNI, virtual hosts, certificates, constraints, both clients."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mtls_runner import Lab, Overrides, ScenarioError, Status, load

from ..container_engine import IMAGE
from ..pki import openssl
from ..verdicts import verdicts_by_name

SCENARIO = """\
ca: {name_constraints: {permitted: ["bücher.example", ".bücher.example", "faß.example", "localhost", "127.0.0.0/8"]}}
leaves:
  server: {san: [bücher.example, "*.bücher.example"]}
  shop: {san: [faß.example]}
  client: {usage: client, san: ["email:me@bücher.example"]}
server:
  certificate: server
  trust: ca
  names: [Bücher.example]
  response: {body: default}
  virtual_hosts:
    shop: {names: [FAẞ.example], certificate: shop, response: {body: shop}}
cases:
  - name: plain
    client: {certificate: client, server_name: bücher.example}
    expect: {outcome: accepted, server_name: bücher.example, body: default}
  - name: upper
    client: {certificate: client, server_name: BÜCHER.example}
    expect: {outcome: accepted, server_name: xn--bcher-kva.example, body: default}
  - name: wild
    client: {certificate: client, server_name: www.bücher.example}
    expect: {outcome: accepted, server_name: www.bücher.example}
  - name: host
    client: {certificate: client, server_name: faß.example}
    expect: {outcome: accepted, server_name: faß.example, body: shop, server_subject: CN=shop}
  - name: fullstop
    client: {certificate: client, server_name: bücher。example}
    expect: {outcome: accepted, server_name: bücher.example}
  - name: a Host as typed
    client: {certificate: client, server_name: faß.example, request: {headers: {Host: faß.example}}}
    expect: {outcome: accepted, body: shop}
  - name: other
    client: {certificate: client, server_name: bûcher.example}
    expect: {client-refused: name-mismatch}
matrix: {client.tool: TOOLS}
"""


@pytest.mark.parametrize("backend", ["python", "nginx"])
def test_names_work_as_people_type_them(tmp_path: Path, backend: str) -> None:
    file = tmp_path / "idn.yaml"
    file.write_text(SCENARIO.replace("TOOLS", "[python, curl]" if shutil.which("curl") else "[python]"))
    verdicts = verdicts_by_name(file, Overrides(backend=backend, image=IMAGE))
    assert {name: (one.status, one.mismatches, one.error) for name, one in verdicts.items()} == dict.fromkeys(
        verdicts, (Status.PASS, (), "")
    )


def test_openssl_finds_them_in_the_certificate(tmp_path: Path) -> None:
    file = tmp_path / "idn.yaml"
    file.write_text(SCENARIO.replace("TOOLS", "[python]"))
    with Lab(load(file)) as lab:
        path = {name: lab.material.credential(name).certificate_path for name in ("server", "shop")}
        # IDNA 2008, as curl and browsers: not the fass.example of IDNA 2003
        for certificate, host, matches in (
            ("server", "xn--bcher-kva.example", True),
            ("server", "www.xn--bcher-kva.example", True),
            ("server", "bucher.example", False),
            ("shop", "xn--fa-hia.example", True),
            ("shop", "fass.example", False),
        ):
            told = openssl.output("x509", "-noout", "-checkhost", host, "-in", path[certificate])
            assert ("does match" in told) is matches, (host, told)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("server_name: bücher.example}", "server_name: ☃.example}"),
        ("san: [faß.example]", "san: [☃.example]"),
        ("names: [Bücher.example]", "names: [☃.example]"),
        ('"bücher.example", ', '"☃.example", '),
    ],
)
def test_what_no_domain_name_can_hold_is_a_mistake_at_its_place(tmp_path: Path, good: str, bad: str) -> None:
    file = tmp_path / "idn.yaml"
    assert good in SCENARIO
    file.write_text(SCENARIO.replace("TOOLS", "[python]").replace(good, bad, 1))
    with pytest.raises(ScenarioError) as caught:
        load(file)
    (one,) = caught.value.diagnostics
    assert one.message == "this is not a name"
    assert one.span is not None
    assert "☃" in file.read_text().splitlines()[one.span.line - 1]
