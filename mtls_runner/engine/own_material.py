"""Why the user's own material can't be used, in the user's words: by the names of their files, not of the lab's copies.

The end that was to present it has the last word on whether it can be used; this is about what to say when it can't.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from mtls_runner.errors import ServerUnusable
from mtls_runner.model.case import Plan
from mtls_runner.model.client import ClientSpec
from mtls_runner.model.observation import ClientView, Phase, Reason
from mtls_runner.model.server import ServerSpec

if TYPE_CHECKING:
    from mtls_runner.pki.store import Store

__all__ = ["client_told", "notes", "notes_on", "server_told"]

#: What OpenSSL holds against a certificate that it can read.
_VERDICTS = frozenset((Reason.WEAK_KEY, Reason.WEAK_DIGEST))
#: What a client or server says of settings, not of material.
_SETTINGS = frozenset((Reason.CIPHER, Reason.PROTOCOL_VERSION, Reason.ADDRESS_IN_USE))


def notes(plan: Plan, store: Store) -> tuple[str, ...]:
    """What is wrong with the user's files, and what a person should know though it stops nothing."""
    found: list[str] = []
    for spec in plan.certificates.values():
        problem = store.users_files.problem(spec.id, spec.passphrase, need_key=False)
        # an end may still be given the passphrase, which then shows
        if problem is not None and problem.reason is not Reason.PASSPHRASE_NEEDED:
            found.append(problem.text)
    return tuple(dict.fromkeys((*found, *store.users_files.notes)))


def client_told(view: ClientView, spec: ClientSpec, store: Store) -> ClientView:
    """The view of a client that can't use its material, with what is wrong with the user's files."""
    if view.phase is not Phase.PREPARE or view.problem is None or view.problem in _SETTINGS or spec.certificate is None:
        return view
    problem = store.users_files.problem(spec.certificate, spec.passphrase) if spec.key is None else None
    if problem is None:
        return replace(view, error=_in_users_words(spec.certificate, view.error, store))
    said = view.command and view.error.partition(" (curl: ")[2]
    return replace(view, problem=problem.reason, error=f"{problem.text} (curl: {said}" if said else problem.text)


def server_told(error: ServerUnusable, spec: ServerSpec, store: Store) -> ServerUnusable:
    """The error of a server that can't use its material, with what is wrong with the user's files."""
    if spec.certificate is None or error.reason in _SETTINGS:
        return error
    if error.reason == Reason.BAD_CONFIG and spec.option("config"):
        return error  # the user's own configuration, which may not even use it
    problem = store.users_files.problem(spec.certificate, spec.passphrase)
    if problem is not None:
        return ServerUnusable(problem.text, reason=problem.reason, log=error.log)
    text = _in_users_words(spec.certificate, str(error), store)
    name = store.users_files.name(spec.certificate)
    if error.reason in _VERDICTS and name not in text:  # a container knows it by another name
        text = f"{name}: {text}"
    return ServerUnusable(text, reason=error.reason, log=error.log) if text != str(error) else error


def _in_users_words(certificate: str, text: str, store: Store) -> str:
    return store.users_files.in_users_words(store.credential(certificate), text)


def notes_on(store: Store, *ends: ClientSpec | ServerSpec | None) -> tuple[str, ...]:
    """What is known of the own material that takes part at these ends."""
    found = (note for certificate in _taking_part(ends) for note in store.users_files.notes_on(certificate))
    return tuple(dict.fromkeys(found))


def _taking_part(ends: Iterable[ClientSpec | ServerSpec | None]) -> Iterator[str]:
    for end in ends:
        if end is not None:
            yield from (one for one in (end.certificate, *end.trust) if one is not None)
