"""What the author of a wrong file reads, to the letter."""

from __future__ import annotations

import pytest

from tests.language.conftest import MINIMAL, Broken, Load, Shown, summary


def test_an_unknown_key(shown: Shown) -> None:
    assert shown(MINIMAL.replace("  client: {usage: client}", "  client: {usgae: client}")) == (
        "scenario.yaml:4:12: error: there is no key 'usgae' here\n"
        " 4 |   client: {usgae: client}\n"
        "   |            ^^^^^\n"
        "   = did you mean 'usage'?\n"
    )


def test_an_unknown_word(shown: Shown) -> None:
    assert shown(MINIMAL.replace("{certificate: server}", "{client_auth: requierd}")) == (
        "scenario.yaml:5:23: error: this is not a mode of client_auth\n"
        " 5 | server: {client_auth: requierd}\n"
        "   |                       ^^^^^^^^\n"
        "   = expected: one of: none, optional, optional_no_ca, required\n"
        "   = did you mean 'required'?\n"
    )


def test_an_id_that_names_nothing(shown: Shown) -> None:
    assert shown(MINIMAL.replace("    client: client", "    client: clinet")) == (
        "scenario.yaml:8:13: error: there is no authority or leaf 'clinet'\n"
        " 8 |     client: clinet\n"
        "   |             ^^^^^^\n"
        "   = expected: one of: ca, server, client\n"
        "   = did you mean 'client'?\n"
    )


def test_a_missing_key(shown: Shown) -> None:
    assert shown(MINIMAL.replace("    expect: accepted\n", "")) == (
        "scenario.yaml:7:5: error: 'expect' is missing\n 7 |   - name: good\n   |     ^^^^\n"
        "   = expected: what must be seen; `mtls-run record scenario.yaml` writes what happens\n"
    )


def test_a_reason_that_its_outcome_can_not_have(shown: Shown) -> None:
    text = MINIMAL + "  - {name: bad, client: client, expect: {no-connection: expired}}\n"
    assert shown(text) == (
        "scenario.yaml:10:57: error: expired can't be the reason where the outcome is no-connection\n"
        " 10 |   - {name: bad, client: client, expect: {no-connection: expired}}\n"
        "    |                                                         ^^^^^^^\n"
        "    = expected: one of: closed, name-not-resolved, not-tls, refused, reset\n"
    )


def test_broken_yaml(shown: Shown) -> None:
    assert shown("server: {tls: [TLSv1.2\nname: x\n") == (
        "scenario.yaml:2:5: error: this list has no end, or a comma is missing in it\n"
        " 2 | name: x\n"
        "   |     ^\n"
        "   = expected: ',' or ']'\n"
    )


def test_a_file_that_is_no_mapping(shown: Shown) -> None:
    assert shown("- a\n") == (
        "scenario.yaml:1:1: error: a mapping (key: value) is expected here, not a list\n 1 | - a\n   | ^\n"
    )


def test_all_mistakes_at_once_also_those_that_only_planning_finds(broken: Broken) -> None:
    text = """\
nmae: x
ca: {subject: "CN=x,,O=y", days: "5"}
leaves:
  server: {san: [localhost, "IP:1.2.3"]}
  good: {like: server, issuer: cb}
server: {trust: [ca, cc], tls: TLSv1.4, response: {status: 99}}
cases:
  - name: one
    client: clint
    expect: {server-refused: expird}
  - name: one
    expect: {accepted: expired}
  - name: two
    expect: {outcome: accepted, reason: expired, body: {matches: "("}}
  - client: good
    expect: acepted
matrix:
  client.tls: [TLSv1.2, TLSv1.5]
  cleint.tool: curl
  client.tol: curl
"""
    assert summary(broken(text)) == [
        "1:1 there is no key 'nmae' here",
        "2:15 this is not a distinguished name as RFC 4514 writes it",
        "2:34 a whole number is expected here, not text",
        "4:29 this is not an IP address",
        "5:32 there is no authority or leaf 'cb'",
        "6:22 there is no authority or leaf 'cc'",
        "6:32 this is not a TLS version",
        "6:60 this number is out of range",
        "9:13 there is no authority or leaf 'clint'",
        "10:30 this is not a reason",
        "11:11 a case of this name is already at line 8",
        "14:41 expired can't be the reason where the outcome is accepted",
        "14:56 this regular expression is broken: missing ), unterminated subpattern",
        "15:5 'name' is missing: a case needs it",
        "16:13 this is not an outcome",
        "18:25 this is not a TLS version",
        "19:3 this is not a path into the server or the client",
        "20:3 there is no key 'tol' here",
    ]


def test_duplicate_keys_are_said_beside_the_rest(broken: Broken) -> None:
    text = MINIMAL.replace("server}\n", "server}\nserver: {tls: [x]}\n").replace("accepted", "acepted")
    assert summary(broken(text)) == [
        "6:1 duplicate key: the same key is already at line 5, column 1",
        "10:13 this is not an outcome",
    ]


def test_a_name_that_another_tool_uses(broken: Broken) -> None:
    text = MINIMAL.replace("{certificate: server}", "{ssl_verify_client: on, cacert: ca}")
    assert [(one.message, one.suggestion) for one in broken(text)] == [
        ("there is no key 'ssl_verify_client' here", "client_auth"),
        ("there is no key 'cacert' here", "trust"),
    ]


def test_nothing_behind_a_key_is_no_default(broken: Broken, load_text: Load) -> None:
    assert load_text(MINIMAL).cases
    assert summary(broken(MINIMAL.replace("    client: client", "    client: {certificate: client, tls: }"))) == [
        "8:35 a list is expected here, not nothing"
    ]


def test_no_message_speaks_of_pydantic(broken: Broken) -> None:
    text = "name: {}\ntags: 1\nca: x\nleaves: []\nserver: 3\ncases: {a: b}\nmatrix: y\nextra: z\n"
    for diagnostic in broken(text):
        words = diagnostic.message + diagnostic.expected
        assert not any(jargon in words for jargon in ("permitted", "valid ", "dictionary", "Input", "model", "type="))


@pytest.mark.parametrize("typed", ["{[]: expired}", "{[server-refused]: x}", "{{a: b}: c, reason: x}"])
def test_a_key_that_is_no_word(shown: Shown, typed: str) -> None:
    assert "a key must be a word, not a list or a mapping" in shown(
        MINIMAL.replace("expect: accepted", f"expect: {typed}")
    )
