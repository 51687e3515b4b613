"""``files:`` of a server with a configuration of its own: the lab's material and the author's files, where it expects them."""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from mtls_runner.errors import FileUnusable, MaterialError
from mtls_runner.model.endpoint import ChainSpec, MappedFile, MappedPart, ServerSpec
from mtls_runner.model.observation import Reason
from mtls_runner.model.port import Material
from mtls_runner.servers.container.files import ContainerFile

__all__ = ["mapped_files", "text_of", "text_of_own"]

_PRIVATE, _PUBLIC = 0o600, 0o644


def text_of(file: Path) -> str:
    """Any bytes, so that what is written again is what was read.

    Raises:
        OSError: it can't be read.
    """
    return file.read_bytes().decode("utf-8", "surrogateescape")


def text_of_own(file: Path) -> str:
    """As :func:`text_of`, of a file that a server is to have: nobody waits for what a FIFO brings.

    Raises:
        FileUnusable: it can't be read.
    """
    try:
        if file.exists() and not file.is_file():
            raise FileUnusable(f"{file}: not a regular file", reason=Reason.MISSING_FILE)
        return text_of(file)
    except OSError as error:
        raise FileUnusable(f"{file}: {error.strerror}", reason=Reason.MISSING_FILE) from error


def mapped_files(server: ServerSpec, material: Material, base: str) -> Iterator[ContainerFile]:
    """Each path once; what a list maps there stands one behind the other, with a line break between.

    Without an own file that can't be read, the program itself says that it is missing.

    Args:
        server: whose.
        material: the plan's.
        base: where relative paths begin.

    Raises:
        MaterialError: a certificate has no such part, or can't be made.
        FileUnusable: a file of the author's can't be read.
    """
    for path, group in groupby(server.files, key=lambda file: file.path):
        entries = list(group)
        contents = []
        with contextlib.suppress(OSError):
            contents = [_content(file, server, material) for file in entries]
        if contents:
            joined = b"".join(one if one.endswith(b"\n") else one + b"\n" for one in contents[:-1]) + contents[-1]
            secret = any(file.own is None and file.part is MappedPart.PASSPHRASE for file in entries)
            mode = _PRIVATE if secret or b"PRIVATE KEY-----" in joined else _PUBLIC
            if any(file.own is not None and os.access(file.own, os.X_OK) for file in entries):
                mode |= (mode & 0o444) >> 2  # a program, for whoever may read it
            yield ContainerFile(posixpath.join(base, path), joined, mode)


def _content(file: MappedFile, server: ServerSpec, material: Material) -> bytes:
    if file.own is not None:
        return text_of_own(file.own).encode("utf-8", "surrogateescape")
    certificate, part = file.certificate, file.part
    if part is MappedPart.CRL:
        return material.crl((certificate,)).read_bytes()
    credential = material.credential(certificate)
    if part is MappedPart.PASSPHRASE:
        # What the server is given may, on purpose, not be what its key is encrypted with.
        given = server.passphrase if certificate == server.certificate else None
        if (passphrase := given or credential.passphrase) is not None:
            return f"{passphrase.reveal()}\n".encode()
    presented = material.presented(certificate, ChainSpec(), None, material.passphrase(certificate))
    sources = {
        MappedPart.CERTIFICATE: credential.certificate_path,
        MappedPart.CHAIN: presented.certificate,
        MappedPart.KEY: presented.key or presented.certificate if credential.key_path is not None else None,
    }
    source = sources.get(part)
    if source is None:
        raise MaterialError(f"{file.path}: {certificate} has no {part}")
    return source.read_bytes()
