"""What ``openssl verify`` says of a chain, asked the way in which an end asked it."""

from __future__ import annotations

import re
from base64 import encodebytes
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mtls_runner.model.endpoint import ClientSpec, ServerSpec, VerifyFlag

from ..pki.openssl import run

__all__ = ["client_asks", "errors", "server_asks"]

# Printed by its callback for every error that it meets; it goes on after some of them.
_ERROR = re.compile(r"^error (\d+) at \d+ depth lookup", re.MULTILINE)


def errors(chain: Sequence[bytes], trust: Path, arguments: Sequence[str], scratch: Path) -> tuple[int, ...]:
    """The verify codes in the order in which it met them; ``()``: the chain is good.

    Args:
        chain: DER, as it was sent.
        trust: PEM.
        arguments: purpose, name, flags, level, depth.
        scratch: a directory for files.
    """
    return _errors(tuple(chain), trust, tuple(arguments), scratch)


@cache
def _errors(chain: tuple[bytes, ...], trust: Path, arguments: tuple[str, ...], scratch: Path) -> tuple[int, ...]:
    leaf, untrusted = scratch / "leaf.pem", scratch / "untrusted.pem"
    leaf.write_bytes(_pem(chain[0]))
    untrusted.write_bytes(b"".join(map(_pem, chain[1:])))
    more = ("-untrusted", untrusted) if chain[1:] else ()
    result = run("verify", "-CAfile", trust, "-no-CApath", "-no-CAstore", *more, *arguments, leaf)
    told = result.stderr.decode() + result.stdout.decode()
    found = tuple(int(number) for number in _ERROR.findall(told))
    assert (result.returncode == 0) == (not found), told
    return found


def server_asks(server: ServerSpec, crls: Path | None = None) -> tuple[str, ...]:
    """How a server verifies a client's chain; with the lists that it has loaded, PEM."""
    depth = server.backend.verify_depth if server.verify_depth is None else server.verify_depth
    return (
        *("-purpose", "sslclient", "-auth_level", str(server.security_level), "-verify_depth", str(depth)),
        *_flags(server.verify_flags),
        *(("-crl_check_all", "-CRLfile", str(crls)) if crls is not None else ()),
    )


def client_asks(client: ClientSpec) -> tuple[str, ...]:
    """How a client verifies a server's chain; curl checks names itself, and takes any trusted certificate for an anchor."""
    arguments = ["-purpose", "sslserver", "-auth_level", str(client.security_level)]
    if client.tool.name == "curl":
        return (*arguments, "-partial_chain")
    if client.server_name is None:
        return (*arguments, "-verify_ip", "127.0.0.1", *_flags(client.verify_flags))
    return (*arguments, "-verify_hostname", client.server_name, *_flags(client.verify_flags))


def _flags(flags: frozenset[VerifyFlag]) -> tuple[str, ...]:
    return tuple(f"-{flag.value}" for flag in sorted(flags))


def _pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + encodebytes(der) + b"-----END CERTIFICATE-----\n"
