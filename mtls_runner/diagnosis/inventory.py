"""All certificates that an attempt knows of: the client's own, what it trusts, what the server sent and whom it asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from msgspec import field
from msgspec.structs import replace

from mtls_runner.diagnosis.inputs import AttemptInputs
from mtls_runner.model.certificate import CertificateSpec, Guarded
from mtls_runner.model.chain import Verifier, client_verifies, lineage
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import ClientView
from mtls_runner.pki.certificate_facts import facts
from mtls_runner.pki.described import Described, describe, unseen, unused_id
from mtls_runner.pki.own import Own
from mtls_runner.tls.messages import subject

__all__ = ["Inventory", "inventory"]

_SEVERAL = 8
"""Certificates of a bundle that are all of interest; of a larger one, only those that have to do with the chains."""


class Inventory(Guarded, frozen=True):
    """By id; ids are what people are told: the file of the client's own certificate, the subjects of others.

    Args:
        own: the client's files as they were read; ``None``: it has none.
        certificates: descriptions.
        ders: DER of those that somebody holds.
        sent: what the client sent, or would send, the leaf first.
        received: what the server sent, the leaf first.
        trusted: what the client trusts.
        named: the authorities that the server asked for, by the names that it gave; ``None``: it did not ask, or gave none.
        unseen: authorities of which only the name is known.
        unreadable: OIDs of extensions that can't be read, by id.
    """

    hidden: ClassVar = frozenset({"ders"})

    own: Own | None
    certificates: Mapping[str, CertificateSpec]
    ders: Mapping[str, bytes]
    sent: tuple[str, ...] = ()
    received: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    named: tuple[str, ...] | None = None
    unseen: frozenset[str] = frozenset()
    unreadable: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def server_verifies(self) -> Verifier:
        """How the server would, as far as is known: it trusts the authorities that it names, and whoever has such a name.

        Where it names none, it is taken to trust what the client's chain leads to, so that everything else can be looked at.
        """
        if self.named is not None:
            trust = self.named
        else:
            above = lineage(self.certificates, self.sent[0]) if self.sent else ()
            trust = (above[-1].id,) if above else ()
        return Verifier(who="server", trust=trust, purpose="clientAuth", depth=None, level=2)

    def client_verifies(self, client: ClientSpec) -> Verifier:
        """How the client verifies the server's certificate."""
        return replace(client_verifies(client, {}), trust=self.trusted)


class _Labels:
    """Ids, one for each certificate."""

    def __init__(self) -> None:
        self.ders: dict[str, bytes] = {}
        self._ids: dict[bytes, str] = {}

    def of(self, der: bytes, name: str = "") -> str:
        """The id of a certificate; ``name``: what it is to be called if it has none yet."""
        if der not in self._ids:
            id_ = self._ids[der] = unused_id(der, self.ders, name)
            self.ders[id_] = der
        return self._ids[der]


def inventory(inputs: AttemptInputs, client: ClientSpec, view: ClientView, read: Mapping[str, Own]) -> Inventory:
    """What is known once the client has been there.

    Args:
        inputs: what was typed.
        client: the description that it made.
        view: what the client saw.
        read: the files of its certificate and of what it trusts, as the lab read them, by id.
    """
    own = read.get(client.certificate or "")
    labels = _Labels()
    sent: list[str] = []
    if own is not None and own.certificate:
        sent = [labels.of(own.certificate, inputs.certificate.name if inputs.certificate is not None else "")]
        sent += [labels.of(der) for der in own.more]
    if view.sent_chain:
        sent = [labels.of(der) for der in view.sent_chain]
    received = [labels.of(der) for der in view.received_chain or ()]
    trusted = [
        labels.of(der) for der in _of_interest(_trust(client, read), [*labels.ders.values()], view.ca_names or ())
    ]
    described = describe(labels.ders)
    named, more = _named(view.ca_names, described, [*trusted, *received], sent)
    return Inventory(
        own=own,
        certificates={**described.certificates, **more},
        ders=labels.ders,
        sent=tuple(sent),
        received=tuple(received),
        trusted=tuple(trusted),
        named=named,
        unseen=described.unseen | frozenset(more),
        unreadable=described.unreadable,
    )


def _trust(client: ClientSpec, read: Mapping[str, Own]) -> tuple[bytes, ...]:
    found = [read[id_] for id_ in client.trust if id_ in read]
    return tuple(der for own in found for der in (own.certificate, *own.more) if der)


def _of_interest(trusted: Sequence[bytes], others: Iterable[bytes], names: Iterable[str]) -> list[bytes]:
    """Of a large bundle, issuers of the other certificates, their issuers, and those with a name that the server gave."""
    if len(trusted) <= _SEVERAL:
        return list(trusted)
    wanted = {facts(der).issuer for der in others} | {facts(der).subject for der in others}
    given = frozenset(names)
    found: list[bytes] = []
    while True:
        new = [der for der in trusted if der not in found and (facts(der).subject in wanted or subject(der) in given)]
        if not new:
            return found
        found += new
        wanted |= {facts(der).issuer for der in new}


def _named(
    names: tuple[str, ...] | None, described: Described, theirs: Sequence[str], sent: Sequence[str]
) -> tuple[tuple[str, ...] | None, dict[str, CertificateSpec]]:
    """The authorities that the server asked for: those that are here, or descriptions of the names alone.

    What the client trusts, or the server sent, is rather the server's own than what lies in the client's own file.
    """
    if not names:
        return None, {}
    ids: list[str] = []
    more: dict[str, CertificateSpec] = {}
    for name in names:
        alike = [one.id for one in described.certificates.values() if one.subject == name and one.id != (*sent, "")[0]]
        here = [id_ for id_ in alike if id_ in theirs] or [id_ for id_ in alike if id_ not in described.unseen]
        here = here or [id_ for id_ in alike if id_ in described.unseen]
        if not here:
            made = unseen(name, name if name not in described.certificates else f"{name} (asked for)")
            more[made.id] = made
            here = [made.id]
        ids += here
    return tuple(dict.fromkeys(ids)), more
