"""curl as a client: what it did is read from its exit code, its ``--write-out`` and the bytes in its trace."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.clients.curl.binary import CurlBinary, CurlRun, Kept, Sink
from mtls_runner.clients.curl.command import (
    NO_PASSPHRASE,
    Command,
    CurlFiles,
    build,
    has_settings,
    locked,
    openssl_settings,
    secret_headers,
)
from mtls_runner.clients.curl.outcome import (
    OUT_OF_MEMORY,
    READ_LATE,
    URL_MALFORMED,
    Written,
    apart,
    gone,
    stopped,
    told,
    view,
)
from mtls_runner.clients.curl.trace import CurlTrace, Head, TraceReader
from mtls_runner.deadlines import Deadline
from mtls_runner.errors import DeadlineExceeded, LabError
from mtls_runner.model.case import satisfies
from mtls_runner.model.certificate import FileForm
from mtls_runner.model.endpoint import Address, ClientSpec, ProxyProtocol, VerifyFlag, has_gap
from mtls_runner.model.observation import ClientView
from mtls_runner.model.port import Client, Material
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.tls import unknown_group
from mtls_runner.tls.context import Problem
from mtls_runner.tls.http_response import LONGEST_HEAD

__all__ = ["CurlClient"]

_TELLS_TCP = "8.3"
"""From this version on curl has ``--trace-config``."""
_OLDEST = "7.75"  # the first that writes errormsg
_ALPN = ((), ("http/1.1",), ("h2", "http/1.1"))
#: Exits that mean that curl was used wrongly or can't write its files (curl's manual, EXIT CODES): the lab's fault.
_LAB_TROUBLE = frozenset((2, 3, 4, 5, 23, 26, 27, 48))
_MOST = 1 << 26
"""Bytes of several responses' bodies together."""
_SAFE_NAME = re.compile(r"[^A-Za-z0-9._-]+")


class _Place(Struct, frozen=True):
    """The client's sub-directory of one run."""

    directory: Path
    empty: Path


class _Ran(Struct, frozen=True):
    """What one run of curl wrote, of each of its requests.

    Args:
        files: of each request.
        written: what curl wrote of each, as far as it came.
        heads, bodies: of all responses.
        typed: what a person would type.
    """

    files: Sequence[CurlFiles]
    written: Sequence[Written]
    heads: Kept
    bodies: Kept
    typed: str


class CurlClient(Client):
    """Runs the curl that is installed (or named by ``MTLS_RUN_CURL``), one process for each exchange.

    OpenSSL builds of curl accept a trusted certificate that is no root as the end of a chain
    (``X509_V_FLAG_PARTIAL_CHAIN``, since 7.68), and the command line has no way to change that.
    """

    probes_all_at_once = True
    follows_redirects = True

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[Path, _Place] = {}
        self._written: dict[tuple[Path, str, bytes], Path] = {}

    @cached_property
    def _binary(self) -> CurlBinary:
        return CurlBinary.find()

    def version(self) -> str:
        """curl's version, as ``curl --version`` gives it.

        Raises:
            LabError: it is not installed.
        """
        return self._binary.version

    def library_version(self) -> str:
        """The version of its TLS library, as ``curl --version`` gives it."""
        return self._binary.tls.partition("/")[2]

    def cannot(self, client: ClientSpec) -> str | None:
        """Why curl can't honour the description; ``None``: it can.

        Raises:
            LabError: it is not installed.
        """
        binary = self._binary
        if not binary.uses_openssl:
            return f"this curl is built on {binary.tls or 'no TLS library'}, not on OpenSSL"
        if not satisfies(binary.version, f">={_OLDEST}"):
            return f"curl {binary.version} is too old: {_OLDEST} or later is needed"
        if client.post_handshake_auth is False:
            return "curl takes every request for its certificate after the handshake"
        if client.proxy_protocol is ProxyProtocol.V2:
            return "curl speaks version 1 of the PROXY protocol only (--haproxy-protocol)"
        if VerifyFlag.STRICT in client.verify_flags:
            return "curl has no option for x509_strict"
        if client.crl and client.crl_check is not RevocationCheck.CHAIN:
            return "curl looks up the whole chain in the CRLs that it has (--crlfile)"
        if not client.crl and client.crl_check is not RevocationCheck.NONE:
            return "curl looks for CRLs only where it has some (--crlfile)"
        if has_gap(client.tls):
            return "curl takes a lowest and a highest TLS version, and can't leave out one between them"
        if (unknown := unknown_group(client.groups, "openssl", self.library_version())) is not None:
            return unknown
        if client.alpn not in _ALPN:
            return "curl offers h2 and http/1.1 by ALPN, http/1.1 alone, or nothing"
        if "h2" in client.alpn and "HTTP2" not in binary.features:
            return "this curl is built without HTTP/2"
        if client.request.method == "HEAD" and client.request.body:
            return "curl sends no body with HEAD"
        return None

    def probe(self, client: ClientSpec, address: Address, material: Material, deadline: Deadline) -> ClientView:
        """Make one connection and one request by curl.

        Raises:
            LabError: curl is missing, rejects its options or died; or the material can't be made.
        """
        return self.probe_all([client], address, material, deadline)[0]

    def probe_all(
        self, clients: Sequence[ClientSpec], address: Address, material: Material, deadline: Deadline
    ) -> Sequence[ClientView]:
        """Several requests, on one connection as far as curl can: ``--next``.

        Raises:
            LabError: as :meth:`probe`; or there are too many bytes in the responses to tell them apart.
        """
        reader = TraceReader()
        ran = self._ran(clients, address, material, deadline, reader)
        trace = reader.found
        views: list[ClientView] = []
        for client, each, own, came in zip(
            clients, ran.files, ran.written, apart(ran.written, ran.heads, ran.bodies, clients), strict=False
        ):
            if views and own.connections:
                break  # it would not have gone on: what it did instead is another connection's
            trace.answered = own.http_code > 0 if len(clients) > 1 else trace.answered
            seen = self._view(client, each, own, trace, came, ran.typed, material)
            views.append(replace(seen, request_number=len(views) + 1, stays_open=len(clients) > 1))
        while len(views) < len(clients):
            views.append(gone(views[-1]))
        return views

    def follow(
        self, client: ClientSpec, address: Address, material: Material, deadline: Deadline
    ) -> Sequence[tuple[ClientSpec, ClientView]]:
        """Follow redirects (``--location``): of the requests before the last one, curl tells only heads and connections.

        Raises:
            LabError: as :meth:`probe`; or it went another way than its own answers say.
        """
        from mtls_runner.clients.curl.redirects import as_presented, of_the_last, passed, way_taken

        reader = TraceReader(several=True)
        ran = self._ran([client], address, material, deadline, reader)
        own = ran.written[0]
        heads = Head.each(bytes(ran.heads.data))
        way, stayed = way_taken(client, address, heads, own)
        before, answered = heads[: len(way) - 1], len(heads) >= len(way)
        written, trace = of_the_last(own, way, address, reader, answered=answered, stayed=stayed)
        way = as_presented(way, [*(reader.connections[at] for at in reader.responses[: len(before)]), trace])
        came = (heads[-1].octets if answered else b"", ran.bodies)
        last = self._view(way[-1], ran.files[0], written, trace, came, ran.typed, material)
        if stayed:
            last = replace(last, exit_code=own.exit_code, error=own.error)
        made = list(zip(way, passed(last, before, reader), strict=False))
        number = reader.responses[: len(before)].count(len(reader.connections) - 1) + 1
        return [*made, (way[-1], replace(last, request_number=number if last.messages else 1))]

    def _ran(
        self,
        clients: Sequence[ClientSpec],
        address: Address,
        material: Material,
        deadline: Deadline,
        reader: TraceReader,
    ) -> _Ran:
        deadline.check("starting curl")
        place = self._place(material)
        files = [self._files(place, client, material) for client in clients]
        commands = [build(client, client.connect or address, each) for client, each in zip(clients, files, strict=True)]
        heads = Kept(LONGEST_HEAD * len(clients))
        bodies = Kept(sum(client.body_limit for client in clients) if len(clients) == 1 else _MOST)
        outputs = {"--trace": reader.feed, "--dump-header": heads.add, "--output": bodies.add}
        trace = reader.connections[0]
        try:
            finished = self._run(commands, files, deadline, clients, outputs)
        except DeadlineExceeded as error:
            if not trace.said_hello:
                raise
            written = [stopped(str(error), trace)]
        else:
            by_server = {OUT_OF_MEMORY: bool(trace.finished), URL_MALFORMED: bool(reader.responses)}
            if finished.exit_code in _LAB_TROUBLE and not by_server.get(finished.exit_code, False):
                raise LabError(f"curl gave up (exit {finished.exit_code}): {finished.errors.strip()}")
            written = told(finished, len(clients))
        _held(clients[0], trace.offered_signature_algorithms)
        typed = f"{' --next '.join(command.typed() for command in commands)}"
        return _Ran(files, written, heads, bodies, typed)

    def _view(
        self,
        client: ClientSpec,
        files: CurlFiles,
        own: Written,
        trace: CurlTrace,
        came: tuple[bytes, Kept],
        typed: str,
        material: Material,
    ) -> ClientView:
        head = Head.last(came[0], whole=len(came[0]) <= LONGEST_HEAD)
        own = replace(own, not_http=head.fault(client, trace), cut=head.cut, switched=head.switched(client))
        # With --head the output is the head once more.
        response = head.response(came[1] if client.request.method != "HEAD" else Kept(0)) if own.http_code else None
        untried = not trace.said_hello or own.exit_code in READ_LATE
        problem: Problem | None = None
        if untried and own.exit_code:
            from mtls_runner.clients.curl.own_material import problem_with

            problem = problem_with(own, client, files, material)
        return view(self._binary.version, client, own, trace, response, problem, typed)

    def command(self, client: ClientSpec, address: Address, material: Material) -> str:
        """What a person types to do the same; curl itself need not be there.

        Raises:
            MaterialError: something can't be made.
        """
        files = self._files(self._place(material), client, material, typed=True)
        return build(client, client.connect or address, files, short=True).typed()

    def _run(
        self,
        commands: Sequence[Command],
        files: Sequence[CurlFiles],
        deadline: Deadline,
        clients: Sequence[ClientSpec],
        outputs: Mapping[str, Sink],
    ) -> CurlRun:
        groups: list[list[str]] = []
        for client, command, own in zip(clients, commands, files, strict=True):
            limit = deadline.within(client.timeout)
            options = ["--silent", "--show-error", "--noproxy", "*", "--globoff"]
            options += ["--max-time", f"{max(limit.remaining(), 0.001):.3f}"]
            options += ["--write-out", "%{json}\\n"]
            if not groups and satisfies(self._binary.version, f">={_TELLS_TCP}"):
                options += ["--trace-config", "tcp"]  # the client's port, which the server knows it by
            if command.config is not None:
                options += ["--config", str(command.config)]
            elif own.certificate is not None and not own.asks_for_nothing:
                options += ["--pass", NO_PASSPHRASE]  # otherwise curl asks on the terminal, whatever its time limit
            groups.append([*options, *command.options, command.url])
        first = files[0]
        return self._binary.run(
            groups,
            home=first.empty,
            settings=first.settings,
            deadline=deadline,
            outputs=outputs,
            clock=clients[0].clock,
        )

    def _place(self, material: Material) -> _Place:
        directory = material.directory.absolute() / "curl"
        with self._lock:
            if directory not in self._places:
                self._places[directory] = _Place(directory, directory / "empty")
            return self._places[directory]

    def _files(self, place: _Place, client: ClientSpec, material: Material, *, typed: bool = False) -> CurlFiles:
        """``typed``: for a command that somebody types, only what it names is written."""
        if not typed or not client.trust:
            place.directory.mkdir(mode=0o700, exist_ok=True)
            place.empty.mkdir(mode=0o700, exist_ok=True)
        settings = place.directory / "openssl.cnf"
        if not typed or has_settings(client):
            settings = self._keep(place, settings.name, openssl_settings(client).encode())
        config = None
        if client.certificate is not None and client.passphrase is not None:
            line = f"pass = {_quote(client.passphrase.reveal())}\n"
            config = self._keep(place, f"{client.certificate}.curlrc", line.encode())
        if client.trust:
            trust = material.bundle(client.trust).absolute()
        else:
            # curl takes no empty bundle, and without one it would trust the system's authorities.
            trust = place.directory / "nobody.crt"
            with self._lock:
                if not trust.exists():
                    _write(trust, _nobody())
        presented = None
        if client.certificate is not None:
            presented = material.presented(
                client.certificate, client.chain, client.key, client.passphrase, client.tool.loads
            )
        body, hidden = client.request.body, secret_headers(client.request)
        return CurlFiles(
            certificate=presented.certificate.absolute() if presented is not None else None,
            certificate_form=presented.certificate_form if presented is not None else FileForm.PEM,
            key=presented.key if presented is not None else None,
            key_form=presented.key_form if presented is not None else FileForm.PEM,
            trust=trust,
            empty=place.empty,
            settings=settings,
            config=config,
            body=self._keep(place, "body", body) if body else None,
            crl=material.crl(client.crl).absolute() if client.crl else None,
            headers=self._keep(place, "headers", hidden) if hidden else None,
            locked=locked(client, material),
        )

    def _keep(self, place: _Place, name: str, content: bytes) -> Path:
        """A 0600 file with this content, written once; numbered where several contents share a name."""
        with self._lock:
            key = (place.directory, name, content)
            if key not in self._written:
                place.directory.mkdir(mode=0o700, exist_ok=True)
                stem, dot, suffix = _SAFE_NAME.sub("_", name).rpartition(".")
                path, number = place.directory / f"{stem}{dot}{suffix}", 1
                while path.exists():
                    number += 1
                    path = place.directory / (f"{stem}-{number}.{suffix}" if dot else f"{suffix}-{number}")
                _write(path, content)
                self._written[key] = path
            return self._written[key]


def _held(client: ClientSpec, offered: int) -> None:
    """OpenSSL silently ignores settings that it can't read: compare them with what was really offered."""
    if client.signature_algorithms and offered > len(client.signature_algorithms):
        listed = ":".join(client.signature_algorithms)
        raise LabError(f"curl's OpenSSL did not take the signature algorithms {listed}: one of them is unknown to it")


def _write(path: Path, content: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)


def _quote(text: str) -> str:
    """A value in a curl configuration file (curl's manual, --config)."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for character, letter in (("\t", "t"), ("\n", "n"), ("\r", "r"), ("\v", "v")):
        escaped = escaped.replace(character, f"\\{letter}")
    return f'"{escaped}"'


def _nobody() -> bytes:
    """A certificate whose key is gone: trusting it means trusting nobody."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name.from_rfc4514_string("CN=Nobody")
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
