"""CRLs of one's own go to both ends as they are, and so does what an own nginx configuration names."""

from __future__ import annotations

import pytest

from mtls_runner import Lab, Overrides, Status, load
from mtls_runner.model.traits import Runtime
from mtls_runner.record.recorded import record

from ..pki import openssl
from .issuer import Issuer
from .lab import observed

SCENARIO = """\
authorities:
  root: {certificate: root.crt}
  inter: {certificate: inter.crt}
leaves:
  server: {certificate: server-chain.pem, key: server.key, issuer: root}
  client: {certificate: client-chain.pem, key: client.key, issuer: root}
crls:
  both: {file: both.crl}
  inter: {file: inter.crl}
  root: {file: root.crl}
  der: {file: inter.der.crl}
  words: {file: words.crl}
servers:
  plain: {certificate: server, client_auth: none}
  both: {certificate: server, trust: [root], crl: both}
  two: {certificate: server, trust: [root], crl: [inter, root]}
  der: {certificate: server, trust: [root], crl: [der, root]}
  words: {certificate: server, trust: [root], crl: words, expect: {starts: false, reason: malformed}}
cases:
"""


@pytest.fixture(scope="module")
def lists(mine: Issuer) -> Issuer:
    """Both authorities' lists, one without a line break at its end, with the client on them."""
    for name in ("inter", "root"):
        mine.write(f"{name}.index", b"")
        settings = f"[ca]\ndefault_ca=a\n[a]\ndatabase={mine.path(f'{name}.index')}\ndefault_md=sha256\n"
        mine.write(f"{name}.cnf", settings.encode())
        signer = ("-cert", f"{name}.crt", "-keyfile", f"{name}.key")
        if name == "inter":
            said = ("-config", "inter.cnf", "-cert", "inter.crt", "-keyfile", "inter.key", "-revoke", "client.crt")
            openssl.output("ca", *(mine.path(one) if mine.path(one).is_file() else one for one in said))
        mine.made(f"{name}.crl", "ca", "-gencrl", "-config", f"{name}.cnf", *signer, "-crldays", "2", form=bytes.rstrip)
    mine.write("both.crl", mine.data("inter.crl") + b"\n" + mine.data("root.crl") + b"\n")
    mine.made("inter.der.crl", "crl", "-in", "inter.crl", "-outform", "DER")
    mine.write("words.crl", b"no list\n")
    for name in ("server", "client"):
        mine.write(f"{name}-chain.pem", mine.data(f"{name}.crt", "inter.crt"))
    return mine


def test_lists_of_ones_own(lists: Issuer) -> None:
    text = SCENARIO
    for server in ("both", "two", "der"):
        text += f"  - {{name: {server}, server: {server}, client: client, expect: {{server-refused: revoked}}}}\n"
    for tool in ("python", "curl"):
        for crl, expected in (("both", "accepted"), ("[der, root]", "accepted"), ("words", "client-unusable")):
            client = f"{{tool: {tool}, trust: [root], crl: {crl}, crl_check: chain}}"
            text += f"  - {{name: '{tool} {crl}', server: plain, client: {client}, expect: {expected}}}\n"
    path = lists.path("lists.yaml")
    path.write_text(text)
    with Lab(load(path)) as lab:
        notes = lab.notes()
        verdicts = {case.name: lab.run(case) for case in lab.plan.cases}
    assert {name: verdict.status for name, verdict in verdicts.items()} == dict.fromkeys(verdicts, Status.PASS)
    curl = observed(verdicts["curl both"]).client
    assert curl is not None
    assert f"--crlfile {lists.path('both.crl')}" in curl.command
    unusable = " ".join(observed(verdicts["curl words"]).evidence + observed(verdicts["server.words"]).evidence)
    assert unusable.count("words.crl") >= 2
    assert notes == (
        "inter.crl and root.crl: given as one file, with line breaks between them",
        "inter.der.crl: DER, converted to PEM for ends that load no DER",
        "inter.der.crl and root.crl: given as one file, with line breaks between them",
    )


LOOKED_AT = """\
authorities:
  root: {certificate: root.crt}
  inter: {certificate: inter.crt}
leaves:
  server: {certificate: server-chain.pem, key: server.key, issuer: root}
  client: {certificate: client-chain.pem, key: client.key, issuer: root}
  good: {certificate: rsa-client.crt, chain: inter.crt, key: rsa-client.key, issuer: root}
  past: {certificate: past.crt, chain: inter.crt, key: past.key, issuer: root}
crls:
  mine: {file: FILE}
servers:
  open: {certificate: server, trust: [root], crl: []}
  strict: {certificate: server, trust: [root], crl: mine}
cases:
  - {name: in, server: open, client: client}
  - {name: good, server: open, client: good}
  - {name: past, server: open, client: past}
  - {name: refused, server: strict, client: client}
"""


@pytest.mark.parametrize("file", ["both.crl", "root.crl"])
def test_who_is_on_a_list_of_ones_own_is_looked_at(file: str, lists: Issuer) -> None:
    """What the files say speaks against a client, as what a scenario says of one that the lab makes."""
    lists.dated("past", "2020", "2021")
    path = lists.path(f"looked-at-{file}.yaml")
    path.write_text(LOOKED_AT.replace("FILE", file))
    looks = record(path).looks
    assert [look for look in looks if "it gets in" in look] == (
        ["in: it gets in, though it is revoked"] if file == "both.crl" else []
    )
    assert not any("nothing speaks against" in look for look in looks)


CONFIGURATION = """\
server {
    listen 443 ssl;
    ssl_certificate tls.pem;
    ssl_certificate_key tls.key;
    location / { return 200 "here"; }
}
"""


@pytest.mark.usefixtures("nginx_program")
def test_a_configuration_of_ones_own_gets_the_same_files(lists: Issuer) -> None:
    joined = lists.data("server.crt").rstrip() + lists.data("inter.crt")
    lists.write("joined.pem", joined)
    lists.write("own.conf", CONFIGURATION.encode())
    text = (
        "authorities: {root: {certificate: root.crt}}\n"
        "leaves: {odd: {certificate: joined.pem, key: server.key, issuer: root}}\n"
        "servers:\n"
        "  generated: {certificate: odd, client_auth: none, expect: {starts: false, reason: malformed}}\n"
        "  own: {backend: nginx, config: own.conf, certificate: odd, files: {/etc/nginx/tls.pem: {file: joined.pem},"
        " /etc/nginx/tls.key: leaves.odd.key}, expect: {starts: false, reason: malformed}}\n"
        "  named: {backend: nginx, config: own.conf, certificate: odd, files: {/etc/nginx/tls.pem: leaves.odd.chain,"
        " /etc/nginx/tls.key: leaves.odd.key}, expect: {starts: false, reason: malformed}}\n"
    )
    path = lists.path("own.yaml")
    path.write_text(text)
    with Lab(load(path, Overrides(backend="nginx", runtime=Runtime.PROCESS, allow_commands=True))) as lab:
        verdicts = {case.name: lab.run(case) for case in lab.plan.cases}
    assert {name: verdict.status for name, verdict in verdicts.items()} == dict.fromkeys(verdicts, Status.PASS)
    assert len(verdicts) == 3
    for verdict in verdicts.values():
        (said, *_) = observed(verdict).evidence
        assert "bad end line" in said  # OpenSSL's own words, of the same octets
