"""The exported script of a scenario sees what the lab sees; ``python -m tests.scenarios`` does it with every scenario."""

from __future__ import annotations

from pathlib import Path

import pytest

from ..once import Answers, measured
from .agreement import script_differences

_SCENARIOS = Path(__file__).parents[2] / "scenarios"

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(("name", "backend"), [("wrong-certificates", "python"), ("basic", "nginx")])
def test_as_openssl_s_server_or_nginx(
    name: str, backend: str, answers: Answers, request: pytest.FixtureRequest
) -> None:
    if backend == "nginx":
        request.getfixturevalue("nginx_engine")
    file = _SCENARIOS / f"{name}.yaml"
    assert script_differences(file, backend, answers(file, backend, "curl")) == []


ODD = """
authorities:
  root: {subject: CN=Root}
  ca: {subject: CN=CA, issuer: root}
  odd: {like: ca, extensions: {2.5.29.15: 03 09}}
leaves:
  server: {issuer: ca, usage: server}
  large: {like: server, extensions: {1.3.6.1.4.1.55555.2: {size: 100000}}}
  larger: {like: server, extensions: {1.3.6.1.4.1.55555.2: {size: 120000}}}
  of-odd: {like: server, issuer: odd}
  client: {issuer: ca, usage: client}
  large-client: {like: client, extensions: {1.3.6.1.4.1.55555.2: {size: 100000}}}
  curve: {like: client, key: ec-brainpoolp256r1}
  revoked: {like: client, revoked: true}
crls: {about-users: {issuer: ca, only_contains: user}}
server: {certificate: server, trust: root}
matrix: {client.tls: TLSv1.3}
cases:
  - {name: the server's is nearly too large, server: {certificate: large}, client: client, expect: accepted}
  - {name: twin, server: {certificate: larger}, client: client, expect: {protocol-error: handshake}}
  - {name: one can't be read, server: {certificate: of-odd}, client: client, expect: {client-refused: unknown-ca}}
  - {name: the client's is too large for a ticket, client: large-client, expect: {protocol-error: alert}}
  - name: a list that openssl can't make
    server: {crl: about-users, crl_check: leaf}
    client: revoked
    expect: {server-refused: revoked}
  - {name: twin that it does not name, server: {crl: about-users, crl_check: leaf}, client: client, expect: accepted}
  - name: a curve that newer ones take
    client: curve
    expect:
      outcome: server-refused
      reason: wrong-curve
      where:
        - {when: {library_version: ">=3.2", tool_library_version: ">=3.2"}, expect: {outcome: accepted, reason: null}}
        - {when: {library_version: "<3.2"}, expect: {reason: certificate-withheld}}
"""


def test_what_is_odd(tmp_path: Path) -> None:
    """The server sends its certificate once; a reason by alert alone is as wide in both; versions are nobody's."""
    file = tmp_path / "odd.yaml"
    file.write_text(ODD)
    assert script_differences(file, "python", measured(file, "python")["curl"]) == []
