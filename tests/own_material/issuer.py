"""Someone's own certificates and keys, made with the openssl command alone, and in the forms in which people have them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..once import once
from ..pki import openssl

__all__ = ["PASSPHRASE", "Form", "Issuer", "bom", "crlf", "indented", "issuer", "old_mac", "utf_16"]

PASSPHRASE = "own material's secret"

_CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
_END = (
    "basicConstraints=CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    "subjectAltName=DNS:localhost,IP:127.0.0.1\n"
)
_DATED = """\
[ca]
default_ca = dated
[dated]
database = {0}/index
new_certs_dir = {0}
rand_serial = yes
default_md = sha256
policy = any
[any]
commonName = supplied
"""


def crlf(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def old_mac(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r")


def bom(data: bytes) -> bytes:
    return b"\xef\xbb\xbf" + data


def utf_16(data: bytes) -> bytes:
    return data.decode("ascii").encode("utf-16")


def indented(data: bytes) -> bytes:
    return b"".join(b"    " + line + b"  \n" for line in data.splitlines())


@dataclass(frozen=True)
class Form:
    """The files of one leaf, as ``leaves:`` names them, and whether a passphrase opens its key."""

    certificate: str | None = None
    key: str | None = None
    chain: str | None = None
    pkcs12: str | None = None
    passphrase: str | None = None

    def written(self) -> str:
        """Its description in a scenario."""
        fields = {name: getattr(self, name) for name in ("certificate", "key", "chain", "pkcs12", "passphrase")}
        return "{" + ", ".join(f'{name}: "{value}"' for name, value in fields.items() if value is not None) + "}"


def issuer(factory: pytest.TempPathFactory, directory: Path) -> Issuer:
    """One in a directory that there is not yet: a copy of the session's first, whose keys and certificates were made once."""
    shutil.copytree(once(factory, "issuer", _first), directory)
    return Issuer(directory)


def _first(directory: Path) -> Path:
    directory.mkdir()
    return Issuer(directory).directory


class Issuer:
    """A root, an intermediate, and leaves below that, all in one directory; those that are there already stay."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        if self.path("rsa-client.crt").is_file():
            return
        self.root("root")
        self.root("stranger")
        self.key("inter")
        self.sign("inter", "root", _CA)
        for name in ("client", "server"):
            self.leaf(name)
        self.leaf("rsa-client", "RSA")

    def path(self, name: str) -> Path:
        return self.directory / name

    def data(self, *names: str) -> bytes:
        return b"".join(self.path(name).read_bytes() for name in names)

    def write(self, name: str, data: bytes) -> str:
        self.path(name).write_bytes(data)
        return name

    def made(self, name: str, *arguments: str, form: Callable[[bytes], bytes] = bytes) -> str:
        """A file that an openssl command writes to ``-out``."""
        openssl.output(*(self._located(one) for one in arguments), "-out", self.path(name))
        return self.write(name, form(self.path(name).read_bytes()))

    def _located(self, argument: str) -> str:
        return str(self.path(argument)) if self.path(argument).is_file() else argument

    def key(self, name: str, kind: str = "EC") -> str:
        options = ("ec_paramgen_curve:P-256",) if kind == "EC" else ("rsa_keygen_bits:2048",)
        return self.made(f"{name}.key", "genpkey", "-algorithm", kind, "-pkeyopt", *options)

    def root(self, name: str) -> None:
        self.key(name)
        self.made(f"{name}.crt", "req", "-x509", "-key", f"{name}.key", "-subj", f"/CN={name}", "-days", "2")

    def leaf(self, name: str, kind: str = "EC") -> None:
        self.key(name, kind)
        self.sign(name, "inter", _END)

    def sign(self, name: str, issuer: str, extensions: str) -> None:
        self.write("extensions.cnf", extensions.encode())
        self.request(name)
        self.made(
            f"{name}.crt",
            *("x509", "-req", "-in", f"{name}.csr", "-CA", f"{issuer}.crt", "-CAkey", f"{issuer}.key"),
            *("-CAcreateserial", "-extfile", "extensions.cnf", "-days", "1"),
        )

    def request(self, name: str) -> str:
        return self.made(f"{name}.csr", "req", "-new", "-key", f"{name}.key", "-subj", f"/CN={name}")

    def dated(self, name: str, begin: str, end: str) -> None:
        """A leaf that is valid for these years only."""
        self.key(name)
        self.request(name)
        self.write("index", b"")
        self.write("dated.cnf", _DATED.format(self.directory).encode())
        self.write("extensions.cnf", _END.encode())
        self.made(
            f"{name}.crt",
            *("ca", "-batch", "-notext", "-config", "dated.cnf", "-in", f"{name}.csr", "-extfile", "extensions.cnf"),
            *("-cert", "inter.crt", "-keyfile", "inter.key"),
            *("-startdate", f"{begin}0101000000Z", "-enddate", f"{end}0101000000Z"),
        )

    def pkcs12(self, name: str, passphrase: str, *options: str, leaf: str = "client") -> str:
        """The leaf's certificate, key and intermediate in one file."""
        return self.made(
            name,
            *("pkcs12", "-export", "-in", f"{leaf}.crt", "-inkey", f"{leaf}.key", "-certfile", "inter.crt"),
            *("-passout", f"pass:{passphrase}", *options),
        )
