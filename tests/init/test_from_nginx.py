"""``mtls-run init --from-nginx``: what is written is what nginx does, told apart from it by nobody; what can't be is said.

The oracle (:mod:`tests.init.nginx_oracle`) is nginx by hand, asked by curl. Here some configurations are put to it; CI puts all.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mtls_runner import Overrides, load
from mtls_runner.cli import main as command_line
from mtls_runner.errors import EngineError
from mtls_runner.servers.container.engine import Engine

from ..container_engine import not_here
from .nginx_oracle import HERE, disagreements, doors, made

pytestmark = pytest.mark.usefixtures("nginx_program")

_TLS = "listen 443 ssl; ssl_certificate c.pem; ssl_certificate_key k.pem; ssl_client_certificate ca.pem;"
_AS_PROCESS = ("--runtime", "process", "--allow-commands")


def test_nginx_by_hand_agrees(tmp_path: Path) -> None:
    """``python -m tests.init.nginx_oracle`` does it with all."""
    one = made(HERE / "admin.conf", tmp_path)
    assert one.unproved == []
    assert disagreements(HERE / "admin.conf", one.path) == []


def test_it_fails_when_the_configuration_changes(tmp_path: Path) -> None:
    """Somebody takes the check out after the scenario was written."""
    configuration = tmp_path / "my.conf"
    configuration.write_text(f"server {{ {_TLS} ssl_verify_client on; location / {{ return 200 in; }} }}")
    one = made(configuration, tmp_path / "lab")
    assert doors(load(one.path).cases) == {"/": {"good"}}
    configuration.write_text(configuration.read_text().replace("ssl_verify_client on", "ssl_verify_client optional"))
    assert command_line([*_AS_PROCESS, str(one.path)]) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server {\n listen {{ port }} ssl;\n}", r"my.conf:2: \{\{ port \}\} is a placeholder"),
        ("server {\n\n listen ${PORT} ssl;\n}", r"my.conf:3: \$\{PORT\} is a placeholder"),
        ("server {\n server_name <your-domain>;\n}", r"my.conf:2: <your-domain> is a placeholder"),
        ("server {\n server_name @NAME@;\n}", r"my.conf:2: @NAME@ is a placeholder"),
        ("events {}\nstream { server { listen 443 ssl; } }", "stream only"),
        ("ssl_verify_client on;", "it is a part of a configuration"),
        ("http {\n include /etc/nginx/conf.d/*.conf;\n}", "nor in what it includes: files of /etc/nginx .* beside it"),
        ("server { listen 80; return 200; }", "there is nothing to test"),
        (f"server {{ {_TLS} brotli on; }}", 'unknown directive "brotli" in .*my.conf:1 .*lacks a module'),
        (f"server {{ {_TLS} if ($bad) {{ return 403; }} }}", 'unknown "bad" variable.*another file'),
        (f"server {{ {_TLS} include snippets/gone.conf; }}", r"gone.conf.* failed \(2: .*that file is needed"),
        ("server {", "no nginx configuration|there is no `server`"),
        (f"server {{ {_TLS} }}\n}}", "nginx does not start|unexpected"),
    ],
)
def test_what_can_not_be_done_is_said_before_anything_is_written(
    text: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.conf").write_text(text)
    assert command_line(["init", str(tmp_path / "lab"), "--from-nginx", str(tmp_path / "my.conf"), *_AS_PROCESS]) == 2
    assert not (tmp_path / "lab").exists()
    told = capsys.readouterr().err
    assert re.search(said, told, re.DOTALL), told


def test_texts_that_only_look_like_a_template(tmp_path: Path) -> None:
    text = f"""
    map $http_x $Mine {{ default 1; }}
    # {{{{ a comment }}}} <about> @THIS@
    server {{ {_TLS} ssl_verify_client on; server_name a.test;
      add_header X-Html "<b>bold</b>"; location ~ ^/(?<Part>[a-z]+)$ {{ return 200 "<p>${{Part}} $Mine a@b.com</p>"; }} }}"""
    (tmp_path / "my.conf").write_text(text)
    assert made(tmp_path / "my.conf", tmp_path / "lab").path.exists()


def test_a_place_that_proves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The scenario is written all the same, and passes."""
    (tmp_path / "my.conf").write_text(
        f"server {{ {_TLS} ssl_verify_client on; location / {{ return 200 in; }} location /gone {{ deny all; }} }}"
    )
    arguments = ["init", str(tmp_path / "lab"), "--from-nginx", str(tmp_path / "my.conf"), *_AS_PROCESS]
    assert command_line(arguments) == 1
    assert "not proved: /gone: nobody gets in" in capsys.readouterr().out
    assert command_line([*_AS_PROCESS, str(tmp_path / "lab" / "my.yaml")]) == 0


def test_without_anything_to_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither engine nor nginx: the scenario is there, expects nothing, and says what comes next."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    monkeypatch.setenv("PATH", str(tmp_path))
    program = f"""
import sys
from mtls_runner.runtimes import process
process._MORE_PLACES = ()
from mtls_runner.cli import main
sys.exit(main(["init", {str(tmp_path / "lab")!r}, "--from-nginx", {str(HERE / "plain.conf")!r}]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "not recorded, since" in done.stdout
    assert "no nginx is installed" in done.stdout
    assert "next: mtls-run record" in done.stdout
    scenario = (tmp_path / "lab" / "plain.yaml").read_text()
    assert "expect:" not in scenario
    assert command_line([str(tmp_path / "lab" / "plain.yaml")]) == 2
    assert "mtls-run record" in capsys.readouterr().err


def test_a_process_needs_consent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["init", str(tmp_path / "lab"), "--from-nginx", str(HERE / "plain.conf"), "--runtime", "process"]
    assert command_line(arguments) == 2
    assert "--allow-commands" in capsys.readouterr().err


def test_the_scenario_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plain.yaml").write_text("mine")
    assert command_line(["init", str(tmp_path), "--from-nginx", str(HERE / "plain.conf"), *_AS_PROCESS]) == 2
    assert "nothing is overwritten" in capsys.readouterr().err
    assert (tmp_path / "plain.yaml").read_text() == "mine"


def test_in_a_container(tmp_path: Path) -> None:
    """OCSP responders are there only: an ``ssl_ocsp`` that has one lets the good one in."""
    try:
        Engine.connect()
    except EngineError as error:
        not_here(str(error))
    one = made(HERE / "ocsp.conf", tmp_path, Overrides())
    assert one.unproved == []
    assert doors(load(one.path).cases) == {"/": {"good"}}
    assert command_line([str(one.path)]) == 0
    assert command_line([*_AS_PROCESS, str(one.path)]) == 5
