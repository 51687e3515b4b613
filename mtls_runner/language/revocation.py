"""What an author may write about certificates that their issuers have withdrawn."""

from collections.abc import Mapping
from typing import Annotated

from mtls_runner.language.document import Plain, Value
from mtls_runner.language.values import Id, Many, Maybe, Parsed, Strict, Text, about, bounded, text_value, word
from mtls_runner.language.x509_words import MOMENT
from mtls_runner.model.spec import Defect, Moment, RevocationCheck, RevocationReason

__all__ = ["CHECKS", "CRL_DEFECTS", "Crl", "Revoked", "revoked_short"]

_REASONS: Mapping[str, RevocationReason] = {reason.value: reason for reason in RevocationReason}
CHECKS: Mapping[str, RevocationCheck] = {check.value: check for check in RevocationCheck}
CRL_DEFECTS: Mapping[str, Defect] = {
    defect.value: defect
    for defect in (Defect.WRONG_SIGNATURE_KEY, Defect.CORRUPTED_SIGNATURE, Defect.WRONG_ISSUER_NAME)
}


class Revoked(Strict):
    """That a certificate's issuer has withdrawn it."""

    reason: Annotated[RevocationReason | None, word(_REASONS, "a reason to revoke")] = about(
        "RFC 5280's CRLReason; unspecified by default.", "keyCompromise"
    )
    date: Annotated[Moment | None, MOMENT] = about("Since when; an hour ago by default.", "-2d")


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
