"""What the rules of a configuration name: subjects, issuers, fingerprints, paths, hosts, methods.

No rule is followed. Whatever a ``map`` or an ``if`` compares with something of the client or its request is a literal that
somebody should come with; what nginx makes of them shows when they do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from msgspec import Struct, field
from msgspec.structs import replace

from mtls_runner.servers.nginx.read.configuration import Directive, Reading
from mtls_runner.servers.nginx.read.examples import examples, python_pattern

__all__ = ["Literal", "Rules", "rules"]

_KINDS = {
    **dict.fromkeys(("ssl_client_s_dn", "ssl_client_s_dn_legacy"), "subject"),
    **dict.fromkeys(("ssl_client_i_dn", "ssl_client_i_dn_legacy"), "issuer"),
    "ssl_client_fingerprint": "fingerprint",
    "ssl_client_serial": "serial",
    "ssl_client_verify": "verify",
    **dict.fromkeys(("uri", "request_uri", "document_uri"), "path"),
    **dict.fromkeys(("host", "http_host", "ssl_server_name"), "host"),
    "request_method": "method",
    "request": "request",
}
"""Variables of nginx, by what of a client or a request they hold."""
_OF_REQUESTS = frozenset(("path", "host", "method", "request", "header"))
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_COMMON_FIELDS = frozenset(
    ("http_" + name)
    for name in (
        "user_agent",
        "referer",
        "cookie",
        "upgrade",
        "origin",
        "connection",
        "x_forwarded_proto",
        "accept_encoding",
    )
)
"""Clients send these for other reasons."""
_CONDITION = re.compile(r"(\$\{?\w+\}?)\s*(!=|=|!~\*|!~|~\*|~)\s*(.*)", re.DOTALL)
_CAPTURE = re.compile(r"\(\?P?<(\w+)>")
_OF_A_MAP = ("default", "hostnames", "include", "volatile")
_MOST = 4
"""Literals of one map with the same value: what it says of thousands it says of these."""


class Literal(Struct, frozen=True):
    """One text that a rule compares with.

    Args:
        text: for the variable itself; an example where the rule has a regular expression.
        pattern: the regular expression, as Python writes it, or ``""``: the text is all of it.
        legacy: a name in OpenSSL's old form, with slashes.
        place: file and line of the rule.
        server: number of the ``server`` block that it is in; 0: none, and it may count for all.
    """

    text: str
    pattern: str
    legacy: bool
    place: str
    server: int = 0


class Rules(Struct):
    """What the rules of a configuration name.

    Args:
        named: by kind (``subject``, ``issuer``, ``fingerprint``, ``serial``, ``path``, ``host``, ``method``, ``header``), in
            order.
        blocks: numbers of the blocks right around an ``if`` of a rule about clients themselves.
        more: how many literals of large maps are left out.
    """

    named: dict[str, list[Literal]] = field(default_factory=dict)
    blocks: set[int] = field(default_factory=set)
    more: int = 0

    def of(self, kind: str, server: int = 0) -> list[Literal]:
        """The literals of one kind, each text once: all of them, or those that apply to one ``server`` block."""
        found = (one for one in self.named.get(kind, []) if not server or one.server in (0, server))
        return list({one.text: one for one in found}.values())


class _Capture(Struct, frozen=True):
    """A variable that holds what a group of an expression matched in another text."""

    template: str
    pattern: str
    group: int | str
    ignore_case: bool


class _Choice(Struct, frozen=True):
    """What a ``map`` chooses a variable's value by; the value itself says nothing of it."""

    template: str


class _Comparison(Struct, frozen=True):
    """A text with variables, and what it is compared with."""

    template: str
    operator: str
    operand: str
    value: str
    directive: Directive


_Source: TypeAlias = str | _Capture | _Choice


def rules(reading: Reading) -> Rules:
    """The rules of the whole configuration."""
    found = Rules()
    comparisons = list(_comparisons(reading))
    sources = _sources(reading, comparisons)
    seen: dict[tuple[str, str], int] = {}
    for one in comparisons:
        kinds = {kind for name in _variables(one.template) for kind in _kinds(name, sources, frozenset())}
        if not kinds:
            continue
        if kinds - _OF_REQUESTS and one.directive.name == "if":
            found.blocks.update(one.directive.around[-1:])
        key = (one.directive.place if one.directive.name == "if" else str(one.directive.around), one.value)
        seen[key] = seen.get(key, 0) + 1
        if seen[key] > _MOST:
            found.more += 1
            continue
        extracts = one.operator != "=" and _VARIABLE.fullmatch(one.value) is not None
        for text, pattern in () if extracts else _texts(one):
            rule = Literal(text, pattern, False, one.directive.place, _server(one.directive, reading))
            _trace(one.template, rule, sources, found, frozenset())
    return found


def _comparisons(reading: Reading) -> Iterator[_Comparison]:
    maps: dict[int, str] = {}
    for directive in reading.directives:
        arguments = directive.arguments
        if directive.name == "map" and directive.opens and len(arguments) == 2:
            maps[directive.opens] = arguments[0]
        elif directive.path[-1:] == ("map",) and directive.around[-1] in maps and arguments:
            if directive.name not in _OF_A_MAP:
                name = directive.name.removeprefix("\\")
                operator = next((sign for sign in ("~*", "~") if name.startswith(sign)), "=")
                yield _Comparison(
                    maps[directive.around[-1]], operator, name.removeprefix(operator), arguments[0], directive
                )
        elif directive.name == "if" and directive.opens:
            match = _CONDITION.fullmatch(_condition(directive))
            if match is not None:
                yield _Comparison(match[1], match[2].lstrip("!"), match[3].strip(), match[2], directive)


def _condition(directive: Directive) -> str:
    text = " ".join(directive.arguments).strip()
    return text.removeprefix("(").removesuffix(")").strip()


def _sources(reading: Reading, comparisons: list[_Comparison]) -> dict[str, list[_Source]]:
    """Where variables get their values from: a text with other variables, or a group of an expression."""
    found: dict[str, list[_Source]] = {}
    maps = {d.opens: d.arguments for d in reading.directives if d.name == "map" and d.opens and len(d.arguments) == 2}
    conditions = {one.directive.opens: one for one in comparisons if one.directive.name == "if"}
    for one in comparisons:
        if not one.operator.startswith("~"):
            continue
        star = one.operator == "~*"
        for name in _CAPTURE.findall(one.operand):
            found.setdefault(name, []).append(_Capture(one.template, one.operand, name, star))
        if one.directive.name != "if":
            target = maps[one.directive.around[-1]][1].lstrip("$")
            for group in _variables(one.value):
                key = int(group) if group.isdigit() else group
                found.setdefault(target, []).append(_Capture(one.template, one.operand, key, star))
    for directive in reading.directives:
        if directive.name != "set" or len(directive.arguments) != 2:
            continue
        target, value = directive.arguments[0].lstrip("$"), directive.arguments[1]
        around = conditions.get(directive.around[-1]) if directive.around else None
        found.setdefault(target, []).append(value)
        if around is not None:
            for group in _variables(value):
                if group.isdigit():
                    star = around.operator == "~*"
                    found[target].append(_Capture(around.template, around.operand, int(group), star))
    for template, target in maps.values():
        if _variables(template):
            found.setdefault(target.lstrip("$"), []).append(_Choice(template))
    return found


def _variables(text: str) -> list[str]:
    return [one or other for one, other in _VARIABLE.findall(text)]


def _kinds(name: str, sources: Mapping[str, list[_Source]], seen: frozenset[str]) -> set[str]:
    """What of the client or its request the variable depends on."""
    kind = _kind(name)
    if kind:
        return {kind}
    if name in seen:
        return set()
    texts = [one if isinstance(one, str) else one.template for one in sources.get(name, [])]
    return {kind for text in texts for inner in _variables(text) for kind in _kinds(inner, sources, seen | {name})}


def _kind(name: str) -> str:
    return _KINDS.get(name) or ("header" if name.startswith("http_") and name not in _COMMON_FIELDS else "")


def _texts(one: _Comparison) -> Iterator[tuple[str, str]]:
    if one.operator == "=":
        yield one.operand, ""
        return
    for text in examples(one.operand, ignore_case=one.operator == "~*"):
        yield text, f"(?i){python_pattern(one.operand)}" if one.operator == "~*" else python_pattern(one.operand)


def _server(directive: Directive, reading: Reading) -> int:
    numbers = {block.number for block in reading.servers}
    return next((number for number in directive.around if number in numbers), 0)


def _trace(
    template: str,
    rule: Literal,
    sources: Mapping[str, list[_Source]],
    found: Rules,
    seen: frozenset[str],
) -> None:
    """What nginx's own variables have to hold for the template to be the rule's text."""
    names = _variables(template)
    whole = _VARIABLE.fullmatch(template) is not None
    for name, value in [(names[0], rule.text)] if whole else _parts(template, names, rule.text):
        part = replace(rule, text=value, pattern=rule.pattern if whole else "")
        if _kind(name):
            _add(found, name, part)
        elif name not in seen:
            for source in sources.get(name, []):
                if isinstance(source, _Capture):
                    of = python_pattern(source.pattern)
                    for wanted in examples(source.pattern, {source.group: value}, ignore_case=source.ignore_case):
                        inner = replace(part, text=wanted, pattern=of)
                        _trace(source.template, inner, sources, found, seen | {name})
                elif isinstance(source, str) and _VARIABLE.fullmatch(source) and not source.strip("${}").isdigit():
                    _trace(source, part, sources, found, seen | {name})


def _parts(template: str, names: list[str], text: str) -> list[tuple[str, str]]:
    """The text taken apart along the template's fixed parts."""
    fixed = _VARIABLE.split(template)[::3]
    match = re.fullmatch("(.*?)".join(map(re.escape, fixed)), text, re.DOTALL)
    if match is not None:
        return list(zip(names, match.groups(), strict=True))
    path = re.search(r"/[\w/.-]*", text)  # an expression that is not about all of it
    return [(name, path[0]) for name in names if path is not None and _KINDS.get(name) == "path"]


def _add(found: Rules, name: str, part: Literal) -> None:
    kind, value = _kind(name), part.text
    if kind == "header":
        value = f"{name.removeprefix('http_').replace('_', '-').title()}: {value}" if value else ""
    if kind == "request":
        method, _, rest = value.partition(" ")
        found.named.setdefault("method", []).append(replace(part, text=method, pattern=""))
        kind, value = "path", rest.partition(" ")[0]
    if kind == "path":
        value = value[value.find("/") :] if "/" in value else ""
    if value and kind != "verify":
        found.named.setdefault(kind, []).append(replace(part, text=value, legacy=name.endswith("_legacy")))
