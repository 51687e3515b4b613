from __future__ import annotations

import hashlib
import re
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import Credential, KeyAlgorithm, KeyCipher, KeyFormat, KeySpec, Secret
from mtls_runner.model.endpoint import ChainKind, ChainSpec
from mtls_runner.model.port import Material
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool
from mtls_runner.private_files import file_names

from . import openssl
from .conftest import MakeStore
from .describe import authority, leaf, plan


def subjects(path: Path) -> list[str]:
    """Of all certificates of a PEM file, as openssl reads it."""
    text = openssl.output("crl2pkcs7", "-nocrl", "-certfile", path)
    printed = openssl.output("pkcs7", "-print_certs", "-noout", text=text.encode())
    return re.findall(r"subject=.*?CN ?= ?([^,\n]+)", printed)


@pytest.fixture
def deep(make: MakeStore) -> Store:
    return make(
        authority(),
        authority("sub", issuer="ca"),
        leaf("leaf", issuer="sub", passphrase=Secret("opens it")),
        leaf("self", issuer=None),
        leaf("direct"),
    )


def written(deep: Store) -> None:
    for name in ("ca", "sub", "leaf", "self", "direct"):
        deep.credential(name)


def test_it_is_material(deep: Store) -> None:
    material: Material = deep
    assert material.directory.is_dir()


def test_a_credential_is_what_it_says(deep: Store) -> None:
    credential = deep.credential("leaf")
    assert ssl.PEM_cert_to_DER_cert(credential.certificate_path.read_text()) == credential.der
    assert credential.subject == "CN=leaf"
    assert credential.ancestors == ("sub", "ca")
    assert credential.passphrase == Secret("opens it")
    assert credential.passphrase_path is not None
    assert credential.passphrase_path.read_text() == "opens it\n"
    assert credential.key_path is not None
    assert openssl.opens(credential.key_path, credential.passphrase_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(credential.chain_path, credential.key_path, "opens it")
    with pytest.raises(ssl.SSLError):
        context.load_cert_chain(credential.chain_path, credential.key_path, "does not")
    assert deep.credential("ca").ancestors == deep.credential("self").ancestors == ()
    assert deep.credential("ca").passphrase_path is None


def test_the_layout_is_for_people(deep: Store) -> None:
    written(deep)
    deep.bundle(["ca", "sub"])
    files = {str(path.relative_to(deep.directory)) for path in deep.directory.rglob("*") if path.is_file()}
    endings = (".crt", ".key", ".chain.pem")
    assert files == {
        *(f"authorities/{name}{ending}" for name in ("ca", "sub") for ending in endings),
        *(f"leaves/{name}{ending}" for name in ("leaf", "self", "direct") for ending in endings),
        "leaves/leaf.passphrase",
        "bundles/ca+sub.pem",
    }


def test_only_the_user_can_read_it(deep: Store) -> None:
    written(deep)
    deep.bundle(["ca"])
    modes = {path.is_dir(): path.stat().st_mode & 0o777 for path in (deep.directory, *deep.directory.rglob("*"))}
    assert modes == {True: 0o700, False: 0o600}


def test_a_directory_that_is_open_gets_closed(tmp_path: Path, pool: KeyPool) -> None:
    directory = tmp_path / "given"
    directory.mkdir(mode=0o755)
    Store(directory, plan(authority()), start=datetime.now(UTC), pool=pool)
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_cannot_be_made(tmp_path: Path, pool: KeyPool) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MaterialError, match="file"):
        Store(tmp_path / "file" / "lab", plan(authority()), start=datetime.now(UTC), pool=pool)


def test_bundles_hold_exactly_what_is_asked_for(deep: Store) -> None:
    assert subjects(deep.bundle(["ca"])) == ["ca"]
    assert subjects(deep.bundle(["sub", "ca", "direct"])) == ["sub", "ca", "direct"]
    assert subjects(deep.bundle(["direct", "ca"])) == ["direct", "ca"]
    assert deep.bundle([]).read_bytes() == b""
    assert deep.bundle(["ca", "sub"]) == deep.bundle(("ca", "sub")) != deep.bundle(["sub", "ca"])


def test_a_bundle_of_very_many(make: MakeStore) -> None:
    ids = [f"authority-{number}" for number in range(40)]
    store = make(*map(authority, ids))
    assert subjects(store.bundle(ids)) == ids
    assert subjects(store.bundle(ids[1:])) == ids[1:]


def test_chains(deep: Store) -> None:
    def sent(certificate: str, kind: ChainKind, *ids: str) -> list[str]:
        return subjects(deep.chain(certificate, ChainSpec(kind, ids)))

    assert sent("leaf", ChainKind.FULL) == ["leaf", "sub"]
    assert sent("direct", ChainKind.FULL) == ["direct"]
    assert sent("ca", ChainKind.FULL) == ["ca"]
    assert sent("leaf", ChainKind.LEAF) == ["leaf"]
    assert sent("leaf", ChainKind.IDS) == ["leaf"]
    assert sent("leaf", ChainKind.IDS, "ca", "sub") == ["leaf", "ca", "sub"]
    assert sent("leaf", ChainKind.IDS, "direct") == ["leaf", "direct"]


def test_names(deep: Store, make: MakeStore) -> None:
    assert [deep.name(deep.credential(name).der) for name in ("ca", "leaf")] == ["ca", "leaf"]
    stranger = make(authority(subject="CN=stranger,O=elsewhere")).credential("ca")
    assert deep.name(stranger.der) == "CN=stranger,O=elsewhere"
    assert deep.name(b"nothing") == f"certificate with SHA-256 {hashlib.sha256(b'nothing').hexdigest()}"


def test_what_is_not_there(deep: Store) -> None:
    with pytest.raises(MaterialError, match="no certificate 'nobody'"):
        deep.credential("nobody")
    with pytest.raises(MaterialError, match="no certificate 'nobody'"):
        deep.bundle(["ca", "nobody"])
    with pytest.raises(MaterialError, match="no certificate 'nobody'"):
        deep.chain("leaf", ChainSpec(ChainKind.IDS, ("nobody",)))


def test_a_key_that_has_no_such_form_concerns_its_owner_only(make: MakeStore) -> None:
    key = KeySpec(KeyAlgorithm.ED25519, KeyFormat.TRADITIONAL)
    store = make(authority(), leaf("bad", key=key), leaf("good"))
    with pytest.raises(MaterialError, match="certificate 'bad': an EdDSA or ML-DSA key has no traditional"):
        store.credential("bad")
    assert store.credential("good").key_path is not None
    assert subjects(store.bundle(["bad"])) == ["bad"]


@pytest.mark.parametrize("form", list(KeyFormat))
@pytest.mark.parametrize("cipher", list(KeyCipher))
def test_keys_lie_there_as_described(make: MakeStore, form: KeyFormat, cipher: KeyCipher) -> None:
    key = KeySpec(KeyAlgorithm.RSA_2048, form, cipher)
    store = make(authority(), leaf("leaf", key=key, passphrase=Secret("s")), leaf("plain", key=key))
    encrypted, plain = store.credential("leaf").key_path, store.credential("plain").key_path
    assert encrypted is not None
    assert plain is not None
    label = {KeyFormat.PKCS8: "BEGIN ENCRYPTED PRIVATE KEY", KeyFormat.TRADITIONAL: "BEGIN RSA PRIVATE KEY"}[form]
    assert label in encrypted.read_text()
    assert ("DES-EDE3-CBC" in encrypted.read_text()) == (
        (form, cipher) == (KeyFormat.TRADITIONAL, KeyCipher.DES_EDE3_CBC)
    )
    assert "ENCRYPTED" not in plain.read_text()


def test_odd_ids_get_names_that_are_safe_and_distinct(make: MakeStore) -> None:
    ids = [
        "a b",
        "a/b",
        "a_b",
        "A_B",
        "../../up",
        "..",
        ".hidden",
        "-rf",
        "ünï",
        "x" * 300,
        "x" * 301,
        "$(id)",
        "",
        "a\nb",
    ]
    names = file_names(ids)
    assert len({name.casefold() for name in names.values()}) == len(ids)
    assert all(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,90}", name) for name in names.values())
    assert names["a b"] == "a_b"
    assert file_names(["plain", "plain.chain"]) == {"plain": "plain", "plain.chain": "plain.chain"}
    store = make(authority(), *(leaf(one, subject="CN=x") for one in ids))
    paths = {store.credential(one).certificate_path for one in ids}
    assert len(paths) == len(ids)
    assert {path.parent for path in paths} == {store.directory / "leaves"}


def test_many_threads_get_the_same_whole_files(make: MakeStore) -> None:
    ids = [f"leaf-{number}" for number in range(10)]
    store = make(authority(), *(leaf(one, passphrase=Secret("s")) for one in ids))
    barrier = threading.Barrier(8)
    got: list[list[Credential]] = []
    contents: list[list[bytes]] = []

    def work() -> None:
        barrier.wait(timeout=30)
        credentials = [store.credential(one) for one in ids]
        contents.append([one.chain_path.read_bytes() for one in credentials] + [store.bundle(ids).read_bytes()])
        got.append(credentials)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert len(got) == 8
    for credentials, read in zip(got, contents, strict=True):
        assert all(one is other for one, other in zip(credentials, got[0], strict=True))
        assert read == contents[0]
    assert not list(store.directory.rglob("*.tmp"))


def test_files_are_written_once(deep: Store) -> None:
    first = deep.credential("leaf")
    assert first.key_path is not None
    inode = first.key_path.stat().st_ino
    assert deep.credential("leaf") is first
    written(deep)
    assert first.key_path.stat().st_ino == inode


def test_progress_is_told_of_slow_keys_only(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []

    def store(name: str, algorithm: KeyAlgorithm) -> None:
        specs = plan(authority(key=KeySpec(algorithm)), leaf("leaf", key=KeySpec(algorithm)))
        start = datetime.now(UTC)
        Store(tmp_path / name, specs, start=start, pool=KeyPool(), progress=lambda *words: told.append(words))

    store("fast", KeyAlgorithm.EC_P256)
    assert told == []
    store("slow", KeyAlgorithm.RSA_1024)
    assert told == [("making RSA keys", done, 2) for done in range(3)]
