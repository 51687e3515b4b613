"""Plain values → YAML, as a person would write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import yaml
from yaml.nodes import MappingNode, ScalarNode

from mtls_runner.language.yaml_nodes import STR, compose

__all__ = ["Written", "block", "flow", "scalar"]

Written: TypeAlias = "str | int | bool | Sequence[Written] | Mapping[str, Written] | None"

_WIDTH = 110
_NAMED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def scalar(text: str, *, quoted: bool = False) -> str:
    """Plain where the language's reader takes it for nothing else, also within braces; otherwise, or where everything around it
    is (``quoted``: JSON), in double quotes.
    """
    return text if not quoted and _is_plain(text) else '"' + "".join(map(_escaped, text)) + '"'


def _is_plain(text: str) -> bool:
    if not text.isprintable():
        return False
    try:
        node = compose(f"{{key: {text}}}")
    except yaml.YAMLError:
        return False
    if not isinstance(node, MappingNode) or len(node.value) != 1:
        return False
    value = node.value[0][1]
    plain = isinstance(value, ScalarNode) and value.style in (None, "")
    return plain and value.tag == STR and value.value == text


def _escaped(character: str) -> str:
    if character in _NAMED or character.isprintable():
        return _NAMED.get(character, character)
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def flow(value: Written, *, quoted: bool = False) -> str:
    """On one line; ``quoted``: as JSON."""
    if isinstance(value, str):
        return scalar(value, quoted=quoted)
    if isinstance(value, Mapping):
        entries = (f"{scalar(key, quoted=quoted)}: {flow(inner, quoted=quoted)}" for key, inner in value.items())
        return "{" + ", ".join(entries) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(flow(inner, quoted=quoted) for inner in value) + "]"
    return (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or value is True or value is False
        else str(value)
    )


def block(key: str, value: Written, indent: int, behind: str = "") -> list[str]:
    """``key: value`` in lines, without the key's own indentation: one line where it fits and holds no list of mappings.

    Args:
        key, value: what is written.
        indent: how far the key will be indented.
        behind: what stands behind the first line: a comment.
    """
    line = f"{scalar(key)}: {flow(value)}"
    nested = isinstance(value, Mapping) and any(_is_table(inner) for inner in value.values())
    if not isinstance(value, Mapping) or not value or (not nested and indent + len(line) <= _WIDTH):
        return [line + behind]
    lines = [f"{scalar(key)}:{behind}"]
    for name, inner in value.items():
        if _is_table(inner) and isinstance(inner, Sequence):
            lines.append(f"  {scalar(name)}:")
            lines += [f"    - {flow(each)}" for each in inner]
        else:
            lines.append(f"  {scalar(name)}: {flow(inner)}")
    return lines


def _is_table(value: Written) -> bool:
    return (
        isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(each, Mapping) for each in value)
    )
