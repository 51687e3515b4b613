"""The user's own files as ends get them: byte for byte, by their own path, wherever an end can load them in their form.

Several files that a program takes as one are joined, with a line break between them. What no program of that kind loads (DER
or PKCS #12, where only PEM is read) is converted, and nothing else about it is mended. Both are noted.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from ssl import DER_cert_to_PEM_cert
from typing import ClassVar

from mtls_runner.errors import FileUnusable
from mtls_runner.model.certificate import Guarded, Secret
from mtls_runner.model.observation import Reason
from mtls_runner.pki.certificate_facts import facts
from mtls_runner.pki.own import Own
from mtls_runner.pki.own_content import CONVERTIBLE, Content, der_label, first_element, read_content, read_octets
from mtls_runner.pki.own_keys import Pkcs12, open_pkcs12
from mtls_runner.pki.pem import pem_block
from mtls_runner.tls.context import Problem

__all__ = [
    "Part",
    "certificate_parts",
    "issuer_parts",
    "joined",
    "key_part",
    "part_of",
    "trust_parts",
]


class Part(Guarded, frozen=True):
    """What goes into a file for an end.

    Args:
        name: what people call it: the user's file, or the lab's certificate by its id.
        data: PEM, or whatever the user's file holds; ``None``: the file can't be read, which an end finds out by its path.
        path: the user's file that holds exactly this.
        der: the user's file that holds the same in DER.
        note: what was done to get it, for people; ``""``: nothing was.
    """

    hidden: ClassVar = frozenset({"data"})

    name: str
    data: bytes | None
    path: Path | None = None
    der: Path | None = None
    note: str = ""


def part_of(path: Path) -> Part:
    """All of a file of the user's.

    Raises:
        FileUnusable: whoever opens it would wait for ever.
    """
    data = _readable(path)
    label = der_label(data) if data is not None else None
    if data is None or label not in CONVERTIBLE:
        return Part(path.name, data, path)
    note = f"{path.name}: DER, converted to PEM for ends that load no DER"
    return Part(path.name, pem_block(label, first_element(data)), der=path, note=note)


def certificate_parts(own: Own, passphrase: Secret | None, *, alone: bool) -> list[Part]:
    """The files of the certificates that an end presents.

    Args:
        own: a leaf or authority.
        passphrase: what opens a PKCS #12 file.
        alone: only the certificate itself.

    Raises:
        FileUnusable: an end can't be given it.
    """
    if own.files.pkcs12 is not None:
        return [_of_container(own.files.pkcs12, passphrase, lambda ders: ders[: 1 if alone else None])]
    paths = [own.files.certificate, None if alone else own.files.chain]
    return [_alone(path) if alone else part_of(path) for path in paths if path is not None]


def trust_parts(own: Own, passphrase: Secret | None) -> list[Part]:
    """What an end trusts: all that the files hold.

    Raises:
        FileUnusable: an end can't be given it.
    """
    return certificate_parts(own, passphrase, alone=False)


def issuer_parts(own: Own, passphrase: Secret | None) -> list[Part]:
    """What is sent of an issuer after what it issued: its certificate and its chain, without roots.

    Raises:
        FileUnusable: an end can't be given it.
    """
    if own.files.pkcs12 is not None:
        return [_of_container(own.files.pkcs12, passphrase, _no_roots)]
    return [_without_roots(path) for path in (own.files.certificate, own.files.chain) if path is not None]


def key_part(own: Own, passphrase: Secret | None) -> Part | None:
    """The private key; ``None``: no file of one is named, and the certificate's file holds none.

    Raises:
        FileUnusable: an end can't be given it.
    """
    if own.files.pkcs12 is not None:
        container = _open_container(own.files.pkcs12, passphrase)
        if container is None:
            return Part(own.files.pkcs12.name, None, own.files.pkcs12)
        return Part(own.files.pkcs12.name, container.key_pem) if container.key_pem is not None else None
    if own.files.key is not None:
        return part_of(own.files.key)
    return part_of(own.files.certificate) if own.key is not None and own.files.certificate is not None else None


def _open_container(path: Path, passphrase: Secret | None) -> Pkcs12 | None:
    """What a PKCS #12 file holds; ``None``: the file can't be read, which an end finds out by its path.

    Raises:
        FileUnusable: it does not open.
    """
    data = _readable(path)
    if data is None:
        return None
    found = open_pkcs12(data, passphrase, path.name)
    if isinstance(found, Problem):
        raise FileUnusable(found.text, reason=found.reason)
    if not found.certificates:
        raise FileUnusable(f"{path.name}: no certificate in it", reason=Reason.MALFORMED)
    return found


def keyless(part: Part) -> Part:
    """The part without private keys, for people to take away."""
    content = read_content(part.path) if part.path is not None else None
    if not isinstance(content, Content) or not content.keys or not content.texts:
        return part
    return Part(part.name, b"".join(text + b"\n" for text in content.texts))


def key_alone(part: Part) -> Part:
    """The part without certificates, for people to take away."""
    content = read_content(part.path) if part.path is not None else None
    if not isinstance(content, Content) or not content.keys or not content.certificates:
        return part
    return Part(part.name, content.keys[0].text)


def joined(parts: Sequence[Part]) -> tuple[bytes, str]:
    """Everything in one, each part beginning a line, and what to note of that (``""``: nothing)."""
    data = b""
    for part in parts:
        data += b"\n" if data and not data.endswith(b"\n") else b""
        data += part.data or b""
    names = [part.name for part in parts]
    if len(parts) < 2:
        return data, ""
    return data, f"{', '.join(names[:-1])} and {names[-1]}: given as one file, with line breaks between them"


def _readable(path: Path) -> bytes | None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if stat.S_ISDIR(mode):
        return None
    data = read_octets(path)
    if not isinstance(data, Problem):
        return data
    if stat.S_ISREG(mode) and data.reason is Reason.MISSING_FILE:
        return None
    raise FileUnusable(data.text, reason=data.reason)


def _of_container(path: Path, passphrase: Secret | None, kept: Callable[[Sequence[bytes]], Sequence[bytes]]) -> Part:
    container = _open_container(path, passphrase)
    if container is None:
        return Part(path.name, None, path)
    note = f"{path.name}: PKCS #12, converted to PEM for ends that load no PKCS #12"
    return Part(path.name, "".join(map(DER_cert_to_PEM_cert, kept(container.certificates))).encode(), note=note)


def _no_roots(certificates: Sequence[bytes]) -> Sequence[bytes]:
    return [der for der in certificates if not facts(der).self_issued]


def _without_roots(path: Path) -> Part:
    content = read_content(path)
    found = list(zip(content.certificates, content.texts, strict=False)) if isinstance(content, Content) else []
    kept = [text + b"\n" for der, text in found if not facts(der).self_issued]
    if len(kept) == len(found):
        return part_of(path)
    return Part(path.name, b"".join(kept), note=f"{path.name}: sent without the roots in it")


def _alone(path: Path) -> Part:
    content = read_content(path)
    if not isinstance(content, Content) or len(content.texts) < 2:
        return part_of(path)
    first = content.texts[0] + b"\n"
    return Part(path.name, first, note=f"{path.name}: given without what follows its first certificate")
