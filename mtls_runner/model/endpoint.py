"""What servers and clients have in common."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "Address",
    "ChainKind",
    "ChainSpec",
    "TlsVersion",
    "VerifyFlag",
]


class TlsVersion(StrEnum):
    """Protocol versions under nginx's names (``ssl_protocols``)."""

    V1_0 = "TLSv1"
    V1_1 = "TLSv1.1"
    V1_2 = "TLSv1.2"
    V1_3 = "TLSv1.3"


class ChainKind(StrEnum):
    """What an end sends of its chain."""

    FULL = "full"
    """The certificate and its intermediates, without the root."""
    LEAF = "leaf"
    """The certificate alone."""
    IDS = "ids"
    """Exactly the listed certificates after the leaf, in that order."""


@dataclass(frozen=True, slots=True)
class ChainSpec:
    """What an end is configured to send after its own certificate."""

    kind: ChainKind = ChainKind.FULL
    ids: tuple[str, ...] = ()


class VerifyFlag(StrEnum):
    """OpenSSL ``X509_V_FLAG_*`` that change a verdict; never left to an interpreter's default."""

    PARTIAL_CHAIN = "partial_chain"
    """A trusted certificate that is no root ends a chain (``X509_V_FLAG_PARTIAL_CHAIN``)."""
    STRICT = "x509_strict"
    """RFC 5280 checks that OpenSSL skips otherwise (``X509_V_FLAG_X509_STRICT``)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Host (name or IP literal, without brackets) and TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
