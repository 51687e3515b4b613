from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import KeyAlgorithm, KeyCipher, KeyFormat, Secret
from mtls_runner.pki.keys import KeyPool, PrivateKey, pem_key

from . import openssl

ML_DSA = {KeyAlgorithm.ML_DSA_44, KeyAlgorithm.ML_DSA_65, KeyAlgorithm.ML_DSA_87}  # of which openssl 3.0 reads no key
PKCS8_ONLY = {KeyAlgorithm.ED25519, KeyAlgorithm.ED448, *ML_DSA}
FORMS = [
    (algorithm, form, cipher)
    for algorithm, form, cipher in itertools.product(KeyAlgorithm, KeyFormat, KeyCipher)
    if algorithm not in ML_DSA and (form is KeyFormat.PKCS8 or algorithm not in PKCS8_ONLY)
]


def private(pool: KeyPool, algorithm: KeyAlgorithm) -> PrivateKey:
    return pool.take({algorithm: 1})[algorithm][0].private


@pytest.mark.parametrize(("algorithm", "form", "cipher"), FORMS)
def test_openssl_opens_it_with_the_right_passphrase_only(
    tmp_path: Path, pool: KeyPool, algorithm: KeyAlgorithm, form: KeyFormat, cipher: KeyCipher
) -> None:
    key, right, wrong = tmp_path / "key", tmp_path / "right", tmp_path / "wrong"
    right.write_text("pässword 1\n")
    wrong.write_text("pässword 2\n")
    key.write_bytes(pem_key(private(pool, algorithm), form, cipher, Secret("pässword 1")))
    assert openssl.opens(key, right)
    assert not openssl.opens(key, wrong)


@pytest.mark.parametrize(("algorithm", "form"), sorted({(algorithm, form) for algorithm, form, _ in FORMS}))
def test_without_a_passphrase_it_is_plain_and_the_same_key(
    tmp_path: Path, pool: KeyPool, algorithm: KeyAlgorithm, form: KeyFormat
) -> None:
    key, none = tmp_path / "key", tmp_path / "none"
    none.write_text("\n")
    plain = pem_key(private(pool, algorithm), form, KeyCipher.AES_256_CBC, None)
    key.write_bytes(plain)
    assert openssl.opens(key, none)
    assert b"ENCRYPTED" not in plain
    if algorithm in {KeyAlgorithm.RSA_2048, KeyAlgorithm.RSA_1024}:  # those of which the pool has one key only
        encrypted = tmp_path / "encrypted"
        encrypted.write_bytes(pem_key(private(pool, algorithm), form, KeyCipher.DES_EDE3_CBC, Secret("x")))
        public = openssl.output("pkey", "-in", key, "-pubout")
        assert openssl.output("pkey", "-in", encrypted, "-passin", "pass:x", "-pubout") == public


@pytest.mark.parametrize(("cipher", "other"), [tuple(KeyCipher), tuple(reversed(KeyCipher))])
def test_pkcs8_is_pbes2_with_the_cipher_that_was_asked_for(pool: KeyPool, cipher: KeyCipher, other: KeyCipher) -> None:
    pem = pem_key(private(pool, KeyAlgorithm.RSA_2048), KeyFormat.PKCS8, cipher, Secret("secret"))
    text = openssl.output("asn1parse", text=pem)
    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    assert ":PBES2" in text
    assert f":{cipher}" in text
    assert f":{other}" not in text
    assert "INTEGER           :0800" in text  # 2048 rounds, so that a server starts fast


@pytest.mark.parametrize("cipher", list(KeyCipher))
@pytest.mark.parametrize(
    ("algorithm", "label"), [(KeyAlgorithm.RSA_2048, b"RSA PRIVATE KEY"), (KeyAlgorithm.EC_P256, b"EC PRIVATE KEY")]
)
def test_traditional_pem_names_its_cipher_in_its_headers(
    pool: KeyPool, algorithm: KeyAlgorithm, label: bytes, cipher: KeyCipher
) -> None:
    lines = pem_key(private(pool, algorithm), KeyFormat.TRADITIONAL, cipher, Secret("secret")).splitlines()
    assert lines[0] == b"-----BEGIN " + label + b"-----"
    assert lines[1] == b"Proc-Type: 4,ENCRYPTED"
    assert lines[2].startswith(b"DEK-Info: " + cipher.value.upper().encode() + b",")
    assert lines[3] == b""


@pytest.mark.parametrize("algorithm", sorted(PKCS8_ONLY))
@pytest.mark.parametrize("passphrase", [None, Secret("secret")])
def test_only_rsa_and_ec_keys_have_a_traditional_form(
    pool: KeyPool, algorithm: KeyAlgorithm, passphrase: Secret | None
) -> None:
    with pytest.raises(MaterialError, match="no traditional PEM form"):
        pem_key(private(pool, algorithm), KeyFormat.TRADITIONAL, KeyCipher.AES_256_CBC, passphrase)


@pytest.mark.parametrize(
    ("passphrase", "why"),
    [("", "empty"), ("x" * 1024, "more than 1023"), ("sec\nret", "line break"), ("sec\0ret", "NUL")],
)
def test_a_passphrase_that_nothing_could_read_back_is_refused(pool: KeyPool, passphrase: str, why: str) -> None:
    with pytest.raises(MaterialError, match=why) as caught:
        pem_key(private(pool, KeyAlgorithm.EC_P256), KeyFormat.PKCS8, KeyCipher.AES_256_CBC, Secret(passphrase))
    assert "sec" not in str(caught.value)


def test_the_longest_passphrase_works(tmp_path: Path, pool: KeyPool) -> None:
    key, right = tmp_path / "key", tmp_path / "right"
    right.write_text("x" * 1023 + "\n")
    for cipher in KeyCipher:
        key.write_bytes(pem_key(private(pool, KeyAlgorithm.EC_P256), KeyFormat.PKCS8, cipher, Secret("x" * 1023)))
        assert openssl.opens(key, right)
