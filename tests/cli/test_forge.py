"""``forge``, from the front door: what it makes is what openssl takes, and what it did not make it never touches."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mtls_runner.errors import MaterialError, UsageError
from mtls_runner.handout.directory import fill

from .conftest import Cli

Write = Callable[[str, str], Path]

PASSPHRASE = "s3cret-in-no-output"
SCENARIO = f"""\
name: material
ca: {{subject: CN=Lab CA, key: ec-p256}}
leaves:
  server: {{subject: CN=server.test, usage: server, key: ec-p256}}
  client: {{subject: CN=client.test, usage: client, key: rsa-2048, passphrase: {PASSPHRASE}}}
  mixed-up: {{like: client, defects: [key-mismatch]}}
  old-form:
    like: client
    key: {{algorithm: rsa-2048, format: traditional, cipher: des-ede3-cbc}}
server: {{certificate: server, client_auth: required, trust: [ca]}}
cases:
  - {{name: good, client: client, expect: accepted}}
  - {{name: old form, client: old-form, expect: accepted}}
  - {{name: mixed up, client: mixed-up, expect: {{client-unusable: key-mismatch}}}}
"""


def openssl(*arguments: str, directory: Path, code: int = 0) -> str:
    done = subprocess.run(
        ["openssl", *arguments], cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode == 0) is (code == 0), done.stderr
    return done.stdout


@pytest.fixture
def made(cli: Cli, write: Write) -> Path:
    write("material.yaml", SCENARIO)
    done = cli("forge", "material.yaml", "-o", "out", "--format", "pem", "--format", "der", "--format", "pkcs12")
    assert done.returncode == 0, done.stderr
    assert PASSPHRASE not in done.stdout + done.stderr
    return cli.directory / "out"


def test_the_index_lists_all_that_is_there_and_nothing_is_for_others(made: Path) -> None:
    index = json.loads((made / "index.json").read_text())
    listed = {name for entry in index["certificates"] + index["crls"] for name in entry["files"].values()}
    there = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert there == listed | {"index.json", ".mtls-run-forge.json"}
    assert all(stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600) for path in made.rglob("*"))
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert PASSPHRASE not in (made / "index.json").read_text()
    client = next(entry for entry in index["certificates"] if entry["id"] == "client")
    assert (client["kind"], client["subject"], client["issuer"]) == ("leaf", "CN=client.test", "CN=Lab CA")
    assert (client["issued_by"], client["encrypted"], client["usage"]) == ("ca", True, ["clientAuth"])
    told = openssl("x509", "-in", client["files"]["certificate"], "-noout", "-serial", "-dateopt", "iso_8601",
                   "-enddate", directory=made)  # fmt: skip
    serial = client["serial"]
    assert f"serial={serial.zfill(len(serial) + len(serial) % 2)}" in told  # whole bytes
    assert client["not_after"].replace("T", " ") in told


def test_pem_is_what_openssl_takes(made: Path) -> None:
    openssl("verify", "-CAfile", "authorities/ca.crt", "leaves/client.crt", directory=made)
    openssl("verify", "-CAfile", "leaves/server.crt", "leaves/client.crt", directory=made, code=2)
    public = openssl("x509", "-in", "leaves/client.crt", "-noout", "-pubkey", directory=made)
    passphrase = ("-passin", "file:leaves/client.passphrase")
    assert openssl("pkey", "-in", "leaves/client.key", *passphrase, "-pubout", directory=made) == public
    assert openssl("pkey", "-in", "leaves/mixed-up.key", *passphrase, "-pubout", directory=made) != public
    openssl("pkey", "-in", "leaves/client.key", "-passin", "pass:other", "-noout", directory=made, code=1)


@pytest.mark.parametrize("leaf", ["client", "old-form"])
def test_der_is_the_same_key_and_as_closed(made: Path, leaf: str) -> None:
    public = openssl("x509", "-inform", "DER", "-in", f"leaves/{leaf}.der", "-noout", "-pubkey", directory=made)
    key = ("pkey", "-inform", "DER", "-in", f"leaves/{leaf}.key.der")
    assert openssl(*key, "-passin", f"file:leaves/{leaf}.passphrase", "-pubout", directory=made) == public
    openssl(*key, "-passin", "pass:other", "-noout", directory=made, code=1)


def test_pkcs12_holds_key_and_certificate(made: Path) -> None:
    read = ("pkcs12", "-in", "leaves/client.p12", "-nodes", "-passin")
    text = openssl(*read, "file:leaves/client.passphrase", directory=made)
    assert "BEGIN PRIVATE KEY" in text
    assert "subject=CN = client.test" in text or "subject=CN=client.test" in text
    openssl(*read, "pass:other", directory=made, code=1)
    assert "BEGIN PRIVATE KEY" in openssl(
        "pkcs12", "-in", "leaves/server.p12", "-nodes", "-passin", "pass:", directory=made
    )
    # a key that is not the certificate's has no place in PKCS #12, and the index says so
    notes = json.loads((made / "index.json").read_text())["notes"]
    assert [note for note in notes if "mixed-up" in note and "pkcs12" in note]
    assert not (made / "leaves/mixed-up.p12").exists()


def test_forged_again_what_is_its_own_is_replaced_and_what_is_yours_stays(cli: Cli, write: Write, made: Path) -> None:
    before = (made / "leaves/client.crt").read_bytes()
    (made / "leaves/notes.txt").write_text("mine")
    write("material.yaml", SCENARIO.replace("  - {name: old form, client: old-form, expect: accepted}\n", "").replace(
        "  old-form:\n    like: client\n    key: {algorithm: rsa-2048, format: traditional, cipher: des-ede3-cbc}\n", ""
    ))  # fmt: skip
    done = cli("forge", "material.yaml", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert (made / "leaves/client.crt").read_bytes() != before
    assert (made / "leaves/notes.txt").read_text() == "mine"
    assert not (made / "leaves/old-form.crt").exists()
    assert not (made / "leaves/client.p12").exists()


def test_a_file_that_somebody_changed_stops_it_before_anything_is_written(cli: Cli, made: Path) -> None:
    (made / "leaves/client.key").write_text("mine now")
    before = {path: path.read_bytes() for path in made.rglob("*") if path.is_file()}
    done = cli("forge", "material.yaml", "-o", "out")
    assert done.returncode == 2
    assert "leaves/client.key" in done.stderr
    assert "name another directory" in done.stderr
    assert {path: path.read_bytes() for path in made.rglob("*") if path.is_file()} == before
    (made / "leaves/client.key").unlink()
    assert cli("forge", "material.yaml", "-o", "out").returncode == 0


def test_somebody_elses_directory_is_not_touched(cli: Cli, write: Write, tmp_path: Path) -> None:
    write("material.yaml", SCENARIO)
    mine = write("full/mine.txt", "mine")
    full = mine.parent
    mode = full.stat().st_mode
    done = cli("forge", "material.yaml", "-o", "full")
    assert done.returncode == 2
    assert "not empty" in done.stderr
    assert list(full.iterdir()) == [mine]
    assert full.stat().st_mode == mode
    (tmp_path / "empty").mkdir()
    assert cli("forge", "material.yaml", "-o", "empty").returncode == 0


def test_a_link_leads_nowhere(cli: Cli, made: Path, tmp_path: Path) -> None:
    for file in (made / "leaves").iterdir():
        file.unlink()
    (made / "leaves").rmdir()
    (tmp_path / "elsewhere").mkdir()
    (made / "leaves").symlink_to(tmp_path / "elsewhere")
    done = cli("forge", "material.yaml", "-o", "out")
    assert done.returncode == 2
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_was_interrupted_in_the_middle_is_finished_the_next_time(tmp_path: Path) -> None:
    directory = tmp_path / "out"
    with pytest.raises(MaterialError):  # "a" is a file by then
        fill(directory, {"a": b"1", "a/b": b"2"})
    assert (directory / "a").read_bytes() == b"1"
    assert fill(directory, {"a": b"3"}) == ()
    assert (directory / "a").read_bytes() == b"3"
    (directory / "a").write_bytes(b"mine")
    with pytest.raises(UsageError):
        fill(directory, {"a": b"4"})
    assert fill(directory, {"c": b"5"}) == ("a",)
    assert (directory / "a").read_bytes() == b"mine"


def test_what_can_t_be_made_is_said_and_the_rest_is_there(cli: Cli, write: Write) -> None:
    write("material.yaml", SCENARIO.replace("subject: CN=server.test,", "certificate: nowhere.crt, key: nowhere.key,").replace(
        "usage: server, key: ec-p256", ""
    ).replace("nowhere.key, }", "nowhere.key}"))  # fmt: skip
    (cli.directory / "nowhere.crt").mkdir()  # what is not there at all is a mistake of the file
    write("nowhere.key", "nothing")
    done = cli("forge", "material.yaml", "-o", "out")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "nowhere.crt" in done.stderr
    assert (cli.directory / "out/leaves/client.crt").exists()
    assert not (cli.directory / "out/leaves/server.crt").exists()


def test_one_file_is_wanted(cli: Cli, write: Write) -> None:
    write("two/a.yaml", SCENARIO)
    write("two/b.yaml", SCENARIO)
    done = cli("forge", "two", "-o", "out")
    assert done.returncode == 2
    assert "one scenario file" in done.stderr
    assert not (cli.directory / "out").exists()
    assert cli("forge", "two/a.yaml", "-o", "out").returncode == 0
    invalid = write("wrong.yaml", SCENARIO.replace("usage: server", "usag: server"))
    done = cli("forge", str(invalid), "-o", "other")
    assert done.returncode == 2
    assert "did you mean 'usage'" in done.stderr
    assert not (cli.directory / "other").exists()
