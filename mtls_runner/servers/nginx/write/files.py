"""The files that a configuration refers to: where nginx finds them, and how they get there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from mtls_runner.model.endpoint import ChainSpec, ServerSpec
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import ResponderSpec
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.nginx.write.syntax import path_argument

__all__ = ["Copies", "Files"]

_TICKET_KEY = 80
"""Octets: an AES-256 key, an HMAC key and a name (``ngx_ssl_session_ticket_keys``)."""


class Files(Protocol):
    """Those of one ``server`` block. Each method gives the path of the file that it provides, as an argument.

    Raises:
        MaterialError: from every method: the file can't be made.
    """

    @property
    def directory(self) -> str:
        """Where nginx finds them; no other block has the same."""
        ...

    def pair(self, name: str, server: ServerSpec, certificate: str, chain: ChainSpec) -> tuple[str, str]:
        """A certificate with what is sent after it, and its key.

        Args:
            name: without an ending.
            server: whose it is, and what opens the key.
            certificate, chain: what is presented.
        """
        ...

    def passphrases(self, name: str, server: ServerSpec) -> str | None:
        """What the keys of the server are opened with, one in a line; ``None``: nothing."""
        ...

    def bundle(self, name: str, certificates: Sequence[str]) -> str:
        """Trusted certificates."""
        ...

    def crl(self, name: str, crls: Sequence[str]) -> str:
        """CRLs."""
        ...

    def staple(self, name: str, certificate: str, responder: ResponderSpec) -> str:
        """An OCSP response about the certificate."""
        ...

    def ticket_key(self, name: str, key: str) -> str:
        """The key of that name that session tickets are encrypted with."""
        ...


class Copies:
    """Implements :class:`Files`: copies of the plan's material, for the lab's nginx."""

    def __init__(self, material: Material, directory: str) -> None:
        self._material = material
        self.directory = directory
        self.files: list[ContainerFile] = []

    def put(self, name: str, content: bytes, mode: int = 0o644) -> str:
        """A file with that content."""
        path = f"{self.directory}/{name}"
        self.files.append(ContainerFile(path, content, mode))
        return path_argument(path)

    def _copy(self, name: str, source: Path) -> str:
        """A copy, byte for byte, of a file that the author may have brought; where it is missing, nginx itself says so."""
        path = f"{self.directory}/{name}"
        try:
            content = source.read_bytes()
        except OSError:
            file = ContainerFile(path, b"", name=source.name, absent=True)
        else:
            file = ContainerFile(path, content, 0o600 if b"PRIVATE KEY-----" in content else 0o644, source.name)
        self.files.append(file)
        return path_argument(path)

    def pair(self, name: str, server: ServerSpec, certificate: str, chain: ChainSpec) -> tuple[str, str]:
        """The paths of certificate and key, which are the same where the key lies beside the certificate."""
        passphrase = server.passphrase if certificate == server.certificate else self._material.passphrase(certificate)
        presented = self._material.presented(certificate, chain, None, passphrase)
        certificates = self._copy(f"{name}.crt", presented.certificate)
        return certificates, self._copy(f"{name}.key", presented.key or presented.certificate)

    def passphrases(self, name: str, server: ServerSpec) -> str | None:
        """nginx tries every line with every key."""
        others = map(self._material.passphrase, server.other_certificates)
        given = [secret.reveal() for secret in dict.fromkeys((server.passphrase, *others)) if secret is not None]
        return self.put(name, "".join(f"{line}\n" for line in given).encode(), 0o600) if given else None

    def bundle(self, name: str, certificates: Sequence[str]) -> str:
        """As of the material."""
        return self._copy(name, self._material.bundle(certificates))

    def crl(self, name: str, crls: Sequence[str]) -> str:
        """As of the material."""
        return self._copy(name, self._material.crl(crls))

    def staple(self, name: str, certificate: str, responder: ResponderSpec) -> str:
        """What the responder answers first."""
        request = self._material.ocsp_request(certificate)
        return self.put(name, self._material.ocsp_response(responder, request, responder.answers[0]))

    def ticket_key(self, name: str, key: str) -> str:
        """The run's own key of that name, the same at every reload."""
        return self.put(name, _ticket_key(self._material.directory / "ticket-keys", key), 0o600)


def _ticket_key(directory: Path, name: str) -> bytes:
    directory.mkdir(mode=0o700, exist_ok=True)
    path = directory / f"{name}.key"
    temporary = directory / f".{name}.{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(_TICKET_KEY))
        os.link(temporary, path)  # whoever is first makes it
    except FileExistsError:
        pass
    finally:
        temporary.unlink(missing_ok=True)
    return path.read_bytes()
