"""Scalar types of declarations: patterns, names of files, signals and variables, words for reasons and alerts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from mtls_runner.language.document import Value, meant
from mtls_runner.language.values import Json, OneOrMore, Parsed, Text, fail, matching, text_value, word
from mtls_runner.model.observation import Reason
from mtls_runner.tls import ALERTS
from mtls_runner.tls.dialects import GROUPS, PLACEHOLDERS, compiled

__all__ = [
    "AlertName",
    "Command",
    "Connects",
    "DialectName",
    "Environment",
    "Fact",
    "FileName",
    "Logs",
    "Placed",
    "Reads",
    "ReasonWord",
    "OneGroup",
    "Regex",
    "SignalName",
    "Variable",
]

_SIGNALS = ("HUP", "INT", "TERM", "QUIT", "USR1", "USR2", "WINCH")
_NAMED = re.compile(r"\(\?P<([^>]+)>")
_FILES = sorted((Path(__file__).parents[2] / "implementations" / "dialects").glob("*.yaml"))
#: Names of the dialects that come with the package.
_DIALECTS = [path.stem for path in _FILES]


def _pattern(value: Value) -> str:
    text = text_value(value)
    try:
        compiled(text)
    except re.error as error:
        raise fail(
            f"this is not a regular expression: {error.msg}" + (f" at character {error.pos + 1}" if error.pos else ""),
            "one as Python's re has them",
        ) from None
    return text


def _regex(value: Value) -> str:
    text = _pattern(value)
    for name in _NAMED.findall(text):
        if name not in GROUPS:
            close = meant(name, GROUPS)
            raise fail(
                f"no group is called '{name}'" + (f"; did you mean '{close}'?" if close else ""),
                f"one of: {', '.join(GROUPS)}",
            )
    return text


def _fact(value: Value) -> str:
    text = _regex(value)
    if not compiled(text).groupindex:
        raise fail("no group in it says what was seen", "named groups, as in ^status (?P<status>\\d{3})$")
    return text


def _one_group(value: Value) -> str:
    text = _pattern(value)
    if compiled(text).groups != 1:
        raise fail("what is looked for is one group of this expression", "one group, as in version (\\S+)")
    return text


def _connects(value: Value) -> str:
    text = _pattern(value)
    if not {"host", "port"} <= compiled(text).groupindex.keys():
        raise fail("it has no groups host and port", "(?P<host>…) and (?P<port>…), which may be optional")
    return text


def _with_group(name: str) -> Parsed:
    def read(value: Value) -> str:
        text = _pattern(value)
        if name not in compiled(text).groupindex:
            raise fail(f"it has no group {name}", f"(?P<{name}>…)")
        return text

    return Parsed(read, {"type": "string"})


def _placed(value: Value) -> str:
    text = _regex(value)
    if not any(placeholder in text for placeholder in PLACEHOLDERS):
        raise fail("nothing in it tells connections apart", f"{' or '.join(PLACEHOLDERS)} somewhere in it")
    return text


_TEXT: Json = {"type": "string"}
Regex = Annotated[str, Parsed(_regex, _TEXT)]
OneGroup = Annotated[str, Parsed(_one_group, _TEXT)]
Fact = Annotated[str, Parsed(_fact, _TEXT)]
Connects = Annotated[str, Parsed(_connects, _TEXT)]
Logs = Annotated[str, _with_group("log")]
Reads = Annotated[str, _with_group("variable")]
Placed = Annotated[str, Parsed(_placed, _TEXT)]
FileName = Annotated[
    str,
    matching(
        r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*",
        "this is not the name of a file below this directory",
        "letters, digits, ., _ and - between slashes",
    ),
]
Variable = Annotated[
    str, matching(r"[A-Za-z_][A-Za-z0-9_]*", "this is not the name of an environment variable", "letters, digits and _")
]
Command = Annotated[list[Text], OneOrMore(empty=False)]
SignalName = Annotated[str, word(_SIGNALS, "the name of a signal")]
ReasonWord = Annotated[Reason, word(Reason, "a reason")]
AlertName = Annotated[str, word(ALERTS.values(), "an alert (RFC 8446 §6)")]
DialectName = Annotated[str, word(_DIALECTS, "a dialect")]
Environment = dict[Variable, Text]
