"""What an author may write about certificates that their issuers have withdrawn."""

from collections.abc import Mapping
from typing import Annotated

from mtls_runner.language.document import Plain, Value
from mtls_runner.language.values import (
    Bool,
    Id,
    Many,
    Maybe,
    Parsed,
    Seconds,
    Strict,
    Text,
    about,
    bounded,
    text_value,
    word,
)
from mtls_runner.language.x509_words import MOMENT
from mtls_runner.model.certificate import Defect, Moment
from mtls_runner.model.revocation import OcspAnswer, RevocationCheck, RevocationReason

__all__ = [
    "CHECKS",
    "CRL_DEFECTS",
    "Crl",
    "Responder",
    "ResponderRef",
    "Revoked",
    "Stapling",
    "responder_uri",
    "revoked_short",
    "stapling_short",
]

_REASONS: Mapping[str, RevocationReason] = {reason.value: reason for reason in RevocationReason}
CHECKS: Mapping[str, RevocationCheck] = {check.value: check for check in RevocationCheck}
CRL_DEFECTS: Mapping[str, Defect] = {
    defect.value: defect
    for defect in (Defect.WRONG_SIGNATURE_KEY, Defect.CORRUPTED_SIGNATURE, Defect.WRONG_ISSUER_NAME)
}
_ANSWERS: Mapping[str, OcspAnswer] = {answer.value: answer for answer in OcspAnswer}
_OCSP_DEFECTS: Mapping[str, Defect] = {
    defect.value: defect for defect in (Defect.WRONG_SIGNATURE_KEY, Defect.CORRUPTED_SIGNATURE)
}
#: The container's own loopback, where nobody else's configuration listens.
_SOMEBODY, _NOBODY = "127.0.67.1:8888", "127.0.67.2:8888"

#: A responder by id, or any URI in its place.
ResponderRef = Annotated[str, Parsed(text_value, {"type": "string"})]


class Revoked(Strict):
    """That a certificate's issuer has withdrawn it."""

    reason: Annotated[RevocationReason | None, word(_REASONS, "a reason to revoke")] = about(
        "RFC 5280's CRLReason; unspecified by default.", "keyCompromise"
    )
    date: Annotated[Moment | None, MOMENT] = about("Since when; an hour ago by default.", "-2d")


def _moment_or_none(value: Value) -> object:
    return None if value is None else MOMENT.parse(value)


NullableMoment = Parsed(_moment_or_none, {"type": ["string", "number", "null"]})


def revoked_short(value: Value) -> Value:
    """``true``, ``false`` (as ``null``), or the reason alone."""
    if isinstance(value, Plain) and isinstance(value.value, bool):
        return {} if value.value else None
    return {"reason": value} if isinstance(value, str) else value


class Crl(Strict):
    """A certificate revocation list."""

    issuer: Maybe[Id] = about("The authority that signs it; the one it is called after, or the only one.", "ca")
    this_update: Annotated[Moment | None, MOMENT] = about("When it was made; an hour ago by default.", "+1d")
    next_update: Annotated[Moment | None, MOMENT] = about("When the next one is due; in a week by default.", "-1h")
    revoked: Many[Annotated[str, Parsed(text_value, {"type": "string"})]] = about(
        "Ids of what is on it; by default what the authority issued and is `revoked`. [] for nothing.", ["client"]
    )
    number: Annotated[int | None, bounded(0)] = about("Its number (RFC 5280 §5.2.3); 1 by default.", 7)
    defects: Many[Annotated[Defect, word(CRL_DEFECTS, "a defect of a CRL")]] = about(
        "What is wrong with it, on purpose.", "wrong-signature-key"
    )
    file: Maybe[Text] = about("An own CRL, relative to the scenario; nothing is generated.", "ca.crl")


class Responder(Strict):
    """An OCSP responder of the lab's own."""

    answer: Many[Annotated[OcspAnswer, word(_ANSWERS, "an answer of a responder")]] = about(
        "What it answers; a list: to the first request, the second, …, the last one to all that follow. truth by default.",
        "good",
        ["good", "revoked"],
    )
    signer: Maybe[Id] = about(
        "The certificate that signs; the issuer of the one asked about by default.", "ocsp-signer"
    )
    this_update: Annotated[Moment | None, MOMENT] = about("When it was made; an hour ago by default.", "+1d")
    next_update: Annotated[Moment | None, NullableMoment] = about(
        "When the next one is due; in a week by default, null for none.", "-1h"
    )
    delay: Maybe[Seconds] = about("Seconds that it takes its time.", 0.5)
    defects: Many[Annotated[Defect, word(_OCSP_DEFECTS, "a defect of an OCSP response")]] = about(
        "What is wrong with what it answers, on purpose.", "wrong-signature-key"
    )
    # last, since from here on the name is the field's
    about: Maybe[Id] = about("The certificate that it answers about, whichever is asked about.", "other")


def responder_uri(id_: str, model: Responder) -> str:
    """Where it is, seen from a server in its container; known before anything runs, since certificates name it."""
    gone = model.answer is not None and set(model.answer) == {OcspAnswer.NOBODY}
    return f"http://{_NOBODY if gone else _SOMEBODY}/{id_}"


class Stapling(Strict):
    """That a server sends an OCSP response with its certificate."""

    responder: Maybe[ResponderRef] = about("Whom it asks; the one that its certificate names by default.", "ocsp")
    file: Maybe[Id] = about("The responder whose answer it has as a file; it asks nobody then.", "ocsp")
    verify: Maybe[Bool] = about("nginx's ssl_stapling_verify: whether it looks at what it is going to send.", True)


def stapling_short(value: Value) -> Value:
    """``true``, ``false`` (as ``null``), or the responder alone."""
    if isinstance(value, Plain) and isinstance(value.value, bool):
        return {} if value.value else None
    return {"responder": value} if isinstance(value, str) else value
