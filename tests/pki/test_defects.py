from __future__ import annotations

import re
from pathlib import Path

import pytest

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import Credential, Defect, KeyAlgorithm, KeySpec, SignatureSpec
from mtls_runner.pki import Store

from . import openssl
from .conftest import MakeStore
from .describe import Fields, authority, key, leaf
from .test_forge import BAD_SIGNATURE, INVALID_CA, NO_ISSUER, code

ALGORITHMS = [KeyAlgorithm.RSA_2048, KeyAlgorithm.EC_P256, KeyAlgorithm.ED25519]
NOT_CRITICAL = 89  # X509_V_ERR_CA_BCONS_NOT_CRITICAL, with X509_V_FLAG_X509_STRICT only


def text(store: Store, certificate: str) -> str:
    return openssl.show(store.credential(certificate).certificate_path)


def serial(store: Store, certificate: str) -> int:
    shown = openssl.output("x509", "-noout", "-serial", "-in", store.credential(certificate).certificate_path)
    return int(shown.removeprefix("serial="), 16)


def public(path: Path | None, *command: str) -> str:
    assert path is not None
    return openssl.output(*command, "-in", path)


def of_certificate(credential: Credential) -> str:
    return public(credential.certificate_path, "x509", "-noout", "-pubkey")


def of_key(credential: Credential) -> str:
    return public(credential.key_path, "pkey", "-pubout")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("defect", [Defect.WRONG_SIGNATURE_KEY, Defect.CORRUPTED_SIGNATURE])
def test_bad_signatures(make: MakeStore, algorithm: KeyAlgorithm, defect: Defect) -> None:
    store = make(
        authority(key=key(algorithm)),
        leaf("bad", defects=(defect,)),
        leaf("good"),
        authority("bad-root", defects=(defect,), key=key(algorithm)),
    )
    assert code(store, "bad") == BAD_SIGNATURE
    assert code(store, "good") == 0
    # a self-signature is looked at on demand only
    assert code(store, "bad-root", "bad-root", "-check_ss_sig") == BAD_SIGNATURE
    assert code(store, "ca", "ca", "-check_ss_sig") == 0
    identifier = re.compile(r"Authority Key Identifier: (\S+)")
    assert identifier.findall(text(store, "bad")) == identifier.findall(text(store, "good")) != []


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_corrupted_signature_is_still_well_formed(make: MakeStore, algorithm: KeyAlgorithm) -> None:
    store = make(authority(key=key(algorithm)), leaf("bad", defects=(Defect.CORRUPTED_SIGNATURE,)))
    der = store.credential("bad").der
    shown = openssl.output("asn1parse", "-inform", "DER", text=der).splitlines()[-1]
    signature = re.search(r"^ *(\d+):d=1 .*BIT STRING", shown)
    assert signature is not None
    if algorithm is KeyAlgorithm.EC_P256:  # DER within the bit string: two numbers
        offset = signature[1]
        inner = openssl.output("asn1parse", "-inform", "DER", "-strparse", offset, text=der)
        assert inner.count("INTEGER") == 2


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_of_another_certificate(make: MakeStore, algorithm: KeyAlgorithm) -> None:
    store = make(
        authority(),
        leaf("same-type", key=key(algorithm), defects=(Defect.KEY_MISMATCH,)),
        leaf("other-type", key=key(algorithm), defects=(Defect.KEY_TYPE_MISMATCH,)),
        leaf("good", key=key(algorithm)),
    )
    same, other, good = (store.credential(name) for name in ("same-type", "other-type", "good"))
    assert of_certificate(good) == of_key(good)
    assert len({of_certificate(good), of_certificate(same), of_key(same), of_certificate(other), of_key(other)}) == 5

    def kind(pem: str) -> str:
        return openssl.output("pkey", "-pubin", "-noout", "-text_pub", text=pem.encode()).splitlines()[0]

    assert kind(of_key(same)) == kind(of_certificate(same))
    assert kind(of_key(other)) != kind(of_certificate(other))
    assert [code(store, name) for name in ("same-type", "other-type", "good")] == [0, 0, 0]


def test_a_wrong_issuer_name(make: MakeStore) -> None:
    store = make(authority(), leaf("bad", defects=(Defect.WRONG_ISSUER_NAME,)), leaf("good"))
    assert "Issuer: CN=ca " not in text(store, "bad")
    assert "Issuer: CN=ca " in text(store, "good")
    assert code(store, "bad") == NO_ISSUER
    assert code(store, "good") == 0


def test_the_issuers_name_in_another_type_of_string(make: MakeStore) -> None:
    store = make(authority(subject="CN=ca,O=Lab"), leaf("other", defects=(Defect.REENCODED_ISSUER_NAME,)), leaf("same"))

    def issuer(certificate: str) -> set[str]:
        parsed = public(store.credential(certificate).certificate_path, "asn1parse")
        return set(re.findall(r"(\w+STRING) +:(?:ca|Lab)\b", parsed))

    assert issuer("other") == {"PRINTABLESTRING"}
    assert issuer("same") == {"UTF8STRING"}
    assert code(store, "other") == code(store, "same") == 0  # RFC 5280 §7.1: the type of string does not count


def test_a_name_that_no_printable_string_can_hold(make: MakeStore) -> None:
    store = make(authority(subject="CN=Zoë"), leaf("leaf", defects=(Defect.REENCODED_ISSUER_NAME,)))
    with pytest.raises(MaterialError, match=r"certificate 'leaf'.*has letters that no PrintableString can hold"):
        store.credential("leaf")


def test_an_authority_without_basic_constraints(make: MakeStore) -> None:
    store = make(
        authority(),
        authority("bad", issuer="ca", defects=(Defect.NO_BASIC_CONSTRAINTS,)),
        authority("good", issuer="ca"),
        leaf("of-bad", issuer="bad"),
        leaf("of-good", issuer="good"),
    )
    assert "Basic Constraints" not in text(store, "bad")
    assert code(store, "of-bad") == INVALID_CA
    assert code(store, "of-good") == 0


def test_basic_constraints_that_are_not_critical(make: MakeStore) -> None:
    store = make(
        authority(),
        authority("bad", issuer="ca", defects=(Defect.BASIC_CONSTRAINTS_NOT_CRITICAL,)),
        authority("good", issuer="ca"),
        leaf("of-bad", issuer="bad"),
        leaf("of-good", issuer="good"),
    )
    assert "Basic Constraints: CA:TRUE" in text(store, "bad")
    assert "Basic Constraints: critical CA:TRUE" in text(store, "good")
    assert code(store, "of-bad") == code(store, "of-good") == 0
    assert code(store, "of-bad", "ca", "-x509_strict") == NOT_CRITICAL
    assert code(store, "of-good", "ca", "-x509_strict") == 0


def test_a_negative_serial(make: MakeStore) -> None:
    store = make(authority(), leaf("bad", defects=(Defect.NEGATIVE_SERIAL,)), leaf("good"))
    assert serial(store, "bad") < 0 < serial(store, "good")
    assert code(store, "bad") == code(store, "good") == 0


def test_a_duplicate_serial(make: MakeStore) -> None:
    store = make(
        authority(),
        authority("other"),
        leaf("of-other", issuer="other"),
        leaf("lone", issuer="other", defects=(Defect.DUPLICATE_SERIAL,)),
        leaf("bad", defects=(Defect.DUPLICATE_SERIAL,)),
        leaf("first"),
        leaf("second"),
        authority("third"),
        leaf("only-child", issuer="third", defects=(Defect.DUPLICATE_SERIAL,)),
    )
    assert serial(store, "bad") == serial(store, "first") != serial(store, "second")
    assert serial(store, "lone") == serial(store, "of-other")
    assert serial(store, "only-child") == serial(store, "third")
    assert code(store, "bad") == 0


def test_no_key_identifiers(make: MakeStore) -> None:
    store = make(authority(), leaf("bad", defects=(Defect.NO_KEY_IDENTIFIERS,)), leaf("good"))
    assert "Key Identifier" not in text(store, "bad")
    assert text(store, "good").count("Key Identifier") == 2
    assert code(store, "bad") == 0


def test_version_1(make: MakeStore) -> None:
    store = make(authority(), leaf("bad", defects=(Defect.VERSION_1,)), leaf("good"))
    assert "Version: 1 (0x0)" in text(store, "bad")
    assert "X509v3" not in text(store, "bad")
    assert "Version: 3 (0x2)" in text(store, "good")
    assert code(store, "bad") == code(store, "good") == 0


@pytest.mark.parametrize(
    "fields",
    [
        Fields(defects=(Defect.VERSION_1, Defect.CORRUPTED_SIGNATURE)),
        Fields(defects=(Defect.NEGATIVE_SERIAL, Defect.WRONG_SIGNATURE_KEY)),
        Fields(signature=SignatureSpec("sha1"), defects=(Defect.CORRUPTED_SIGNATURE,)),
        Fields(signature=SignatureSpec("sha512", pss=True), defects=(Defect.CORRUPTED_SIGNATURE,)),
    ],
)
def test_several_at_once(make: MakeStore, fields: Fields) -> None:
    store = make(authority(key=key(KeyAlgorithm.RSA_2048)), leaf("bad", **fields), leaf("good"))
    assert code(store, "bad") == BAD_SIGNATURE
    assert code(store, "good") == 0


def test_everything_else_stays_as_it_was(make: MakeStore) -> None:
    """A reworked certificate differs from a sane one in the serial only, when that is all that is asked for."""
    specs = [
        leaf(
            name,
            subject="CN=Jürgen,O=b,C=DE",
            san=("DNS:a", "IP:::1", "URI:x:y", "email:a@b", "dirName:CN=c", "RID:1.2.3"),
            key=KeySpec(same_as="ca"),
            serial=value,
        )
        for name, value in (("sane", 5), ("reworked", -5))
    ]
    store = make(authority(), *specs)
    sane, reworked = (re.sub(r"Serial Number: \S+ \S+|Signature Value.*", "", text(store, spec.id)) for spec in specs)
    assert sane == reworked
    assert serial(store, "reworked") == -serial(store, "sane")
