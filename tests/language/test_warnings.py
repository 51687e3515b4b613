"""What a file says in vain: not wrong, but worth a word; ``--strict`` makes errors of it."""

from __future__ import annotations

import pytest

from mtls_runner.errors import Severity
from tests.language.conftest import MINIMAL, Load, summary

REFUSED = "  - {{name: bad, client: {client}, expect: {{server-refused: {reason}}}}}\n"


def warned(load_text: Load, text: str) -> list[str]:
    """But of expectations that can never hold, which have tests of their own below."""
    warnings = [warning for warning in load_text(text).warnings if "can never hold" not in warning.message]
    assert all(warning.severity is Severity.WARNING for warning in warnings)
    return summary(warnings)


def test_a_plain_file_has_none(load_text: Load) -> None:
    assert warned(load_text, MINIMAL) == []


def test_certificates_that_nothing_uses(load_text: Load) -> None:
    text = MINIMAL.replace("  server: {}", "  server: {}\n  spare: {}\n  base: {}\n  user: {like: base}")
    text = text.replace("client: client\n", "client: user\n")
    assert warned(load_text, text) == ["4:3 nothing uses the leaf 'spare'", "7:3 nothing uses the leaf 'client'"]


def test_an_authority_that_nothing_uses(load_text: Load) -> None:
    text = MINIMAL.replace("leaves:", "authorities: {other: {}}\nleaves:")
    assert warned(load_text, text) == ["2:15 nothing uses the authority 'other'"]
    assert warned(load_text, text.replace("{usage: client}", "{issuer: other}")) == []


def test_a_server_that_nobody_connects_to(load_text: Load) -> None:
    text = MINIMAL.replace("server: {certificate: server}", "servers: {a: {}, b: {like: a}, c: {}}").replace(
        "client: client\n", "client: client\n    server: b\n"
    )
    assert warned(load_text, text) == ["5:32 no case connects to the server 'c'"]
    assert warned(load_text, text.replace("c: {}", "c: {expect: {starts: true}}")) == []


def test_a_server_that_accepts_nobody(load_text: Load) -> None:
    text = MINIMAL.replace("expect: accepted", "expect: {server-refused: unknown-ca}")
    assert warned(load_text, text) == ["5:1 'server' accepts nobody in this file, so that its refusals prove nothing"]
    assert warned(load_text, text + "  - {name: b, client: client, expect: accepted}\n") == []


def test_the_server_that_one_is_like_may_do_the_accepting(load_text: Load) -> None:
    text = MINIMAL.replace("server: {certificate: server}", "servers: {a: {}, b: {like: a, tls: TLSv1.2}}")
    text = text.replace("client: client\n", "client: client\n    server: a\n")
    text += "  - {name: bad, server: b, expect: {server-refused: no-certificate}}\n"
    assert warned(load_text, text) == []
    assert warned(load_text, text.replace("{like: a, tls", "{certificate: server, tls")) == [
        "5:18 'b' accepts nobody in this file, so that its refusals prove nothing"
    ]


def test_a_refusal_without_a_reason(load_text: Load) -> None:
    text = MINIMAL + "  - {name: bad, expect: server-refused}\n"
    assert warned(load_text, text) == ["10:25 no reason is given: any reason for server-refused would pass"]
    assert warned(load_text, MINIMAL + "  - {name: bad, expect: {server-refused: no-certificate}}\n") == []


@pytest.mark.parametrize(
    ("leaf", "faults"),
    [
        ("{not_after: -1d, not_before: -2d, usage: server}", "expired, not for clientAuth"),
        ("{not_before: +1d, issuer: self}", "not yet valid, of an authority that is not trusted"),
        ("{key: rsa-1024, signature: sha1}", "a weak key, a weak hash"),
        (
            "{defects: [corrupted-signature, wrong-issuer-name]}",
            "of an authority that is not trusted, a signature that does not verify",
        ),
        (
            "{not_after: 2001-01-01, not_before: 2000-01-01, extensions: {1.2.3: {der: '0500', critical: true}}}",
            "expired, a critical extension that nobody knows",
        ),
    ],
)
def test_a_certificate_with_two_faults(load_text: Load, leaf: str, faults: str) -> None:
    text = MINIMAL.replace("  client: ", f"  bad: {leaf}\n  client: ", 1) + REFUSED.format(
        client="bad", reason="expired"
    )
    assert warned(load_text, text) == [
        f"4:3 'bad' has 2 independent faults ({faults}), and servers differ in which they name"
    ]
    allowed = text.replace("server-refused: expired", "server-refused: [expired, weak-key]")
    assert warned(load_text, allowed) == []


@pytest.mark.parametrize(
    "leaf",
    [
        "{not_after: -1d, not_before: -2d}",
        "{issuer: self}",
        "{usage: server}",
        "{key: rsa-1024}",
        "{defects: version-1}",
    ],
)
def test_a_certificate_with_one_fault(load_text: Load, leaf: str) -> None:
    text = MINIMAL.replace("  client: ", f"  bad: {leaf}\n  client: ", 1) + REFUSED.format(
        client="bad", reason="expired"
    )
    assert warned(load_text, text) == []


OUTLOOK = """\
authorities: {ca: {}, other: {}}
leaves:
  server: {issuer: ca}
  employee: {issuer: other, usage: client}
  old: {issuer: ca, not_after: -1h, not_before: -2h}
servers:
  optional: {certificate: server, trust: ca, client_auth: optional}
  listed: {certificate: server, trust: [ca, other], crl: [ca, other]}
  open: {certificate: server, trust: ca, client_auth: none}
  any: {certificate: server, trust: ca, client_auth: optional_no_ca}
  paths: {like: open, responses: {/me: {client_auth: required}}}
cases:
  - {name: good, server: listed, client: employee, expect: accepted}
  - {name: one, server: SERVER, client: CLIENT, expect: EXPECT}
"""


@pytest.mark.parametrize(
    ("server", "client", "expect", "why"),
    [
        ("optional", "{}", "{server-refused: no-certificate}", "the server can do without a certificate"),
        ("optional", "old", "accepted", "the server refuses: the certificate `old` expired"),
        ("optional", "old", "{server-refused: revoked}", "the server refuses: the certificate `old` expired"),
        ("optional", "{server_name: a.test}", "accepted", "the client refuses: the certificate `server` names"),
        ("optional", "employee", "accepted", "the root `other` (depth 1) is not among what the server trusts"),
        ("listed", "employee", "{server-refused: revoked}", "the server has nothing against `employee`"),
        ("open", "{request: {path: /me}}", "{server-refused: no-certificate}", "the server verifies nobody"),
        ("any", "{}", "{server-refused: no-certificate}", "the server can do without a certificate"),
        # the twins: it holds, or nobody can tell
        ("any", "old", "{server-refused: expired}", ""),
        ("any", "employee", "accepted", ""),
        ("paths", "{request: {path: /me}}", "{server-refused: no-certificate}", ""),
        ("optional", "{}", "accepted", ""),
        ("optional", "old", "{server-refused: expired}", ""),
        ("optional", "old", "{outcome: [accepted, server-refused], reason: [null, expired]}", ""),
        ("optional", "{certificate: employee, ciphers: AES128-SHA}", "{server-refused: revoked}", ""),
        ("listed", "employee", "accepted", ""),
    ],
)
def test_an_expectation_that_can_never_hold(load_text: Load, server: str, client: str, expect: str, why: str) -> None:
    text = OUTLOOK.replace("SERVER", server).replace("CLIENT", client).replace("EXPECT", expect)
    told = [one.message for one in load_text(text).warnings if "can never hold" in one.message]
    assert len(told) == bool(why)
    assert not why or why in told[0]


def test_a_trusted_authority_without_a_list(load_text: Load) -> None:
    text = OUTLOOK.replace("SERVER", "listed").replace("CLIENT", "server").replace("EXPECT", "accepted")
    assert not [one for one in load_text(text).warnings if "has no CRL" in one.message]
    (told,) = [
        one.message
        for one in load_text(text.replace("crl: [ca, other]", "crl: ca")).warnings
        if "has no CRL" in one.message
    ]
    assert told == "'listed' trusts 'other' and has no CRL of it: whoever that certifies is refused (no-crl)"


def test_whom_nobody_minds_is_told_by_the_end_that_is_expected_to_mind(load_text: Load) -> None:
    text = MINIMAL.replace("expect: accepted", "expect: {client-refused: expired}")
    assert "this can never hold: the client has nothing against `server`" in [
        one.message for one in load_text(text).warnings
    ]
