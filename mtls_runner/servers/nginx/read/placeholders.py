"""Templates: files that a configuration has to be made of first."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mtls_runner.errors import UsageError
from mtls_runner.servers.mapped_files import text_of

__all__ = ["refuse_template"]

_MARKS = {
    "{{ … }}": re.compile(r"\{\{.*?\}\}|\{\{\s*[\w.$-]+"),
    "{% … %}": re.compile(r"\{%.*?%\}"),
    "<% … %>": re.compile(r"<%.*?%>"),
    "@…@": re.compile(r"(?<![\w.])@[A-Za-z_]\w*@"),
    "__…__": re.compile(r"(?<!\w)__[A-Z][A-Z0-9_]*__(?!\w)"),
    "%(…)s": re.compile(r"%\(\w+\)s"),
    "<…>": re.compile(r"(?<![?\w])<[A-Za-z][\w .:/-]*>"),
    "${…}": re.compile(r"\$\{[A-Z][A-Z0-9_]*\}|\$(?!HTTP_|SENT_HTTP_|ARG_|COOKIE_)[A-Z][A-Z0-9_]{2,}\b"),
}
"""nginx knows its variables in any case, but people write them in lower case, fields of requests apart."""
_COMMENT_OR_QUOTED = re.compile(r"""(?:^|(?<=[\s;{}]))\#.*$|(?:^|(?<=[\s(;{]))("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_NO_TEXT = ("<…>", "%(…)s")
"""Marks that a quoted text may well hold: HTML, a format."""
_DEFINED = re.compile(
    r"(?:\bset\s+|\bmap\s+\S+\s+|\bgeo\s+(?:\S+\s+)?)\$(\w+)|\(\?P?<(\w+)>|\bsplit_clients\s+\S+\s+\$(\w+)"
)


def refuse_template(files: Iterable[Path]) -> None:
    """A file that something else has to be made of first.

    Raises:
        UsageError: it is one; with the line. Or it can't be read.
    """
    try:
        texts = {file: text_of(file) for file in files}
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}") from error
    defined = {name for text in texts.values() for found in _DEFINED.findall(text) for name in found if name}
    for file, text in texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            bare = _COMMENT_OR_QUOTED.sub(lambda found: found[1] or "", line)
            unquoted = _COMMENT_OR_QUOTED.sub("", line)
            for kind, mark in _MARKS.items():
                for found in mark.findall(unquoted if kind in _NO_TEXT else bare):
                    if found.strip("${}") not in defined:
                        raise UsageError(
                            f"{file}:{number}: {found} is a placeholder ({kind}): this is a template, which has to be rendered "
                            "first. Give the file that nginx reads"
                        )
