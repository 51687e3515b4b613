"""Pydantic's errors → diagnostics: the place, plain words, what was expected, what was meant."""

from collections.abc import Iterable, Mapping
from typing import get_args

from pydantic import BaseModel, ValidationError
from yaml.nodes import Node, ScalarNode

from mtls_runner.language.expectation import CASE_OUTCOMES
from mtls_runner.language.problems import meant
from mtls_runner.language.source import Document, Loc
from mtls_runner.snippet import is_secret
from mtls_runner.span import Diagnostic

__all__ = ["diagnose", "field_names"]

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
}
_KINDS: Mapping[str, str] = {
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "dict_type": "a mapping (key: value)",
    "list_type": "a list",
    "string_type": "text",
}


def diagnose(error: ValidationError, document: Document, model: type[BaseModel], prefix: Loc = (), skip: int = 0) -> list[Diagnostic]:
    """One diagnostic for each mistake.

    Args:
        prefix: where in the document the validated value stands.
        skip: how many elements of the error's own path are not in the document (a matrix's dotted path).
    """
    return [_one(details, document, model, prefix, skip) for details in error.errors(include_input=False, include_url=False)]


def field_names(model: type[BaseModel] | None) -> tuple[str, ...]:
    """The keys that an author may write."""
    return tuple(model.model_fields) if model is not None else ()


def _one(details: object, document: Document, model: type[BaseModel], prefix: Loc, skip: int) -> Diagnostic:
    kind, path = details["type"], tuple(details["loc"])
    context = details.get("ctx", {})
    loc = (*prefix, *path[skip:])
    on_key = kind == "extra_forbidden" or len(path) < skip or path[-1:] == ("[key]",)
    hidden = any(isinstance(part, str) and is_secret(part) for part in path[:-1])
    if path[-1:] == ("[key]",):
        loc = loc[:-1]
    span, node, depth = document.locate(loc, key=on_key)
    if depth < len(loc) and kind != "missing":
        span = _short_form(document, loc, node, depth) or span
    given = node.value if isinstance(node, ScalarNode) and not hidden else ""
    if kind == "extra_forbidden":
        owner = _model_at(model, path[:-1])
        names = field_names(owner)
        key = str(path[-1])
        suggestion = "" if hidden else _key_meant(key, (*names, *getattr(owner, "more_keys", ())))
        message = "this key is not known here" if hidden else f"there is no key '{key}' here"
        return Diagnostic(message, span, f"one of: {', '.join(names)}", suggestion)
    if kind == "missing":
        owner = _model_at(model, path[:-1])
        what = (owner.__doc__ or "").split("\n")[0].rstrip(".").split(":")[0].lower() if owner is not None else "this"
        return Diagnostic(f"'{path[-1]}' is missing: {what} needs it", span)
    if kind == "mtls":
        choices = context["choices"]
        expected = context["expected"] or (f"one of: {', '.join(choices)}" if choices else "")
        return Diagnostic(context["message"], span, expected, meant(given, choices) if given else "")
    wanted = _KINDS.get(kind, "something else")
    return Diagnostic(f"{wanted} is expected here, not {_what(node)}", span, wanted)


def _key_meant(key: str, names: Iterable[str]) -> str:
    elsewhere = _ELSEWHERE.get(key) or _ELSEWHERE.get(key.lower())
    known = tuple(names)
    if elsewhere in known:
        return str(elsewhere)
    return meant(key, known)


def _what(node: Node) -> str:
    if isinstance(node, ScalarNode):
        if node.tag.endswith("null"):
            return "nothing"
        if node.tag.endswith((":int", ":float")):
            return "a number"
        return "true or false" if node.tag.endswith("bool") else "text"
    return "a list" if isinstance(node.value, list) and not any(isinstance(x, tuple) for x in node.value) else "a mapping"


def _short_form(document: Document, loc: Loc, node: Node, depth: int):
    """``{server-refused: expird}``: the outcome is the key, the reason its value."""
    if depth < len(loc) and loc[depth] in ("outcome", "reason") and isinstance(node.value, list):
        for entry in node.value:
            if isinstance(entry, tuple) and entry[0].value in CASE_OUTCOMES:
                inner = (*loc[:depth], entry[0].value, *loc[depth + 1 :])
                return document.span(inner, key=loc[depth] == "outcome")
    return None


def _model_at(model: type[BaseModel], path: Loc) -> type[BaseModel] | None:
    """The model that holds the key behind ``path``: union tags and indices are skipped."""
    current: type[BaseModel] | None = model
    for part in path:
        if current is None or not isinstance(part, str) or part not in current.model_fields:
            continue
        current = _first_model(current.model_fields[part].annotation, current.model_fields[part].metadata)
    return current


def _first_model(annotation: object, _metadata: object = None) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in get_args(annotation):
        found = _first_model(part)
        if found is not None:
            return found
    return None
