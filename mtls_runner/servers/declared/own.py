"""A configuration of the author's own, as it is: its files, and where it listens."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec.structs import replace

from mtls_runner.errors import FileUnusable, LabError
from mtls_runner.model.endpoint import Address, ServerSpec
from mtls_runner.model.implementation import DeclaredServer, Logs
from mtls_runner.model.port import Material
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.mapped_files import mapped_files, text_of_own
from mtls_runner.tls.dialects import compiled

__all__ = ["cannot_be_a_process", "own_address", "own_files", "own_port", "variables_read"]

_USUAL_PORT = 443
_CONTAINERS_OWN = frozenset(("HOME", "HOSTNAME", "PATH", "PWD"))
_LOCAL = ("/", "unix@", "abns@", "abnsz@", "fd@", "sockpair@", "unix:")
"""Of what is no TCP port (HAProxy's configuration manual, bind)."""


def own_port(server: ServerSpec) -> int:
    """Where it says that it listens."""
    return int(server.option("port") or _USUAL_PORT)


def own_files(server: ServerSpec, declared: DeclaredServer, material: Material, base: str) -> Iterator[ContainerFile]:
    """The configuration and what ``files:`` maps; relative paths begin at ``base``.

    Upstreams are where the lab has them, and the log goes where the lab reads it, in the configuration and in text files of the
    author's.

    Raises:
        MaterialError: something can't be made.
        FileUnusable: a file of the author's can't be read.
        LabError: none of them connects to an upstream.
    """
    reached, met = dict(server.reached), set[str]()

    def changed(text: str) -> bytes:
        edits, found = _connected(text, declared, reached)
        met.update(found)
        for (begin, end), new in sorted((edits | _logged(text, declared.logs)).items(), reverse=True):
            text = text[:begin] + new + text[end:]
        return text.encode("utf-8", "surrogateescape")

    yield ContainerFile(f"{base}/{declared.config}", changed(text_of_own(Path(server.option("config")))))
    own = {posixpath.join(base, file.path) for file in server.files if file.own is not None}
    for file in mapped_files(server, material, base):
        text = (file.content or b"").decode("utf-8", "surrogateescape")
        yield replace(file, content=changed(text)) if file.path in own else file
    missed = [name for name in reached if name not in met]
    if missed:
        raise LabError(f"upstreams: {Path(server.option('config')).name} connects to no {' and to no '.join(missed)}")


_Edits = dict[tuple[int, int], str]
"""What takes the place of parts of a text, by their beginning and end."""


def _logged(text: str, logs: Logs | None) -> _Edits:
    """Where it says where its log goes: what has the lab read it."""
    if logs is None:
        return {}
    return {found.span("log"): logs.instead for found in compiled(f"(?m){logs.match}").finditer(text)}


def _connected(text: str, declared: DeclaredServer, reached: Mapping[str, Address]) -> tuple[_Edits, set[str]]:
    """The lab's addresses in the place of upstreams, and the upstreams that were found."""
    edits: _Edits = {}
    met = set()
    for pattern in declared.connects if reached else ():
        for found in compiled(f"(?m){pattern}").finditer(text):
            host, port = found["host"], found["port"]
            name = next((name for name in (f"{host}:{port}", host) if name in reached), None)
            if name is None:
                continue
            met.add(name)
            there = reached[name]
            edits[found.span("host")] = there.host if port else str(there)
            if port:
                edits[found.span("port")] = str(there.port)
    return edits, met


def cannot_be_a_process(server: ServerSpec, declared: DeclaredServer) -> str | None:
    """What it wants of this machine that only a container gives it: files anywhere, ports that others can reach."""
    beyond = next((file.path for file in server.files if posixpath.isabs(file.path)), None)
    if beyond is not None:
        return (
            f"a process has files below its own directory only, not {beyond}: name it by a relative path, or use "
            "runtime: container, which has them anywhere"
        )
    for host, text in _listeners(server, declared):
        if host is not None and not host.is_loopback:
            return f"it listens beyond loopback ({text}): only runtime: container keeps others away from it"
    return None


def own_address(server: ServerSpec, declared: DeclaredServer) -> Address:
    """Where the lab finds it as a process: its port, on the loopback address that it listens on."""
    port = own_port(server)
    for host, text in _listeners(server, declared):
        if host is not None and text.rpartition(":")[2] == str(port):
            return Address(str(host), port)
    return Address("127.0.0.1", port)


def _listeners(
    server: ServerSpec, declared: DeclaredServer
) -> Iterator[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address | None, str]]:
    """What it and its own files say, as far as the declaration knows where they say it: an IP address, or ``None``: a name."""
    if declared.listens is None:
        return
    for text in _texts(server):
        for found in compiled(f"(?m){declared.listens}").finditer(text):
            for one in found[1].split(","):
                if one and not one.startswith(_LOCAL):
                    yield _host(one), one


def variables_read(server: ServerSpec, declared: DeclaredServer) -> Iterator[tuple[str, str]]:
    """The environment variables that it reads, and that are set here; what every container has of its own is not among them."""
    if declared.reads is None:
        return
    found = (one["variable"] for text in _texts(server) for one in compiled(f"(?m){declared.reads}").finditer(text))
    for name in dict.fromkeys(found):
        if name in os.environ and name not in _CONTAINERS_OWN:
            yield name, os.environ[name]


def _texts(server: ServerSpec) -> Iterator[str]:
    """Its configuration, and its own files, as far as they can be read."""
    own = (str(file.own) for file in server.files if file.own is not None)
    for file in dict.fromkeys((server.option("config"), *own)):
        with contextlib.suppress(OSError, FileUnusable):
            yield text_of_own(Path(file))


def _host(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The address in ``*:443``, ``:443``, ``443``, ``[::1]:443``, ``ipv4@127.0.0.1:443``, ``127.0.0.1``."""
    bare = text.rpartition("@")[2]
    host = bare if bare.count(":") > 1 and not bare.startswith("[") else bare.rpartition(":")[0]
    if ":" not in bare:
        host = "" if bare.isdecimal() else bare
    host = host.strip("[]")
    if host in ("", "*"):
        return ipaddress.IPv6Address("::")
    if host == "localhost":
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
