"""Descriptions of authorities and leaves → :class:`~mtls_runner.model.spec.CertificateSpec`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

from mtls_runner.language.certificate import Absent, Basic, Certificate, Constraints
from mtls_runner.language.context import Context
from mtls_runner.language.merge import over
from mtls_runner.language.source import Document, Loc
from mtls_runner.model.spec import (
    BasicConstraints,
    CertificateSpec,
    Extension,
    KeyAlgorithm,
    KeyCipher,
    KeyFormat,
    KeySpec,
    Moment,
    NameConstraints,
    OwnFiles,
    SignatureSpec,
)

__all__ = ["Certificates", "Declared"]

#: "A little in the past", so that clocks may differ.
_BEFORE = timedelta(hours=-1)
_DAYS = 365
_SERVER_SAN = ("DNS:localhost", "IP:127.0.0.1")
_BOTH = ("serverAuth", "clientAuth")
#: Keys that say the same in two ways: giving one drops the other where it was taken over.
_RIVALS = (("days", "not_after"), ("path_length", "basic_constraints"), ("certificate", "pkcs12"))


@dataclass(frozen=True, slots=True)
class Declared:
    """One description as written, and where."""

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
                self._context.problems.error(document, loc, f"the id '{id_}' is already taken at line {line}", key=True)
            else:
                self.own[id_] = Declared(id_, model, authority, document, loc)
        lab = self._context.lab
        if lab.document is not None:
            for id_, model in (lab.file.authorities or {}).items():
                self.shared[id_] = Declared(id_, model, True, lab.document, ("authorities", id_))
            for id_, model in (lab.file.leaves or {}).items():
                self.shared[id_] = Declared(id_, model, False, lab.document, ("leaves", id_))

    def get(self, id_: str) -> Declared | None:
        """By id: the file's own before lab.yaml's."""
        return self.own.get(id_) or self.shared.get(id_)

    @property
    def ids(self) -> tuple[str, ...]:
        """All that may be named."""
        return (*self.own, *(id_ for id_ in self.shared if id_ not in self.own))

    def use(self, id_: str) -> None:
        """Something in the file names it, or needs it by default."""
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
        authorities = self.authorities()
        return authorities[0] if len(authorities) == 1 else None

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
            defaults = self._context.lab.defaults.certificate
            return _over(defaults, model) if defaults is not None and not (model.certificate or model.pkcs12) else model
        if self.get(model.like) is None:
            return None
        base = self.merged(model.like)
        return _over(base, model) if base is not None else None

    def issuer(self, id_: str) -> str | None:
        """Id of the certificate that signs it; ``None``: itself, or nobody that the lab knows."""
        declared, model = self.get(id_), self.merged(id_)
        if declared is None or model is None:
            return None
        if model.issuer is not None:
            return None if model.issuer in ("self", id_) else model.issuer
        if declared.authority or model.certificate or model.pkcs12:
            return None
        return self.default_authority()

    def ancestors(self, id_: str) -> tuple[str, ...]:
        """Its issuers, nearest first; a circle is walked once."""
        found: list[str] = []
        at = self.issuer(id_)
        while at is not None and at != id_ and at not in found and self.get(at) is not None:
            found.append(at)
            at = self.issuer(at)
        return tuple(found)

    def root(self, id_: str) -> str:
        """The end of its chain; itself when nobody else signed it."""
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
            for other in (self.issuer(id_), model.key.same_as if model is not None and model.key is not None else None):
                if other is not None:
                    yield from visit(other)
            yield id_

        for id_ in (*self.own, *sorted(self.used - self.own.keys())):
            yield from visit(id_)

    def algorithm(self, model: Certificate) -> KeyAlgorithm:
        """Of its key, or of the key that it shares."""
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
        key, algorithm = model.key, self.algorithm(model)
        passphrase = None
        if model.passphrase is not None:
            passphrase = self._context.secret(model.passphrase, declared.document, (*declared.loc, "passphrase"))
        not_before, not_after = self._validity(declared, model)
        basic = _basic(model, declared.authority)
        san = model.san.names if model.san is not None else _SERVER_SAN if presented and not declared.authority else ()
        eku = [name for names in model.usage.names for name in names] if model.usage is not None else ()
        if model.usage is None and not declared.authority:
            eku = _BOTH
        return CertificateSpec(
            id=id_,
            authority=declared.authority,
            subject=model.subject if model.subject is not None else f"CN={id_}",
            issuer=self.issuer(id_),
            key=KeySpec(
                algorithm,
                (key.format if key else None) or KeyFormat.PKCS8,
                (key.cipher if key else None) or KeyCipher.AES_256_CBC,
                key.same_as if key else None,
            ),
            passphrase=passphrase,
            not_before=not_before,
            not_after=not_after,
            serial=model.serial,
            san=tuple(san) or None,
            san_critical=bool(model.san and model.san.critical),
            extended_key_usage=tuple(dict.fromkeys(eku)) or None,
            extended_key_usage_critical=bool(model.usage and model.usage.critical),
            key_usage=_key_usage(model, declared.authority, algorithm),
            key_usage_critical=not (model.key_usage and model.key_usage.critical is False),
            basic_constraints=basic,
            name_constraints=_name_constraints(model.name_constraints),
            subject_key_identifier=model.subject_key_identifier is not False,
            authority_key_identifier=model.authority_key_identifier is not False,
            signature=SignatureSpec(model.signature.hash, bool(model.signature.pss)) if model.signature else SignatureSpec(),
            extensions=tuple(
                Extension(oid, extension.der, bool(extension.critical))
                for oid, extension in (model.extensions or {}).items()
            ),
            defects=tuple(dict.fromkeys(model.defects or ())),
            files=self._files(declared, model),
        )

    def _validity(self, declared: Declared, model: Certificate) -> tuple[Moment, Moment]:
        not_before = model.not_before or Moment(_BEFORE)
        if model.not_after is not None:
            return not_before, model.not_after
        length = timedelta(days=model.days or _DAYS)
        if not_before.absolute is None:
            return not_before, Moment(not_before.offset + length)
        try:
            return not_before, Moment(absolute=not_before.absolute + length)
        except OverflowError:
            self._context.problems.error(declared.document, (*declared.loc, "days"), "it would end after the year 9999")
            return not_before, not_before

    def _files(self, declared: Declared, model: Certificate) -> OwnFiles | None:
        if model.certificate is None and model.pkcs12 is None:
            return None

        def absolute(path: str | None) -> object:
            return self._context.beside(declared.document, path) if path is not None else None

        return OwnFiles(
            certificate=absolute(model.certificate),
            key=absolute(model.key.file if model.key is not None else None),
            chain=absolute(model.chain),
            pkcs12=absolute(model.pkcs12),
        )


def _over(base: Certificate, top: Certificate) -> Certificate:
    drop = {
        other
        for pair in _RIVALS
        for given, other in (pair, pair[::-1])
        if given in top.model_fields_set and other not in top.model_fields_set
    }
    if drop & base.model_fields_set:
        kept = {name: getattr(base, name) for name in base.model_fields_set - drop}
        base = Certificate.model_construct(base.model_fields_set - drop, **kept)
    return over(base, top)


def _basic(model: Certificate, authority: bool) -> BasicConstraints | None:
    basic = model.basic_constraints
    if isinstance(basic, Absent):
        return None
    if isinstance(basic, Basic):
        ca = authority if basic.ca is None else basic.ca
        return BasicConstraints(ca, basic.path_length, basic.critical is not False)
    return BasicConstraints(authority, model.path_length)


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
