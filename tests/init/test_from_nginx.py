"""``mtls-run init --from-nginx``: what is written tests that configuration, and passes against the real nginx."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.engine.lab import Lab
from mtls_runner.errors import UsageError
from mtls_runner.init.nginx_scenario import from_nginx
from mtls_runner.init.write import write
from mtls_runner.language import load
from mtls_runner.model.case import Plan
from mtls_runner.model.verdict import Status

from ..container_engine import IMAGE

_HERE = Path(__file__).parent / "configurations"
_ARTICLE = Path(__file__).parents[2] / "scenarios" / "article" / "nginx.conf"
_SERVER = """
server {{
  listen 443 ssl;
  ssl_certificate a.crt;
  ssl_certificate_key a.key;
  {}
}}
"""
_CHECKED = "ssl_client_certificate ca.crt; ssl_verify_client on;"


def _plan(main: Path, directory: Path) -> tuple[Plan, tuple[str, ...]]:
    draft = from_nginx(main, directory, IMAGE)
    plan = load(write(draft, directory).scenario)
    assert plan.warnings == ()
    return plan, tuple(draft.notes)


def _written(tmp_path: Path, inside: str, before: str = "") -> tuple[Plan, tuple[str, ...]]:
    main = tmp_path / "my.conf"
    main.write_text(before + _SERVER.format(inside))
    return _plan(main, tmp_path / "scenarios")


def _expected(plan: Plan) -> dict[str, str]:
    """Outcome and reason of each case, by its name without parameters."""
    found = {}
    for case in plan.cases:
        values = {check.path: [one.value for one in check.alternatives] for check in case.expect.checks}
        told = [str(value) for path in ("outcome", "reason", "status") for value in values.get(path, [])]
        found[case.name.partition("[")[0]] = " ".join(told)
    return found


@pytest.mark.usefixtures("nginx_engine")
@pytest.mark.parametrize(
    ("main", "cases"),
    [
        (_ARTICLE, 7),
        (_HERE / "virtual-hosts.conf", 7),
        (_HERE / "optional.conf", 24),
        (_HERE / "whole" / "nginx.conf", 12),
        (_HERE / "site" / "sites-available" / "site.conf", 14),
    ],
    ids=["article", "virtual-hosts", "optional", "whole", "site"],
)
def test_it_passes(main: Path, cases: int, tmp_path: Path) -> None:
    plan, _ = _plan(main, tmp_path)
    assert len(plan.cases) == cases
    with Lab(plan) as lab:
        verdicts = [lab.run(case) for case in plan.cases]
    assert [(v.case.name, v.mismatches, v.error) for v in verdicts if v.status is not Status.PASS] == []


@pytest.mark.usefixtures("nginx_engine")
def test_it_fails_when_the_configuration_changes(tmp_path: Path) -> None:
    """Somebody takes the check out after the scenario was written."""
    plan, _ = _written(tmp_path, f"{_CHECKED} location / {{ return 200 hello; }}")
    text = (tmp_path / "my.conf").read_text()
    (tmp_path / "my.conf").write_text(text.replace("ssl_verify_client on", "ssl_verify_client optional"))
    with Lab(plan) as lab:
        statuses = {case.name.partition("[")[0]: lab.run(case).status for case in plan.cases}
    assert statuses.pop("no client certificate") is Status.FAIL
    assert set(statuses.values()) == {Status.PASS}


def test_every_path_gets_material(tmp_path: Path) -> None:
    plan, notes = _plan(_HERE / "virtual-hosts.conf", tmp_path)
    files = dict(plan.cases[0].server.files)
    assert files.pop("/etc/nginx/tls/dh.pem") == f"file:{tmp_path / 'dhparam.pem'}"
    assert files == {
        "/etc/nginx/tls/shop.crt": "server.chain",
        "/etc/nginx/tls/shop.key": "server.key",
        "/etc/nginx/tls/passwords": "server.passphrase",
        "/etc/nginx/tls/api.crt": "server-api-shop-example.chain",
        "/etc/nginx/tls/api.key": "server-api-shop-example.key",
        "/etc/nginx/tls/clients.pem": "client-ca.certificate",
        "/etc/nginx/tls/clients.crl": "client-ca.crl",
    }
    assert plan.certificates["server"].san is not None
    assert "DNS:www.shop.example" in plan.certificates["server"].san
    assert notes == ()


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        ("", "accepted"),
        (_CHECKED, "server-refused no-certificate"),
        (_CHECKED.replace("on", "optional"), "accepted"),
        (
            _CHECKED.replace("on", "optional") + 'if ($ssl_client_verify != "SUCCESS") { return 403; }',
            "server-refused no-certificate",
        ),
        (
            _CHECKED.replace("on", "optional") + "location / { if ($ssl_client_verify = NONE) { return 401; } }",
            "server-refused no-certificate",
        ),
        (
            _CHECKED.replace("on", "optional") + "location /x { if ($ssl_client_verify = NONE) { return 401; } }",
            "accepted",
        ),
        (_CHECKED.replace("on", "optional") + "if ($ssl_client_verify = NONE) { return 302 /login; }", "accepted 302"),
        (_CHECKED.replace("on", "optional") + "if ($ssl_client_verify = NONE) { return 444; }", "no-connection closed"),
        (_CHECKED.replace("on", "optional") + "if ($ssl_client_verify ~ FAILED) { return 403; }", "accepted"),
    ],
)
def test_what_becomes_of_those_without_a_certificate(tmp_path: Path, inside: str, expected: str) -> None:
    plan, _ = _written(tmp_path, inside)
    assert _expected(plan)["no client certificate"] == expected


def test_settings_are_inherited_and_overridden(tmp_path: Path) -> None:
    plan, _ = _written(tmp_path, "ssl_verify_client off;", before=f"{_CHECKED} ssl_protocols TLSv1.3;")
    assert _expected(plan) == {"no client certificate": "accepted"}
    assert plan.cases[0].server.tls == ("TLSv1.3",)


def test_the_verify_depth_is_tried_at_both_sides(tmp_path: Path) -> None:
    plan, _ = _written(tmp_path, _CHECKED + "ssl_verify_depth 2;")
    expected = _expected(plan)
    assert expected["as far from its root as ssl_verify_depth 2 lets it be"] == "accepted"
    assert expected["one intermediate too many"] == "server-refused unknown-ca"
    assert plan.certificates["depth-3"].issuer == "inter-3"


@pytest.mark.parametrize(
    ("inside", "note"),
    [
        ("ssl_protocols TLSv1 TLSv1.2;", "my.conf:6: TLSv1: no client speaks that"),
        ("include snippets/gone.conf;", "snippets/gone.conf is not here"),
        ("location / { proxy_pass http://127.0.0.1:80; }", "nothing answers at http://127.0.0.1:80"),
        ("location / { proxy_pass https://app; }", "speaks plain HTTP only"),
        (f"{_CHECKED} auth_basic realm;", "auth_basic decides too"),
        ("ssl_session_ticket_key gone.key;", "nginx will not start without it"),
        ("ssl_verify_client on;", "without a usable ssl_client_certificate"),
    ],
)
def test_what_can_not_be_carried_over_is_said(tmp_path: Path, inside: str, note: str) -> None:
    _, notes = _written(tmp_path, inside)
    assert any(note in one for one in notes), notes
    text = (tmp_path / "scenarios" / "my.yaml").read_text()
    assert all(one in text for one in notes)


def test_upstreams_by_name(tmp_path: Path) -> None:
    group = "upstream group { server one:81; server two; }"
    plan, notes = _written(
        tmp_path, "location / { proxy_pass http://group; } location /b { proxy_pass http://three/; }", group
    )
    assert plan.cases[0].server.upstreams == ("one", "two", "three")
    assert not any("not understood" in note for note in notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("server { listen 80; }", "there is nothing to test"),
        ("server { listen 127.0.0.1:443 ssl; ssl_certificate a; ssl_certificate_key b; }", "can't be reached"),
        ("server { listen 443 ssl proxy_protocol; ssl_certificate a; ssl_certificate_key b; }", "PROXY protocol"),
        ("server { listen 443 ssl; ssl_certificate $name.crt; ssl_certificate_key b; }", "only plain paths"),
        ("server { listen 443 ssl;", "no nginx configuration|nothing to test"),
    ],
)
def test_nothing_to_test(tmp_path: Path, text: str, message: str) -> None:
    main = tmp_path / "my.conf"
    main.write_text(text)
    with pytest.raises(UsageError, match=message):
        from_nginx(main, tmp_path, None)


def test_the_scenario_is_not_overwritten(tmp_path: Path) -> None:
    draft = from_nginx(_ARTICLE, tmp_path, None)
    write(draft, tmp_path)
    with pytest.raises(UsageError, match="nothing is overwritten"):
        write(draft, tmp_path)
