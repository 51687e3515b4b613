"""Pydantic's errors → diagnostics: the place, plain words, what was expected, what was meant; and what is still sound."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, get_args

from pydantic import BaseModel, ValidationError
from yaml.nodes import MappingNode, Node, ScalarNode

from mtls_runner.errors import Diagnostic, Span
from mtls_runner.language.document import Document, Loc, Value, meant
from mtls_runner.language.emit import Written, flow
from mtls_runner.language.endpoint import ClientDescription, ServerDescription
from mtls_runner.language.expectation import CASE_OUTCOMES, short_outcome
from mtls_runner.language.implementations.words import CLIENT_SETTINGS, SERVER_SETTINGS
from mtls_runner.language.scenario import Scenario
from mtls_runner.language.shared_words import Lazily
from mtls_runner.language.yaml_nodes import BOOL, FLOAT, INT, NULL
from mtls_runner.model.observation import Outcome
from mtls_runner.snippet import is_secret
from mtls_runner.snippet.masking import discreet, without_secrets
from mtls_runner.tls import REASONS

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from mtls_runner.registry import Registry

__all__ = ["diagnose", "ids", "salvage"]

#: More choices than these are not listed beside the one that was meant.
_MANY = 8

#: Keys that other tools have under another name, and mistakes that no distance finds.
_ELSEWHERE: Mapping[str, str] = {
    "cert": "certificate",
    "cacert": "trust",
    "ca_file": "trust",
    "sni": "server_name",
    "servername": "server_name",
    "eku": "usage",
    "extended_key_usage": "usage",
    "ku": "key_usage",
    "cn": "subject",
    "common_name": "subject",
    "validity": "days",
    "ssl_verify_client": "client_auth",
    "verify_client": "client_auth",
    "ssl_verify_depth": "verify_depth",
    "ssl_protocols": "tls",
    "protocols": "tls",
    "tls_versions": "tls",
    "ssl_ciphers": "ciphers",
    "sigalgs": "signature_algorithms",
    "curves": "groups",
    "password": "passphrase",
    "exit_code": "curl_exit",
    "verify": "insecure",
    "basicConstraints": "basic_constraints",
    "keyUsage": "key_usage",
    "nameConstraints": "name_constraints",
    "pathlen": "path_length",
    "code": "status",
    "url": "request",
}
#: Likewise for values: word → what is meant, the first of these that is possible at the place.
_WORDS_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("true", "force", "mandatory", "always"), ("required",)),
    **dict.fromkeys(("off", "false", "no", "never", "disabled"), ("none",)),
    **dict.fromkeys(("request", "want"), ("optional",)),
    **dict.fromkeys(("ok", "success", "pass", "allowed", "allow"), ("accepted",)),
    **dict.fromkeys(("rejected", "reject", "denied", "deny", "refuse", "fail"), ("server-refused",)),
    **dict.fromkeys(("1.0", "tlsv1.0", "tls1.0"), ("TLSv1",)),
    **dict.fromkeys(("unusable", "client-error"), ("client-unusable",)),
    **dict.fromkeys(("yes", "on"), ("required", "true")),
    "all": ("chain",),
    "openssl": ("s_server", "s_client"),
    "httpd": ("apache",),
    "docker": ("container",),
}
_KINDS: Mapping[str, str] = {
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "list_type": "a list",
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
}
#: Keys whose entries have ids and are descriptions themselves.
_SEVERAL: Mapping[Loc, str] = {
    ("servers",): "ids here, and under each its keys; the only server's stand under server:",
    ("authorities",): "ids here, and under each its keys; the only authority's stand under ca:",
    ("leaves",): "ids here, and under each its keys",
}
#: Of which lab.yaml has a part as defaults.
_WHOLE: Mapping[str, type[BaseModel]] = {"server": ServerDescription, "client": ClientDescription}
_OF_A_SERVER = frozenset({Outcome.SERVER_STARTED.value, Outcome.SERVER_UNUSABLE.value})
_ITS_OWN_CASE = "server: {expect: {starts: …}}; it is a case of its own"
_ATTRIBUTE = re.compile(r"(CN|O|OU|C|L|ST|DC|UID|SN|GN|STREET|emailAddress|serialNumber|[0-9.]+)=")
_LIMITS: Mapping[str, str] = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than": "less than {lt}",
    "less_than_equal": "{le} or less",
}


def diagnose(
    error: ValidationError, document: Document, model: type[BaseModel], prefix: Loc = (), skip: int = 0
) -> list[Diagnostic]:
    """One diagnostic for each mistake.

    Args:
        error: of validating ``model``.
        document: the file.
        model: what was validated.
        prefix: where in the document the validated value stands.
        skip: how many elements of the error's own path are not in the document (a matrix's dotted path).
    """
    return [
        discreet(_mistake(details, document, model, prefix, skip).diagnostic(), document.text)
        for details in error.errors(include_input=False, include_url=False)
    ]


def _mistake(details: ErrorDetails, document: Document, model: type[BaseModel], prefix: Loc, skip: int) -> _Mistake:
    """The mistake; where a declaration stands in place, the one inside it, by the declaration's own model."""
    if details["type"] != "within":
        return _Mistake(details, document, model, prefix, skip)
    inside = details["ctx"]
    return _Mistake(inside["details"], document, inside["model"], (*prefix, *details["loc"][skip:]), 0)


class _Mistake:
    """One of Pydantic's errors. What the author typed is only read from the file, and only for did-you-mean."""

    def __init__(
        self, details: ErrorDetails, document: Document, model: type[BaseModel], prefix: Loc, skip: int
    ) -> None:
        self._kind = details["type"]
        self._path = tuple(part for part in details["loc"] if part != "[key]")
        self._context = details.get("ctx", {})
        self._model = model
        self._hidden = any(isinstance(part, str) and is_secret(part) for part in (*prefix, *self._path[:-1]))
        on_key = self._kind == "extra_forbidden" or details["loc"][-1:] == ("[key]",)
        loc = (*prefix, *self._path[skip:])
        if on_key and skip and len(self._path) <= skip:  # a part of the dotted path itself, which is the axis's key
            loc = prefix[:-1]
        self._document, self._loc = document, loc
        self._span, self._node = _place(document, loc, on_key, self._kind == "missing")

    def diagnostic(self) -> Diagnostic:
        if self._kind == "extra_forbidden":
            return self._unknown_key()
        if self._kind == "missing":
            return Diagnostic(f"'{self._path[-1]}' is missing: {self._whose()} needs it", self._span)
        if self._kind == "mtls":
            return self._wrong_value()
        if self._kind == "value_error":  # a backend's own validator: what is wrong, and perhaps what would be right
            message, *expected = map(str, self._context["error"].args or ("this value is not possible",))
            return Diagnostic(message, self._span, "; ".join(expected))
        if self._kind in _LIMITS:
            return Diagnostic("this number is out of range", self._span, _LIMITS[self._kind].format(**self._context))
        return self._wrong_kind()

    def _whose(self) -> str:
        """What lacks a key: the key that it stands under; in a list, what its items are."""
        above = self._loc[-2:-1]
        if above and isinstance(above[0], str):
            return f"'{above[0]}'"
        owner = self._owner()
        return (owner.__doc__ or "").partition("\n")[0].partition(":")[0].rstrip(".").lower() if owner else "it"

    def _wrong_kind(self) -> Diagnostic:
        """Text for a mapping, nothing for a list: with how the key is written."""
        wanted, what = _KINDS.get(self._kind, "something else"), _what(self._node)
        examples, several = self._examples(), self._path[:-1] in _SEVERAL
        expected = f"such as {' or '.join(map(flow, examples))}" if examples else ""
        if several or self._path in _SEVERAL:
            expected = _SEVERAL[self._path[:-1] if several else self._path]
            if "ca" not in self._model.model_fields:  # lab.yaml has several only
                expected = expected.partition(";")[0]
        elif wanted == "a list" and isinstance(self._node, MappingNode):
            expected = "items, each behind '- '"
        short = wanted != "a list" and not several and any(not isinstance(one, Mapping) for one in examples)
        if what == "nothing" and (short or wanted == "a list"):  # a single value will do
            wanted, short = "a value", False
        if short and wanted == _KINDS["model_type"]:
            message = f"{what} can't stand here"
        else:
            message = f"{wanted} is expected here, not {what}"
        given = self._node.value if isinstance(self._node, ScalarNode) and not self._hidden else ""
        inside = _model_at(self._model, self._path) if given else None
        if inside is not None and given in inside.model_fields:
            return Diagnostic(message, self._span, f"{{{given}: …}}")
        if not self._path and re.match(r"[\w.-]+:\S", given):
            return Diagnostic(message, self._span, "key: value, with a space behind the ':'")
        words = [] if several else [one for one in examples if isinstance(one, str)]
        return Diagnostic(message, self._span, expected, meant(given, words) if given else "")

    def _examples(self) -> Sequence[Written]:
        """How the key is written; of a list's item, the items of one."""
        item = bool(self._path) and isinstance(self._path[-1], int)
        name = self._path[-2:-1] if item else self._path[-1:]
        owner = _model_at(self._model, self._path[: -2 if item else -1])
        field = owner.model_fields.get(str(name[0])) if owner is not None and name else None
        examples: Sequence[Written] = field.examples or () if field is not None else ()
        return [one for listed in examples if isinstance(listed, list) for one in listed] if item else examples

    def _owner(self) -> type[BaseModel] | None:
        return _model_at(self._model, self._path[:-1])

    def _unknown_key(self) -> Diagnostic:
        if self._hidden:
            return Diagnostic("this key is not known here", self._span)
        owner, key = self._owner(), str(self._path[-1])
        head, colon, _ = key.partition(":")
        if colon and is_secret(head):  # what follows is what nobody may see
            return Diagnostic(f"a space is missing behind '{head}:'", self._span)
        names = tuple(owner.model_fields) if owner is not None else ()
        if colon and head in names:
            return Diagnostic(f"a space is missing behind '{head}:'", self._span)
        more: tuple[str, ...] = getattr(owner, "more_keys", ())
        quoted = without_secrets(key)
        typed = key if quoted == key else re.split(r"[\s.=:]", key, maxsplit=1)[0]
        close = _key_meant(typed, (*names, *more))
        message = f"there is no key '{quoted}' here"
        if "subject" in names and _ATTRIBUTE.match(key):
            return Diagnostic(message, self._span, 'quotes around a name with commas: subject: "CN=…,O=…"')
        first, blank, _ = key.partition(" ")
        if blank and first in names:
            return Diagnostic(message, self._span, f"{first}: …, with a colon")
        belongs = self._belongs(owner, key)
        if belongs:
            return Diagnostic(message, self._span, belongs)
        return Diagnostic(message, self._span, _listed(names, close), close)

    def _belongs(self, owner: type[BaseModel] | None, key: str) -> str:
        """A place near by where this key belongs; ``""``: there is none, or the key is a misspelling of one that belongs here."""
        if key == "starts" and "outcome" in (owner.model_fields if owner is not None else ()):
            return _ITS_OWN_CASE
        if owner is not None and "settings" in owner.model_fields and key in (*SERVER_SETTINGS, *CLIENT_SETTINGS):
            return f"settings: [{key}]"
        whole = _WHOLE.get(str(self._path[-2])) if len(self._path) > 1 else None
        if self._path[:1] == ("defaults",) and whole is not None and key in whole.model_fields:
            return f"'{key}' in the scenario itself: what names ids or files is no default"
        for name, field in owner.model_fields.items() if owner is not None else ():
            inner = _first_model(field.annotation)
            if inner is not None and key in inner.model_fields and name not in ("where", "like"):
                return f"{name}: {{{key}: …}}"
        for end in range(len(self._path) - 2, -1, -1):
            above = _model_at(self._model, self._path[:end])
            if above is not None and above is not owner and key in above.model_fields:
                parent = next((one for one in reversed(self._path[:-1]) if isinstance(one, str)), "")
                return f"'{key}' beside '{parent}', not under it"
        return ""

    def _wrong_value(self) -> Diagnostic:
        choices = self._context["choices"]
        given = self._node.value if isinstance(self._node, ScalarNode) and not self._hidden else ""
        beside = _model_at(self._model, self._path[:-2]) if self._path[-2:-1] == ("settings",) else None
        if beside is not None and given in beside.model_fields:
            return Diagnostic(self._context["message"], self._span, f"{given}: … beside 'settings', not in it")
        if given in _OF_A_SERVER and "outcome" in self._path[-2:]:
            return Diagnostic(self._context["message"], self._span, _ITS_OWN_CASE)
        if self._path[-1:] != ("reason",) and self._path[-2:-1] != ("reason",):
            close = _word_meant(given, choices) if given else ""
        else:
            outcome = self._outcome()
            if outcome is not None and not REASONS[outcome]:
                wanted = f"status: {given}" if given.isdigit() else f"{outcome} alone"
                return Diagnostic(f"'{outcome}' has no reason", self._span, wanted)
            if outcome is not None:
                choices = sorted(reason.value for reason in REASONS[outcome])
            close = meant(given, choices) if given else ""
        return Diagnostic(
            self._context["message"], self._span, self._context["expected"] or _listed(choices, close), close
        )

    def _outcome(self) -> Outcome | None:
        """The outcome that stands as the key of this reason."""
        for key in CASE_OUTCOMES:
            span, _, whole = self._document.locate((*self._loc[: self._loc.index("reason")], key))
            if whole and span == self._span:
                return CASE_OUTCOMES[key]
        return None


def _word_meant(given: str, choices: Sequence[str]) -> str:
    elsewhere = next((one for one in _WORDS_ELSEWHERE.get(given.lower(), ()) if one in choices), "")
    return elsewhere or meant(given, choices)


def _listed(choices: Sequence[str], close: str) -> str:
    """All of them, unless they are many and the one that was meant is found."""
    if not choices or (close and len(choices) > _MANY):
        return ""
    return f"one of: {', '.join(choices)}"


def _key_meant(key: str, names: Sequence[str]) -> str:
    elsewhere = _ELSEWHERE.get(key, "")
    return elsewhere if elsewhere in names else _word_meant(key, names)


def _what(node: Node) -> str:
    if isinstance(node, ScalarNode):
        if node.tag == NULL:
            return "nothing"
        if node.tag in (INT, FLOAT):
            return "a number"
        return "true or false" if node.tag == BOOL else "text"
    return "a mapping" if isinstance(node, MappingNode) else "a list"


def _place(document: Document, loc: Loc, on_key: bool, missing: bool) -> tuple[Span, Node]:
    span, node, whole = document.locate(loc, key=on_key)
    name = next((part for part in reversed(loc) if isinstance(part, str)), "")
    if not whole and not missing and name in ("outcome", "reason"):
        short = short_outcome(node)
        if short is not None:
            chosen = short[name != "outcome"]
            return document.node_span(chosen), chosen
    return span, node


def _model_at(model: type[BaseModel], path: Loc) -> type[BaseModel] | None:
    """The model that holds the key behind ``path``: union tags and indices are skipped."""
    current: type[BaseModel] | None = model
    for part in path:
        if current is None or not isinstance(part, str) or part not in current.model_fields:
            continue
        current = _first_model(current.model_fields[part].annotation)
    return current


def _first_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, Lazily):
        return annotation.model()
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        found = _first_model(part)
        if found is not None:
            return found
    return None


#: What an id is declared under.
_DECLARING = ("authorities", "leaves", "crls", "responders", "servers")


def ids(value: Value) -> frozenset[str]:
    """The ids that a file declares, also those in lists, which should be mappings."""
    sections = [value.get(name) for name in _DECLARING] if isinstance(value, dict) else []
    entries = [entry for one in sections for entry in (one if isinstance(one, list) else [one])]
    names = [name for entry in entries for name in (entry if isinstance(entry, dict) else [entry])]
    alone = ["ca"] if isinstance(value, dict) and "ca" in value else []
    return frozenset(str(name) for name in (*names, *alone) if isinstance(name, str))


#: Taking a part away may show that another one is missing.
_ROUNDS = 4


def salvage(value: Value, error: ValidationError, known: Registry) -> tuple[Scenario | None, Sequence[int]]:
    """The scenario without the parts that ``error`` names, and where in the file each of its cases stood.

    ``value`` is changed; ``known`` is what a scenario can name. ``None`` where nothing sensible is left.
    """
    indices = list(range(len(_cases(value) or ())))
    for _ in range(_ROUNDS):
        dropped: set[int] = set()
        for details in error.errors(include_input=False, include_url=False, include_context=False):
            _drop(value, details["loc"], details["type"] == "missing", dropped)
        cases = _cases(value)
        if cases is not None:
            cases[:] = [case for number, case in enumerate(cases) if number not in dropped]
            indices = [at for number, at in enumerate(indices) if number not in dropped]
        try:
            return Scenario.model_validate(value, context=known), indices
        except ValidationError as again:
            error = again
    return None, indices


def _drop(value: Value, loc: Sequence[str | int], missing: bool, dropped: set[int]) -> None:
    """Takes the smallest entry of a mapping away that holds the mistake; of the list of cases, the whole case."""
    holder: dict[str, Value] | None = None
    key, at = "", value
    cases = _cases(value)
    if missing and cases is not None and len(loc) == 3 and loc[0] == "cases" and isinstance(loc[1], int):
        case = cases[loc[1]]
        if isinstance(case, dict):
            case[str(loc[2])] = _stand_in(str(loc[2]), loc[1])
        return
    for part in loc[:-1] if missing else loc:
        if isinstance(at, dict) and isinstance(part, str) and part in at:
            holder, key, at = at, part, at[part]
        elif isinstance(at, list) and isinstance(part, int) and part < len(at):
            at = at[part]
            if holder is value and key == "cases":
                holder = None
        elif not isinstance(part, str) or isinstance(at, dict):
            break
    if holder is None and loc[:1] == ("cases",) and len(loc) > 1 and isinstance(loc[1], int):
        dropped.add(loc[1])
    elif holder is not None:
        del holder[key]


def _cases(value: Value) -> list[Value] | None:
    cases = value.get("cases") if isinstance(value, dict) else None
    return cases if isinstance(cases, list) else None


def _stand_in(key: str, index: str | int) -> Value:
    """So that the rest of a case is still looked at."""
    return "accepted" if key == "expect" else f"case {index}"
