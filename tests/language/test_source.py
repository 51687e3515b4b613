"""YAML 1.2's core schema, on libyaml and on the pure parser, and what is refused before anything looks at it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from mtls_runner.errors import ScenarioError
from mtls_runner.language import document as source
from mtls_runner.language import yaml_nodes
from mtls_runner.language.document import Document, Plain, Value

PATH = Path("scenario.yaml")
both = pytest.mark.parametrize(
    "fast",
    [pytest.param(True, marks=pytest.mark.skipif(not yaml_nodes.FAST, reason="PyYAML has no libyaml here")), False],
)


def parsed(text: str, fast: bool) -> Document:
    return source.parse(text, PATH, fast=fast)


def refused(text: str, fast: bool = yaml_nodes.FAST) -> str:
    with pytest.raises(ScenarioError) as caught:
        parsed(text, fast)
    (diagnostic,) = caught.value.diagnostics
    return f"{diagnostic.span}: {diagnostic.message}"


def problems(text: str, fast: bool) -> list[str]:
    return [f"{one.span}: {one.message}" for one in parsed(text, fast).problems]


@both
@pytest.mark.parametrize(
    "typed",
    ["no", "off", "yes", "on", "y", "12:30", "2026-01-31", "2026-01-31T12:00:00Z", "0o8", "1_000", "=", "1.2.3"],
)
def test_text_that_yaml_1_1_would_change_stays_text(typed: str, fast: bool) -> None:
    value = parsed(f"key: {typed}", fast).value
    assert value == {"key": typed}
    assert not isinstance(dict_of(value)["key"], Plain)


@both
@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("1.2", 1.2),
        ("0777", 777),
        ("1e3", 1000.0),
        ("-7", -7),
        ("0x1F", 31),
        ("0o17", 15),
        ("true", True),
        ("False", False),
        (".inf", float("inf")),
        ("1.", 1.0),
    ],
)
def test_numbers_and_booleans_keep_what_was_typed(typed: str, number: float, fast: bool) -> None:
    value = dict_of(parsed(f"key: {typed}", fast).value)["key"]
    assert isinstance(value, Plain)
    assert value == typed
    assert value.value == number
    assert type(value.value) is type(number)


@both
@pytest.mark.parametrize("typed", ["", "~", "null", "Null"])
def test_nothing_is_none(typed: str, fast: bool) -> None:
    assert parsed(f"key: {typed}", fast).value == {"key": None}


@both
@pytest.mark.parametrize("typed", ['"1"', "'true'", '"null"', "!!str 5"])
def test_quotes_make_text(typed: str, fast: bool) -> None:
    value = dict_of(parsed(f"key: {typed}", fast).value)["key"]
    assert isinstance(value, str)
    assert not isinstance(value, Plain)


@both
def test_a_number_of_many_digits_is_text(fast: bool) -> None:
    digits = "9" * 5000  # int() itself refuses so many
    value = dict_of(parsed(f"key: {digits}", fast).value)["key"]
    assert value == digits
    assert not isinstance(value, Plain)


@both
def test_duplicate_keys_name_both_places(fast: bool) -> None:
    assert problems("name: a\nca:\n  x: 1\nname: b\n", fast) == [
        "scenario.yaml:4:1: duplicate key: the same key is already at line 1, column 1"
    ]
    assert problems("name: a\nca:\n  name: b\n", fast) == []


@both
def test_merge_keys_are_refused_and_quoted_ones_are_keys(fast: bool) -> None:
    assert problems("a: &a {x: y}\nb:\n  <<: *a\n", fast) == [
        "scenario.yaml:3:3: merge keys (<<) are not part of YAML 1.2"
    ]
    assert problems("b:\n  '<<': y\n", fast) == []


@both
@pytest.mark.parametrize("tag", ["!mine", "!!binary", "!!set", "!!timestamp", "!!python/object/apply:os.system"])
def test_tags_are_refused(tag: str, fast: bool) -> None:
    (problem,) = problems(f"a: {tag} x\n", fast)
    assert problem == "scenario.yaml:1:4: this tag is not known here"
    assert problems("a: !!str x\n", fast) == []


@both
def test_a_key_that_is_a_list_is_refused(fast: bool) -> None:
    assert problems("? [a]\n: b\n", fast) == ["scenario.yaml:1:3: a key must be a word, not a list or a mapping"]


@both
@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n...\n"])
def test_an_empty_file_is_refused(text: str, fast: bool) -> None:
    if text.startswith("---"):
        assert parsed(text, fast).value is None  # an empty document, which is no mapping: the models say so
    else:
        assert refused(text, fast) == "scenario.yaml:1:1: the file is empty"


@both
def test_a_second_document_is_refused(fast: bool) -> None:
    assert refused("a: 1\n---\nb: 1\n", fast) == "scenario.yaml:2:1: a second document begins here"
    assert parsed("---\na: 1\n...\n", fast).value == {"a": "1"}


@both
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c\n", "1:5: a ':' can't stand here"),
        ("a:\n\t- x\n", "2:1: a tab can't indent"),
        ("a: @x\n", "1:4: a value can't begin with '@'"),
        ("a: *gone\n", "1:4: no anchor of this name was defined before"),
        ("a: &x 1\nb: &x 2\n", "2:4: an anchor of this name was defined before"),
        ("- a\nb: c\n", "2:1: not an item of the list above: the indentation differs"),
    ],
)
def test_broken_yaml_in_plain_words(text: str, message: str, fast: bool) -> None:
    assert refused(text, fast) == f"scenario.yaml:{message}"


@both
@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("a: 'x\n", "1:4", "this quoted text has no end"),
        ("a: [1, 2\n", "1:4", "this list has no end, or a comma is missing in it"),
        ("cases: {\n  - name: b\n", "2:3", "a list item ('- ') between brackets or braces"),
        ("cases: [\n  - name: b\n", "2:3", "a list item ('- ') between brackets or braces"),
        ("a: {b: c\n", "1:4", "this mapping has no end, or a comma is missing in it"),
    ],
)
def test_what_has_no_end_is_shown_where_it_begins(text: str, place: str, words: str, fast: bool) -> None:
    assert refused(text, fast) == f"scenario.yaml:{place}: {words}"


@both
def test_an_alias_within_its_own_anchor_is_refused(fast: bool) -> None:
    assert refused("a: &a [*a]\n", fast) == "scenario.yaml:1:4: this alias is within its own anchor"
    assert refused("a: &a {b: *a}\n", fast) == "scenario.yaml:1:8: this alias is within its own anchor"
    assert parsed("a: &a [x]\nb: *a\n", fast).value == {"a": ["x"], "b": ["x"]}


@both
def test_an_alias_bomb_is_refused_without_being_expanded(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]  # 10^12 values
    converted = count_conversions(monkeypatch)
    assert refused("\n".join(lines), fast).endswith("aliases make more than 100000 values of this file")
    assert len(converted) < 300  # each node once, whatever leads to it


@both
def test_as_many_aliases_as_a_scenario_has_are_fine(fast: bool) -> None:
    text = "a: &a {x: [y, z]}\nb:\n" + "  - *a\n" * 5000
    assert len(list_of(dict_of(parsed(text, fast).value)["b"])) == 5000


@both
def test_depth_is_bounded_before_the_parser_is_deep(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    original = yaml_nodes._CoreSchema.descend_resolver

    def counted(self: yaml_nodes._CoreSchema, node: yaml.Node | None, index: object) -> None:
        seen.append(1)
        original(self, node, index)

    monkeypatch.setattr(yaml_nodes._CoreSchema, "descend_resolver", counted)
    assert "more than 40 mappings and lists within each other" in refused("[" * 100_000, fast)
    assert len(seen) <= yaml_nodes.MAX_DEPTH + 1
    assert parsed("[" * 30 + "]" * 30, fast).value is not None


@both
def test_depth_is_bounded_through_aliases_too(fast: bool) -> None:
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60))]
    assert "more than 40 mappings and lists within each other" in refused("\n".join(lines), fast)


@pytest.mark.parametrize("text", ["a: \x1b[31m", "a: \x00", "a: \u2028b", "a: x\x85"])
def test_characters_that_would_confuse_lines_or_terminals_are_refused(text: str) -> None:
    assert "is not allowed" in refused(text)


def test_a_place_is_counted_in_characters_not_bytes() -> None:
    assert refused('a: "äöü🙂"\nb: "äöü🙂", c: d\n').startswith("scenario.yaml:2:10:")


def test_a_byte_order_mark_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: x\n")
    document = source.read(path)
    assert document.value == {"name": "x"}
    assert document.span(("name",), key=True).column == 1


def test_other_encodings_are_refused_at_their_first_byte(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_bytes("a: b\nname: Jürgen\n".encode("latin-1"))
    with pytest.raises(ScenarioError) as caught:
        source.read(path)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.message, str(diagnostic.span)) == ("not UTF-8: byte 0xfc", f"{path}:2:8")


def test_more_than_a_mebibyte_is_refused_unparsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text("a: x\n" + "#" * (1 << 20))
    composed = count_compositions(monkeypatch)
    with pytest.raises(ScenarioError, match="larger than 1 MiB"):
        source.read(path)
    assert composed == []
    path.write_text("a: x\n" + "#" * ((1 << 20) - 5))
    assert source.read(path).value == {"a": "x"}
    assert len(composed) == 1


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="No such file"):
        source.read(tmp_path / "gone.yaml")


@both
def test_an_error_behind_an_alias_points_at_the_key_that_holds_it(fast: bool) -> None:
    document = parsed("first: &shared {bad: x}\nsecond:\n  here: *shared\nlist: [a, *shared]\n", fast)
    assert str(document.span(("first", "bad"))) == "scenario.yaml:1:22"
    assert str(document.span(("second", "here", "bad"))) == "scenario.yaml:3:3"
    assert document.span(("list", 1, "bad")).line == 4


def dict_of(value: Value) -> dict[str, Value]:
    assert isinstance(value, dict)
    return value


def list_of(value: Value) -> list[Value]:
    assert isinstance(value, list)
    return value


def count_conversions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    original = source._Converter._convert

    def counted(
        self: source._Converter, node: yaml.MappingNode | yaml.SequenceNode, place: yaml.Node
    ) -> source._Measure:
        seen.append(1)
        return original(self, node, place)

    monkeypatch.setattr(source._Converter, "_convert", counted)
    return seen


def count_compositions(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    seen: list[int] = []
    original = yaml_nodes.compose

    def counted(text: str, *, fast: bool) -> yaml.Node | None:
        seen.append(len(text))
        return original(text, fast=fast)

    monkeypatch.setattr(source, "compose", counted)
    return seen
