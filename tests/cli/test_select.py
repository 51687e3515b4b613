from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtls_runner.cli.choose import named
from mtls_runner.cli.select import compile_expression
from mtls_runner.errors import UsageError
from tests.reporters import samples

GOOD = "labs/basic.yaml::with the certificate[client.tls=TLSv1.3,client.tool=curl]"
BAD = "labs/basic.yaml::expired[client.tls=TLSv1.2,client.tool=python]"


@pytest.mark.parametrize(
    ("expression", "good", "bad"),
    [
        ("curl", True, False),
        ("CURL", True, False),
        ("not curl", False, True),
        ("not not curl", True, False),
        ("curl and TLSv1.3", True, False),
        ("curl and TLSv1.2", False, False),
        ("curl or TLSv1.2", True, True),
        ("TLSv1.2 or curl and expired", False, True),
        ("(TLSv1.2 or curl) and expired", False, True),
        ("(TLSv1.2 or curl) and not expired", True, False),
        ("client.tls=TLSv1.3,client.tool=curl", True, False),
        ("'with the'", True, False),
        ('"with the" or expired', True, True),
        ("'and'", False, False),
        ("nothing-like-it", False, False),
    ],
)
def test_expressions(expression: str, good: bool, bad: bool) -> None:
    predicate = compile_expression(expression)
    assert (predicate(GOOD), predicate(BAD)) == (good, bad)


@pytest.mark.parametrize(
    ("expression", "column", "message"),
    [
        ("", 1, "something is missing"),
        ("curl and", 9, "something is missing"),
        ("and curl", 1, "unexpected 'and'"),
        ("curl python", 6, "unexpected 'python'"),
        ("(curl", 1, "never closed"),
        ("curl)", 5, "unexpected ')'"),
        ("curl and 'open", 10, "never closed"),
        ("not", 4, "something is missing"),
    ],
)
def test_a_bad_expression_is_told_with_its_place(expression: str, column: int, message: str) -> None:
    with pytest.raises(UsageError, match=r"^-k, column") as caught:
        compile_expression(expression)
    first, shown, caret = str(caught.value).splitlines()
    assert message in first
    assert f"column {column}:" in first
    assert shown.strip() == expression
    assert caret.index("^") == len("    ") + column - 1


@given(st.text(alphabet="ab()'\" andort", max_size=20))
def test_any_text_is_an_expression_or_a_usage_error(text: str) -> None:
    try:
        predicate = compile_expression(text)
    except UsageError:
        return
    assert predicate("ab") in (True, False)


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        ((), True),
        (("a [case]",), True),
        (("a [case][x=1]",), True),
        (("a ",), False),
        (("a [case][x=2]",), False),
        (("a [case][x=2]", "a [case]"), True),
    ],
)
def test_names_after_a_path(wanted: tuple[str, ...], chosen: bool) -> None:
    assert named(samples.case("a [case]", x="1"), wanted) is chosen
