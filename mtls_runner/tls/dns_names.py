"""Internationalized domain names: what people type → the A-labels that certificates, SNI and HTTP have."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import quote, urlsplit

__all__ = ["ascii_host", "ascii_uri"]


@lru_cache(maxsize=1024)
def ascii_host(name: str) -> str:
    """A name with A-labels for labels with other letters (IDNA 2008 after UTS #46's mapping, as curl and browsers do).

    What is ASCII stays as it is: ``*`` for any label, a leading dot, patterns of nginx.

    Raises:
        ValueError: a label is none that IDNA 2008 allows.
    """
    if name.isascii():
        return name
    import idna

    mapped = idna.uts46_remap(name, std3_rules=False, transitional=False)
    return ".".join(label if label.isascii() else idna.alabel(label).decode("ascii") for label in mapped.split("."))


def ascii_uri(uri: str) -> str:
    """A URI for an IRI (RFC 3987 §3.1): its host with A-labels, everything else percent-encoded UTF-8.

    Raises:
        ValueError: as :func:`ascii_host`.
    """
    if uri.isascii():
        return uri
    host = urlsplit(uri).netloc.rpartition("@")[2]
    return quote(uri.replace(host, ascii_host(host), 1), safe="%/:=&?~#+!$,;'@()*[]")
