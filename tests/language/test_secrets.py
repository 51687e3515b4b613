"""No secret in anything that is shown: not where its key is misspelt, not where the file is broken."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtls_runner.errors import ScenarioError
from mtls_runner.language import Overrides, load
from mtls_runner.language.settings import settings_for
from mtls_runner.snippet.rendering import render
from tests.language.conftest import MINIMAL, Broken, Load, Shown, summary
from tests.language.test_snippet import misspellings, with_wrong_characters

SECRET = "hunter2"

#: Where a passphrase can stand; ``@`` is its key.
PLACES = (
    MINIMAL.replace("{subject: CN=Root}", "{subject: CN=Root, @: hunter2}"),
    MINIMAL.replace("  server: {}", "  server:\n    @: hunter2 # hunter2\n    days: 3"),
    MINIMAL.replace("{certificate: server}", "{certificate: server, @: hunter2, tls: TLSv1.2}"),
    MINIMAL.replace(
        "client: client\n", "client:\n      certificate: client\n      @: >-\n        hunter2\n        hunter2\n"
    ),
    MINIMAL.replace("client: client\n", "client: {@: {text: hunter2}, certificate: client}\n"),
    MINIMAL.replace("client: client\n", 'client: {"@":"hunter2", certificate: client}\n'),
    MINIMAL + "matrix:\n  client.@: [hunter2, hunter2-2]\n",
    MINIMAL + "matrix:\n  client.@:\n  - hunter2\n",
)
#: The fifth gives no passphrase that can be.
RIGHT = (*PLACES[:4], *PLACES[5:])
#: Mistakes beside it, so that lines near the secret are shown.
BREAKS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: text.replace("accepted", "acepted"),
    lambda text: text + "  - [\n",
    lambda text: "? " + text,
)


def everything_shown(text: str, path: Path) -> str:
    """All that could reach a terminal, a log or a report; ``""`` when the file is right."""
    path.write_text(text, encoding="utf-8")
    try:
        plan = load(path)
        return repr(plan.cases) + repr(plan.certificates) + repr(plan.warnings) + repr(settings_for(path, Overrides()))
    except ScenarioError as error:
        shown = [render(diagnostic, text) for diagnostic in error.diagnostics]
        return "\n".join([*shown, str(error), repr(error.diagnostics), *traceback.format_exception(error)])


@settings(deadline=None)
@given(
    key=st.one_of(st.just("passphrase"), misspellings()),
    place=st.sampled_from(PLACES),
    damage=st.sampled_from(BREAKS),
)
def test_a_passphrase_is_never_shown(key: str, place: str, damage: Callable[[str], str]) -> None:
    with TemporaryDirectory() as directory:
        shown = everything_shown(damage(place.replace("@", key)), Path(directory) / "scenario.yaml")
    assert shown
    assert SECRET not in shown


def test_a_wrong_character_in_or_behind_the_key_shows_nothing_of_a_passphrase(tmp_path: Path) -> None:
    """Neither in the lines that are shown nor in what a message quotes."""
    keys = [line for line in with_wrong_characters() if "\n" not in line and "{" not in line]
    for typed, damage in zip(keys, cycle(BREAKS)):
        for text in (
            MINIMAL.replace("{usage: client}", f"{{usage: client, {typed}}}"),
            MINIMAL.replace("client: client\n", f"client: {{{typed}}}\n"),
        ):
            assert SECRET not in everything_shown(damage(text), tmp_path / "scenario.yaml"), typed


@pytest.mark.parametrize("place", RIGHT)
def test_the_places_are_right_when_the_key_is(load_text: Load, place: str) -> None:
    plan = load_text(place.replace("@", "passphrase"))
    found = [spec.passphrase for spec in plan.certificates.values()]
    found += [end.passphrase for case in plan.cases for end in (case.server, case.client) if end is not None]
    assert any(passphrase is not None and SECRET in passphrase.reveal() for passphrase in found)


def test_a_secret_is_there_and_only_revealed_when_asked_for(load_text: Load) -> None:
    plan = load_text(MINIMAL.replace("{subject: CN=Root}", "{passphrase: hunter2}"))
    passphrase = plan.certificates["ca"].passphrase
    assert passphrase is not None
    assert passphrase.reveal() == SECRET
    assert SECRET not in repr(plan.certificates)


def test_a_secret_from_the_environment_is_not_shown_either(load_text: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_PW", SECRET)
    plan = load_text(MINIMAL.replace("{certificate: server}", "{passphrase: {env: LAB_PW}}"))
    assert plan.cases[0].server.passphrase is not None
    assert SECRET not in repr(plan)


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("passphrase:hunter2", "a space is missing behind 'passphrase:'"),
        ("pasphrase:hunter2", "a space is missing behind 'pasphrase:'"),
        ("passphrase: !hunter2 x", "this tag is not known here"),
    ],
)
def test_a_slip_that_makes_a_key_or_a_tag_of_a_passphrase(shown: Shown, typed: str, message: str) -> None:
    text = shown(MINIMAL.replace("{subject: CN=Root}", f"{{{typed}}}"))
    assert message in text
    assert SECRET not in text


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("{passphrase=hunter2x, usage: client}", "there is no key 'passphrase=***' here"),
        ("{password=hunter2x, usage: client}", "there is no key 'password=***' here"),
        ("{key_passphrase hunter2x, usage: client}", "there is no key 'key_passphrase ***' here"),
        ("{passhrase.hunter2x, usage: client}", "there is no key 'passhrase.***' here"),
        ("{passphrase hunter2x}", "there is no key 'passphrase ***' here"),
        ("{'passphrase hunter2x': 3}", "there is no key 'passphrase ***' here"),
        ("passphrase hunter2x", "a mapping (key: value) is expected here"),
        ("{issuer: passphrase hunter2x}", "there is no authority or leaf 'passphrase ***'"),
    ],
)
def test_a_passphrase_that_became_part_of_a_key_or_of_an_id(shown: Shown, typed: str, message: str) -> None:
    text = shown(MINIMAL.replace("{usage: client}", typed))
    assert message in text
    assert SECRET not in text
    again = shown(MINIMAL.replace("client: client\n", f"client: {typed}\n"))
    assert SECRET not in again


def test_what_was_meant_by_a_key_with_a_passphrase_in_it(shown: Shown) -> None:
    assert "did you mean 'passphrase'?" in shown(
        MINIMAL.replace("{usage: client}", "{pasphrase=hunter2, usage: client}")
    )


@pytest.mark.parametrize("name", ["A=B", "A\\0B"])
def test_a_name_that_no_environment_variable_can_have(shown: Shown, name: str) -> None:
    text = shown(MINIMAL.replace("{subject: CN=Root}", f'{{passphrase: {{env: "{name}"}}}}'))
    assert "no environment variable can have this name" in text


def test_a_path_with_a_nul_byte_is_of_no_file(shown: Shown) -> None:
    broken = MINIMAL.replace("{subject: CN=Root}", '{passphrase: {file: "a\\0b"}}')
    assert "the file that is named here can't be read" in shown(broken)


PASSPHRASES_THAT_CAN_NOT_BE_HAD = """\
ca: {}
leaves:
  server: {passphrase: {env: NOT_SET_X}}
  client: {usage: client, passphrase: {file: gone}}
  another: {like: client}
server:
  passphrase: {env: NOT_SET_Y}
  virtual_hosts: {shop: {passphrase: {env: NOT_SET_Y}}}
cases:
  - {name: a, client: {certificate: client, passphrase: {env: NOT_SET_Z}}, expect: accepted}
  - {name: b, client: {certificate: another, passphrase: {file: gone}}, expect: accepted}
  - {name: c, server: {passphrase: {file: gone}}, client: client, expect: accepted}
  - name: d
    matrix: {server.passphrase: [x, {file: gone}]}
    expect: accepted
  - name: e
    steps:
      - replace: {passphrase: {env: NOT_SET_Y}}
      - {connect: {passphrase: {env: NOT_SET_Z}}, expect: accepted}
matrix:
  client.passphrase:
    - x
    - {env: NOT_SET_Z}
"""


def test_each_passphrase_that_can_not_be_had_is_said_where_it_is_written(broken: Broken) -> None:
    unset = "the environment variable NOT_SET_{} is not set"
    gone = "the file that is named here can't be read: No such file or directory"
    assert summary(broken(PASSPHRASES_THAT_CAN_NOT_BE_HAD)) == [
        f"3:24 {unset.format('X')}",
        f"4:39 {gone}",
        f"7:15 {unset.format('Y')}",
        f"8:38 {unset.format('Y')}",
        f"10:57 {unset.format('Z')}",
        f"11:58 {gone}",
        f"12:36 {gone}",
        f"14:37 {gone}",
        f"18:31 {unset.format('Y')}",
        f"19:32 {unset.format('Z')}",
        f"23:7 {unset.format('Z')}",
    ]
