"""Small phrases that the explanations are made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.endpoint import TlsVersion

__all__ = ["TextLine", "either", "listed", "quoted", "titled", "tls_names"]


class TextLine(Struct, frozen=True):
    """One paragraph of an explanation.

    Args:
        text: without line ends; whoever shows it breaks it.
        indent: columns before each of its lines.
        mark: before its first line: a word, a branch of a tree.
        under: before its other lines; ``None``: blanks, so that they stand beside the mark.
        heading: it names what comes next.
    """

    text: str
    indent: int = 0
    mark: str = ""
    under: str | None = None
    heading: bool = False


def listed(words: Iterable[str], last: str = "and") -> str:
    """Words in a row: ``a, b and c``."""
    *front, end = words
    return f"{', '.join(front)} {last} {end}" if front else end


def either(words: Iterable[str]) -> str:
    """Words to choose from: ``a, b or c``."""
    return listed(words, "or")


def quoted(name: str) -> str:
    """An id of the scenario, told from other words."""
    return f"`{name}`"


def titled(certificates: Mapping[str, CertificateSpec], name: str) -> str:
    """A certificate's id, and its subject where that says more."""
    spec = certificates.get(name)
    if spec is None or spec.files is not None or not spec.subject:
        return quoted(name)
    return f"{quoted(name)} ({spec.subject})"


def tls_names(versions: Sequence[TlsVersion]) -> str:
    """TLS versions for people: ``TLS 1.2 and 1.3``."""
    numbers = [version.value.removeprefix("TLSv") for version in versions]
    return f"TLS {listed('1.0' if number == '1' else number for number in numbers)}"
