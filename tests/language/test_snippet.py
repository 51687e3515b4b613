"""Lines and carets; what is masked and what is escaped."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtls_runner.errors import Diagnostic, Severity, Span
from mtls_runner.language.certificate import Certificate
from mtls_runner.language.endpoint import ClientDescription, ServerDescription
from mtls_runner.language.expectation import Expect
from mtls_runner.language.scenario import CaseModel, Scenario
from mtls_runner.snippet import is_secret
from mtls_runner.snippet.rendering import render

PATH = Path("x.yaml")
SECRET = "hunter2"


def at(text: str, line: int, column: int = 1, length: int = 1, expected: str = "", suggestion: str = "") -> str:
    return render(Diagnostic("wrong", Span(PATH, line, column, line, column + length), expected, suggestion), text)


def every_line(text: str) -> str:
    lines = text.split("\n")
    return "\n".join(at(text, number, 1, max(1, len(line))) for number, line in enumerate(lines, 1))


def test_the_caret_stands_under_the_span() -> None:
    assert at("a: b\nc: dd\n", 2, 4, 2) == "x.yaml:2:4: error: wrong\n 2 | c: dd\n   |    ^^"


def test_expected_and_suggestion_are_lines_of_their_own() -> None:
    assert at("a: b\n", 1, expected="one of: x, y", suggestion="x") == (
        "x.yaml:1:1: error: wrong\n 1 | a: b\n   | ^\n   = expected: one of: x, y\n   = did you mean 'x'?"
    )


def test_a_warning_says_so() -> None:
    assert render(Diagnostic("odd", severity=Severity.WARNING), "") == "warning: odd"


def test_colours_come_only_when_asked_for() -> None:
    diagnostic = Diagnostic("wrong", Span(PATH, 1, 1, 1, 2))
    assert "\x1b[" in render(diagnostic, "a: b", color=True)
    assert "\x1b" not in render(diagnostic, "a: b")


def test_a_line_that_the_text_does_not_have() -> None:
    assert at("a: b\n", 7) == "x.yaml:7:1: error: wrong"


def test_several_lines_of_a_span_are_shown_the_first_with_a_caret() -> None:
    span = Span(PATH, 1, 4, 3, 3)
    assert render(Diagnostic("wrong", span), "a: {x: 1,\n  y: 2,\n  }\nb: 1\n") == (
        "x.yaml:1:4: error: wrong\n 1 | a: {x: 1,\n   |    ^^^^^^\n 2 |   y: 2,\n 3 |   }"
    )


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_end_as_they_do(newline: str) -> None:
    assert " 2 | c: d\n   | ^" in at(f"a: b{newline}c: d{newline}", 2)


def test_wide_characters_and_tabs_move_the_caret() -> None:
    assert at("\tab: 名前x\n", 1, 8, 1).splitlines()[1:] == [" 1 |     ab: 名前x", "   |             ^"]


def test_control_characters_and_direction_marks_are_escaped() -> None:
    shown = at("a: \x1b[31m\u202eevil\n", 1, 4, 1)
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert r"a: \x1b[31m\u202eevil" in shown
    assert "\x1b" not in render(Diagnostic("bad \x1b[31m", expected="\x07"), "")


def test_a_long_line_is_cut_around_the_caret() -> None:
    line = "a: " + "x" * 300 + " HERE " + "y" * 300
    first, source, caret = at(line, 1, 305, 4).splitlines()
    assert first == "x.yaml:1:305: error: wrong"
    assert len(source) < 112
    assert source.startswith(" 1 | …")
    assert source.endswith("…")
    assert source[caret.index("^") :].startswith("HERE")
    assert caret.count("^") == 4


@pytest.mark.parametrize(
    "text",
    [
        f"passphrase: {SECRET}",
        f"passphrase: {SECRET} # it is {SECRET}",
        f"a: {{pasphrase: {SECRET}, tls: x}}",
        f'a: {{"passphrase":"{SECRET}, {SECRET}" , tls: y}} # {SECRET}',
        f"a: {{passphrase: {SECRET}, {SECRET}}}",
        f'a: {{passphrase: "{SECRET}}}',
        f"a: {{passphrase: {{file: {SECRET}}}, x: y}}",
        f"passphrase: |\n  {SECRET}\n\n  {SECRET}\nname: x",
        f"- passphrase: >-\n    {SECRET}\n  name: x",
        f'passphrase: "{SECRET}\n  {SECRET}"\nname: x',
        f"passphrase:\n  {SECRET}",
        f"passphrase:\n{SECRET}\nname: x",
        f"client.passphrase: [{SECRET}, '{SECRET}']",
        f"client.passphrase:\n- {SECRET}\n- {SECRET}\nname: x",
        f"client.passphrase: [\n  {SECRET},\n  {SECRET}]",
        f"passphrase {SECRET}",
        f"passphrase = {SECRET}",
        f"passphrase:{SECRET}",
        f"pass_phrase: {SECRET}",
        f"key-password: {SECRET}",
        f"PASSWORD: {SECRET}",
        f"# passphrase: {SECRET}",
        f"a: &secret {SECRET}\npassphrase: *secret",
        f"headers: {{authorization: Basic {SECRET}}}",
        f"key: |\n  -----BEGIN PRIVATE KEY-----\n  {SECRET}\n  -----END PRIVATE KEY-----",
        f"passphrase: {{text: {SECRET}}}",
        f"? passphrase\n: {SECRET}",
        f"passphrase: !!str {SECRET}",
        f"a: {{passphrase {SECRET}}}",
        f"a: {{passphrase {SECRET}, tls: x}}",
        f"- {{name: b, client: {{pasphrase {SECRET}}}, expect: accepted}}",
        f"a: {{tls: x, key_passphrase {SECRET}, days: 3}}",
        f"c4: passphrase {SECRET}",
        f"c4: {{'passphrase {SECRET}': 3}}",
        f"a: {{passhrase.{SECRET}, tls: x}}",
        f"passhrase.{SECRET}: 3",
        f"a: {{passphrase={SECRET}, tls: x}}",
    ],
)
def test_secrets_are_masked_in_every_line(text: str) -> None:
    shown = every_line(text)
    assert SECRET not in shown
    assert "***" in shown


#: In place of the colon, or within the key.
WRONG = [*";,'\"`!-_|>\\/+~*.", "\uff1a", "\uff1b", "\ua789", "\u2019", "::", ":-"]


def with_wrong_characters() -> list[str]:
    """A passphrase whose key is none, in every way that a file can be laid out."""
    lines = [f"passphrase{wrong}{blank}{SECRET}" for wrong in WRONG for blank in ("", " ")]
    lines += [f"pass{wrong}phrase: {SECRET}" for wrong in WRONG]
    lines += [f"passphr{wrong}ase: {SECRET}" for wrong in WRONG]
    lines += [f"pasph{wrong}rase{wrong} {SECRET}" for wrong in WRONG[:6]]
    lines += [
        f"passp hrase: {SECRET}",
        f"p assphrase: {SECRET}",
        f"\uff50assphrase: {SECRET}",
        f"passphrase \uff1a {SECRET}",
    ]
    places = (
        "@",
        "leaves:\n  a:\n    @\n    usage: client",
        "a: {days: 3, @}",
        "a: {@, usage: client}",
        "- {name: b, client: {@}}",
    )
    return [place.replace("@", line) for place in places for line in lines]


@pytest.mark.parametrize("readable", [True, False])
def test_a_wrong_character_in_or_behind_the_key_shows_nothing(readable: bool) -> None:
    """Also of a file that can't be parsed, where the same is masked to the end of the line."""
    for text in with_wrong_characters():
        for number, line in enumerate(text.split("\n"), 1):
            span = Span(PATH, number, 1, number, len(line) + 1)
            assert SECRET not in render(Diagnostic("wrong", span, readable=readable), text), text


@pytest.mark.parametrize(
    "text",
    [
        f"a: [passphrase: {SECRET}, {SECRET}\nb",
        f"passphrase: {SECRET}, x: {SECRET}\n b: ]",
        f"a: {{a secret {SECRET}}}\n ]",
    ],
)
def test_of_a_file_that_cannot_be_parsed_lines_are_masked(text: str) -> None:
    shown = render(Diagnostic("wrong", Span(PATH, 1, 1, 1, 5), readable=False), text)
    assert shown.split("\n")[1].count(SECRET) == ("a secret" in text)


@pytest.mark.parametrize(
    "text",
    [
        "passphrase: ***\nname: shown",
        "a: {passphrase: x, tls: shown}",
        "- passphrase: x\n  name: shown",
        "wrong-passphrase: {like: shown}",
        "wrong-passphrase:\n  like: shown",
        "expect: {client-unusable: wrong-passphrase}  # shown",
        "reason: wrong-passphrase  # shown",
        "name: the wrong passphrase, shown",
        "path_length: shown",
        "token_binding_of_path: shown",
        "passphrase:\nname: shown",
        "name: passphrase of somebody else, shown",
        "- {name: passphrase is shown, client: x}",
        "a: {passphrase x, tls: shown}",
        "passphrase: {file: passphrase.txt}\nname: shown",
        "server_name: secret.shown",
        "client: {key: passphrase.key, tls: shown}",
        "a: {reason: passphrase-needed, tls: shown}",
        "a: {certificate: passphrase, trust: shown}",
        "passphrase-leaf: {like: shown}",
        "- name: must pass what is shown",
    ],
)
def test_what_is_no_secret_is_shown(text: str) -> None:
    assert "shown" in every_line(text) or text.startswith("token")


def test_the_mask_does_not_tell_a_length() -> None:
    short, long = every_line("passphrase: a"), every_line("passphrase: " + "a" * 40)
    assert short.splitlines()[1] == long.splitlines()[1]


def test_the_caret_of_a_masked_value() -> None:
    assert at(f"a: {{passphrase: {SECRET}, tls: x}}", 1, 17, 7).splitlines()[1:] == [
        " 1 | a: {passphrase: ***, tls: x}",
        "   |                 ^^^",
    ]
    assert at(f"a: {{passphrase: {SECRET}, tls: x}}", 1, 26, 3).splitlines()[2] == "   |                      ^^^"


def test_no_other_key_of_the_language_is_taken_for_a_secret() -> None:
    names = {
        name
        for model in (Scenario, CaseModel, Certificate, ServerDescription, ClientDescription, Expect)
        for name in model.model_fields
    }
    assert {name for name in names if is_secret(name)} == {"passphrase"}


def misspellings() -> st.SearchStrategy[str]:
    """``passphrase`` with one or two slips of the pen."""
    letters = st.characters(categories=["Ll"], max_codepoint=127)

    def slip(word: str) -> st.SearchStrategy[str]:
        position = st.integers(0, len(word) - 2)
        return st.one_of(
            position.map(lambda at: word[:at] + word[at + 1 :]),
            position.map(lambda at: word[:at] + word[at + 1] + word[at] + word[at + 2 :]),
            st.tuples(position, letters).map(lambda pair: word[: pair[0]] + pair[1] + word[pair[0] :]),
            st.tuples(position, letters).map(lambda pair: word[: pair[0]] + pair[1] + word[pair[0] + 1 :]),
        )

    return slip("passphrase").flatmap(lambda word: st.one_of(st.just(word), slip(word)))


@settings(deadline=None)
@given(key=misspellings(), tail=st.sampled_from(["", " # comment", "\nname: x"]))
@example(key="pasphrase", tail="")
@example(key="psphrase", tail="")
def test_a_misspelt_passphrase_never_shows_its_value(key: str, tail: str) -> None:
    for text in (f"{key}: {SECRET}{tail}", f"a: {{{key}: {SECRET}}}{tail}", f"  {key}: |\n    {SECRET}{tail}"):
        assert SECRET not in every_line(text), key


LONG = 1 << 18  # of which the square is minutes


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        f"passphrase: {SECRET}\nbody: {'x' * LONG}\n",
        f"{{{f'passphrase: {SECRET}, ' * (LONG // 20)}}}\n",
        f"passphrase: {SECRET}\n" * (LONG // 20),
        "passphrase: [\n" * (LONG // 14),
        "".join(f"k{number}: &a{number} {{passphrase: *b{number}}}\n" for number in range(LONG // 40)),
        f"passphrase:{' ' * LONG}{SECRET}\n",
        f"{{{f'passphrase {SECRET}, ' * (LONG // 20)}}}\n",
        f"a: passphrase {SECRET}\n" * (LONG // 24),
        f"a: {'passphrase.' * (LONG // 11)}{SECRET}\n",
        f"  passphrase; {SECRET}\n" * (LONG // 24),
    ],
    ids=[
        "a long word",
        "a long line",
        "many lines",
        "brackets without an end",
        "aliases",
        "a far value",
        "no colons",
        "lines without colons",
        "dots",
        "semicolons",
    ],
)
def test_however_long_a_file_is_its_lines_are_shown_at_once(text: str) -> None:
    """What is tried at each letter, or for each key over the whole file, does not end within a test's time."""
    last = text.count("\n")
    shown = at(text, 1, 1, 5) + at(text, last, max(1, len(text.split("\n")[last - 1]) - 3), 3)
    assert SECRET not in shown
    assert all(len(line) < 300 for line in shown.splitlines())


def test_of_a_long_line_the_part_at_the_caret_is_shown() -> None:
    line = f"{'a, ' * 20_000}here, {'b, ' * 20_000}"
    shown = at(line, 1, line.index("here") + 1, 4).splitlines()
    assert shown[1].startswith(" 1 | …")
    assert shown[1].endswith("…")
    mark = shown[2].index("^")
    assert shown[1][mark : mark + 4] == "here"
