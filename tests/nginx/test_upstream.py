"""What an application behind nginx is told, and that a client can't forge it."""

from __future__ import annotations

import urllib.parse
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mtls_runner.errors import ServerUnusable
from mtls_runner.model.endpoint import ClientSpec, Request, Response, ServerSpec
from mtls_runner.servers.nginx.running import RunningNginx
from tests.named import tool

from .conftest import Lab, MakeServer
from .test_user_config import TLS

CONFIG = f"""
upstream pool {{ server backend:9000; }}
server {{
    listen 443 ssl; {TLS}
    ssl_verify_client optional_no_ca;
    location / {{
        proxy_pass http://app:8080/inner/;
        proxy_set_header Host $host;
        proxy_set_header X-Client-Verify $ssl_client_verify;
        proxy_set_header X-Client-Dn $ssl_client_s_dn;
        proxy_set_header X-Client-Cert $ssl_client_escaped_cert;
    }}
    location /careless {{ proxy_pass http://pool; }}
}}
"""


@pytest.fixture(scope="module")
def spec(make_server: MakeServer, tmp_path_factory: pytest.TempPathFactory) -> ServerSpec:
    config = tmp_path_factory.mktemp("config") / "site.conf"
    config.write_text(CONFIG)
    responses = (Response(body=b"the application"), Response(path="/inner/teapot", status=418, body=b"short and stout"))
    return make_server(config, upstreams=("app", "backend"), responses=responses)


def ask(certificate: str | None, path: str = "/", *headers: tuple[str, str]) -> ClientSpec:
    return ClientSpec(
        tool("python"), certificate=certificate, trust=("ca",), request=Request(path=path, headers=headers)
    )


def test_what_nginx_forwards_is_recorded(lab: Lab, running: RunningNginx, spec: ServerSpec) -> None:
    seen = lab.probe(running, spec, ask("good", "/teapot?x=%20", ("X-Of-Its-Own", "a"), ("X_Underscored", "b")))
    assert (seen.status, seen.body) == (418, b"short and stout")
    assert seen.server is not None
    request = seen.server.upstream_request
    assert request is not None
    headers = dict(request.headers)
    assert (request.method, request.path) == ("GET", "/inner/teapot?x=%20")
    assert headers["host"] == "localhost"
    assert headers["x-client-verify"] == "SUCCESS"
    assert headers["x-client-dn"] == "CN=good"
    assert headers["x-of-its-own"] == "a"
    assert "x_underscored" not in headers
    pem = urllib.parse.unquote(headers["x-client-cert"]).encode()
    assert x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER) == lab.store.credential("good").der


def test_a_header_that_nginx_sets_can_not_be_forged_and_one_that_it_does_not_set_can(
    lab: Lab, running: RunningNginx, spec: ServerSpec
) -> None:
    forged = ("X-Client-Verify", "SUCCESS")
    set_by_nginx = lab.probe(running, spec, ask(None, "/", forged))
    passed_on = lab.probe(running, spec, ask(None, "/careless", forged))
    values = []
    for seen in (set_by_nginx, passed_on):
        assert seen.server is not None
        assert seen.server.upstream_request is not None
        values.append([v for n, v in seen.server.upstream_request.headers if n == "x-client-verify"])
    assert values == [["NONE"], ["SUCCESS"]]


def test_a_request_that_is_refused_is_not_forwarded(lab: Lab, running: RunningNginx, spec: ServerSpec) -> None:
    assert lab.probe(running, spec, ask("good")).status == 200
    refused = lab.probe(running, spec, ask("expired"))
    assert refused.status == 400
    assert refused.server is not None
    assert refused.server.upstream_request is None


def test_without_a_stub_the_configuration_can_not_start(lab: Lab, make_server: MakeServer, spec: ServerSpec) -> None:
    alone = make_server(Path(spec.option("config")))
    with pytest.raises(ServerUnusable, match="host not found in upstream"), lab.serve(alone):
        pass
