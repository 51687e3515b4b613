"""What a client is given to present itself: files, and Python's ``ssl`` contexts."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from mtls_runner.errors import MaterialError, without_warnings
from mtls_runner.model.certificate import Secret
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.port import Material
from mtls_runner.private_files import make_private, write_private
from mtls_runner.tls.context import VERSIONS

__all__ = ["ClientMaterial", "trusting"]

__tracebackhide__ = True


class ClientMaterial:
    """A certificate and its key, as files of the lab's private directory; they are gone when the session ends.

    Paths are texts, as client libraries take them.

    Args:
        spec: the client that presents it.
        material: the plan's.
    """

    def __init__(self, spec: ClientSpec, material: Material) -> None:
        if spec.certificate is None:
            raise MaterialError("this client presents no certificate, so it has no files")
        self._spec = spec
        self._material = material
        self._credential = material.credential(spec.certificate)

    @property
    def id(self) -> str:
        """In the scenario."""
        return self._credential.id

    @property
    def subject(self) -> str:
        """RFC 4514."""
        return self._credential.subject

    @property
    def certificate(self) -> str:
        """PEM: the certificate and the intermediates that are sent with it."""
        return str(self._material.chain(self._credential.id, self._spec.chain))

    @property
    def key(self) -> str:
        """PEM (PKCS #8), not encrypted: a copy, 0600, where the scenario gives the key a passphrase.

        Raises:
            MaterialError: there is no key, or the passphrase does not open it.
        """
        if self._credential.passphrase is None:
            return str(self._key_path())
        target = self._directory() / self._key_path().name
        if not target.exists():
            write_private(target, self._opened())
        return str(target)

    @property
    def encrypted_key(self) -> str:
        """PEM, as the scenario describes it: encrypted when it has a passphrase.

        Raises:
            MaterialError: there is no key.
        """
        return str(self._key_path())

    @property
    def passphrase(self) -> Secret | None:
        """Opens :attr:`encrypted_key` (``.reveal()``); ``None``: it is not encrypted."""
        return self._credential.passphrase

    @property
    def paths(self) -> tuple[str, str]:
        """Certificate and (not encrypted) key: the ``cert=`` of requests and httpx, ``load_cert_chain(*paths)``."""
        return self.certificate, self.key

    @property
    def pem(self) -> str:
        """One file, 0600, with certificate, intermediates and (not encrypted) key, for libraries that take only one."""
        target = self._directory() / f"{Path(self.certificate).stem}.pem"
        if not target.exists():
            write_private(target, Path(self.certificate).read_bytes() + Path(self.key).read_bytes())
        return str(target)

    def context(self) -> ssl.SSLContext:
        """A new context that presents the certificate and trusts the server's authority, else with Python's own defaults.

        Raises:
            ssl.SSLError: OpenSSL refuses the material, since a scenario can describe a key that does not fit.
        """
        context = trusting(self._spec, self._material)
        passphrase = self.passphrase
        context.load_cert_chain(
            self.certificate, self.encrypted_key, passphrase.reveal if passphrase is not None else None
        )
        return context

    def _key_path(self) -> Path:
        path = self._credential.key_path
        if path is None:
            raise MaterialError(f"certificate {self.id!r} has no key")
        return path

    def _opened(self) -> bytes:
        from mtls_runner.pki.own_keys import load_key  # brings in the ASN.1 library

        passphrase = self._credential.passphrase
        try:
            octets = passphrase.reveal().encode() if passphrase is not None else None
            key = load_key(self._key_path().read_bytes(), octets)
        except (ValueError, TypeError) as error:
            raise MaterialError(f"the key of {self.id!r} can't be opened with its passphrase") from error
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def _directory(self) -> Path:
        directory = self._material.directory / "clients"
        make_private(directory)
        return directory

    def __repr__(self) -> str:
        return f"<client {self.id!r}: {self.subject}>"


def trusting(spec: ClientSpec, material: Material) -> ssl.SSLContext:
    """A context that trusts what the scenario's client does and offers its TLS versions, and presents nothing.

    Raises:
        ssl.SSLError: OpenSSL refuses the trusted certificates.
    """
    context = ssl.create_default_context(cafile=str(material.bundle(spec.trust)))
    if spec.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    with without_warnings():  # of TLS 1.0 and 1.1
        context.minimum_version = VERSIONS[spec.tls[0]]
        context.maximum_version = VERSIONS[spec.tls[-1]]
    return context
