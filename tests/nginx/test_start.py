"""A server that can't start says why, with nginx's own words; each has a twin that starts."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner.errors import ServerUnusable
from mtls_runner.model.certificate import Secret
from mtls_runner.model.endpoint import MappedFile, ServerSpec
from mtls_runner.model.observation import Reason
from mtls_runner.model.traits import Runtime
from mtls_runner.pki import Store
from mtls_runner.servers.container.engine import Engine

from ..pki.describe import PASSPHRASE
from .conftest import ARTICLE_FILES, Lab, MakeServer


@pytest.fixture(scope="module")
def lab(engine: Engine, store: Store) -> Lab:
    """An author's configuration runs as a process, too, which takes less; some of them in a container."""
    del engine  # only that there is one
    return Lab(store, consent=True)


def refusal(lab: Lab, spec: ServerSpec) -> ServerUnusable:
    with pytest.raises(ServerUnusable) as caught, lab.serve(spec):
        pass
    return caught.value


@pytest.mark.parametrize("certificate", ["locked", "locked_des3"])
def test_an_encrypted_key_needs_its_passphrase(lab: Lab, make_server: MakeServer, certificate: str) -> None:
    given = make_server(certificate=certificate, passphrase=PASSPHRASE)
    with lab.serve(given):
        pass
    assert refusal(lab, replace(given, passphrase=None)).reason == Reason.PASSPHRASE_NEEDED
    wrong = refusal(lab, replace(given, passphrase=Secret("not this")))
    assert wrong.reason == Reason.WRONG_PASSPHRASE
    assert "not this" not in str(wrong) + "".join(wrong.log)
    assert f"{certificate}.key" in str(wrong)


def test_a_passphrase_that_nobody_needs_does_no_harm(lab: Lab, make_server: MakeServer) -> None:
    with lab.serve(make_server(passphrase=Secret("needless"))):
        pass


def test_a_key_of_another_certificate(lab: Lab, make_server: MakeServer) -> None:
    assert refusal(lab, make_server(certificate="mismatch")).reason == Reason.KEY_MISMATCH


def test_a_weak_key_at_the_usual_security_level(lab: Lab, make_server: MakeServer) -> None:
    assert refusal(lab, make_server(certificate="small")).reason == Reason.WEAK_KEY
    with lab.serve(make_server(certificate="small", security_level=0)):
        pass


def test_ciphers_that_do_not_exist(lab: Lab, make_server: MakeServer) -> None:
    assert refusal(lab, make_server(ciphers="NONSENSE")).reason == Reason.CIPHER


def test_a_group_that_does_not_exist(lab: Lab, make_server: MakeServer) -> None:
    assert refusal(lab, make_server(groups=("nonsense",))).reason == Reason.BAD_CONFIG
    with lab.serve(make_server(groups=("X25519", "prime256v1"))):
        pass


def test_a_file_that_the_configuration_names_is_missing(lab: Lab, make_server: MakeServer, tmp_path: Path) -> None:
    config = tmp_path / "site.conf"
    config.write_text(ARTICLE)
    with lab.serve(make_server(config)):
        pass
    for path in (file.path for file in ARTICLE_FILES):
        files = tuple(file for file in ARTICLE_FILES if file.path != path)
        missing = refusal(lab, make_server(config, files=files))
        assert missing.reason == Reason.MISSING_FILE
        assert path in str(missing)


def test_a_wrong_passphrase_for_the_authors_configuration(lab: Lab, make_server: MakeServer, tmp_path: Path) -> None:
    config = tmp_path / "site.conf"
    config.write_text(ARTICLE)
    wrong = make_server(config, certificate="locked", passphrase=Secret("not this"))
    assert refusal(lab, wrong).reason == Reason.WRONG_PASSPHRASE
    with lab.serve(replace(wrong, passphrase=PASSPHRASE)):
        pass


def test_a_file_that_is_no_certificate(lab: Lab, make_server: MakeServer, tmp_path: Path) -> None:
    config = tmp_path / "site.conf"
    config.write_text(ARTICLE)
    (tmp_path / "nonsense.pem").write_text("nonsense\n")
    for path in (file.path for file in ARTICLE_FILES[:3]):
        nonsense = MappedFile(path, own=tmp_path / "nonsense.pem")
        files = (*(file for file in ARTICLE_FILES if file.path != path), nonsense)
        broken = refusal(lab, make_server(config, files=files))
        assert broken.reason == Reason.MALFORMED
        assert path in str(broken)


def test_a_typo_is_shown_at_its_place_in_the_authors_file(lab: Lab, make_server: MakeServer, tmp_path: Path) -> None:
    config = tmp_path / "site.conf"
    config.write_text(ARTICLE.replace("ssl_verify_client", "ssl_verfy_client"))
    line = next(n for n, text in enumerate(config.read_text().splitlines(), 1) if "verfy" in text)
    broken = refusal(lab, make_server(config, runtime=Runtime.CONTAINER))
    assert broken.reason == Reason.BAD_CONFIG
    assert f'unknown directive "ssl_verfy_client" in {config}:{line}' in str(broken)
    assert any(f"{config}:{line}" in text for text in broken.log)


def test_a_configuration_that_ends_too_early(lab: Lab, make_server: MakeServer, tmp_path: Path) -> None:
    config = tmp_path / "site.conf"
    config.write_text(ARTICLE.rstrip().removesuffix("}"))
    broken = refusal(lab, make_server(config, runtime=Runtime.CONTAINER))
    assert broken.reason == Reason.BAD_CONFIG
    assert str(config) in str(broken)


def test_a_port_on_which_nothing_listens(lab: Lab, make_server: MakeServer, tmp_path: Path) -> None:
    config = tmp_path / "site.conf"
    config.write_text(ARTICLE.replace("443", "8443"))
    usual = make_server(config, runtime=Runtime.CONTAINER)
    broken = refusal(lab, usual)
    assert broken.reason == Reason.BAD_CONFIG
    assert "nothing listens on port 443" in str(broken)
    assert "8443 ssl" in str(broken)
    with lab.serve(replace(usual, options=(*usual.options, ("port", "8443")))):
        pass


def test_a_directive_in_the_wrong_place(lab: Lab, make_server: MakeServer, tmp_path: Path) -> None:
    config = tmp_path / "site.conf"
    config.write_text(f"location / {{ return 204; }}\n{ARTICLE}")
    assert refusal(lab, make_server(config)).reason == Reason.BAD_CONFIG


ARTICLE = (Path(__file__).parents[2] / "scenarios" / "article" / "nginx.conf").read_text()
