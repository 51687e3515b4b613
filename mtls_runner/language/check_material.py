"""Authorities and leaves: names of nothing, circles, contradictions; those that nothing needs, or that have two faults."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from msgspec.structs import replace
from yaml.nodes import MappingNode

from mtls_runner.language.certificate import Certificate, Key, named_by
from mtls_runner.language.certificates import RIVALS, Certificates, Declared
from mtls_runner.language.context import Context
from mtls_runner.language.document import Document, Loc, meant
from mtls_runner.language.x509_words import KEY_ALGORITHMS
from mtls_runner.model.case import Case
from mtls_runner.model.certificate import CertificateSpec, KeyAlgorithm, KeyFormat
from mtls_runner.model.chain import Verifier, client_verifies, comes_round, lineage, server_verifies
from mtls_runner.model.chain_faults import faults
from mtls_runner.model.endpoint import ClientAuth
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.revocation import CrlSpec, RevocationCheck

__all__ = ["check_certificates", "check_faults", "check_files", "check_unused"]

_ABSENT = "there is no such file"
_OWN_SOURCES = ("certificate", "pkcs12")
#: What may stand beside an own certificate.
_BESIDE_OWN = frozenset({"certificate", "pkcs12", "key", "chain", "passphrase", "issuer", "like", "revoked"})
_EXCLUDING = (*RIVALS, ("chain", "pkcs12"))


def check_certificates(context: Context, certificates: Certificates) -> None:
    """Check every authority and leaf by itself, and what it names."""
    for declared in (*certificates.own.values(), *certificates.shared.values()):
        if certificates.get(declared.id) is declared:
            _CertificateCheck(context, certificates, declared).run()


class _CertificateCheck:
    def __init__(self, context: Context, certificates: Certificates, declared: Declared) -> None:
        self._problems = context.problems
        self._context = context
        self._certificates = certificates
        self._declared = declared
        self._model = declared.model
        self._document: Document = declared.document

    def _loc(self, *more: str | int) -> Loc:
        return (*self._declared.loc, *more)

    def _error(self, loc: Loc, message: str, expected: str = "", *, key: bool = False) -> None:
        self._problems.error(self._document, loc, message, expected, key=key)

    def run(self) -> None:
        model = self._model
        for name, given in (("like", model.like), ("issuer", model.issuer)):
            if given is not None and given != "self" and self._certificates.get(given) is None:
                self._unknown(self._loc(name), given)
        if (
            model.like is not None
            and self._certificates.get(model.like)
            and self._certificates.merged(self._declared.id) is None
            and comes_round(model.like, self._certificates.like)
        ):
            self._error(self._loc("like"), "these descriptions take over each other in a circle")
        for first, second in _EXCLUDING:
            if {first, second} <= model.model_fields_set:
                self._error(
                    self._loc(second),
                    f"'{first}' and '{second}' exclude each other",
                    f"one of: {first}, {second}",
                    key=True,
                )
        if model.passphrase is not None:
            self._context.check_secret(model.passphrase, self._document, self._loc("passphrase"))
        merged = self._certificates.merged(self._declared.id)
        if merged is not None:
            self._own(merged)
            self._key()
            self._authority_key()
            self._issuer(merged)
            self._validity(merged)
            if model.path_length is not None and not self._declared.authority:
                self._error(
                    self._loc("path_length"),
                    "a leaf issues nothing",
                    "basic_constraints: {ca: true, path_length: …} for a leaf that claims to",
                    key=True,
                )
            if model.count is not None and not self._declared.authority:
                self._error(self._loc("count"), "only an authority stands for several", key=True)

    def _unknown(self, loc: Loc, given: str) -> None:
        self._problems.unknown(self._document, loc, "authority or leaf", given, self._certificates.ids)

    def _own(self, merged: Certificate) -> None:
        own = any(getattr(merged, name) is not None for name in _OWN_SOURCES)
        if own:
            for name in type(merged).model_fields:
                if name in self._model.model_fields_set and name not in _BESIDE_OWN:
                    self._error(
                        self._loc(name),
                        f"'{name}' has no meaning beside an own certificate: nothing is generated",
                        key=True,
                    )
        elif self._model.chain is not None:
            self._error(self._loc("chain"), "'chain' needs 'certificate' beside it", key=True)
        key = self._model.key
        if key is not None and key.file is not None and not own:
            given = key.file
            if isinstance(self._document.locate(self._loc("key"))[1], MappingNode):
                self._error(self._loc("key", "file"), "'file' needs 'certificate' beside 'key'", key=True)
                return
            self._problems.error(
                self._document,
                self._loc("key"),
                "this is not a key algorithm",
                f"one of: {', '.join(KEY_ALGORITHMS)}",
                meant(given, KEY_ALGORITHMS),
            )
        if key is not None and own and (key.model_fields_set - {"file"}):
            self._error(self._loc("key"), "the key of an own certificate is a file", "key: tls.key")

    def _key(self) -> None:
        key = self._model.key
        self._form(key)
        if key is None or key.same_as is None:
            return
        if key.algorithm is not None:
            self._error(self._loc("key", "algorithm"), "'same_as' and 'algorithm' exclude each other", key=True)
        if self._certificates.get(key.same_as) is None:
            self._unknown(self._loc("key", "same_as"), key.same_as)
        elif key.same_as == self._declared.id or comes_round(key.same_as, self._same_key):
            self._error(self._loc("key", "same_as"), "these keys are each other's, in a circle")

    def _form(self, key: Key | None) -> None:
        merged = self._certificates.merged(self._declared.id)
        if key is None or merged is None:
            return
        algorithm = self._certificates.algorithm(merged)
        if key.explicit and algorithm is not KeyAlgorithm.EC_P256:
            self._error(
                self._loc("key", "explicit"), f"the lab writes out P-256 only; this key is {algorithm}", key=True
            )
        if key.pss and not algorithm.value.startswith("rsa"):
            self._error(
                self._loc("key", "pss"), f"only an RSA key makes PSS signatures; this one is {algorithm}", key=True
            )
        elif key.pss and (merged.passphrase is not None or key.format is KeyFormat.TRADITIONAL):
            why = "a key for RSASSA-PSS only is written as PKCS#8, and not encrypted"
            self._error(self._loc("key", "pss"), why, key=True)

    def _authority_key(self) -> None:
        for name, id_ in named_by(self._model.authority_key_identifier):
            loc = self._loc("authority_key_identifier", name)
            if self._certificates.get(id_) is None:
                self._unknown(loc, id_)
            elif (merged := self._certificates.merged(id_)) is not None and (merged.certificate or merged.pkcs12):
                self._error(loc, f"'{id_}' is your own, and not known before it is read", "one that the lab makes")

    def _same_key(self, id_: str) -> str | None:
        model = self._certificates.merged(id_)
        return model.key.same_as if model is not None and model.key is not None else None

    def _issuer(self, merged: Certificate) -> None:
        certificates, id_ = self._certificates, self._declared.id
        own = any(getattr(merged, name) is not None for name in _OWN_SOURCES)
        if (
            merged.issuer is None
            and not self._declared.authority
            and not own
            and certificates.default_authority() is None
        ):
            authorities = certificates.authorities()
            if authorities:
                self._problems.absent(
                    self._document,
                    self._loc(),
                    f"'issuer' is missing: there are {len(authorities)} authorities",
                    f"one of: {', '.join(authorities)}, self",
                )
            else:
                self._problems.absent(
                    self._document,
                    self._loc(),
                    "there is no authority that could issue this leaf",
                    "ca: or authorities: in this file, or issuer: self",
                )
        if certificates.issuer(certificates.root(id_)) == id_:
            self._error(self._loc("issuer"), "these certificates issue each other in a circle")
        signature = self._model.signature
        issuer = certificates.merged(certificates.issuer(id_) or id_)
        if signature is not None and issuer is not None:
            algorithm = certificates.algorithm(issuer).value
            if signature.pss and not algorithm.startswith("rsa"):
                self._error(
                    self._loc("signature"),
                    f"only an RSA key makes PSS signatures; the issuer's is {algorithm}",
                    key=True,
                )
            if signature.hash and algorithm.startswith("ed"):
                self._error(self._loc("signature"), f"a signature by {algorithm} has its own hash (RFC 8410)", key=True)

    def _validity(self, merged: Certificate) -> None:
        begin, end = merged.not_before, merged.not_after
        if begin is None or end is None:
            return
        if begin.absolute is not None and end.absolute is not None:
            wrong = end.absolute <= begin.absolute
        elif begin.absolute is None and end.absolute is None:
            wrong = end.offset <= begin.offset
        else:
            now = datetime.now(UTC)
            wrong = end.resolve(now) <= begin.resolve(now)
        if wrong:
            name = "not_after" if "not_after" in self._model.model_fields_set else "not_before"
            self._error(self._loc(name), "it would end before it begins")


def check_files(context: Context, certificates: Certificates, cases: Iterable[Case]) -> None:
    """Report own files that are not there, unless a case expects that."""
    if any(_may_be_missing(case) for case in cases):
        return
    for id_, declared in (*certificates.own.items(), *certificates.shared.items()):
        if certificates.get(id_) is not declared:
            continue
        model = declared.model
        files: list[tuple[str | None, Loc]] = [
            (getattr(model, name), (*declared.loc, name)) for name in ("certificate", "chain", "pkcs12")
        ]
        if model.key is not None and (model.certificate or model.like):
            written = declared.document.locate((*declared.loc, "key", "file"))[2]
            files.append((model.key.file, (*declared.loc, "key", *(("file",) if written else ()))))
        for path, loc in files:
            if path is not None and context.unreadable(declared.document, path) == _ABSENT:
                context.problems.error(declared.document, loc, _ABSENT)


def _may_be_missing(case: Case) -> bool:
    wanted = {check.path: {one.value for one in check.alternatives} for check in case.expect.checks}
    unusable = {Outcome.CLIENT_UNUSABLE, Outcome.SERVER_UNUSABLE} & wanted.get("outcome", set())
    return bool(unusable) and wanted.get("reason", {Reason.MISSING_FILE}) >= {Reason.MISSING_FILE}


def check_unused(context: Context, certificates: Certificates) -> None:
    """Report authorities and leaves that nothing in the file needs."""
    needed: set[str] = set()
    waiting = list(certificates.used)
    while waiting:
        id_ = waiting.pop()
        if id_ in needed:
            continue
        needed.add(id_)
        declared, merged = certificates.get(id_), certificates.merged(id_)
        if declared is None:
            continue
        same = merged.key.same_as if merged is not None and merged.key is not None else None
        named = [other for _, other in named_by(merged.authority_key_identifier)] if merged is not None else []
        above = (certificates.issuer(id_), declared.model.like, same, *named)
        waiting += [other for other in above if other is not None]
    for id_, declared in certificates.own.items():
        if id_ not in needed:
            what = "authority" if declared.authority else "leaf"
            context.problems.warning(context.document, declared.loc, f"nothing uses the {what} '{id_}'", key=True)


_TRUST = frozenset((Reason.UNKNOWN_CA, Reason.SELF_SIGNED))
"""Reasons that blame the end of the path, though it is the certificate itself that leads there."""
#: What a certificate can have beside others, and that every verifier sees.
_WORDS: Mapping[Reason, str] = {
    Reason.EXPIRED: "expired",
    Reason.NOT_YET_VALID: "not yet valid",
    Reason.WRONG_PURPOSE: "not for {purpose}",
    **dict.fromkeys(_TRUST, "of an authority that is not trusted"),
    Reason.WEAK_KEY: "a weak key",
    Reason.WEAK_DIGEST: "a weak hash",
    Reason.UNHANDLED_EXTENSION: "a critical extension that nobody knows",
    Reason.BAD_SIGNATURE: "a signature that does not verify",
    Reason.REVOKED: "revoked",
}


def check_faults(
    context: Context,
    certificates: Certificates,
    specs: Mapping[str, CertificateSpec],
    crls: Mapping[str, CrlSpec],
    cases: Sequence[Case],
) -> None:
    """A warning for each certificate that would be refused for two reasons, unless the author allows for both."""
    warned: set[str] = set()
    known: dict[tuple[str, Verifier, bool], tuple[str, ...]] = {}
    now = datetime.now(UTC)
    for case in cases:
        client, server = case.client, case.server
        if client is None:
            continue
        shown = []
        if client.certificate is not None and server.client_auth is not ClientAuth.NONE:
            asks = server.ocsp is not RevocationCheck.NONE
            shown.append((client.certificate, server_verifies(server, crls), asks))
        if server.certificate is not None and not client.insecure:
            shown.append((server.certificate, client_verifies(client, crls), False))
        for id_, verifier, asks in shown:
            if id_ in warned or id_ not in specs:
                continue
            key = (id_, verifier, asks)
            if key not in known:
                known[key] = _faults(specs, id_, verifier, now, asks=asks)
            found = known[key]
            if len(found) < 2 or _allows_both(case):
                continue
            warned.add(id_)
            declared = certificates.get(id_)
            if declared is not None:
                context.problems.warning(
                    declared.document,
                    declared.loc,
                    f"'{id_}' has {len(found)} independent faults ({', '.join(found)}), and servers differ in which they name",
                    "one fault, or several reasons to expect",
                    key=True,
                )


def _allows_both(case: Case) -> bool:
    return any(check.path == "reason" and len(check.alternatives) > 1 for check in case.expect.checks)


def _faults(
    specs: Mapping[str, CertificateSpec], id_: str, verifier: Verifier, now: datetime, *, asks: bool
) -> tuple[str, ...]:
    """Faults of the certificate itself, whatever else is sent: each kind once."""
    sent = [spec.id for spec in lineage(specs, id_)]
    found = faults(sent, replace(verifier, name=None, depth=None), specs, now)
    # an own configuration, or a server that runs already, says itself whom it trusts
    reasons = {one.reason for one in found if (one.depth == 0 or one.reason in _TRUST)}
    if not verifier.trust:
        reasons -= _TRUST
    if asks and specs[id_].revoked is not None:
        reasons.add(Reason.REVOKED)
    words = [word.format(purpose=verifier.purpose) for reason, word in _WORDS.items() if reason in reasons]
    return tuple(dict.fromkeys(words))
