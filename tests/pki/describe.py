"""Short descriptions of certificates; everything that is not given is what a sane issuer would choose."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import TypedDict, Unpack

from msgspec.structs import replace

from mtls_runner.model.certificate import (
    AuthorityKeyIdentifier,
    BasicConstraints,
    CertificateSpec,
    Defect,
    Extension,
    KeyAlgorithm,
    KeySpec,
    Moment,
    NameConstraints,
    OwnFiles,
    Secret,
    SignatureSpec,
)


class Fields(TypedDict, total=False):
    """Fields of a description."""

    subject: str
    issuer: str | None
    key: KeySpec
    passphrase: Secret | None
    not_before: Moment
    not_after: Moment
    serial: int | None
    san: tuple[str, ...] | None
    san_critical: bool
    extended_key_usage: tuple[str, ...] | None
    extended_key_usage_critical: bool
    key_usage: tuple[str, ...] | None
    key_usage_critical: bool
    basic_constraints: BasicConstraints | None
    name_constraints: NameConstraints | None
    subject_key_identifier: bool
    authority_key_identifier: AuthorityKeyIdentifier | None
    signature: SignatureSpec
    extensions: tuple[Extension, ...]
    defects: tuple[Defect, ...]
    count: int
    files: OwnFiles | None


def leaf(name: str, **fields: Unpack[Fields]) -> CertificateSpec:
    """A leaf, issued by ``ca``."""
    spec = CertificateSpec(
        id=name,
        authority=False,
        subject=f"CN={name}",
        issuer="ca",
        key=KeySpec(),
        passphrase=None,
        not_before=Moment(timedelta(hours=-1)),
        not_after=Moment(timedelta(days=365)),
        san=("DNS:localhost", "IP:127.0.0.1"),
        extended_key_usage=("serverAuth", "clientAuth"),
        key_usage=("digitalSignature",),
        basic_constraints=BasicConstraints(ca=False),
    )
    return replace(spec, **fields)


def authority(name: str = "ca", **fields: Unpack[Fields]) -> CertificateSpec:
    """A root, unless an issuer is given."""
    spec = replace(
        leaf(name),
        authority=True,
        issuer=None,
        san=None,
        extended_key_usage=None,
        key_usage=("keyCertSign", "cRLSign"),
        basic_constraints=BasicConstraints(ca=True),
    )
    return replace(spec, **fields)


PASSPHRASE = Secret('a "quoted" \\ passphrase: #1')
PAST = Moment(timedelta(days=-1))
GOOD = leaf("good", extended_key_usage=("clientAuth",))
SERVER = leaf("server", extended_key_usage=("serverAuth",))
USUAL = (
    authority("ca"),
    authority("other"),
    authority("twin", subject="CN=ca", subject_key_identifier=False),
    authority("middle", issuer="ca"),
    GOOD,
    replace(GOOD, id="foreign", issuer="other"),
    replace(GOOD, id="twin_leaf", issuer="twin", authority_key_identifier=None),
    replace(GOOD, id="expired", not_before=Moment(timedelta(days=-2)), not_after=PAST),
    replace(GOOD, id="future", not_before=Moment(timedelta(days=1))),
    replace(GOOD, id="wrong_usage", extended_key_usage=("serverAuth",)),
    replace(GOOD, id="own", issuer=None),
    replace(GOOD, id="below", issuer="middle"),
    SERVER,
)
"""Good and bad material; each bad certificate differs from ``good`` or ``server`` in one thing."""


def plan(*specs: CertificateSpec) -> Mapping[str, CertificateSpec]:
    """By id."""
    return {spec.id: spec for spec in specs}


def key(algorithm: KeyAlgorithm) -> KeySpec:
    """A key of that algorithm."""
    return KeySpec(algorithm)
