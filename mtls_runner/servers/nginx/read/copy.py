"""The author's own configuration (``config:``) and the files that it needs, as the lab's nginx gets them."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Mapping, Sequence
from difflib import unified_diff
from pathlib import Path
from types import MappingProxyType

from msgspec import Struct, field
from msgspec.structs import replace

from mtls_runner.model.endpoint import MappedPart, ServerSpec
from mtls_runner.model.port import Material
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.mapped_files import mapped_files, text_of_own
from mtls_runner.servers.nginx.log.lines import fingerprint_of
from mtls_runner.servers.nginx.read.applications import Application, Stub, applications, is_name, own_port, stubs
from mtls_runner.servers.nginx.read.files import ROOT, beside, is_whole_text
from mtls_runner.servers.nginx.read.instrument import Changes, has_unlisted, instrument
from mtls_runner.servers.nginx.read.listening import lab_ports, parsed
from mtls_runner.servers.nginx.read.messages import addresses, ignored_names
from mtls_runner.servers.nginx.read.stand_ins import stand_in
from mtls_runner.servers.nginx.read.statements import Statement, readable
from mtls_runner.servers.nginx.write.access_log import FORMAT_DEFINITION
from mtls_runner.servers.nginx.write.relays import stub_at

__all__ = ["OwnConfiguration", "UserConfiguration", "read_user_configuration"]

_OWN_FILE = str(ROOT / "conf.d" / "00-mtls-run.conf")
"""What the lab adds at ``http`` level; its name sorts before the author's, so that what it defines is there for them."""
_SIZES = {name: f"{name} 512;" for name in ("map_hash_bucket_size", "server_names_hash_bucket_size")}
"""The defaults depend on the processor's cache: with long names nginx would start on some machines only."""
_SAID_PORT = "$mtls_run_server_port"
_NAME = "$mtls_run_proxy_name"
_SERVER_PORT = {"$server_port": _SAID_PORT, "${server_port}": f"${{{_SAID_PORT[1:]}}}"}
_STUBBED_BY_HTTP = ("fastcgi_pass", "uwsgi_pass", "scgi_pass", "memcached_pass")
_RESOLVED = ("proxy_pass", "grpc_pass", "server")
_MAIN_FILE = str(ROOT / "nginx.conf")


class UserConfiguration(Struct):
    """The lab's copy of an author's configuration, with the files that it needs.

    Args:
        files: configuration files, the lab's copies, and what ``files:`` maps.
        names: path for nginx → the author's file.
        said: what else nginx's messages say → in the author's words.
        difference: what the copies change, as a unified diff.
        old_forms: whether ``http2`` is written in the form that every nginx takes.
    """

    files: list[ContainerFile] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    difference: str = ""
    old_forms: bool = False


class _File(Struct, frozen=True):
    """A file of the author's: its path for nginx, its path here, and the blocks that it is included in."""

    path: str
    local: Path
    inside: tuple[str, ...]
    text: str


class OwnConfiguration(Struct):
    """The configuration as it was read.

    Args:
        server: the one that it configures.
        whole: whether it is a whole ``nginx.conf``; else it is included by the one of the image, or by one of the lab's.
        found: all statements, each with the names of the blocks around it.
        listens: what its ``listen`` directives say.
        ports: a port of the lab's for each address of a ``listen``.
        passed: the applications that it passes requests to.
        stubs: what answers in the place of each of them that ``upstreams:`` names.
    """

    server: ServerSpec
    whole: bool = False
    found: list[tuple[tuple[str, ...], Statement]] = field(default_factory=list)
    listens: list[str] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    passed: list[Application] = field(default_factory=list)
    stubs: Mapping[Application, Stub] = field(default_factory=dict)
    _files: list[_File] = field(default_factory=list)
    _missing: list[str] = field(default_factory=list)

    @property
    def answered(self) -> tuple[Stub, ...]:
        """The applications that are stubs, and not servers of the plan."""
        return tuple(one for one in self.stubs.values() if self.server.upstreams[one.number - 1] in self.server.stubs)

    def _behind(self) -> tuple[dict[Application, str], str, dict[Application, str]]:
        """Where servers of the plan are found, and what the ``http`` level, and the line below each, say for it.

        Names stay in what is passed (``$proxy_host``, which the certificate has to have): a container resolves them; elsewhere
        each is a group. A group has one port: what has the same name and another one is passed by address, and keeps its name
        for the certificate.
        """
        reached = dict(self.server.reached)
        found: dict[Application, str] = {}
        groups: dict[str, str] = {}
        names: dict[str, str] = {}
        below: dict[Application, str] = {}
        for one, stub in self.stubs.items():
            address = reached.get(self.server.upstreams[stub.number - 1])
            if address is None:
                continue
            found[one] = one.at(str(address))
            resolved = one.directive == "server" or not is_name(one.host) or address.host == one.host
            if not resolved and groups.setdefault(one.host, str(address)) == str(address):
                found[one] = one.at(one.host)
            elif not resolved and one.directive == "grpc_pass":
                below[one] = f"grpc_ssl_name {one.host};"  # which has no variable by default
            elif not resolved:
                names[str(address)] = one.host
        http = [f"upstream {name} {{ server {address}; }}" for name, address in groups.items()]
        if names and not any(one.name == "proxy_ssl_name" and around == ("http",) for around, one in self.found):
            known = " ".join(f"{address} {name};" for address, name in names.items())
            http.append(f"map $proxy_host {_NAME} {{ default $proxy_host; {known} }} proxy_ssl_name {_NAME};")
        set_already = any(one.name == "grpc_ssl_name" for _, one in self.found)
        return found, " ".join(http), {} if set_already else below

    @property
    def proxy_ports(self) -> frozenset[int]:
        """Ports where the PROXY protocol is spoken."""
        return frozenset(
            self.ports[one.arguments[0]]
            for _, one in self.found
            if one.name == "listen" and "proxy_protocol" in one.arguments and one.arguments[0] in self.ports
        )

    @property
    def certificate(self) -> tuple[str, str, str] | None:
        """Paths of a certificate, its key and the key's passphrase (or ``""``) that ``files:`` maps; ``None``: it does not."""
        of = self.server.certificate
        paths = {
            file.part: str(ROOT / file.path)
            for file in self.server.files
            if file.own is None and file.certificate == of
        }
        chain, key = paths.get(MappedPart.CHAIN, paths.get(MappedPart.CERTIFICATE, "")), paths.get(MappedPart.KEY)
        return (chain, key, paths.get(MappedPart.PASSPHRASE, "")) if chain and key is not None else None

    def _server_port(self, listens: Mapping[str, str]) -> dict[str, str]:
        """What replaces ``$server_port``: a variable with the configuration's port, where the lab listens on another one."""
        return _SERVER_PORT if self._moved(listens) else {}

    def _moved(self, listens: Mapping[str, str]) -> dict[str, int]:
        """The lab's port → the configuration's, where they differ."""
        said = {listens.get(address, address).rpartition(":")[2]: parsed(address)[1] for address in self.ports}
        return {new: old for new, old in said.items() if old is not None and new != str(old)}

    def _responders(self) -> dict[tuple[str, str], str]:
        """The replacement of an OCSP responder by the lab's."""
        uris = [responder.uri for responder in self.server.responders][:1]
        return {
            (one.name, one.arguments[0]): uri
            for uri in uris
            for _, one in self.found
            if one.name == "ssl_ocsp_responder" and one.arguments
        }

    def _sizes(self) -> list[str]:
        """Directives for sizes of tables that the configuration does not set."""
        return [text for name, text in _SIZES.items() if not any(one.name == name for _, one in self.found)]

    def _map_of_ports(self, listens: Mapping[str, str]) -> str:
        moved = " ".join(f"{new} {old};" for new, old in self._moved(listens).items())
        return f"map $server_port {_SAID_PORT} {{ default $server_port; {moved} }}" if moved else ""

    def _at(self, sockets: str, inside: Mapping[int, int]) -> dict[Application, str]:
        """Where each of the applications is: a stub, or the configuration itself."""
        stubbed = {
            one: stub_at(stub, sockets)
            for one, stub in self.stubs.items()
            if sockets or one.directive not in _RESOLVED or not is_name(one.host)  # names are in the container's hosts
        }
        own = {
            one: f"127.0.0.1:{inside.get(port, port)}"
            for one in self.passed
            if one not in self.stubs and (port := own_port(one, self.ports)) is not None
        }
        return stubbed | own

    def _by_http(self) -> dict[tuple[str, str], str]:
        """Replacements by which groups of stubs are asked over plain HTTP, whatever the configuration uses."""
        groups = {one.group for one in self.stubs} - {""}
        return {
            (one.name, one.arguments[0]): f"http://{one.arguments[0]}"
            for _, one in self.found
            if one.name in _STUBBED_BY_HTTP and one.arguments[:1] and one.arguments[0] in groups
        }

    def _said(self, listens: Mapping[str, str]) -> dict[str, str]:
        """Texts of nginx's messages about the copy → what the author's configuration has in their place."""
        files = ((str(file.local), file.inside, file.text) for file in self._files)
        return ignored_names(files, self.ports, listens) | addresses(self.ports, listens)

    def _has_old_forms(self) -> bool:
        of_its_own = any(one.name == "http2" for _, one in self.found)
        return of_its_own or any("grpc" in stub.scheme for stub in self.stubs.values())

    def copies(
        self,
        material: Material,
        http: str,
        *,
        listens: Mapping[str, str],
        below: str = "",
        modules: str = "",
        scratch: str = "/tmp",  # noqa: S108 - of a container that is the run's own
        sockets: str = "",
        inside: Mapping[int, int] = MappingProxyType({}),
    ) -> UserConfiguration:
        """What nginx gets.

        Args:
            material: the plan's.
            http: more configuration for the ``http`` level, on one line.
            listens, below, modules, scratch: see :class:`~mtls_runner.servers.nginx.read.instrument.Changes`.
            sockets: where the stubs' sockets are; ``""``: they are on the container's loopback.
            inside: what takes the place of its ports, where it passes requests to itself.

        Raises:
            MaterialError: a file can't be read, or made.
        """
        behind, http_behind, below_behind = self._behind()
        at_http = " ".join(
            filter(None, (FORMAT_DEFINITION, *self._sizes(), self._map_of_ports(listens), http_behind, http))
        )
        mapped = list(mapped_files(self.server, material, str(ROOT)))
        paths = {file.path for file in mapped}
        changes = Changes(
            http=at_http,
            listens=listens,
            unlisted=f"listen {listens['80']};" if below and "80" in listens else "",
            below=below,
            modules=modules,
            scratch=scratch,
            here=lambda path: str(ROOT / path) in paths,
            arguments=self._responders()
            | self._by_http()
            | {(one.directive, one.argument): one.at(address) for one, address in self._at(sockets, inside).items()}
            | {(one.directive, one.argument): argument for one, argument in behind.items()},
            added={(one.directive, one.argument): text for one, text in below_behind.items()},
            texts=self._server_port(listens)
            | {old: fingerprint_of(material.credential(id_).der) for old, id_ in self.server.substitutes},
        )
        result = UserConfiguration(old_forms=self._has_old_forms(), said=self._said(listens))
        for file in self._files:
            copy = instrument(file.text, file.inside, changes)
            result.files.append(ContainerFile(below + file.path, copy.encode("utf-8", "surrogateescape")))
            result.names.append((below + file.path, str(file.local)))
            result.difference += _difference(file.text, copy, str(file.local), below + file.path)
        if not self.whole:
            result.files.append(ContainerFile(below + _OWN_FILE, f"{at_http}\n".encode()))
            if below:
                main = f"events {{}} http {{ include {below}{ROOT}/conf.d/*.conf; }}\n"
                result.files.append(ContainerFile(below + _MAIN_FILE, main.encode()))
                result.names.append((below + _MAIN_FILE, "the nginx.conf around it"))
        result.names += [(f"{below}/", "/")] * bool(below)
        result.files += self._beside(mapped, below)
        return result

    def _beside(self, mapped: Sequence[ContainerFile], below: str) -> Iterator[ContainerFile]:
        """What the author has mapped and is no configuration; and what stands for files that are not there."""
        done = {file.path for file in self._files}
        yield from (replace(file, path=below + file.path) for file in mapped if file.path not in done)
        paths = {file.path for file in mapped}
        for path in self._missing:
            content = None if path in paths else stand_in(path, of_image=not below)
            if content is not None:
                yield ContainerFile(below + path, content)


def read_user_configuration(server: ServerSpec) -> OwnConfiguration:
    """Read the configuration and all that it includes.

    Args:
        server: its options say where the configuration is; its ``files`` what else goes in.

    Raises:
        MaterialError: a file can't be read.
    """
    main = Path(server.option("config"))
    own = {str(ROOT / file.path): file.own for file in server.files if file.own is not None}
    text = text_of_own(main)
    result = OwnConfiguration(server, is_whole_text(text))
    path = ROOT / ("nginx.conf" if result.whole else f"conf.d/{main.stem}.conf")
    pending = [(str(path), main, () if result.whole else ("http",))]
    done: set[str] = set()
    while pending:
        inside_path, file, inside = pending.pop(0)
        if inside_path in done:
            continue
        done.add(inside_path)
        text = text_of_own(file)
        result._files.append(_File(inside_path, file, inside, text))
        for one in readable(text):
            around = (*inside, *one.path)
            result.found.append((around, one))
            if one.name == "include" and one.arguments:
                included = list(_included(one.arguments[0], main, result.whole, own))
                pending += [(at, local, around) for at, local in included]
                result._missing += [str(ROOT / one.arguments[0])] * (not included)
    listening = [one for around, one in result.found if one.name == "listen" and around[:1] == ("http",)]
    result.listens = [" ".join(one.arguments) for one in listening]
    addresses = [one.arguments[0] for one in listening if one.arguments and "quic" not in one.arguments]
    result.ports = lab_ports(addresses + ["80"] * any(has_unlisted(readable(file.text)) for file in result._files))
    result.passed = applications(result.found)
    result.stubs = stubs(result.passed, server.upstreams)
    return result


def _included(pattern: str, main: Path, whole: bool, own: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """Files of the author's that an ``include`` reaches: by ``files:``, or beside the main one. Others are the image's."""
    target = ROOT / pattern  # an absolute pattern replaces the root, as nginx has it
    for at, local in own.items():
        if fnmatch.fnmatchcase(at, str(target)):
            yield at, local
    for place in beside(target, whole):
        for local in sorted(main.parent.glob(str(place))):
            if local.is_file() and local != main:
                yield str(target.parent / local.name), local


def _difference(before: str, after: str, file: str, path: str) -> str:
    lines = unified_diff(before.splitlines(), after.splitlines(), file, f"nginx:{path}", lineterm="", n=1)
    text = "\n".join(lines)
    return f"{text}\n" if text else ""
