"""Small nginx configurations, and an oracle for what ``init --from-nginx`` writes about them: nginx by hand, asked by curl.

``python -m tests.init.nginx_oracle [NAME…]`` makes a scenario for each, runs it, and then does by hand what it says: the same
configuration, edited as a person would to start it here, client by client and path by path. Every status has to be curl's, and
those who get in have to be those of :data:`DOORS`, which is what the configurations were written for.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mtls_runner import Lab, Overrides, Status, load
from mtls_runner.errors import UsageError
from mtls_runner.init.from_nginx import from_nginx
from mtls_runner.init.write import write
from mtls_runner.model.case import Case
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.traits import Runtime
from mtls_runner.runtimes.process import find_program
from mtls_runner.servers.mapped_files import mapped_files

from ..http_server import Handler, served
from ..workers import workers

__all__ = ["AS_PROCESS", "DOORS", "HERE", "Made", "by_hand", "disagreements", "doors", "made"]

HERE = Path(__file__).parent / "nginx"
AS_PROCESS = Overrides(runtime=Runtime.PROCESS, allow_commands=True)

#: Who gets in, by the place in the scenario: what each configuration was written for. Other places are no places of it.
DOORS: Mapping[str, Mapping[str, str]] = {
    "addresses": {":20001 /": "good", ":20002 /": "no-certificate good"},
    "admin": {"/": "no-certificate good foreign depth-3 depth-4", "/admin/": "good depth-3"},
    "auth-request": {"/": "no-certificate good", "/app/": "good"},
    "closing": {"/": "good"},
    "composite": {"/": "good", "/public/": "no-certificate good", "/legacy/": "good foreign"},
    "daemon-off": {"/": "good"},
    "depth": {"/": "good depth-2"},
    "documents": {"/": "no-certificate good", "/errors/": "no-certificate good", "/private/": "good"},
    "error-page-200": {"/": "good"},
    "error-pages": {"/": "good"},
    "fingerprint": {"/": "fingerprint-1"},
    "header": {"/": "good good,-with-X-Hook-Token", "/hook": "good,-with-X-Hook-Token"},
    "hidden": {
        "/": "good cn-client-ou-security",
        "/keys/0": "cn-client-ou-security",
        "/gone": "good cn-client-ou-security",
    },
    "issuer": {"/": "good of-issuer-1", "/partners/": "of-issuer-1"},
    "legacy": {"/": "alice bob"},
    "location-expression": {"/": "good"},
    "login": {"/": "good"},
    "map-common-name": {"/": "billing-internal web-0", "/open": "no-certificate good billing-internal web-0"},
    "map-expression": {"/": "alice"},
    "map-subject": {"/": "ops backup", "/admin": "ops"},
    "map-verify": {"/": "good"},
    "machine": {"/": "good", "/status": "good"},
    "methods": {"/": "no-certificate good", "HEAD /": "no-certificate good", "POST /": "good"},
    "not-matching": {"/": "alice"},
    "ocsp": {"/": "good"},
    "one-file": {"/": "good"},
    "password": {"/": "good good,-with-Authorization", "/more/": "good,-with-Authorization"},
    "plain": {"/": "good"},
    "ports": {":443 /": "no-certificate good", ":8443 /": "good"},
    "proxy-protocol": {"/": "good"},
    "redirect": {"/": "good", "/health": "no-certificate good"},
    "regular": {
        "/": "no-certificate good cn-client-ou-dev cn-client-ou-ops",
        "/v1/users/0": "cn-client-ou-dev cn-client-ou-ops",
        "/x.cfg": "no-certificate good cn-client-ou-dev cn-client-ou-ops",
    },
    "rule-in-location": {"/": "no-certificate good", "/api": "good"},
    "serial": {"/": "good"},
    "set-by-subject": {"/": "good cn-client-ou-x"},
    "status-496": {"/": "good"},
    "two-authorities": {"/": "good good-2"},
    "two-names": {"staff.test /": "good", "www.partner.test /": "good-2"},
    "upstreams": {
        "/": "no-certificate good",
        **dict.fromkeys(("/api/", "/grpc.Service/", "/x.php", "/tls/"), "good"),
    },
}
_REFUSED = {"stream-only": "stream only", "template": r"template.conf:2: \{\{ port \}\} is a placeholder"}
_IN_A_CONTAINER = ("ocsp",)
"""Its responders are on the container's loopback: only the doors are compared."""


@dataclass(slots=True)
class Made:
    """A scenario that was written.

    Args:
        path: of it.
        unproved: what it does not prove.
        notes: what its author is told.
    """

    path: Path
    unproved: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def made(configuration: Path, directory: Path, how: Overrides = AS_PROCESS) -> Made:
    """As ``mtls-run init`` writes it.

    Raises:
        UsageError: it can't.
    """
    draft = from_nginx(configuration, directory, how)
    return Made(write(draft, directory).scenario, list(draft.unproved), list(draft.notes))


def doors(cases: tuple[Case, ...]) -> dict[str, set[str]]:
    """Who is expected to get in, by place."""
    found: dict[str, set[str]] = {}
    for case in cases:
        place, _, who = case.name.rpartition(": ")
        if ", by TLS" in who:
            continue
        inside = found.setdefault(place, set())
        if _expected(case)[0] == "accepted":
            inside.add(who.replace(" ", "-"))
    return found


def _expected(case: Case) -> tuple[str, int]:
    checks = {check.path: [one.value for one in check.alternatives] for check in case.expect.checks}
    outcome = str(checks["outcome"][0])
    return outcome, int(str(checks.get("status", [0 if outcome in ("no-connection", "no-agreement") else 200])[0]))


# --- by hand ------------------------------------------------------------------------------------------------------------

_EDITS = {
    "daemon-off": [(r"daemon off;", "")],
    "machine": [
        (
            r"user deploy deploy;|pid /[^;]*;|error_log [^;]*;|access_log [^;]*;|client_body_temp_path [^;]*;|use epoll;",
            "",
        ),
        (
            r"stream \{.*?\} \}|proxy_cache_path [^;]*;|ssl_dhparam [^;]*;|http2 on;|listen 443 quic \w+;|limit_req zone.*?;",
            "",
        ),
        (r"include [^;]*;", ""),
        (r"listen \[::\]:443 ssl ipv6only=off;", "listen 443 ssl;"),
    ],
}
_MAIN = "daemon off; error_log stderr warn; pid {0}/nginx.pid;"
_TEMPORARY = "".join(
    f"{kind}_temp_path {{0}}/{kind}; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
)


def _with_application(text: str, address: str) -> str:
    """One application stands for all that the configuration passes requests on to."""
    text = re.sub(
        r"(server|http://|https://|grpc://)( ?)(app[-\w]*|sso|10\.0\.0\.\d|127\.0\.0\.1):\d+(?=[^\d ;]*[ ;/])(?<!ssl)",
        rf"\1\g<2>{address}",
        text,
    )
    text = re.sub(r"http://unix:[^:;]*:", f"http://{address}", text)
    text = re.sub(r"fastcgi_pass [^;]*|grpc_pass [^;]*|proxy_pass https://[^;]*", f"proxy_pass http://{address}", text)
    return text.replace("include fastcgi_params;", "")


def _with_files(text: str, server: ServerSpec, lab: Lab, directory: Path) -> str:
    """Writes what the scenario maps into nginx's directories below this one."""
    for file in mapped_files(server, lab.material, "/etc/nginx"):
        path = Path(file.path)
        inside = (
            directory / path.relative_to("/etc/nginx")
            if path.is_relative_to("/etc/nginx")
            else directory / file.path[1:]
        )
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.write_bytes(file.content)
        if not path.is_relative_to("/etc/nginx"):
            text = text.replace(f" {file.path};", f" {inside};")
    return text


@contextlib.contextmanager
def by_hand(configuration: Path, lab: Lab, directory: Path) -> Iterator[dict[int, int]]:
    """nginx with the configuration; the port for each that it says, or that the scenario says in its place."""
    server = lab.plan.cases[0].server
    text = configuration.read_text()
    for pattern, new in _EDITS.get(configuration.stem, []):
        text = re.sub(pattern, new, text, flags=re.DOTALL)
    for old, id_ in server.substitutes:
        text = text.replace(old, hashlib.sha1(lab.material.credential(id_).der, usedforsecurity=False).hexdigest())
    ports: dict[int, int] = {}
    asked = iter(sorted({int(case.server.option("port")) for case in lab.plan.cases}))
    known: dict[str, int] = {}
    with contextlib.ExitStack() as stack:
        listeners: list[socket.socket] = []

        def listen() -> int:
            listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            listener.setblocking(False)  # as nginx's own are
            listeners.append(listener)
            return int(listener.getsockname()[1])

        def listening(found: re.Match[str]) -> str:
            if "ssl" not in found[2]:
                return f"listen 127.0.0.1:{listen()};"
            if found[1] not in known:
                known[found[1]] = ports[next(asked)] = listen()
            return f"listen 127.0.0.1:{known[found[1]]} {found[2]};"

        text = re.sub(r"listen ([\d.:]+)([^;]*);", listening, text)
        for said, port in ports.items():
            text = text.replace(f"$server_port = {said}", f"$server_port = {port}")
        text = _with_application(text, stack.enter_context(served(_Hello)))
        if "http {" not in text:
            text = f"events {{}} http {{ {text} }}"
        text = text.replace("http {", "http { " + _TEMPORARY.format(directory), 1)
        text = _with_files(text, server, lab, directory)
        text = re.sub(r"(root|alias|auth_basic_user_file|ssl_\w+) /(etc/nginx/)?(?!tmp)", rf"\1 {directory}/", text)
        main = directory / "nginx.conf"
        main.write_text(text)
        command = [find_program("nginx") or "nginx", "-e", "stderr", "-p", str(directory), "-c", str(main)]
        command += ["-g", _MAIN.format(directory) + (" user root;" if os.geteuid() == 0 else "")]
        # Sockets that it takes over (NGINX, as at an upgrade): nobody else gets a port in between, and who connects is heard.
        descriptors = [listener.fileno() for listener in listeners]
        environment = {**os.environ, "NGINX": "".join(f"{descriptor};" for descriptor in descriptors)}
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, pass_fds=descriptors) as nginx:
            for listener in listeners:
                listener.close()
            try:
                yield ports
                if nginx.poll() is not None and nginx.stderr is not None:
                    raise UsageError(f"by hand nginx ended:\n{nginx.stderr.read().decode()}\n{main.read_text()}")
            finally:
                nginx.terminate()
                nginx.wait(10)


class _Hello(Handler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, body=b"hello")

    do_POST = do_GET


def _curl(case: Case, lab: Lab, ports: Mapping[int, int], directory: Path) -> int:
    """The status that a person gets; 0: no answer."""
    client = case.client
    assert client is not None
    port = ports[int(case.server.option("port"))]
    name = client.server_name or "localhost"
    command = [
        "curl",
        "--silent",
        "--output",
        str(directory / "body"),
        "--write-out",
        "%{http_code}",
        "--max-time",
        "20",
    ]
    command += [
        "--cacert",
        str(lab.material.bundle(["server-ca"])),
        "--resolve",
        f"{name}:{port}:127.0.0.1",
        "--http1.1",
    ]
    command += ["--request", client.request.method]
    if client.certificate is not None:
        presented = lab.material.presented(client.certificate, client.chain, None, None)
        command += ["--cert", str(presented.certificate), "--key", str(presented.key or presented.certificate)]
    command += ["--haproxy-protocol"] if client.proxy_protocol is not None else []
    for header, value in client.request.headers:
        command += ["--header", f"{header}: {value}"]
    if client.tls:
        command += [
            "--tlsv" + client.tls[0].value.removeprefix("TLSv"),
            "--tls-max",
            client.tls[-1].value.removeprefix("TLSv"),
        ]
    done = subprocess.run(
        [*command, f"https://{name}:{port}{client.request.path}"], capture_output=True, text=True, check=False
    )
    return int(done.stdout or 0)


def _by_curl(configuration: Path, lab: Lab, directory: Path) -> Iterator[str]:
    with by_hand(configuration, lab, directory) as ports:
        for case in lab.plan.cases:
            status, expected = _curl(case, lab, ports, directory), _expected(case)[1]
            if status != expected:
                yield f"{case.name}: the scenario has {expected}, curl {status}"


def disagreements(configuration: Path, path: Path, how: Overrides = AS_PROCESS) -> list[str]:
    """What nginx and curl by hand say otherwise than the scenario, and who gets in otherwise than its author wanted."""
    plan = load(path, how)
    found = []
    with Lab(plan) as lab, tempfile.TemporaryDirectory(prefix="by-hand-") as name:
        for case in plan.cases:
            verdict = lab.run(case)
            if verdict.status is not Status.PASS:
                found.append(f"{case.name}: {verdict.status} {verdict.mismatches} {verdict.error}")
        if how == AS_PROCESS:
            found += _by_curl(configuration, lab, Path(name))
    wanted = DOORS.get(configuration.stem)
    shown = {place: " ".join(sorted(who)) for place, who in doors(plan.cases).items()}
    if wanted is None or shown != {place: " ".join(sorted(who.split())) for place, who in wanted.items()}:
        found.append(f"who gets in: {shown}")
    return found


def _checked(configuration: Path) -> list[str]:
    """What does not hold of a scenario that is made of it."""
    how = Overrides() if configuration.stem in _IN_A_CONTAINER else AS_PROCESS
    with tempfile.TemporaryDirectory(prefix="oracle-") as name:
        try:
            one = made(configuration, Path(name), how)
            return disagreements(configuration, one.path, how) + [f"not proved: {said}" for said in one.unproved]
        except UsageError as error:
            wanted = _REFUSED.get(configuration.stem)
            return [] if wanted is not None and re.search(wanted, str(error)) else [str(error)]


def main(names: list[str]) -> int:
    """The exit code: 1, if anything differs."""
    chosen = [one for one in sorted(HERE.glob("*.conf")) if not names or one.stem in names]
    code = 0
    with workers() as pool:
        for configuration, problems in zip(chosen, pool.map(_checked, chosen), strict=True):
            code |= bool(problems)
            print(f"{configuration.stem}: {'; '.join(problems) or 'agrees'}", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
