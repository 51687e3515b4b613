"""Every step of ``rotation.yaml`` by hand: nginx, whose files are renamed and which is sent HUP, and curl before and after it."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mtls_runner import Lab, load
from mtls_runner.deadlines import Deadline, pause
from mtls_runner.model.case import Action
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.pki.keys import KeyPool

SCENARIO = Path(__file__).parents[2] / "scenarios/connections/rotation.yaml"
#: nginx's own words ($ssl_client_verify) and curl's exit, as the scenario has them.
WORDS = {
    "SUCCESS": "accepted",
    # The client sends its root, too.
    "FAILED:self-signed certificate in certificate chain": "server-refused unknown-ca",
    "FAILED:unsuitable certificate purpose": "server-refused wrong-purpose",
    "FAILED:certificate revoked": "server-refused revoked",
    "FAILED:CRL has expired": "server-refused crl-expired",
}
UNTRUSTED = 60
CONFIGURATION = """\
daemon off; pid {here}/nginx.pid; worker_processes 1; {user}
events {{}}
http {{
    access_log off;
    {temporary}
    server {{
        listen {address} ssl;
        ssl_certificate {here}/server.crt;
        ssl_certificate_key {here}/server.key;
        ssl_client_certificate {here}/trust.crt;
        {crl}
        ssl_verify_client on;
        error_page 495 496 = @verdict;
        location / {{ return 200 $ssl_client_verify; }}
        location @verdict {{ return 200 $ssl_client_verify; }}
    }}
}}
"""


class ByHand:
    """An nginx, and what is done to it."""

    def __init__(self, lab: Lab, here: Path, server: ServerSpec) -> None:
        self._lab = lab
        self._here = here
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._address = "{}:{}".format(*listener.getsockname())
            self.replace(server)
            temporary = (
                f"{kind}_temp_path {here}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            configuration = here / "nginx.conf"
            configuration.write_text(
                CONFIGURATION.format(
                    here=here,
                    user="user root;" if os.geteuid() == 0 else "",
                    temporary=" ".join(temporary),
                    address=self._address,
                    crl=f"ssl_crl {here}/crl.pem;" if server.crl else "",
                )
            )
            # It takes the socket over, as at an upgrade.
            self._nginx = subprocess.Popen(
                ["nginx", "-e", "stderr", "-p", str(here), "-c", str(configuration)],
                env={**os.environ, "NGINX": f"{listener.fileno()};"},
                pass_fds=[listener.fileno()],
                stderr=subprocess.DEVNULL,
            )

    def replace(self, server: ServerSpec) -> None:
        material = self._lab.material
        assert server.certificate is not None
        presented = material.presented(server.certificate, server.chain)
        files = {
            "server.crt": presented.certificate,
            "server.key": presented.key,
            "trust.crt": material.bundle(server.trust),
        }
        if server.crl:
            files["crl.pem"] = material.crl(server.crl)
        for name, file in files.items():
            assert file is not None
            (self._here / "new").write_bytes(file.read_bytes())
            (self._here / "new").rename(self._here / name)

    def _workers(self) -> set[str]:
        process = self._nginx.pid
        return set(Path(f"/proc/{process}/task/{process}/children").read_text().split())

    def reload(self) -> None:
        """Until no worker of before is there."""
        deadline = Deadline.after(20)
        while not (before := self._workers()):
            deadline.check("waiting for nginx to start")
            pause(0.01)
        self._nginx.send_signal(signal.SIGHUP)
        while not (now := self._workers()) or now & before:
            deadline.check("waiting for nginx to serve what it has read")
            pause(0.01)

    def ask(self, client: ClientSpec) -> tuple[str, str]:
        """Outcome and reason, and the subject that the server shows."""
        material = self._lab.material
        assert client.certificate is not None
        own = material.presented(client.certificate, client.chain)
        words = [
            *("curl", "--disable", "--silent", "--show-error", "--max-time", "10", "--write-out", "\n%{certs}"),
            *("--connect-to", f"localhost:443:{self._address}", "--cacert", str(material.bundle(client.trust))),
            *("--cert", str(own.certificate), "--key", str(own.key), "https://localhost/"),
        ]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode == UNTRUSTED:
            return "client-refused unknown-ca", ""
        assert done.returncode == 0, done.stderr
        verdict, _, certificates = done.stdout.partition("\n")
        (shown,) = re.findall(r"^Subject:(.*)$", certificates, re.MULTILINE)[:1]
        return WORDS[verdict], shown

    def end(self) -> None:
        self._nginx.terminate()
        self._nginx.wait(10)


@contextlib.contextmanager
def by_hand(lab: Lab, here: Path, server: ServerSpec) -> Iterator[ByHand]:
    here.mkdir()
    nginx = ByHand(lab, here, server)
    try:
        yield nginx
    finally:
        nginx.end()


def disagreements(directory: Path, *, tells: bool) -> list[str]:
    """Steps that end otherwise by hand than they are expected to; ``tells``: nginx is sent HUP where the scenario says reload."""
    plan = load(SCENARIO)
    found = []
    with Lab(plan, pool=KeyPool()) as lab:
        for number, case in enumerate(plan.cases):
            with by_hand(lab, directory / str(number), case.server) as nginx:
                for step in case.steps:
                    if step.server is not None:
                        nginx.replace(step.server)
                    elif step.action is Action.RELOAD and tells:
                        nginx.reload()
                    elif step.client is not None:
                        wanted = {check.path: str(check.alternatives[0].value) for check in step.expect.checks}
                        outcome, shown = nginx.ask(step.client)
                        said = " ".join(filter(None, (wanted["outcome"], wanted.get("reason"))))
                        if outcome != said or wanted.get("server_subject", "") not in shown:
                            found.append(f"{case.name}: {step.name}")
    return found


@pytest.mark.usefixtures("nginx_program")
def test_nginx_and_curl_by_hand_say_the_same_at_each_step(tmp_path: Path) -> None:
    assert disagreements(tmp_path, tells=True) == []


@pytest.mark.usefixtures("nginx_program")
def test_they_do_not_where_nobody_sends_the_signal(tmp_path: Path) -> None:
    assert disagreements(tmp_path, tells=False) == [
        "a renewed leaf is served from the reload on, not from the copy on: reloaded",
        "a new authority, with overlap: new client during the overlap",
        "a new authority, with overlap: new client",
        "a new authority, with overlap: an old client that was forgotten",
        "a new authority, in the wrong order: every old client is locked out",
        "a new authority, in the wrong order: now the clients refuse",
        "one of many is revoked: tuesday",
        "a CRL that ran out on Sunday: everybody is locked out",
    ]
