"""Other people's images: what starts under plain ``docker run`` without a network starts here, with its key and its logs."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from docker import errors as docker_errors

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import EngineError, ServerUnusable
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import Reason
from tests.named import tool

from ..container_engine import IMAGE, docker_client, not_here
from ..pki.describe import PASSPHRASE
from .conftest import ARTICLE_FILES, Lab, MakeServer

#: What ``.ci/debian-image mtls-run/debian-nginx bookworm nginx`` makes.
DEBIAN = os.environ.get("MTLS_RUN_DEBIAN_IMAGE", "mtls-run/debian-nginx")
WWW_DATA = 33
CONFIG = """server {
    listen 443 ssl;
    ssl_certificate /etc/nginx/certs/tls.crt;
    ssl_certificate_key /etc/nginx/certs/tls.key;
    ssl_password_file /etc/nginx/certs/password;
    ssl_client_certificate /etc/nginx/mtls/ca.crt;
    ssl_verify_client on;
    location / { return 200 "in"; }
}"""
NGINX = """CMD ["nginx", "-g", "daemon off;"]"""
ENTRYPOINT = """#!/bin/sh
set -e
chown -R www-data /var/log/nginx /var/lib/nginx
chmod 750 /var/log/nginx /var/lib/nginx
exec "$@"
"""
BARE = "user www-data;\ndaemon off;\nevents {}\nhttp { include /etc/nginx/conf.d/*.conf; }\n"


@dataclass(frozen=True)
class Made:
    """How an image differs from Debian's package in an empty Debian.

    Args:
        changes: lines of a Dockerfile.
        files: contents by path; ``None``: a directory. All belong to www-data.
    """

    changes: tuple[str, ...]
    files: tuple[tuple[str, str | None], ...] = ()
    of: str = DEBIAN


OWNED: tuple[tuple[str, str | None], ...] = tuple((d, None) for d in ("var/log/nginx", "var/lib/nginx", "run"))
START = {
    "logs that belong to the workers' user, as Debian has them": Made((NGINX,)),
    "a start script that sets owners and modes": Made(
        (NGINX, 'ENTRYPOINT ["/start"]'), (*OWNED, ("start", ENTRYPOINT))
    ),
    "an ordinary user by name": Made((NGINX, "USER www-data"), OWNED),
    "an ordinary user by number": Made((NGINX, "USER 33:33"), OWNED, IMAGE),
    "a command that says nothing": Made(('CMD ["nginx"]',), (("etc/nginx/nginx.conf", BARE),)),
}
DONT = {
    "an ordinary user who may not write the log": (Made((NGINX, "USER nobody")), Reason.BAD_CONFIG),
    "a command that ends": (Made(('CMD ["true"]',)), Reason.EXITED),
}


@pytest.fixture(scope="module", autouse=True)
def images(engine: object) -> None:
    del engine
    with docker_client() as client:
        try:
            client.inspect_image(DEBIAN)  # type: ignore[no-untyped-call]
        except docker_errors.ImageNotFound:
            not_here(f"no image {DEBIAN}: .ci/debian-image {DEBIAN} bookworm nginx")


@contextmanager
def made(image: Made) -> Iterator[str]:
    """Its name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, content in image.files:
            entry = tarfile.TarInfo(path)
            entry.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            entry.uid, entry.mode, entry.size = WWW_DATA, 0o755, len(content or "")
            tar.addfile(entry, io.BytesIO((content or "").encode()))
    with docker_client() as client:
        container = client.create_container(image.of, command=["nginx"])["Id"]
        name = f"mtls-run-test/{container[:12]}"
        try:
            client.put_archive(container, "/", buffer.getvalue())
            client.commit(container, name, "latest", changes=list(image.changes))
            yield f"{name}:latest"
        finally:
            client.remove_container(container, force=True)
            client.remove_image(f"{name}:latest")


def starts_under_docker_run(image: str) -> bool:
    """``docker run --network none IMAGE``: whether nginx's workers come."""
    with docker_client() as client:
        container = client.create_container(image, host_config=client.create_host_config(network_mode="none"))["Id"]
        try:
            try:
                client.start(container)
            except docker_errors.APIError:  # there is no such command
                return False
            deadline = Deadline.after(30)
            while client.inspect_container(container)["State"]["Running"]:
                deadline.check("waiting for nginx or its end")
                try:
                    rows = client.top(container, ps_args="-eo pid,args")["Processes"] or []
                except docker_errors.APIError:  # it has just ended
                    continue
                if any("nginx: worker" in row[-1] for row in rows):
                    return True
        finally:
            client.remove_container(container, v=True, force=True)
    return False


@pytest.mark.parametrize(
    ("name", "whose"),
    [
        *((name, "own") for name in START),
        *((name, "generated") for name in START if "owners" in name or "by name" in name),
    ],
)
def test_what_docker_run_starts_starts_here(
    lab: Lab, make_server: MakeServer, tmp_path: Path, name: str, whose: str
) -> None:
    options = {}
    if whose == "own":
        config = tmp_path / "site.conf"
        config.write_text(CONFIG)
        options["config"] = str(config)
    with made(START[name]) as image:
        assert starts_under_docker_run(image)
        spec = make_server(
            options=(("image", image), *options.items()),
            files=ARTICLE_FILES if options else (),
            certificate="locked",
            passphrase=PASSPHRASE,
        )
        with lab.serve(spec) as running:
            good, bad = (
                lab.probe(running, spec, ClientSpec(tool("python"), certificate=c, trust=("ca",)))
                for c in ("good", "expired")
            )
    assert good.status == 200
    assert (bad.status, bad.judgement.reason) == (400, Reason.EXPIRED)


@pytest.mark.parametrize("name", DONT)
def test_what_docker_run_does_not_start_is_told(lab: Lab, make_server: MakeServer, tmp_path: Path, name: str) -> None:
    config = tmp_path / "site.conf"
    config.write_text(CONFIG)
    image, reason = DONT[name]
    with made(image) as reference:
        assert not starts_under_docker_run(reference)
        spec = make_server(options=(("image", reference), ("config", str(config))), files=ARTICLE_FILES)
        with pytest.raises(ServerUnusable) as raised, lab.serve(spec):
            pass
    assert raised.value.reason is reason


def test_an_image_without_a_command_has_nginx_run_as_usual(lab: Lab, make_server: MakeServer, tmp_path: Path) -> None:
    """``docker import`` makes such ones, and ``docker run`` would want a command."""
    config = tmp_path / "site.conf"
    config.write_text(CONFIG)
    spec = make_server(
        options=(("image", DEBIAN), ("config", str(config))),
        files=ARTICLE_FILES,
        certificate="locked",
        passphrase=PASSPHRASE,
    )
    with lab.serve(spec) as running:
        good = lab.probe(running, spec, ClientSpec(tool("python"), certificate="good", trust=("ca",)))
    assert good.status == 200


def test_a_command_that_is_not_in_the_image_is_no_server_that_does_not_start(
    lab: Lab, make_server: MakeServer, tmp_path: Path
) -> None:
    """Otherwise ``expect: {starts: false}`` would hold."""
    config = tmp_path / "site.conf"
    config.write_text(CONFIG)
    with made(Made(('CMD ["engine-x"]',))) as image:
        assert not starts_under_docker_run(image)
        spec = make_server(options=(("image", image), ("config", str(config))), files=ARTICLE_FILES)
        with pytest.raises(EngineError, match=f"^image {image} can't run .*not found"), lab.serve(spec):
            pass
