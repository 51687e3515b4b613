from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import (
    BasicConstraints,
    CertificateSpec,
    Defect,
    KeyAlgorithm,
    KeySpec,
    Moment,
    Secret,
    SignatureSpec,
)
from mtls_runner.model.endpoint import ChainSpec
from mtls_runner.pki import Store
from mtls_runner.pki.keys import KeyPool
from mtls_runner.pki.public_keys import public_key
from mtls_runner.pki.signatures import signed_by

from . import openssl
from .conftest import MakeStore
from .describe import authority, key, leaf, plan

NO_ISSUER, BAD_SIGNATURE, NOT_YET_VALID, EXPIRED = 20, 7, 9, 10
INVALID_CA, PATH_LENGTH, WEAK_KEY, WEAK_DIGEST = 79, 25, 66, 68


def code(store: Store, certificate: str, root: str = "ca", *arguments: str | Path) -> int:
    """What openssl says of the certificate with all its intermediates at hand."""
    credential = store.credential(certificate)
    return openssl.verify(
        credential.certificate_path, store.bundle([root]), *arguments, untrusted=credential.chain_path
    )


def dates(certificate: Path) -> tuple[datetime, datetime]:
    text = openssl.output("x509", "-noout", "-dates", "-dateopt", "iso_8601", "-in", certificate)
    begin, end = re.findall(r"=(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)Z", text)
    return datetime.fromisoformat(f"{begin}+00:00"), datetime.fromisoformat(f"{end}+00:00")


ML_DSA = (KeyAlgorithm.ML_DSA_44, KeyAlgorithm.ML_DSA_65, KeyAlgorithm.ML_DSA_87)


@pytest.mark.parametrize("algorithm", [one for one in KeyAlgorithm if one not in ML_DSA])
def test_each_algorithm_issues_and_is_issued(make: MakeStore, algorithm: KeyAlgorithm) -> None:
    store = make(authority(key=key(algorithm)), leaf("by-it", issuer="ca"), leaf("of-it", key=key(algorithm)))
    assert [code(store, certificate) for certificate in ("ca", "by-it", "of-it")] == [0, 0, 0]
    of_it = store.credential("of-it")
    assert of_it.key_path is not None
    public = openssl.output("x509", "-noout", "-pubkey", "-in", of_it.certificate_path)
    assert openssl.output("pkey", "-pubout", "-in", of_it.key_path) == public
    level_2 = code(store, "of-it", "ca", "-auth_level", "2")
    assert level_2 == (WEAK_KEY if algorithm is KeyAlgorithm.RSA_1024 else 0)


@pytest.mark.parametrize("algorithm", ML_DSA)
def test_ml_dsa_issues_and_is_issued(make: MakeStore, algorithm: KeyAlgorithm) -> None:
    """openssl reads such certificates from 3.5 on; the library that cryptography brings along is newer."""
    bad = (Defect.WRONG_SIGNATURE_KEY, Defect.CORRUPTED_SIGNATURE)
    store = make(
        authority(key=key(algorithm)),
        leaf("by-it", issuer="ca"),
        leaf("of-it", key=key(algorithm), passphrase=Secret("secret")),
        *(leaf(defect.value, defects=(defect,)) for defect in bad),
    )
    ca = x509.load_der_x509_certificate(store.credential("ca").der)
    for certificate in ("ca", "by-it", "of-it"):
        x509.load_der_x509_certificate(store.credential(certificate).der).verify_directly_issued_by(ca)
        assert signed_by(store.credential(certificate).der, store.credential("ca").der)
    for defect in bad:
        with pytest.raises(InvalidSignature):
            x509.load_der_x509_certificate(store.credential(defect.value).der).verify_directly_issued_by(ca)
        assert signed_by(store.credential(defect.value).der, store.credential("ca").der) is False
    of_it = store.credential("of-it")
    assert of_it.key_path is not None
    public = x509.load_der_x509_certificate(of_it.der).public_key()
    assert load_pem_private_key(of_it.key_path.read_bytes(), b"secret").public_key() == public
    assert str(public_key(of_it.der)) == algorithm


def test_an_authority_that_is_trusted_as_several(make: MakeStore) -> None:
    store = make(
        authority("many", subject="CN=Partner CA,O=Lab", count=3),
        leaf("good", issuer="many"),
        authority("alone", count=1),
    )
    names = openssl.output("crl2pkcs7", "-nocrl", "-certfile", store.bundle(["many", "alone"]))
    shown = openssl.output("pkcs7", "-print_certs", "-noout", text=names.encode()).replace(" = ", "=")
    assert re.findall(r"subject=(.*)\nissuer=(.*)", shown) == [
        (name, name)
        for name in ("O=Lab, CN=Partner CA", "O=Lab, CN=Partner CA 2", "O=Lab, CN=Partner CA 3", "CN=alone")
    ]
    assert code(store, "good", "many") == 0
    assert code(store, "good", "alone") == NO_ISSUER


def test_a_chain_of_depth_four(make: MakeStore) -> None:
    store = make(
        leaf("leaf", issuer="third"),  # the order of the description does not count
        authority("third", issuer="second"),
        authority("second", issuer="first"),
        authority("first", issuer="ca"),
        authority(),
        authority("stranger", subject="CN=ca"),
    )
    assert code(store, "leaf") == 0
    assert store.credential("leaf").ancestors == ("third", "second", "first", "ca")
    credential = store.credential("leaf")
    assert openssl.verify(credential.certificate_path, store.bundle(["ca"])) == NO_ISSUER
    # of the same name, but another key, which the key identifiers tell apart
    assert code(store, "leaf", "stranger") == NO_ISSUER


def test_an_authority_of_the_same_name_without_key_identifiers_is_told_by_the_signature(make: MakeStore) -> None:
    store = make(
        authority(subject_key_identifier=False, authority_key_identifier=None),
        authority("stranger", subject="CN=ca", subject_key_identifier=False, authority_key_identifier=None),
        leaf("leaf", authority_key_identifier=None),
    )
    assert code(store, "leaf") == 0
    assert code(store, "leaf", "stranger") == BAD_SIGNATURE


def test_a_cross_signed_authority_has_two_paths(make: MakeStore) -> None:
    store = make(
        authority(),
        authority("other"),
        authority("cross", subject="CN=ca", issuer="other", key=KeySpec(same_as="ca")),
        authority("not-cross", subject="CN=ca", issuer="other"),
        leaf("leaf"),
        leaf("crossed", issuer="cross"),
    )
    one, other = store.credential("leaf"), store.bundle(["other"])
    assert code(store, "leaf") == 0
    assert openssl.verify(one.certificate_path, other, untrusted=store.bundle(["cross"])) == 0
    assert openssl.verify(one.certificate_path, other, untrusted=store.bundle(["not-cross"])) == NO_ISSUER
    assert code(store, "crossed", "other") == 0
    assert code(store, "crossed", "ca") == 0
    assert store.credential("crossed").ancestors == ("cross", "other")


def test_authorities_may_sign_each_other_in_a_circle(make: MakeStore) -> None:
    store = make(
        authority("a", issuer="b"),
        authority("b", issuer="a"),
        authority("root-b", subject="CN=b", key=KeySpec(same_as="b")),
        leaf("leaf", issuer="a"),
    )
    assert store.credential("leaf").ancestors == ("a", "b")
    assert code(store, "leaf", "root-b") == 0
    assert code(store, "leaf", "a") != 0


def test_a_leaf_that_issues_is_no_authority(make: MakeStore) -> None:
    store = make(
        authority(),
        leaf("issuing"),
        leaf("by-leaf", issuer="issuing"),
        authority("sub", issuer="ca"),
        leaf("by-sub", issuer="sub"),
    )
    assert code(store, "by-leaf") == INVALID_CA
    assert code(store, "by-sub") == 0


def test_path_length(make: MakeStore) -> None:
    def specs(length: int) -> tuple[CertificateSpec, ...]:
        return (
            authority(basic_constraints=BasicConstraints(ca=True, path_length=length)),
            authority("sub", issuer="ca"),
            leaf("leaf", issuer="sub"),
        )

    assert code(make(*specs(1)), "leaf") == 0
    assert code(make(*specs(0)), "leaf") == PATH_LENGTH


def test_validity_relative_to_the_start_and_absolute(tmp_path: Path, pool: KeyPool) -> None:
    start = datetime(2031, 5, 6, 7, 8, 9, 999_999, tzinfo=UTC)
    begin, end = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2055, 1, 2, 3, 4, 5, tzinfo=UTC)
    store = Store(
        tmp_path / "lab",
        plan(
            authority(not_before=Moment(absolute=begin), not_after=Moment(absolute=end)),
            leaf("leaf", not_before=Moment(timedelta(days=-10)), not_after=Moment(timedelta(days=-1))),
        ),
        start=start,
        pool=pool,
    )
    assert dates(store.credential("ca").certificate_path) == (begin, end)
    whole = start.replace(microsecond=0)
    expected = (whole - timedelta(days=10), whole - timedelta(days=1))
    assert dates(store.credential("leaf").certificate_path) == expected
    at = {day: str(int((start + timedelta(days=day)).timestamp())) for day in (-11, -5, 0)}
    codes = {day: code(store, "leaf", "ca", "-attime", moment) for day, moment in at.items()}
    assert codes == {-11: NOT_YET_VALID, -5: 0, 0: EXPIRED}


def test_validity_that_ends_before_it_begins(make: MakeStore) -> None:
    store = make(authority(), leaf("leaf", not_after=Moment(timedelta(days=-3))), leaf("good"))
    begin, end = dates(store.credential("leaf").certificate_path)
    assert end < begin
    assert code(store, "leaf") == EXPIRED
    assert code(store, "good") == 0


@pytest.mark.parametrize("serial", [1, 0x1234, (1 << 159) - 1, 0, 1 << 200, -5])
def test_a_given_serial(make: MakeStore, serial: int) -> None:
    store = make(authority(), leaf("leaf", serial=serial))
    text = openssl.output("x509", "-noout", "-serial", "-in", store.credential("leaf").certificate_path)
    assert int(text.removeprefix("serial="), 16) == serial
    assert code(store, "leaf") == 0


def test_serials_are_random(make: MakeStore) -> None:
    store = make(authority(), *(leaf(f"leaf-{number}") for number in range(20)))
    serials = {
        openssl.output("x509", "-noout", "-serial", "-in", store.credential(f"leaf-{number}").certificate_path)
        for number in range(20)
    }
    assert len(serials) == 20


def test_key_identifiers(make: MakeStore) -> None:
    store = make(
        authority(),
        leaf("both"),
        leaf("neither", subject_key_identifier=False, authority_key_identifier=None),
    )

    def identifier(certificate: str, which: str) -> str | None:
        text = openssl.show(store.credential(certificate).certificate_path)
        found = re.search(rf"X509v3 {which} Key Identifier: ([0-9A-F:]+)", text)
        return found[1] if found is not None else None

    assert identifier("both", "Authority") == identifier("ca", "Subject") is not None
    assert identifier("both", "Subject") not in {None, identifier("ca", "Subject")}
    assert identifier("neither", "Authority") is identifier("neither", "Subject") is None
    assert code(store, "both") == code(store, "neither") == 0


@pytest.mark.parametrize(
    ("algorithm", "signature", "shown"),
    [
        (KeyAlgorithm.RSA_2048, SignatureSpec(), "sha256WithRSAEncryption"),
        (KeyAlgorithm.RSA_2048, SignatureSpec("sha384"), "sha384WithRSAEncryption"),
        (KeyAlgorithm.RSA_2048, SignatureSpec("SHA-512"), "sha512WithRSAEncryption"),
        (KeyAlgorithm.RSA_2048, SignatureSpec(pss=True), "rsassaPss Hash Algorithm: sha256"),
        (KeyAlgorithm.RSA_2048, SignatureSpec("sha512", pss=True), "rsassaPss Hash Algorithm: sha512"),
        (KeyAlgorithm.EC_P384, SignatureSpec("sha384"), "ecdsa-with-SHA384"),
        (KeyAlgorithm.EC_P256, SignatureSpec(), "ecdsa-with-SHA256"),
        (KeyAlgorithm.ED25519, SignatureSpec(), "ED25519"),
        (KeyAlgorithm.ED448, SignatureSpec(), "ED448"),
    ],
)
def test_signatures(make: MakeStore, algorithm: KeyAlgorithm, signature: SignatureSpec, shown: str) -> None:
    store = make(authority(key=key(algorithm)), leaf("leaf", signature=signature))
    assert f"Signature Algorithm: {shown}" in openssl.show(store.credential("leaf").certificate_path)
    assert code(store, "leaf", "ca", "-auth_level", "2") == 0


@pytest.mark.parametrize(
    ("algorithm", "signature", "shown"),
    [
        (KeyAlgorithm.RSA_2048, SignatureSpec("sha1"), "sha1WithRSAEncryption"),
        (KeyAlgorithm.RSA_2048, SignatureSpec("md5"), "md5WithRSAEncryption"),
        (KeyAlgorithm.RSA_2048, SignatureSpec("sha1", pss=True), "rsassaPss Hash Algorithm: sha1"),
        (KeyAlgorithm.RSA_2048, SignatureSpec("md5", pss=True), "rsassaPss Hash Algorithm: md5"),
        (KeyAlgorithm.EC_P256, SignatureSpec("sha1"), "ecdsa-with-SHA1"),
    ],
)
def test_weak_hashes(make: MakeStore, algorithm: KeyAlgorithm, signature: SignatureSpec, shown: str) -> None:
    store = make(authority(key=key(algorithm)), leaf("weak", signature=signature), leaf("strong"))
    assert f"Signature Algorithm: {shown}" in openssl.show(store.credential("weak").certificate_path)
    assert code(store, "weak", "ca", "-auth_level", "0") == 0
    assert code(store, "weak", "ca", "-auth_level", "2") == WEAK_DIGEST
    assert code(store, "strong", "ca", "-auth_level", "2") == 0


@pytest.mark.parametrize(
    ("algorithm", "signature", "why"),
    [
        (KeyAlgorithm.EC_P256, SignatureSpec("md5"), "no object identifier"),
        (KeyAlgorithm.EC_P256, SignatureSpec(pss=True), "only an RSA key"),
        (KeyAlgorithm.ED25519, SignatureSpec("sha256"), "prescribe their own hash"),
        (KeyAlgorithm.RSA_2048, SignatureSpec("sha257"), "'sha257' is not one of the hashes"),
        (KeyAlgorithm.RSA_1024, SignatureSpec("sha512", pss=True), "can't be made"),
    ],
)
def test_signatures_that_nobody_can_make(
    make: MakeStore, algorithm: KeyAlgorithm, signature: SignatureSpec, why: str
) -> None:
    store = make(authority(key=key(algorithm)), leaf("bad", signature=signature), leaf("good"))
    with pytest.raises(MaterialError, match=f"certificate 'bad'.*{why}"):
        store.credential("bad")
    assert code(store, "good") == 0  # and nobody else is concerned


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (leaf("bad", subject="no name"), "not a distinguished name"),
        (leaf("bad", subject="C=Germany"), "two letters of a country"),
        (leaf("bad", issuer="nobody"), "its issuer 'nobody' does not exist"),
        (leaf("bad", key=KeySpec(same_as="nobody")), "'nobody', which does not exist"),
        (leaf("bad", key=KeySpec(same_as="bad")), "in a circle: bad"),
        (leaf("bad", not_before=Moment(absolute=datetime(1900, 1, 1, tzinfo=UTC))), "can't be made"),
        (leaf("bad", not_after=Moment(timedelta(days=9_999_999))), "can't be made"),
    ],
)
def test_descriptions_that_cannot_be_met(make: MakeStore, bad: CertificateSpec, why: str) -> None:
    store = make(authority(), bad, leaf("good"))
    with pytest.raises(MaterialError, match=f"certificate 'bad'.*{why}"):
        store.credential("bad")
    with pytest.raises(MaterialError, match="certificate 'bad'"):
        store.bundle(["ca", "bad"])
    assert code(store, "good") == 0


EXPLICIT_CURVE = 94  # X509_V_ERR_EC_KEY_EXPLICIT_PARAMS


def test_a_curve_that_is_written_out(make: MakeStore) -> None:
    store = make(authority(), leaf("explicit", key=KeySpec(explicit=True)), leaf("named"))
    assert "Field Type: prime-field" in openssl.show(store.credential("explicit").certificate_path)
    assert "Field Type" not in openssl.show(store.credential("named").certificate_path)
    assert code(store, "explicit") == EXPLICIT_CURVE
    assert code(store, "named") == 0


def test_rsa_keys_for_rsassa_pss_only(make: MakeStore) -> None:
    pss = KeySpec(KeyAlgorithm.RSA_2048, pss=True)
    store = make(authority(key=pss), leaf("leaf", key=pss), leaf("forged", defects=(Defect.WRONG_SIGNATURE_KEY,)))
    for certificate in ("ca", "leaf"):
        credential = store.credential(certificate)
        assert credential.key_path is not None
        shown = openssl.show(credential.certificate_path)
        assert "Public Key Algorithm: rsassaPss" in shown
        assert "Signature Algorithm: rsassaPss" in shown
        assert "PSS parameter restrictions" in openssl.output("pkey", "-noout", "-text", "-in", credential.key_path)
        of_key = openssl.output("pkey", "-pubout", "-in", credential.key_path)
        assert of_key == openssl.output("x509", "-noout", "-pubkey", "-in", credential.certificate_path)
    assert code(store, "leaf") == 0
    assert code(store, "forged") == BAD_SIGNATURE


def test_identities_never_share_a_key_unless_on_purpose(make: MakeStore) -> None:
    algorithms = [KeyAlgorithm.RSA_1024, KeyAlgorithm.EC_P256, KeyAlgorithm.ED25519]
    store = make(
        authority(),
        *(leaf(f"{name}-{algorithm}", key=key(algorithm)) for algorithm in algorithms for name in "abc"),
        leaf("shared", key=KeySpec(same_as="a-ec-p256")),
    )

    def public(certificate: str) -> str:
        return openssl.output("x509", "-noout", "-pubkey", "-in", store.credential(certificate).certificate_path)

    ids = [f"{name}-{algorithm}" for algorithm in algorithms for name in "abc"]
    assert len({public(certificate) for certificate in ids}) == 9
    assert public("shared") == public("a-ec-p256")
    assert store.chain("shared", ChainSpec()).read_bytes() != store.chain("a-ec-p256", ChainSpec()).read_bytes()
