"""What is written into a scenario file, and every byte that is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner import Overrides, ScenarioError, load
from mtls_runner.errors import LabError
from mtls_runner.language.layout import comments, extents
from mtls_runner.language.recording import Expected, RecordableFile

LAB = """\
ca: {subject: CN=Lab CA, key: ec-p256}
leaves: {server: {}, client: {usage: client}}
server: {certificate: server, trust: [ca]}
"""
REFUSED = Expected({"server-refused": "no-certificate"})
ACCEPTED = Expected("accepted")
LOOK = Expected("accepted", "it gets in")
LONG = Expected({"outcome": "accepted", "where": [{"when": {"tls": "TLSv1.2"}, "expect": {"status": 404}}]})


def written(tmp_path: Path, text: str, *expected: Expected) -> str:
    """The cases, with the first expectations for the first places that have none."""
    path = tmp_path / "scenario.yaml"
    path.write_bytes(text.encode())
    recording = RecordableFile(path, Overrides())
    empty = [place for place in recording.places if not place.recorded and not place.left_alone]
    return recording.text(dict(zip(empty, expected, strict=True)))


@pytest.mark.parametrize(
    ("before", "expected", "after"),
    [
        pytest.param("- name: none\n", ACCEPTED, "- name: none\n    expect: accepted\n", id="one key"),
        pytest.param(
            "- name: none     # nobody\n    # at all\n\n  # the end",
            REFUSED,
            "- name: none     # nobody\n    expect: {server-refused: no-certificate}\n    # at all\n\n  # the end",
            id="comments stay where they are",
        ),
        pytest.param("- name: none", ACCEPTED, "- name: none\n    expect: accepted", id="no line break at the end"),
        pytest.param(
            "- client:\n      certificate: client\n      request: {path: /x}   # here\n    name: y\n",
            LOOK,
            "- client:\n      certificate: client\n      request: {path: /x}   # here\n    name: y\n"
            "    expect: accepted  # look: it gets in\n",
            id="other order",
        ),
        pytest.param(
            "- name: x\n    client:\n      certificate: client\n      server_name: localhost     # last\n  # next\n",
            ACCEPTED,
            "- name: x\n    client:\n      certificate: client\n      server_name: localhost     # last\n"
            "    expect: accepted\n  # next\n",
            id="behind a block",
        ),
        pytest.param(
            "- name: x\n    client:\n      request:\n        body: |\n          text\n\n\n",
            ACCEPTED,
            "- name: x\n    client:\n      request:\n        body: |\n          text\n    expect: accepted\n\n\n",
            id="behind a text block",
        ),
        pytest.param(
            "- name: x\n    client:\n      request:\n        body: |+\n          text\n\n\n",
            ACCEPTED,
            "- name: x\n    client:\n      request:\n        body: |+\n          text\n\n\n    expect: accepted\n",
            id="behind a text block that keeps its line breaks",
        ),
        pytest.param(
            "- {name: x, client: client}  # y\n",
            LOOK,
            "- {name: x, client: client, expect: accepted}  # y  # look: it gets in\n",
            id="braces",
        ),
        pytest.param(
            "- {\n      name: x,   # y\n      client: client,\n    }\n",
            REFUSED,
            "- {\n      name: x,   # y\n      client: client, expect: {server-refused: no-certificate},\n    }\n",
            id="braces over lines",
        ),
        pytest.param(
            '- {"name": "x"}\n',
            REFUSED,
            '- {"name": "x", "expect": {"server-refused": "no-certificate"}}\n',
            id="JSON",
        ),
        pytest.param(
            '- {name: "x\n      y"}\n',
            LOOK,
            '- {name: "x\n      y", expect: accepted}  # look: it gets in\n',
            id="a text over lines",
        ),
        pytest.param(
            "- name: x\n",
            LONG,
            "- name: x\n    expect:\n      outcome: accepted\n      where:\n"
            "        - {when: {tls: TLSv1.2}, expect: {status: 404}}\n",
            id="where",
        ),
        pytest.param(
            "- name: x\n    steps:\n      - {}\n      - wait: 1\n      - name: y  # z\n"
            "      - {resume: true, expect: accepted}\n",
            ACCEPTED,
            "- name: x\n    steps:\n      - {expect: accepted}\n      - wait: 1\n      - name: y  # z\n        expect: accepted\n"
            "      - {resume: true, expect: accepted}\n",
            id="steps",
        ),
    ],
)
@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_nothing_else_changes(tmp_path: Path, before: str, expected: Expected, after: str, line_break: str) -> None:
    matrix = "matrix: {client.tls: [TLSv1.2, TLSv1.3]}\n"
    before, after = (f"{LAB}{matrix}cases:  # ä 𝄞\n  {text}".replace("\n", line_break) for text in (before, after))
    assert written(tmp_path, before, *[expected] * (2 if "steps" in before else 1)) == after


def test_two_cases_on_one_line_and_a_comment_within_the_next(tmp_path: Path) -> None:
    text = f'{LAB}cases: [{{name: a}}, {{name: "b\n  c"}}]\n'
    after = f'{LAB}cases: [{{name: a, expect: accepted  # look: it gets in\n          }}, {{name: "b\n  c", expect: accepted}}]\n'
    assert written(tmp_path, text, LOOK, ACCEPTED) == after


@pytest.mark.parametrize(
    ("cases", "why"),
    [
        ("  - &a {name: x}\n", "anchor"),
        ("  - name: x\n    steps: &a\n      - {}\n  - name: y\n    steps: *a\n", "anchor"),
        ("  - &a\n    name: x\n", "anchor"),
    ],
)
def test_what_stands_behind_an_anchor_or_alias_is_left_alone(tmp_path: Path, cases: str, why: str) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(f"{LAB}cases:\n{cases}")
    places = RecordableFile(path, Overrides()).places
    assert why in places[0].left_alone
    assert all(place.left_alone for place in places)
    assert "alias" in places[-1].left_alone or len(places) == 1


def test_alias_as_the_last_value(tmp_path: Path) -> None:
    text = (
        f"{LAB}cases:\n  - name: x\n    client: &c {{certificate: client}}\n"
        "  - name: y\n    client: *c   # z\n  - {name: z, client: *c }\n"
    )
    assert written(tmp_path, text, ACCEPTED, LOOK, ACCEPTED) == text.replace(
        "client}\n", "client}\n    expect: accepted\n"
    ).replace("# z\n", "# z\n    expect: accepted  # look: it gets in\n").replace("*c }", "*c, expect: accepted }")


def replaced(tmp_path: Path, cases: str, expected: Expected) -> str:
    path = tmp_path / "scenario.yaml"
    path.write_text(f"{LAB}cases:\n{cases}")
    recording = RecordableFile(path, Overrides())
    return recording.text({recording.places[0]: expected}).removeprefix(f"{LAB}cases:\n")


def test_an_expectation_is_replaced(tmp_path: Path) -> None:
    before = (
        "  - name: x   # a\n    expect:   # b\n      outcome: accepted  # c\n      status: 200\n\n    client: client\n"
    )
    assert replaced(tmp_path, before, REFUSED) == (
        "  - name: x   # a\n    # b\n    # c\n    expect: {server-refused: no-certificate}\n\n    client: client\n"
    )
    before = "  - {name: x, expect: accepted, client: client}  # a  # look: why\n"
    assert replaced(tmp_path, before, REFUSED) == (
        "  - {name: x, expect: {server-refused: no-certificate}, client: client}  # a\n"
    )
    before = "  - {name: x, expect: {outcome: accepted,  # b\n      status: 200}, client: client}  # a\n"
    assert replaced(tmp_path, before, REFUSED) == (
        "  - {name: x,\n      # b\n      expect: {server-refused: no-certificate}, client: client}  # a\n"
    )
    before = "  - {name: x,\n     expect: {  # c\n       server-refused: expired}}\n"
    assert replaced(tmp_path, before, REFUSED) == (
        "  - {name: x,\n     # c\n     expect: {server-refused: no-certificate}}\n"
    )
    before = "  - name: x\n    expect: accepted  # a  # look: why\n"
    assert replaced(tmp_path, before, LOOK) == "  - name: x\n    expect: accepted  # a  # look: it gets in\n"


def test_nothing_that_says_something_else_is_written(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="can't be written"):
        written(tmp_path, f"{LAB}cases: [{{name: x}}]\n", Expected({"server-refused": "no-such-reason"}))


def test_both_parsers_see_the_same_places() -> None:
    text = f"{LAB}cases:\n  - &a {{name: x}} # c\n  - name: |+\n      x\n\n  - *a\n"
    assert extents(text, fast=True) == extents(text, fast=False)
    assert list(comments(text, fast=True)) == list(comments(text, fast=False))
    assert [comment.text for comment in comments(text)] == ["# c"]


def test_a_comment_to_look_warns_until_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(
        f"{LAB}cases:\n  - name: 'a # look: b'\n    client: client\n    expect: accepted  # look: it gets in\n"
    )
    (warning,) = load(path).warnings
    assert "it gets in" in warning.message
    assert warning.span is not None
    assert (warning.span.line, warning.span.column) == (7, 23)
    path.write_text(path.read_text().replace("  # look: it gets in", ""))
    assert not load(path).warnings


def test_a_case_without_expectation_is_a_mistake_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "a scenario.yaml"
    path.write_text(f"{LAB}cases:\n  - {{name: x}}\n  - {{name: y, steps: [{{}}]}}\n")
    with pytest.raises(ScenarioError) as raised:
        load(path)
    assert [
        each.expected.endswith(f"`mtls-run record '{path}'` writes what happens") for each in raised.value.diagnostics
    ] == [
        True,
        True,
    ]
