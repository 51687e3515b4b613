"""What the bare programs make of the odd files: Python's ``ssl``, curl and nginx, without a line of the lab.

Where a program loads no file of that form at all (DER and PKCS #12 are for curl only, and there not as trust), it is given
what the openssl command makes of it.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..own_material.issuer import Issuer
from ..pki import openssl
from .files import LEAVES, Odd

__all__ = ["Bare", "Question", "answers"]

Job = dict[str, str | list[str | None] | None]
"""What ``bare_ssl.py`` is asked to do."""

_NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
_UNUSABLE = "unusable"


@dataclass(frozen=True)
class Question:
    """Which program, in which role (``server``, ``client``, ``client-trust``, ``server-trust``), gets which odd file."""

    role: str
    program: str
    name: str


@dataclass(frozen=True)
class Bare:
    """Files that a program loads: its certificate's and its key's, as PEM, and what opens the key."""

    certificate: Path
    key: Path | None
    passphrase: str | None


def answers(mine: Issuer, odd: Mapping[Question, Odd]) -> dict[Question, str]:
    """``unusable``, ``accepted`` or ``refused`` (by the other end), for each question."""
    with tempfile.TemporaryDirectory(prefix="bare-") as name:
        asking = _Asking(mine, Path(name))
        found: dict[Question, str] = {}
        for program, ask in (("python", asking.python), ("curl", asking.curl), ("nginx", asking.nginx)):
            found |= ask({question: one for question, one in odd.items() if question.program == program})
    return found


class _Asking:
    def __init__(self, mine: Issuer, directory: Path) -> None:
        self._mine = mine
        self._directory = directory
        self._numbers = itertools.count()

    def _new(self, ending: str, data: bytes) -> Path:
        path = self._directory / f"{next(self._numbers)}.{ending}"
        path.write_bytes(data)
        return path

    def _path(self, name: str) -> Path:
        return self._mine.path(name)

    # --- files as a program loads them ---

    def pem(self, odd: Odd) -> Bare | None:
        """As PEM; ``None``: the openssl command makes none of it."""
        form = odd.form
        if form.pkcs12 is not None:
            return self._from_pkcs12(form.pkcs12, form.passphrase)
        assert form.certificate is not None
        certificate = self._path(form.certificate)
        if odd.der_certificate:
            result = openssl.run("x509", "-inform", "DER", "-in", certificate)
            if result.returncode:
                return None
            certificate = self._new("pem", result.stdout)
        if form.chain is not None:
            parts = [certificate.read_bytes(), self._path(form.chain).read_bytes()]
            certificate = self._new("pem", parts[0] + (b"" if parts[0].endswith(b"\n") else b"\n") + parts[1])
        key = self._path(form.key) if form.key is not None else None
        if odd.der_key and key is not None:
            key = self._armoured(key, odd.der_key)
        return Bare(certificate, key, form.passphrase)

    def _armoured(self, key: Path, label: str) -> Path:
        body = base64.encodebytes(key.read_bytes()).decode()
        return self._new("key", f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode())

    def _from_pkcs12(self, name: str, passphrase: str | None) -> Bare | None:
        ask = ("pkcs12", "-in", self._path(name), "-passin", f"pass:{passphrase or ''}", "-nodes")
        found = [openssl.run(*ask, *kind) for kind in (("-clcerts", "-nokeys"), ("-cacerts", "-nokeys"), ("-nocerts",))]
        if any(one.returncode for one in found):
            return None
        certificates, key = found[0].stdout + found[1].stdout, found[2].stdout
        if b"BEGIN CERT" not in certificates:
            return None
        return Bare(self._new("pem", certificates), self._new("key", key) if b"BEGIN" in key else None, None)

    # --- Python ---

    def python(self, odd: Mapping[Question, Odd]) -> dict[Question, str]:
        jobs: dict[Question, Job] = {}
        found: dict[Question, str] = {}
        for question, one in odd.items():
            bare = self.pem(one)
            if bare is None:
                found[question] = _UNUSABLE
                continue
            jobs[question] = self._job(question.role, bare)
        return found | self._asked(jobs)

    def _job(self, role: str, bare: Bare) -> Job:
        """Tidy material everywhere, but for what is odd."""
        job: Job = {f"{side}_certificate": self._pair(self._tidy(side), self._path(f"{side}.key")) for side in LEAVES}
        job |= {f"{side}_trust": str(self._path("root.crt")) for side in LEAVES}
        side, _, trust = role.partition("-")
        if trust:
            return job | {f"{side}_trust": str(bare.certificate)}
        return job | {f"{side}_certificate": self._pair(bare.certificate, bare.key), "passphrase": bare.passphrase}

    @staticmethod
    def _pair(certificate: Path, key: Path | None) -> list[str | None]:
        return [str(certificate), str(key) if key is not None else None]

    def _tidy(self, side: str) -> Path:
        path = self._directory / f"tidy-{side}.pem"
        if not path.exists():
            path.write_bytes(self._mine.data(f"{side}.crt", "inter.crt"))
        return path

    def _asked(self, jobs: Mapping[Question, Job]) -> dict[Question, str]:
        result = subprocess.run(
            [sys.executable, "-I", Path(__file__).with_name("bare_ssl.py")],
            input=json.dumps(list(jobs.values())),
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        return dict(zip(jobs, json.loads(result.stdout), strict=True))

    # --- curl ---

    def curl(self, odd: Mapping[Question, Odd]) -> dict[Question, str]:
        with self._listening(asks=True) as strict, self._listening(asks=False) as plain, ThreadPoolExecutor(4) as pool:
            ports = {"client": strict, "client-trust": plain}
            answers = pool.map(lambda item: self._curl(item[0].role, item[1], ports[item[0].role]), odd.items())
            return dict(zip(odd, answers, strict=True))

    def _curl(self, role: str, odd: Odd, port: int) -> str:
        options = ["--silent", "--capath", str(self._directory / "none"), "--output", "/dev/null"]
        if role == "client-trust":
            bare = self.pem(odd)
            if bare is None:
                return _UNUSABLE
            options += ["--cacert", str(bare.certificate)]
        else:
            loaded = self._for_curl(odd)
            if loaded is None:
                return _UNUSABLE
            options += ["--cacert", str(self._path("root.crt")), *loaded]
        command = ["curl", "--disable", *options, f"https://localhost:{port}/"]
        done = subprocess.run(command, capture_output=True, timeout=30, check=False, stdin=subprocess.DEVNULL)
        if done.returncode in (58, 77, 43):
            return _UNUSABLE
        return "accepted" if done.returncode == 0 else "refused"

    def _for_curl(self, odd: Odd) -> list[str] | None:
        form = odd.form
        options = ["--pass", form.passphrase or ""]
        if form.pkcs12 is not None:
            return [*options, "--cert", str(self._path(form.pkcs12)), "--cert-type", "P12"]
        if odd.der_certificate and form.chain is None:
            assert form.certificate is not None
            options += ["--cert", str(self._path(form.certificate)), "--cert-type", "DER"]
        else:
            bare = self.pem(odd)
            if bare is None:
                return None
            options += ["--cert", str(bare.certificate)]
        if form.key is not None:
            options += ["--key", str(self._path(form.key)), *(["--key-type", "DER"] if odd.der_key else [])]
        return options

    @contextlib.contextmanager
    def _listening(self, *, asks: bool) -> Iterator[int]:
        """A server that answers; asking for a certificate of the root's, or for none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._tidy("server"), self._path("server.key"))
        if asks:
            context.load_verify_locations(self._path("root.crt"))
            context.verify_mode = ssl.CERT_REQUIRED
        with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
            stop = threading.Event()
            thread = threading.Thread(target=_serve, args=(listener, context, stop))
            thread.start()
            try:
                yield listener.getsockname()[1]
            finally:
                stop.set()
                thread.join(30)

    # --- nginx ---

    def nginx(self, odd: Mapping[Question, Odd]) -> dict[Question, str]:
        blocks: dict[Question, str] = {}
        found: dict[Question, str] = {}
        for number, (question, one) in enumerate(odd.items()):
            bare = self.pem(one)
            block = self._block(question.role, bare, number) if bare is not None else ""
            if block and self._run("-t", block).returncode == 0:
                blocks[question] = block
            else:
                found[question] = _UNUSABLE
        return found | self._served(blocks, list(odd))

    def _block(self, role: str, bare: Bare, number: int) -> str:
        lines = [f"listen unix:{self._directory}/{number}.sock ssl", "return 200"]
        if role == "server":
            lines += [f"ssl_certificate {bare.certificate}", f"ssl_certificate_key {bare.key or bare.certificate}"]
            if bare.passphrase is not None:
                secret = self._new("pass", bare.passphrase.encode() + b"\n")
                lines.append(f"ssl_password_file {secret}")
        else:
            lines += [f"ssl_certificate {self._tidy('server')}", f"ssl_certificate_key {self._path('server.key')}"]
            lines += ["ssl_verify_client on", "ssl_verify_depth 9", f"ssl_client_certificate {bare.certificate}"]
        return "".join(f"{line};\n" for line in lines)

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        *options, blocks = arguments
        configuration = self._new("conf", self._configuration([blocks]).encode())
        command = [_NGINX, *options, "-e", "stderr", "-c", str(configuration)]
        return subprocess.run(command, capture_output=True, timeout=30, check=False, stdin=subprocess.DEVNULL)

    def _configuration(self, blocks: Sequence[str]) -> str:
        servers = "".join(f"server {{\n{block}}}\n" for block in blocks)
        temporary = "".join(
            f"{kind}_temp_path {self._directory}/{kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        http = f"access_log off;\n{temporary}{servers}"
        head = f"daemon off;\npid {self._directory}/nginx.pid;\nerror_log stderr;\nworker_processes 1;\n"
        return f"{head}events {{}}\nhttp {{\n{http}}}\n"

    def _served(self, blocks: Mapping[Question, str], order: Sequence[Question]) -> dict[Question, str]:
        self._directory.chmod(0o755)  # for the workers, who are somebody else
        configuration = self._new("conf", self._configuration(list(blocks.values())).encode())
        jobs: dict[Question, Job] = {}
        for question in blocks:
            jobs[question] = {
                "unix": f"{self._directory}/{order.index(question)}.sock",
                "client_trust": str(self._path("root.crt")),
                "client_certificate": self._pair(self._tidy("client"), self._path("client.key")),
            }
        log = (self._directory / "nginx.log").open("w+b")
        with log, subprocess.Popen([_NGINX, "-e", "stderr", "-c", configuration], stderr=log) as nginx:
            try:
                self._until_it_answers(jobs, nginx)
                return self._asked(jobs)
            finally:
                nginx.terminate()
                nginx.wait(30)

    def _until_it_answers(self, jobs: Mapping[Question, Job], nginx: subprocess.Popen[bytes]) -> None:
        last = Path(str(list(jobs.values())[-1]["unix"]))
        while nginx.poll() is None:
            with socket.socket(socket.AF_UNIX) as plain, contextlib.suppress(OSError):
                plain.connect(str(last))
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                nginx.wait(0.05)
        raise AssertionError(f"nginx ended with {nginx.returncode}")


def _serve(listener: socket.socket, context: ssl.SSLContext, stop: threading.Event) -> None:
    listener.settimeout(0.2)
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            plain, _ = listener.accept()
            threading.Thread(target=_answer, args=(plain, context)).start()


def _answer(plain: socket.socket, context: ssl.SSLContext) -> None:
    plain.settimeout(20)
    with plain, contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as tls:
        tls.recv(65536)
        tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
