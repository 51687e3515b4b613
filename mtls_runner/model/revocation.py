"""What an authority says about the certificates that it has withdrawn."""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from mtls_runner.model.certificate import AuthorityKeyIdentifier, Defect, Extension, Moment

__all__ = [
    "CrlScope",
    "CrlSpec",
    "OcspAnswer",
    "ResponderSpec",
    "Revocation",
    "RevocationCheck",
    "RevocationReason",
    "StaplingSpec",
]

_ISSUERS_KEY = AuthorityKeyIdentifier()
_AN_HOUR_AGO = Moment(timedelta(hours=-1))
_IN_A_WEEK = Moment(timedelta(days=7))


class RevocationReason(StrEnum):
    """CRLReason (RFC 5280 §5.3.1)."""

    UNSPECIFIED = "unspecified"
    KEY_COMPROMISE = "keyCompromise"
    CA_COMPROMISE = "cACompromise"
    AFFILIATION_CHANGED = "affiliationChanged"
    SUPERSEDED = "superseded"
    CESSATION_OF_OPERATION = "cessationOfOperation"
    CERTIFICATE_HOLD = "certificateHold"
    REMOVE_FROM_CRL = "removeFromCRL"
    """Taken off hold: a verifier lets it in again (RFC 5280 has it in delta CRLs only)."""
    PRIVILEGE_WITHDRAWN = "privilegeWithdrawn"
    AA_COMPROMISE = "aACompromise"


class Revocation(Struct, frozen=True):
    """That a certificate's issuer has withdrawn it: why, and since when."""

    reason: RevocationReason = RevocationReason.UNSPECIFIED
    date: Moment = Moment(timedelta(hours=-1))


class RevocationCheck(StrEnum):
    """Which certificates of a chain a verifier wants to know not revoked."""

    NONE = "none"
    LEAF = "leaf"
    """The end entity's only (``X509_V_FLAG_CRL_CHECK``)."""
    CHAIN = "chain"
    """All, the root's own among them (with ``X509_V_FLAG_CRL_CHECK_ALL``)."""


class CrlScope(StrEnum):
    """What a CRL is about, where that is not all that its issuer issued (RFC 5280 §5.2.5)."""

    USER = "user"
    """``onlyContainsUserCerts``."""
    CA = "ca"
    """``onlyContainsCACerts``."""
    ATTRIBUTE = "attribute"
    """``onlyContainsAttributeCerts``."""


class CrlSpec(Struct, frozen=True):
    """One certificate revocation list (RFC 5280 §5).

    Args:
        id: unique within the plan's CRLs; an authority's own is called as the authority.
        issuer: id of the authority that signs it; ``""`` for a file.
        this_update, next_update: when it was made, and when the next one is due.
        revoked: ids of the certificates on it; reason and date are theirs.
        number: its ``cRLNumber``.
        delta_of: the number of the list that it adds to (``deltaCRLIndicator``); ``None``: it is a whole one.
        only_contains: its ``issuingDistributionPoint``; ``None``: it has none, and is about everything.
        authority_key_identifier: ``None``: absent.
        extensions: more extensions, by OID.
        defects: ``WRONG_SIGNATURE_KEY``, ``CORRUPTED_SIGNATURE`` or ``WRONG_ISSUER_NAME``.
        file: the user's own, by absolute path, instead of a generated one; then everything else but ``id`` is unused.
    """

    id: str
    issuer: str
    this_update: Moment = _AN_HOUR_AGO
    next_update: Moment = _IN_A_WEEK
    revoked: tuple[str, ...] = ()
    number: int = 1
    delta_of: int | None = None
    only_contains: CrlScope | None = None
    authority_key_identifier: AuthorityKeyIdentifier | None = _ISSUERS_KEY
    extensions: tuple[Extension, ...] = ()
    defects: tuple[Defect, ...] = ()
    file: Path | None = None


class OcspAnswer(StrEnum):
    """What an OCSP responder answers."""

    TRUTH = "truth"
    """What the issuer says: good, revoked, or unknown where it issued no such certificate."""
    GOOD = "good"
    REVOKED = "revoked"
    UNKNOWN = "unknown"
    MALFORMED_REQUEST = "malformedRequest"
    """This one and the next four are ``OCSPResponseStatus`` (RFC 6960 §4.2.1)."""
    INTERNAL_ERROR = "internalError"
    TRY_LATER = "tryLater"
    SIG_REQUIRED = "sigRequired"
    UNAUTHORIZED = "unauthorized"
    GARBAGE = "garbage"
    """Bytes that are no OCSP response, under its media type."""
    HTML = "html"
    """A web page, as a captive portal sends it."""
    HTTP_ERROR = "http-error"
    """HTTP status 500."""
    CLOSE = "close"
    """The connection is closed without a response."""
    SILENCE = "silence"
    """The connection stays open without a response."""
    NOBODY = "nobody"
    """Nothing listens there."""


class ResponderSpec(Struct, frozen=True):
    """An OCSP responder (RFC 6960).

    Args:
        id: unique among the plan's responders.
        uri: where it is, seen from a server; what a certificate's authorityInfoAccess names.
        answers: to the first request, to the second, …; the last one to all that follow.
        signer: id of the certificate that signs; ``None``: the issuer of the one that is asked about.
        about: id of the certificate that it answers about, whichever is asked about; ``None``: the one that is.
        this_update, next_update: as in a CRL; ``None``: newer information is always available.
        delay: seconds that it takes its time.
        defects: ``WRONG_SIGNATURE_KEY`` or ``CORRUPTED_SIGNATURE``.
    """

    id: str
    uri: str
    answers: tuple[OcspAnswer, ...] = (OcspAnswer.TRUTH,)
    signer: str | None = None
    about: str | None = None
    this_update: Moment = _AN_HOUR_AGO
    next_update: Moment | None = _IN_A_WEEK
    delay: float = 0.0
    defects: tuple[Defect, ...] = ()


class StaplingSpec(Struct, frozen=True):
    """That a server sends an OCSP response with its certificate (RFC 6066 §8).

    Args:
        responder: URI that it asks; ``None``: the one in its certificate.
        file: the responder whose answer it is given as a file, so that it asks nobody.
        verify: nginx ``ssl_stapling_verify``.
        awaited: whether the responder that it asks ever answers.
    """

    responder: str | None = None
    file: ResponderSpec | None = None
    verify: bool = False
    awaited: bool = True
