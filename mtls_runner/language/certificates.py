"""Descriptions of authorities and leaves → :class:`~mtls_runner.model.certificate.CertificateSpec`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from mtls_runner.language.certificate import (
    Absent,
    Basic,
    Certificate,
    CertificateSettings,
    Constraints,
    authority_key_identifier,
    named_by,
    own_extensions,
)
from mtls_runner.language.context import Context
from mtls_runner.language.document import Document, Loc
from mtls_runner.language.scenario import responder_uri
from mtls_runner.language.values import by_name, over, without
from mtls_runner.model.certificate import (
    BasicConstraints,
    CertificateSpec,
    KeyAlgorithm,
    KeyCipher,
    KeyFormat,
    KeySpec,
    Moment,
    NameConstraints,
    OwnFiles,
    Secret,
    SignatureSpec,
)
from mtls_runner.model.chain import ancestors
from mtls_runner.model.revocation import Revocation, RevocationReason

__all__ = ["RIVALS", "Certificates", "Declared"]

#: Keys that say the same in two ways: giving one drops the other where it was taken over.
RIVALS = (("days", "not_after"), ("path_length", "basic_constraints"), ("certificate", "pkcs12"))


class Declared(Struct, frozen=True):
    """A description as written, and its place."""

    id: str
    model: Certificate
    authority: bool
    document: Document
    loc: Loc


class Certificates:
    """All authorities and leaves of a file, and those of lab.yaml that it names."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.own: dict[str, Declared] = {}
        self.shared: dict[str, Declared] = {}
        self.used: set[str] = set()
        self._merged: dict[str, Certificate | None] = {}
        self._declare()

    def _declare(self) -> None:
        scenario, document = self._context.scenario, self._context.document
        entries: list[tuple[str, Certificate, bool, Loc]] = []
        if scenario.ca is not None:
            entries.append(("ca", scenario.ca, True, ("ca",)))
        entries += [(id_, model, True, ("authorities", id_)) for id_, model in (scenario.authorities or {}).items()]
        entries += [(id_, model, False, ("leaves", id_)) for id_, model in (scenario.leaves or {}).items()]
        for id_, model, authority, loc in entries:
            if id_ in self.own:
                line = document.span(self.own[id_].loc, key=True).line
                message = f"the id '{id_}' is already taken at line {line}"
                self._context.problems.error(document, loc, message, key=True)
            else:
                self.own[id_] = Declared(id_, _absolute(self._context, document, model), authority, document, loc)
        lab = self._context.lab
        if lab.document is not None and lab.file is not None:
            for kind, models in (("authorities", lab.file.authorities), ("leaves", lab.file.leaves)):
                for id_, model in (models or {}).items():
                    whole = _absolute(self._context, lab.document, model)
                    self.shared[id_] = Declared(id_, whole, kind == "authorities", lab.document, (kind, id_))

    def get(self, id_: str) -> Declared | None:
        """The description with this id: the file's own before lab.yaml's."""
        return self.own.get(id_) or self.shared.get(id_)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all certificates that may be named."""
        return (*self.own, *(id_ for id_ in self.shared if id_ not in self.own))

    def use(self, id_: str) -> None:
        """Note that something in the file names it, or needs it by default."""
        self.used.add(id_)

    def authorities(self) -> tuple[str, ...]:
        """Ids of the file's own authorities."""
        return tuple(id_ for id_, declared in self.own.items() if declared.authority)

    def leaves(self) -> tuple[str, ...]:
        """Ids of the file's own leaves."""
        return tuple(id_ for id_, declared in self.own.items() if not declared.authority)

    def default_authority(self) -> str | None:
        """``ca:``, or the only authority; ``None`` when there are several."""
        if self._context.scenario.ca is not None:
            return "ca"
        return _only(self.authorities())

    def merged(self, id_: str) -> Certificate | None:
        """The description with what it takes over; ``None`` where ``like:`` leads nowhere, or round in a circle."""
        if id_ not in self._merged:
            self._merged[id_] = None  # while it is open: a circle ends here
            declared = self.get(id_)
            if declared is not None:
                self._merged[id_] = self._with_base(declared)
        return self._merged[id_]

    def _with_base(self, declared: Declared) -> Certificate | None:
        model = declared.model
        if model.like is None:
            defaults = self._context.lab.certificate
            return _over(defaults, model) if defaults is not None and not (model.certificate or model.pkcs12) else model
        if self.get(model.like) is None:
            return None
        base = self.merged(model.like)
        return _over(base, model) if base is not None else None

    def like(self, id_: str) -> str | None:
        """Id of the certificate whose description it takes over, as written."""
        declared = self.get(id_)
        return declared.model.like if declared is not None else None

    def issuer(self, id_: str) -> str | None:
        """Id of the certificate that signs it; ``None``: itself, or nobody that the lab knows.

        For an own certificate it is what the author says or means: nobody has looked into its file yet.
        """
        declared, model = self.get(id_), self.merged(id_)
        if declared is None or model is None:
            return None
        if model.issuer is not None:
            return None if model.issuer in ("self", id_) else model.issuer
        if declared.authority:
            return None
        if declared.document is not self._context.document:
            return _only(tuple(id_ for id_, other in self.shared.items() if other.authority))
        return self.default_authority()

    def is_issuer_unknown(self, id_: str) -> bool:
        """Whether it is the author's own leaf, and which of several authorities issued it is not said."""
        declared, model = self.get(id_), self.merged(id_)
        if declared is None or model is None or declared.authority or not (model.certificate or model.pkcs12):
            return False
        return model.issuer is None and self.issuer(id_) is None and bool(self.authorities())

    def ancestors(self, id_: str) -> tuple[str, ...]:
        """Ids of its issuers, nearest first; it stops where it would go in a circle."""
        return ancestors(id_, self._known_issuer)

    def _known_issuer(self, id_: str) -> str | None:
        issuer = self.issuer(id_)
        return issuer if issuer is not None and self.get(issuer) is not None else None

    def root(self, id_: str) -> str:
        """Id of the certificate at the end of its chain; its own where nobody else signed it."""
        return (id_, *self.ancestors(id_))[-1]

    def specs(self, presented: frozenset[str]) -> Mapping[str, CertificateSpec]:
        """All of the file, and those of lab.yaml that are used, issuers first.

        Args:
            presented: ids that a server presents: they get a SAN by default.
        """
        specs: dict[str, CertificateSpec] = {}
        for id_ in self._in_order():
            spec = self._spec(id_, id_ in presented)
            if spec is not None:
                specs[id_] = spec
        return specs

    def _in_order(self) -> Iterator[str]:
        done: set[str] = set()

        def visit(id_: str) -> Iterator[str]:
            if id_ in done or self.get(id_) is None:
                return
            done.add(id_)
            model = self.merged(id_)
            same = model.key.same_as if model is not None and model.key is not None else None
            named = named_by(model.authority_key_identifier) if model is not None else ()
            for other in (self.issuer(id_), same, *(id_ for _, id_ in named)):
                if other is not None:
                    yield from visit(other)
            yield id_

        for id_ in (*self.own, *sorted(self.used - self.own.keys())):
            yield from visit(id_)

    def algorithm(self, model: Certificate) -> KeyAlgorithm:
        """The algorithm of its key, or of the key that it shares."""
        key = model.key
        if key is not None and key.same_as is not None:
            other = self.merged(key.same_as)
            if other is not None and other is not model and (other.key is None or other.key.same_as is None):
                return self.algorithm(other)
        return (key.algorithm if key is not None else None) or KeyAlgorithm.EC_P256

    def _spec(self, id_: str, presented: bool) -> CertificateSpec | None:
        declared, model = self.get(id_), self.merged(id_)
        if declared is None or model is None:
            return None
        passphrase = None
        if model.passphrase is not None:
            passphrase = self._context.secret(model.passphrase, declared.document)
        try:
            return _certificate_spec(
                id_,
                model,
                authority=declared.authority,
                issuer=self.issuer(id_),
                algorithm=self.algorithm(model),
                passphrase=passphrase,
                presented=presented,
                ocsp=tuple(self._uri(name) for name in model.ocsp or ()),
            )
        except OverflowError:
            self._context.problems.error(declared.document, (*declared.loc, "days"), "it would end after the year 9999")
            return None

    def _uri(self, name: str) -> str:
        responder = (self._context.scenario.responders or {}).get(name)
        return responder_uri(name, responder) if responder is not None else name


def _only(ids: tuple[str, ...]) -> str | None:
    return ids[0] if len(ids) == 1 else None


def _absolute(context: Context, document: Document, model: Certificate) -> Certificate:
    """Paths of own files made absolute, from where the description is written: others may take it over."""
    changes: dict[str, object] = {
        name: str(context.beside(document, path))
        for name in ("certificate", "chain", "pkcs12")
        if (path := getattr(model, name)) is not None
    }
    if changes and model.key is not None and model.key.file is not None:
        changes["key"] = model.key.model_copy(update={"file": str(context.beside(document, model.key.file))})
    return model.model_copy(update=changes) if changes else model


def _over(base: CertificateSettings, top: Certificate) -> Certificate:
    drop = {
        other
        for pair in RIVALS
        for given, other in (pair, pair[::-1])
        if given in top.model_fields_set and other not in top.model_fields_set
    }
    if drop & base.model_fields_set:
        base = without(base, drop)
    return over(base, top)


#: "A little in the past", so that clocks may differ.
_BEFORE = timedelta(hours=-1)
_DAYS = 365
_SERVER_SAN = ("DNS:localhost", "IP:127.0.0.1")
_BOTH = ("serverAuth", "clientAuth")


def _certificate_spec(
    id_: str,
    model: Certificate,
    *,
    authority: bool,
    issuer: str | None,
    algorithm: KeyAlgorithm,
    passphrase: Secret | None,
    presented: bool,
    ocsp: tuple[str, ...],
) -> CertificateSpec:
    """What the PKI is to make.

    Args:
        id_: its id.
        model: with everything that it takes over; own files by absolute path.
        authority: it is declared as one.
        issuer: id of the certificate that signs it; ``None``: itself.
        algorithm: of its key, or of the key that it shares.
        passphrase: of its key, as read from where the author says.
        presented: a server presents it, so that it gets a SAN by default.
        ocsp: URIs of its responders.

    Raises:
        OverflowError: it would end after the year 9999.
    """
    key, signature = model.key, model.signature
    not_before, not_after = _validity(model)
    san = model.san.names if model.san is not None else _SERVER_SAN if presented and not authority else ()
    given: dict[str, Any] = by_name(model, CertificateSpec) | {
        "id": id_,
        "authority": authority,
        "subject": model.subject if model.subject is not None else f"CN={id_}",
        "issuer": issuer,
        "key": KeySpec(
            algorithm,
            (key.format if key else None) or KeyFormat.PKCS8,
            (key.cipher if key else None) or KeyCipher.AES_256_CBC,
            key.same_as if key else None,
            bool(key and key.explicit),
            bool(key and key.pss),
        ),
        "passphrase": passphrase,
        "not_before": not_before,
        "not_after": not_after,
        "san": tuple(san) or None,
        "san_critical": bool(model.san and model.san.critical),
        "extended_key_usage": _extended_key_usage(model, authority),
        "extended_key_usage_critical": bool(model.usage and model.usage.critical),
        "key_usage": _key_usage(model, authority, algorithm),
        "key_usage_critical": not (model.key_usage and model.key_usage.critical is False),
        "basic_constraints": _basic(model, authority),
        "name_constraints": _name_constraints(model.name_constraints),
        "authority_key_identifier": authority_key_identifier(model.authority_key_identifier),
        "signature": SignatureSpec(signature.hash, bool(signature.pss)) if signature else SignatureSpec(),
        "extensions": own_extensions(model.extensions),
        "defects": tuple(dict.fromkeys(model.defects or ())),
        "revoked": _revocation(model),
        "ocsp": ocsp,
        "files": _files(model),
    }
    return CertificateSpec(**given)


def _validity(model: Certificate) -> tuple[Moment, Moment]:
    not_before = model.not_before or Moment(_BEFORE)
    if model.not_after is not None:
        return not_before, model.not_after
    length = timedelta(days=model.days or _DAYS)
    if not_before.absolute is None:
        return not_before, Moment(not_before.offset + length)
    return not_before, Moment(absolute=not_before.absolute + length)


def _revocation(model: Certificate) -> Revocation | None:
    if model.revoked is None:
        return None
    return Revocation(model.revoked.reason or RevocationReason.UNSPECIFIED, model.revoked.date or Moment(_BEFORE))


def _files(model: Certificate) -> OwnFiles | None:
    if model.certificate is None and model.pkcs12 is None:
        return None
    paths = (model.certificate, model.key.file if model.key else None, model.chain, model.pkcs12)
    return OwnFiles(*(Path(path) if path is not None else None for path in paths))


def _basic(model: Certificate, authority: bool) -> BasicConstraints | None:
    basic = model.basic_constraints
    if isinstance(basic, Absent):
        return None
    if isinstance(basic, Basic):
        ca = authority if basic.ca is None else basic.ca
        return BasicConstraints(ca, basic.path_length, basic.critical is not False)
    return BasicConstraints(authority, model.path_length)


def _extended_key_usage(model: Certificate, authority: bool) -> tuple[str, ...] | None:
    if model.usage is None:
        return None if authority else _BOTH
    return tuple(dict.fromkeys(name for names in model.usage.names for name in names)) or None


def _key_usage(model: Certificate, authority: bool, algorithm: KeyAlgorithm) -> tuple[str, ...] | None:
    if model.key_usage is not None:
        return tuple(dict.fromkeys(model.key_usage.names)) or None
    if authority:
        return ("keyCertSign", "cRLSign")
    # RSA key transport (TLS 1.2 and older) needs keyEncipherment; other keys can't encipher.
    return ("digitalSignature", "keyEncipherment") if algorithm.value.startswith("rsa") else ("digitalSignature",)


def _name_constraints(model: Constraints | Absent | None) -> NameConstraints | None:
    if not isinstance(model, Constraints):
        return None
    return NameConstraints(tuple(model.permitted or ()), tuple(model.excluded or ()), model.critical is not False)
