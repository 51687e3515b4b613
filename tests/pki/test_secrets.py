"""No passphrase and no key shows where a person or a log could read it."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import Struct

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import Guarded, KeyAlgorithm, KeyFormat, KeySpec, OwnFiles, Secret
from mtls_runner.model.endpoint import ClientSpec, Request
from mtls_runner.pki.keys import KeyPool, pem_key
from mtls_runner.pki.own import read_own
from mtls_runner.pki.own_content import read_content
from mtls_runner.pki.own_keys import open_pkcs12
from mtls_runner.registry import registry

from .conftest import MakeStore
from .describe import authority, leaf

SECRET = "hunter2-hunter2"


def private_text(path: Path | None) -> str:
    assert path is not None
    return path.read_text().splitlines()[5]


def test_reprs_of_what_the_store_hands_out(make: MakeStore) -> None:
    store = make(authority(passphrase=Secret(SECRET)), leaf("leaf", passphrase=Secret(SECRET)), leaf("plain"))
    shown = repr([store.credential(name) for name in ("ca", "leaf", "plain")]) + repr(store) + repr(vars(store))
    assert SECRET not in shown
    assert "MIG" not in shown  # how an EC key in PKCS #8 begins
    assert "PRIVATE KEY" not in shown


def test_reprs_of_own_material(make: MakeStore) -> None:
    credential = make(authority(), leaf("leaf", passphrase=Secret(SECRET))).credential("leaf")
    files = OwnFiles(certificate=credential.certificate_path, key=credential.key_path)
    own = read_own(files, Secret(SECRET))
    assert own.private is not None
    assert own.key is not None
    assert credential.key_path is not None
    shown = repr(own) + repr(read_content(credential.key_path)) + repr(own.issuer())
    assert SECRET not in shown
    assert private_text(credential.key_path) not in shown
    assert "BEGIN" not in shown


@pytest.mark.parametrize("passphrase", [f"{SECRET}\n", f"{SECRET}\0", SECRET * 100])
def test_errors_of_bad_passphrases(pool: KeyPool, passphrase: str) -> None:
    key = pool.take({KeyAlgorithm.EC_P256: 1})[KeyAlgorithm.EC_P256][0].private
    with pytest.raises(MaterialError) as caught:
        pem_key(key, KeyFormat.PKCS8, KeySpec().cipher, Secret(passphrase))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_problems_of_wrong_passphrases(tmp_path: Path, make: MakeStore) -> None:
    credential = make(authority(), leaf("leaf", passphrase=Secret("right"))).credential("leaf")
    files = OwnFiles(certificate=credential.certificate_path, key=credential.key_path)
    found = read_own(files, Secret(SECRET)).problem
    assert found is not None
    assert SECRET not in repr(found)
    container = tmp_path / "x.p12"
    container.write_bytes(b"0\x03\x02\x01\x03")
    assert SECRET not in repr(open_pkcs12(container.read_bytes(), Secret(SECRET), "x.p12"))
    assert SECRET not in repr(read_own(OwnFiles(pkcs12=container), Secret(SECRET)).problem)


def test_no_file_but_the_passphrase_file_holds_the_passphrase(make: MakeStore) -> None:
    store = make(authority(), leaf("leaf", passphrase=Secret(SECRET)))
    for name in ("ca", "leaf"):
        store.credential(name)
    holders = [path.name for path in store.directory.rglob("*") if path.is_file() and SECRET in path.read_text()]
    assert holders == ["leaf.passphrase"]


def _structs(of: type[Struct]) -> Iterator[type[Struct]]:
    for one in of.__subclasses__():
        yield one
        yield from _structs(one)


def test_what_a_repr_must_not_show_is_a_field_and_stays_hidden() -> None:
    hiding = [one for one in _structs(Struct) if getattr(one, "hidden", None)]
    assert {one.__name__ for one in hiding} >= {
        "Credential",
        "KeyPair",
        "Forged",
        "Request",
        "ClientView",
        "ClientSpec",
    }
    for one in hiding:
        assert issubclass(one, Guarded), one
        assert one.hidden <= set(one.__struct_fields__), one
    request = Request(path="/seen", body=b"unseen", headers=(("Authorization", "unseen"),))
    shown = repr(ClientSpec(registry().clients.default, request=request, send=b"unseen"))
    assert "/seen" in shown
    assert "unseen" not in shown
