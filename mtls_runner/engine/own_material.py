"""Why material can't be used; of the user's own by the names of the user's files, not of the lab's copies.

Whether it can be used is for the end to say that presents it; this is about what to tell people when it can't.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec.structs import replace

from mtls_runner.errors import FileUnusable, MaterialError, ServerUnusable
from mtls_runner.model.case import Plan, satisfies
from mtls_runner.model.certificate import PEM_ONLY, FileForm
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.observation import ClientView, Phase, Reason
from mtls_runner.model.revocation import Revocation
from mtls_runner.tls import FIRST_WITH_ML_DSA

if TYPE_CHECKING:
    from mtls_runner.pki import Store

__all__ = ["client_told", "client_without", "as_files_say", "notes", "notes_on", "server_told"]

#: Reasons that are about settings, not about material.
_SETTINGS = frozenset((Reason.CIPHER, Reason.PROTOCOL_VERSION, Reason.ADDRESS_IN_USE))


def notes(plan: Plan, store: Store) -> tuple[str, ...]:
    """What is wrong with the user's files, what a person should know though it stops nothing, and what ends are given.

    Args:
        plan: to be run.
        store: its material.
    """
    found: list[str] = []
    for spec in plan.certificates.values():
        problem = store.users_files.problem(spec.id, spec.passphrase, need_key=False)
        # an end may still be given the passphrase; whether it works shows then
        if problem is not None and problem.reason is not Reason.PASSPHRASE_NEEDED:
            found.append(problem.text)
    for meant, client in (met for case in plan.cases for met in case.meetings()):
        for server in meant.every_host:
            _give(server, store, PEM_ONLY)
        if client is not None:
            _give(client, store, client.tool.loads)
    return tuple(dict.fromkeys((*found, *store.notes)))


def as_files_say(plan: Plan, store: Store) -> Plan:
    """The plan with the user's own certificates and CRLs as their files are: for who looks at what speaks against a client."""
    from mtls_runner.pki.own_lists import on_list

    ders = {id_: one.certificate for id_, one in store.users_files.own.items() if one.certificate}
    certificates, crls = dict(store.users_files.described()[0]), dict(plan.crls)
    for crl in plan.crls.values():
        with suppress(OSError):
            revoked = on_list(crl.file.read_bytes(), ders) if crl.file is not None and crl.file.is_file() else ()
            crls[crl.id] = replace(crl, revoked=revoked) if revoked else crl
            certificates |= {id_: replace(certificates[id_], revoked=Revocation()) for id_ in revoked}
    return replace(plan, certificates=certificates, crls=crls)


def _give(end: ServerSpec | ClientSpec, store: Store, forms: frozenset[FileForm]) -> None:
    """Have the files made that the end is given; mistakes in them are for the end to report."""
    with suppress(MaterialError):
        if end.certificate is not None:
            key = end.key if isinstance(end, ClientSpec) else None
            store.presented(end.certificate, end.chain, key, end.passphrase, forms)
    with suppress(MaterialError):
        if end.trust:
            store.bundle(end.trust)
    with suppress(MaterialError):
        if end.crl:
            store.crl(end.crl)


def client_without(spec: ClientSpec, version: str, error: FileUnusable) -> ClientView:
    """The view of a client that can't be given a file of the user's."""
    return ClientView(
        tool=spec.tool.name, tool_version=version, phase=Phase.PREPARE, problem=error.reason, error=str(error)
    )


def client_told(view: ClientView, spec: ClientSpec, store: Store) -> ClientView:
    """The view of a client that can't use its material, with what is wrong with the user's files."""
    if view.phase is not Phase.PREPARE or view.problem is None or view.problem in _SETTINGS:
        return view
    problem = None
    if spec.certificate is not None and spec.key is None:
        problem = store.users_files.problem(spec.certificate, spec.passphrase)
    if problem is None:
        own_words = store.in_users_words(view.own_words)
        return replace(view, error=store.in_users_words(view.error), own_words=own_words)
    said = f" ({view.tool}: {view.own_words})" if view.own_words else ""
    return replace(view, problem=problem.reason, error=f"{problem.text}{said}")


def server_told(
    error: ServerUnusable | FileUnusable, spec: ServerSpec, store: Store, library_version: Callable[[], str]
) -> ServerUnusable:
    """The error of a server that can't use its material, with what is wrong with it, or with the user's files.

    Args:
        error, spec: of the server.
        store: its material.
        library_version: asks for that of its TLS library; ``""``: not known.
    """
    log = error.log if isinstance(error, ServerUnusable) else ()
    told = ServerUnusable(store.in_users_words(str(error)), reason=error.reason, log=log)
    if spec.certificate is None or error.reason in _SETTINGS:
        return told
    if error.reason == Reason.BAD_CONFIG and spec.option("config"):
        return told  # the user's own configuration, which may not even use it
    unread = next(filter(None, (_unread(one, store, library_version) for one in spec.every_host)), "")
    if unread:
        return ServerUnusable(f"{unread}: {told}", reason=error.reason, log=log)
    problem = store.users_files.problem(spec.certificate, spec.passphrase)
    return ServerUnusable(problem.text, reason=problem.reason, log=log) if problem is not None else told


def _unread(spec: ServerSpec, store: Store, library_version: Callable[[], str]) -> str:
    """A key of a kind that its TLS library does not have; ``""``: it has it."""
    from mtls_runner.pki.public_keys import public_key

    kind = ""
    with suppress(MaterialError):  # which is what is told
        kind = public_key(store.credential(spec.certificate).der).kind if spec.certificate is not None else ""
    if not kind.startswith("ml-dsa-"):
        return ""
    its = f"the key of `{spec.certificate}` is {kind}, which"
    if spec.backend.library != "openssl":
        return f"{its} not every TLS library has"
    version = library_version()
    if satisfies(version, f">={FIRST_WITH_ML_DSA}"):
        return ""
    return f"{its} OpenSSL has from {FIRST_WITH_ML_DSA} on{f', and this is {version}' if version else ''}"


def notes_on(store: Store, *ends: ClientSpec | ServerSpec | None) -> tuple[str, ...]:
    """What is known of the own material that takes part at these ends."""
    found = (note for certificate in _taking_part(ends) for note in store.users_files.notes_on(certificate))
    return tuple(dict.fromkeys(found))


def _taking_part(ends: Iterable[ClientSpec | ServerSpec | None]) -> Iterator[str]:
    for end in ends:
        if end is not None:
            yield from (one for one in (end.certificate, *end.trust) if one is not None)
