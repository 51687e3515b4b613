"""``responders:`` → :class:`~mtls_runner.model.revocation.ResponderSpec`, and who asks them."""

from collections.abc import Mapping, Sequence

from mtls_runner.language.certificates import Certificates
from mtls_runner.language.context import Context
from mtls_runner.language.document import Loc
from mtls_runner.language.endpoint import ServerDescription
from mtls_runner.language.revocation import Responder, Stapling, responder_uri
from mtls_runner.model.revocation import OcspAnswer, ResponderSpec, RevocationCheck, StaplingSpec

__all__ = ["Responders"]

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
        """A certificate or a server names it; a URI names nobody here."""
        model = self._declared.get(name)
        if model is None or name in self._named:
            return
        self._named.add(name)
        for other in (model.signer, model.about):
            if other is not None and self._certificates.get(other) is not None:
                self._certificates.use(other)

    def uri(self, name: str) -> str:
        """Of a responder, or the URI that the author gave in its place."""
        return self._specs[name].uri if name in self._specs else name

    def reachable(self, model: ServerDescription) -> tuple[ResponderSpec, ...]:
        """What a server can reach: everybody, if it asks at all, or may since its configuration is the author's own."""
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
        """Whom they name, and whether anybody names them."""
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
        """Whom a description of a server names."""
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
