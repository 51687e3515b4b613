"""One description over another: what ``like:``, lab.yaml's defaults and a matrix do."""

from typing import TypeVar

from mtls_runner.language.values import Strict

__all__ = ["over", "within"]

M = TypeVar("M", bound=Strict)


def over(base: Strict, top: M) -> M:
    """``base`` (of ``top``'s type, or of a type with fewer keys) with every key that ``top`` was given."""
    if not base.model_fields_set:
        return top
    kept = {name: getattr(base, name) for name in base.model_fields_set}
    given = {name: getattr(top, name) for name in top.model_fields_set}
    return type(top).model_construct(base.model_fields_set | top.model_fields_set, **(kept | given))


def within(base: M, top: M) -> M:
    """As :func:`over`, going into models that both were given: ``server.response.status`` leaves the body alone."""
    changes: dict[str, object] = {}
    for name in top.model_fields_set:
        new, old = getattr(top, name), getattr(base, name)
        if isinstance(new, Strict) and type(new) is type(old):
            changes[name] = within(old, new)
        elif isinstance(new, dict) and isinstance(old, dict):
            changes[name] = old | new
        else:
            changes[name] = new
    return _built(base, changes)


def _built(base: M, changes: dict[str, object]) -> M:
    kept = {name: getattr(base, name) for name in base.model_fields_set}
    return type(base).model_construct(base.model_fields_set | changes.keys(), **(kept | changes))
