"""A distinguished name that goes in comes out equal: on each backend, with both clients, and as openssl reads it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mtls_runner import Lab, Overrides, Status, load
from mtls_runner.model.names import same_form

from ..container_engine import IMAGE
from ..once import nginx_runtime
from ..pki import openssl
from ..verdicts import verdicts_by_name

NAMES = (
    "emailAddress=a@b.test,CN=client",
    "",
    "CN=",
    r"CN=\ a lead and a trail\ ",
    r"CN=\ ",
    f"CN={'x' * 70}",
    f"O={'ö' * 80},CN=long",
    r"CN=a\,b\+c\"d\\e\<f\>g\;h\#",
    r"CN=\#no hash",
    "CN=b+OU=a,O=both",
    "C=DE,ST=x,L=y,O=z,OU=w,STREET=s,CN=v",
    "UID=u,DC=example,DC=com",
    "serialNumber=12,title=Dr,GN=g,SN=s,CN=q",
    r"CN=\e2\82\ac",
    "CN = a , O = b",
    "1.2.3.4=own,CN=z",
)
OTHERS = ("CN=client", "CN=x", r"CN=\ a lead and a trail", "O=both,CN=b+OU=a")


def _scenario() -> str:
    lines = ["ca: {}", "leaves:", "  server: {}", "  other: {usage: client}"]
    lines += [f"  n{number}: {{usage: both, subject: {json.dumps(name)}}}" for number, name in enumerate(NAMES)]
    lines += ["server: {certificate: server, trust: ca}", "cases:"]
    for number, name in enumerate(NAMES):
        expect = "{outcome: accepted, %s_subject: %s}"
        lines.append(f"- {{name: client {number}, client: n{number}, expect: {expect % ('client', json.dumps(name))}}}")
        server = f"server: {{certificate: n{number}}}, client: {{certificate: other, insecure: true}}"
        lines.append(f"- {{name: server {number}, {server}, expect: {expect % ('server', json.dumps(name))}}}")
    for number, name in enumerate(OTHERS):
        lines.append(
            f"- {{name: not {number}, client: n{number}, expect: {{outcome: accepted, client_subject: {json.dumps(name)}}}}}"
        )
    tools = "python, curl" if shutil.which("curl") else "python"
    return "\n".join([*lines, f"matrix: {{client.tool: [{tools}]}}", ""])


@pytest.mark.parametrize("backend", ["python", "nginx"])
def test_a_name_comes_out_as_it_went_in(tmp_path: Path, backend: str) -> None:
    file = tmp_path / "names.yaml"
    file.write_text(_scenario())
    verdicts = verdicts_by_name(file, Overrides(backend=backend, image=IMAGE, runtime=nginx_runtime()))
    assert len(verdicts) >= 2 * len(NAMES) + len(OTHERS)
    for name, verdict in verdicts.items():
        if name.startswith("not"):  # the twins: another name is another name
            assert [one.path for one in verdict.mismatches] == ["client_subject"], name
        else:
            assert verdict.status is Status.PASS, (name, verdict.mismatches, verdict.error)


def test_openssl_reads_the_same_names(tmp_path: Path) -> None:
    file = tmp_path / "names.yaml"
    file.write_text(_scenario())
    with Lab(load(file)) as lab:
        for number, name in enumerate(NAMES):
            path = lab.material.credential(f"n{number}").certificate_path
            shown = openssl.output("x509", "-noout", "-subject", "-nameopt", "RFC2253,dn_rev", "-in", path)
            assert same_form(shown.removeprefix("subject=").removesuffix("\n")) == same_form(name), name
