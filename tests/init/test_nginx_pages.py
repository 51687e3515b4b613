"""``mtls-run init --from-nginx``: error pages come along, document roots do not, and that is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtls_runner.engine.lab import Lab
from mtls_runner.init.nginx_scenario import from_nginx
from mtls_runner.init.write import write
from mtls_runner.language import load
from mtls_runner.model.case import Plan
from mtls_runner.model.verdict import Status

from ..container_engine import IMAGE

_CONFIGURATION = """\
events {}
http {
  ssl_protocols TLSv1.2 TLSv1.3;
  server {
    listen 443 ssl;
    ssl_certificate a.crt; ssl_certificate_key a.key;
    ssl_client_certificate ca.crt; ssl_verify_client on;
INSIDE
  }
}
"""
_PAGES = """\
    error_page 495 =403 /495.html;
    error_page 496 =403 /496.html;
    location = /495.html { root /etc/nginx/html; internal; }
    location = /496.html { root /etc/nginx/html; internal; }
    location / { return 200 "hi\\n"; }"""
_HELLO = "location = / { return 200 hello; }"


def _written(directory: Path, inside: str, *files: str) -> tuple[Plan, list[str], str]:
    """The plan, the notes, and the scenario's text; each file's content is its own name."""
    main = directory / "nginx.conf"
    main.write_text(_CONFIGURATION.replace("INSIDE", inside))
    for name in files:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    draft = from_nginx(main, directory / "lab", IMAGE)
    scenario = write(draft, directory / "lab").scenario
    return load(scenario), list(draft.notes), scenario.read_text()


def _own(plan: Plan, directory: Path) -> dict[str, str]:
    """Path in the container → file of ours, from that directory."""
    return {
        inside: Path(what.removeprefix("file:")).resolve().relative_to(directory.resolve()).as_posix()
        for inside, what in plan.cases[0].server.files
        if what.startswith("file:")
    }


def _answers(plan: Plan) -> dict[str, set[tuple[int, bytes]]]:
    """Status and body that each case met, with each version."""
    found: dict[str, set[tuple[int, bytes]]] = {}
    with Lab(plan) as lab:
        for case in plan.cases:
            verdict = lab.run(case)
            assert verdict.status is Status.PASS, (case.name, verdict.mismatches, verdict.error)
            client = verdict.observation.client if verdict.observation is not None else None
            assert client is not None
            assert client.response is not None
            found.setdefault(case.name.partition("[")[0], set()).add((client.response.status, client.response.body))
    return found


@pytest.mark.usefixtures("nginx_engine")
def test_the_refused_get_the_page(tmp_path: Path) -> None:
    plan, notes, _ = _written(tmp_path, _PAGES, "html/495.html", "html/496.html")
    assert notes == []
    answers = _answers(plan)
    assert answers["no client certificate"] == {(403, b"html/496.html")}
    assert answers["of a foreign authority"] == {(403, b"html/495.html")}
    assert answers["a good one"] == {(200, b"hi\n")}


@pytest.mark.usefixtures("nginx_engine")
def test_a_page_that_is_not_here_is_said(tmp_path: Path) -> None:
    """The negative twin: only one of both is here."""
    plan, notes, text = _written(tmp_path, _PAGES, "html/495.html")
    assert len(notes) == 1
    place = f"{tmp_path / 'nginx.conf'}:9: "
    assert notes[0].startswith(f"{place}error_page /496.html: /etc/nginx/html/496.html is not here")
    assert f"# - {notes[0]}\n" in text
    answers = _answers(plan)
    assert {status for status, _ in answers["no client certificate"]} == {404}
    assert answers["of a foreign authority"] == {(403, b"html/495.html")}


@pytest.mark.usefixtures("nginx_engine")
def test_a_relative_root_is_that_of_any_build(tmp_path: Path) -> None:
    """Beside the image's own prefix there is another; the index comes along, since the cases ask for ``/``."""
    plan, notes, _ = _written(tmp_path, "root html; error_page 496 /496.html;", "html/496.html", "html/index.html")
    assert notes == []
    answers = _answers(plan)
    assert {body for _, body in answers["no client certificate"]} == {b"html/496.html"}
    assert answers["a good one"] == {(200, b"html/index.html")}


@pytest.mark.parametrize(
    ("inside", "file"),
    [
        ("root /etc/nginx/html; error_page 496 /e/496.html?a=b;", "html/e/496.html"),
        ("error_page 496 /e/496.html; location /e/ { root /etc/nginx/html; }", "html/e/496.html"),
        ("error_page 496 /e/496.html; location ^~ /e/ { alias pages/; }", "pages/496.html"),
        ("error_page 496 /e/496.html; location =/e/496.html { alias /etc/nginx/pages/no.html; }", "pages/no.html"),
        ("error_page 496 /e/496.html; root a; location ~* \\.HTML$ { root html; }", "html/e/496.html"),
        ("error_page 496 /e/496.html; location /e { alias pages; location /e/4 { internal; } }", "pages/496.html"),
        ("location /x { error_page 404 /e/496.html; } root html;", "html/e/496.html"),
        ("error_page 496 /e/496.html;", "html/e/496.html"),
    ],
)
def test_pages_are_found_as_nginx_finds_them(tmp_path: Path, inside: str, file: str) -> None:
    plan, notes, _ = _written(tmp_path, inside, file)
    assert file in _own(plan, tmp_path).values()
    assert f"/etc/nginx/{file}" in _own(plan, tmp_path)
    assert not any("error_page" in note for note in notes)


@pytest.mark.parametrize(
    "inside",
    [
        "error_page 496 /e/496.html; location /e/ { return 200 x; }",
        "error_page 496 /e/496.html; location /e/ { proxy_pass http://app; }",
        "error_page 496 @named; location @named { return 200 x; }",
        "error_page 496 https://elsewhere.example/;",
    ],
)
def test_an_error_page_that_is_no_file(tmp_path: Path, inside: str) -> None:
    plan, notes, _ = _written(tmp_path, inside, "html/e/496.html")
    assert _own(plan, tmp_path) == {}
    assert notes == []


def test_pages_of_a_checkout(tmp_path: Path) -> None:
    """Beside the folder of the configuration, as includes are found."""
    main = tmp_path / "sites-available"
    main.mkdir()
    page = tmp_path / "html" / "496.html"
    page.parent.mkdir()
    page.write_text("a page")
    plan, _, _ = _written(main, _PAGES)
    assert dict(plan.cases[0].server.files)["/etc/nginx/html/496.html"].endswith("html/496.html")


@pytest.mark.parametrize(
    ("inside", "files", "note"),
    [
        (f"root /etc/nginx/html; {_HELLO}", (), "root /etc/nginx/html: its files are not in the container"),
        (
            f"root /etc/nginx/html; {_HELLO}",
            ("html/a.css",),
            "root /etc/nginx/html: its files are not in the container",
        ),
        (f"location /s/ {{ alias s/; }} {_HELLO}", ("s/a",), "alias s/: its files are not in the container"),
        (f"root /srv/$host; {_HELLO}", (), "root /srv/$host: its files are not in the container"),
        (
            f"root /etc/nginx/html; error_page 404 /e/404.html; {_HELLO}",
            ("html/e/404.html", "html/a.css"),
            "root /etc/nginx/html: of its files only e/404.html came along",
        ),
        (f"error_page 404 /$status.html; {_HELLO}", (), "error_page /$status.html: which file that is depends"),
        (
            f"error_page 404 /x; location = /x {{ root /$host; }} {_HELLO}",
            (),
            "error_page /x: which file that is depends",
        ),
    ],
)
def test_what_stays_behind_is_said(tmp_path: Path, inside: str, files: tuple[str, ...], note: str) -> None:
    plan, notes, text = _written(tmp_path, inside, *files)
    assert len(notes) == 1
    assert notes[0].startswith(f"{tmp_path / 'nginx.conf'}:8: {note}")
    assert f"# - {notes[0]}\n" in text
    assert "html/a.css" not in _own(plan, tmp_path).values()


def test_nothing_is_said_of_what_came_along_whole(tmp_path: Path) -> None:
    plan, notes, _ = _written(tmp_path, "root /etc/nginx/html; error_page 404 /404.html;", "html/404.html")
    assert notes == []
    assert _own(plan, tmp_path) == {"/etc/nginx/html/404.html": "html/404.html"}
