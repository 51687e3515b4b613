"""The CRLs and the OCSP responders of a file, and whom they answer about."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from mtls_runner.language.certificate import authority_key_identifier, named_by, own_extensions
from mtls_runner.language.certificates import Certificates
from mtls_runner.language.context import Context
from mtls_runner.language.document import Loc
from mtls_runner.language.endpoint import ServerDescription
from mtls_runner.language.scenario import Crl, Responder, responder_uri
from mtls_runner.language.shared_words import Stapling
from mtls_runner.language.x509_words import FIRST_MOMENT
from mtls_runner.model.certificate import Moment
from mtls_runner.model.revocation import CrlSpec, OcspAnswer, ResponderSpec, RevocationCheck, StaplingSpec

__all__ = ["Crls", "Responders"]

_BEFORE = timedelta(hours=-1)
_DAYS = timedelta(days=7)
_LAST_MOMENT = datetime.max.replace(microsecond=0, tzinfo=UTC)


class Crls:
    """All CRLs of a file: those that it describes, and one for each authority, under the authority's id."""

    def __init__(self, context: Context, certificates: Certificates) -> None:
        self._context = context
        self._certificates = certificates
        self._declared: Mapping[str, Crl] = context.scenario.crls or {}
        self._used: set[str] = set()

    @property
    def ids(self) -> tuple[str, ...]:
        """All that may be named."""
        authorities = tuple(id_ for id_ in self._certificates.ids if self._is_authority(id_))
        return (*self._declared, *(id_ for id_ in authorities if id_ not in self._declared))

    def use(self, id_: str) -> None:
        """Note that a server or client loads it: its authority, and all that it names by id, are used as well."""
        if id_ in self._used or id_ not in self.ids:
            return
        self._used.add(id_)
        model = self._declared.get(id_)
        if model is not None and model.file is not None:
            return
        issuer = self._issuer(id_)
        named = named_by(model.authority_key_identifier) if model is not None else ()
        for other in (issuer, *(other for _, other in named), *((model.revoked if model is not None else None) or ())):
            if other is not None and self._certificates.get(other) is not None:
                self._certificates.use(other)

    def _is_authority(self, id_: str) -> bool:
        declared = self._certificates.get(id_)
        return declared is not None and declared.authority

    def _issuer(self, id_: str) -> str | None:
        model = self._declared.get(id_)
        if model is not None and model.issuer is not None:
            return model.issuer
        return id_ if self._is_authority(id_) else self._certificates.default_authority()

    def specs(self) -> Mapping[str, CrlSpec]:
        """The CRLs that are used, by id."""
        return {id_: self._spec(id_, self._declared.get(id_) or Crl()) for id_ in sorted(self._used)}

    def _spec(self, id_: str, model: Crl) -> CrlSpec:
        issuer = self._issuer(id_) or ""
        revoked = model.revoked if model.revoked is not None else self._issued(issuer)
        this_update, next_update = _updates(model)
        file = self._context.beside(self._context.document, model.file) if model.file is not None else None
        return CrlSpec(
            id=id_,
            issuer="" if file is not None else issuer,
            this_update=this_update,
            next_update=next_update,
            revoked=() if file is not None else tuple(dict.fromkeys(revoked)),
            number=1 if model.number is None else model.number,
            delta_of=model.delta_of,
            only_contains=model.only_contains,
            authority_key_identifier=authority_key_identifier(model.authority_key_identifier),
            extensions=own_extensions(model.extensions),
            defects=tuple(dict.fromkeys(model.defects or ())),
            file=file,
        )

    def _issued(self, issuer: str) -> list[str]:
        """Ids of what the authority issued and has revoked; of lab.yaml's certificates, those that the file uses."""
        certificates = self._certificates
        found = []
        for id_ in certificates.ids:
            merged = certificates.merged(id_)
            here = id_ in certificates.own or id_ in certificates.used
            if here and merged is not None and merged.revoked is not None and certificates.issuer(id_) == issuer:
                found.append(id_)
        return found

    def check(self, *, asked: bool) -> None:
        """Report CRLs that can't be made, that nobody loads, and revoked certificates whose revocation nobody checks.

        Args:
            asked: a server asks OCSP responders, which know of revocations, too.
        """
        listed = {id_ for spec in self.specs().values() for id_ in spec.revoked}
        for id_, declared in self._certificates.own.items():
            if declared.model.revoked is not None and id_ not in listed and not asked:
                self._context.problems.warning(
                    declared.document,
                    (*declared.loc, "revoked"),
                    f"'{id_}' is revoked, and nothing in this file looks whether it is",
                    "a server or client with crl, or a server that asks a responder (ocsp)",
                    key=True,
                )
        for id_, model in self._declared.items():
            self._check(id_, model, ("crls", id_))
            if id_ not in self._used:
                self._context.problems.warning(
                    self._context.document, ("crls", id_), f"nothing loads the CRL '{id_}'", key=True
                )

    def _check(self, id_: str, model: Crl, loc: Loc) -> None:
        problems, document = self._context.problems, self._context.document
        if model.file is not None:
            for name in sorted(model.model_fields_set - {"file"}):
                problems.error(
                    document, (*loc, name), f"'{name}' has no meaning beside 'file': nothing is generated", key=True
                )
            if (why := self._context.unreadable(document, model.file)) != "":
                problems.error(document, (*loc, "file"), why, "a path relative to the scenario file")
            return
        issuer = self._issuer(id_)
        authorities = [one for one in self._certificates.ids if self._is_authority(one)]
        if issuer is None:
            problems.absent(
                document, loc, f"'issuer' is missing: there are {len(authorities)} authorities", ", ".join(authorities)
            )
        elif not self._is_authority(issuer):
            problems.unknown(document, (*loc, "issuer"), "authority", issuer, authorities)
        for index, other in enumerate(model.revoked or ()):
            if self._certificates.get(other) is None:
                problems.unknown(document, (*loc, "revoked", index), "authority or leaf", other, self._certificates.ids)
        for name, other in named_by(model.authority_key_identifier):
            if self._certificates.get(other) is None:
                where = (*loc, "authority_key_identifier", name)
                problems.unknown(document, where, "authority or leaf", other, self._certificates.ids)
        this_update, next_update = _updates(model)
        now = datetime.now(UTC)
        if next_update.resolve(now) <= this_update.resolve(now):
            name = "next_update" if model.next_update is not None else "this_update"
            problems.error(document, (*loc, name), "the next one would be due before this one is made")


def _updates(model: Crl) -> tuple[Moment, Moment]:
    """Dates that are not given keep a week's distance from the one that is, as far as there are dates."""
    begin, end = model.this_update, model.next_update
    if begin is None and end is not None:
        now = datetime.now(UTC)
        begin = Moment(_BEFORE)
        if end.resolve(now) <= begin.resolve(now):
            begin = _later(end, -_DAYS)
    begin = begin or Moment(_BEFORE)
    return begin, end or _later(begin, _DAYS)


def _later(moment: Moment, by: timedelta) -> Moment:
    if moment.absolute is not None:
        try:
            return Moment(absolute=max(moment.absolute + by, FIRST_MOMENT))
        except OverflowError:
            return Moment(absolute=_LAST_MOMENT)
    return Moment(moment.offset + by)


_NEVER_ANSWER = (OcspAnswer.SILENCE, OcspAnswer.NOBODY)


class Responders:
    """The OCSP responders of a file."""

    def __init__(self, context: Context, certificates: Certificates) -> None:
        self._context = context
        self._certificates = certificates
        self._declared: Mapping[str, Responder] = context.scenario.responders or {}
        self._named: set[str] = set()
        self._specs = {id_: _spec(id_, model) for id_, model in self._declared.items()}

    @property
    def ids(self) -> tuple[str, ...]:
        """All that may be named."""
        return tuple(self._declared)

    def use(self, name: str) -> None:
        """Note that a certificate or a server names it; a URI names none of the lab's."""
        model = self._declared.get(name)
        if model is None or name in self._named:
            return
        self._named.add(name)
        for other in (model.signer, model.about):
            if other is not None and self._certificates.get(other) is not None:
                self._certificates.use(other)

    def uri(self, name: str) -> str:
        """The URI of a responder, or the one that the author gave in its place."""
        return self._specs[name].uri if name in self._specs else name

    def reachable(self, model: ServerDescription) -> tuple[ResponderSpec, ...]:
        """The responders that a server can reach: all, if it asks any, or may ask since its configuration is the author's own."""
        asks = model.stapling is not None or model.config is not None
        checks = [model.ocsp, *(host.ocsp for host in (model.virtual_hosts or {}).values())]
        asks |= any(check not in (None, RevocationCheck.NONE) for check in checks)
        return tuple(self._specs.values()) if asks else ()

    def stapling(self, model: ServerDescription, certificate: str | None) -> StaplingSpec | None:
        """What a server staples to that certificate."""
        stapling = model.stapling
        if stapling is None:
            return None
        for name in (stapling.responder, stapling.file):
            if name is not None:
                self.use(name)
        asked = stapling.responder
        if asked is None and certificate is not None:
            merged = self._certificates.merged(certificate)
            asked = next(iter((merged.ocsp if merged is not None else None) or ()), None)
        answers = self._specs[asked].answers if asked in self._specs else _NEVER_ANSWER
        return StaplingSpec(
            responder=self.uri(stapling.responder) if stapling.responder is not None else None,
            file=self._specs.get(stapling.file) if stapling.file is not None else None,
            verify=bool(stapling.verify),
            awaited=answers[0] not in _NEVER_ANSWER,
        )

    @property
    def named(self) -> bool:
        """Whether anybody names one."""
        return bool(self._named)

    def check(self) -> None:
        """Report what responders name that is not there, and responders that nothing names."""
        for id_ in self._certificates.ids:
            self._certificate(id_)
        for id_, model in self._declared.items():
            loc: Loc = ("responders", id_)
            for name, other in (("signer", model.signer), ("about", model.about)):
                if other is not None and self._certificates.get(other) is None:
                    self._context.problems.unknown(
                        self._context.document, (*loc, name), "authority or leaf", other, self._certificates.ids
                    )
            if id_ not in self._named:
                self._context.problems.warning(
                    self._context.document, loc, f"nothing asks the responder '{id_}'", key=True
                )

    def _certificate(self, id_: str) -> None:
        declared = self._certificates.get(id_)
        if declared is None:
            return
        for index, name in enumerate(declared.model.ocsp or ()):
            self.name(name, (*declared.loc, "ocsp", index))

    def name(self, name: str, loc: Loc) -> None:
        """Something names a responder there."""
        if name in self._declared:
            self.use(name)
        elif "://" not in name:
            self._context.problems.unknown(self._context.document, loc, "responder", name, self.ids)

    def server(self, model: ServerDescription, loc: Loc) -> None:
        """Note the responders that a description of a server names."""
        if model.ocsp_responder is not None:
            self.name(model.ocsp_responder, (*loc, "ocsp_responder"))
        stapling: Stapling | None = model.stapling
        if stapling is None:
            return
        if stapling.responder is not None:
            self.name(stapling.responder, (*loc, "stapling", "responder"))
        if stapling.file is not None and stapling.file not in self._declared:
            self._context.problems.unknown(
                self._context.document, (*loc, "stapling", "file"), "responder", stapling.file, self.ids
            )
        if stapling.file is not None and stapling.responder is not None:
            self._context.problems.error(
                self._context.document,
                (*loc, "stapling", "file"),
                "'responder' and 'file' exclude each other",
                "one of: responder, file",
                key=True,
            )


def _spec(id_: str, model: Responder) -> ResponderSpec:
    answers: Sequence[OcspAnswer] = model.answer or (OcspAnswer.TRUTH,)
    usual = ResponderSpec(id_, "")
    return ResponderSpec(
        id=id_,
        uri=responder_uri(id_, model),
        answers=tuple(answers),
        signer=model.signer,
        about=model.about,
        this_update=model.this_update or usual.this_update,
        next_update=model.next_update if "next_update" in model.model_fields_set else usual.next_update,
        delay=model.delay or 0.0,
        defects=tuple(dict.fromkeys(model.defects or ())),
    )
