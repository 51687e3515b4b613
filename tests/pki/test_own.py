from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import (
    CertificateSpec,
    KeyAlgorithm,
    KeyCipher,
    KeyFormat,
    KeySpec,
    Moment,
    OwnFiles,
    Secret,
)
from mtls_runner.model.endpoint import ChainKind, ChainSpec
from mtls_runner.model.observation import Reason
from mtls_runner.pki import Store
from mtls_runner.pki.own import read_own
from mtls_runner.tls.context import Problem

from ..own_material.issuer import bom, crlf, indented, old_mac, utf_16
from . import openssl
from .conftest import MakeStore
from .describe import Fields, authority, leaf
from .test_forge import code
from .test_store import subjects

RIGHT, WRONG = Secret("right passphrase"), Secret("wrong passphrase")


@dataclass
class Mine:
    """The files of someone who has a root, an intermediate and two leaves, and a directory to put more into."""

    directory: Path
    store: Store

    def certificate(self, name: str) -> bytes:
        return self.store.credential(name).certificate_path.read_bytes()

    def key(self, name: str) -> bytes:
        path = self.store.credential(name).key_path
        assert path is not None
        return path.read_bytes()

    def file(self, name: str, *parts: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(b"".join(parts))
        return path

    def der(self, name: str) -> Path:
        return self.file(f"{name}.der", self.store.credential(name).der)

    def pkcs12(self, name: str, passphrase: str | None = None, *arguments: str) -> Path:
        path, encrypted = self.directory / f"{name}.p12", self.store.credential(name)
        assert encrypted.key_path is not None
        openssl.output(
            *("pkcs12", "-export", "-out", path, "-in", encrypted.chain_path, "-inkey", encrypted.key_path),
            *(
                "-passin",
                "pass:right passphrase",
                "-passout",
                f"pass:{RIGHT.reveal() if passphrase is None else passphrase}",
                *arguments,
            ),
        )
        return path


@pytest.fixture
def mine(tmp_path: Path, make: MakeStore) -> Mine:
    (tmp_path / "mine").mkdir()
    return Mine(
        tmp_path / "mine",
        make(
            authority(),
            authority("sub", issuer="ca"),
            leaf("leaf", issuer="sub"),
            leaf("other", issuer="sub"),
            leaf("rsa", issuer="sub", key=KeySpec(KeyAlgorithm.RSA_2048), passphrase=RIGHT),
            leaf("old", issuer="sub", not_after=Moment(timedelta(minutes=-1))),
            leaf("young", issuer="sub", not_before=Moment(timedelta(days=1))),
        ),
    )


def own(name: str = "leaf", passphrase: Secret | None = None, **files: Path | None) -> CertificateSpec:
    return leaf(name, issuer=None, passphrase=passphrase, files=OwnFiles(**files))


def own_authority(name: str = "ca", passphrase: Secret | None = None, **files: Path | None) -> CertificateSpec:
    return authority(name, passphrase=passphrase, files=OwnFiles(**files))


def problem(files: OwnFiles, passphrase: Secret | None, *, need_key: bool = True) -> Problem | None:
    return read_own(files, passphrase).unpresentable(need_key=need_key)


def presented(store: Store, name: str = "leaf", passphrase: str | None = None) -> list[str]:
    """The chain, once OpenSSL took certificate and key."""
    credential = store.credential(name)
    assert credential.key_path is not None
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(credential.chain_path, credential.key_path, passphrase)
    alone = subjects(credential.certificate_path)
    sent = subjects(credential.chain_path)
    assert alone == sent[:1]
    return sent


# --- forms that work -------------------------------------------------------------------------------------------------


def text_around(data: bytes) -> bytes:
    return b"Bag Attributes\n    friendlyName: me\nsubject=CN = a\n\n" + data + b"\ntrailing words\n"


@pytest.mark.parametrize("spoil", [bytes, crlf, text_around, bom])
def test_pem_as_editors_and_tools_leave_it(mine: Mine, make: MakeStore, spoil: Callable[[bytes], bytes]) -> None:
    chain = mine.file("a.pem", spoil(mine.certificate("leaf") + mine.certificate("sub")))
    key = mine.file("b.pem", spoil(mine.key("leaf")))
    store = make(own(certificate=chain, key=key))
    files = store.presented("leaf", ChainSpec())
    assert (files.certificate, files.key) == (chain, key)
    assert presented(store) == ["leaf", "sub"]
    assert store.notes == ()


@pytest.mark.parametrize("spoil", [old_mac, indented, utf_16])
def test_pem_that_openssl_does_not_read_is_given_as_it_is(
    mine: Mine, make: MakeStore, spoil: Callable[[bytes], bytes]
) -> None:
    chain = mine.file("a.pem", spoil(mine.certificate("leaf")))
    key = mine.file("b.pem", spoil(mine.key("leaf")))
    store = make(own(certificate=chain, key=key))
    assert (store.credential("leaf").chain_path, store.credential("leaf").key_path) == (chain, key)
    assert store.credential("leaf").subject == "CN=leaf"  # the lab itself reads it
    told = [note for note in store.notes if "OpenSSL does not" in note or "as OpenSSL wants it" in note]
    assert [note.partition(":")[0] for note in told] == ["a.pem", "b.pem"]
    with pytest.raises(ssl.SSLError):
        presented(store)


def test_openssls_own_text_around(mine: Mine, make: MakeStore) -> None:
    text = openssl.output("x509", "-text", text=mine.certificate("leaf")).encode()
    trusted = openssl.output("x509", "-trustout", "-addtrust", "clientAuth", text=mine.certificate("leaf")).encode()
    assert b"TRUSTED CERTIFICATE" in trusted
    for number, certificate in enumerate((text, trusted)):
        one = mine.file(f"{number}.pem", certificate, mine.key("leaf"))
        assert presented(make(own(certificate=one))) == ["leaf"]


def test_key_and_certificate_in_one_file(mine: Mine, make: MakeStore) -> None:
    for number, parts in enumerate((("key", "certificate"), ("certificate", "key"))):
        both = mine.file(f"both-{number}.pem", *(getattr(mine, part)("leaf") for part in parts))
        assert presented(make(own(certificate=both))) == ["leaf"]
        assert presented(make(own(certificate=both, key=both))) == ["leaf"]


def test_the_wrong_order_is_told_and_not_put_right(mine: Mine, make: MakeStore) -> None:
    chain = mine.file("c.pem", mine.certificate("sub"), mine.certificate("ca"), mine.certificate("leaf"))
    store = make(own(certificate=chain, key=mine.file("k.pem", mine.key("leaf"))))
    assert store.presented("leaf", ChainSpec()).certificate == chain
    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        presented(store)
    assert store.users_files.notes == ("c.pem: the key's certificate does not come first in it, as OpenSSL wants it",)
    good = mine.file("d.pem", mine.certificate("leaf"), mine.certificate("sub"))
    assert make(own(certificate=good, key=mine.file("k.pem", mine.key("leaf")))).users_files.notes == ()


def test_the_key_of_the_certificate_among_several(mine: Mine, make: MakeStore) -> None:
    certificate = mine.file("c.pem", mine.certificate("leaf"))
    late = make(own(certificate=certificate, key=mine.file("k.pem", mine.key("other"), mine.key("leaf"))))
    with pytest.raises(ssl.SSLError, match="KEY_VALUES_MISMATCH"):
        presented(late)
    (note,) = late.users_files.notes
    assert note == "k.pem: the certificate's key is not the first one in it, which is the one that OpenSSL takes"
    early = make(own(certificate=certificate, key=mine.file("e.pem", mine.key("leaf"), mine.key("other"))))
    assert presented(early) == ["leaf"]
    assert early.users_files.notes == ()


def test_a_chain_in_a_file_of_its_own(mine: Mine, make: MakeStore) -> None:
    store = make(
        own(
            certificate=mine.file("c.pem", mine.certificate("leaf")),
            key=mine.file("k.pem", mine.key("leaf")),
            chain=mine.file("chain.pem", mine.certificate("sub")),
        )
    )
    assert presented(store) == ["leaf", "sub"]
    store.presented("leaf", ChainSpec())
    assert store.notes == ("c.pem and chain.pem: given as one file, with line breaks between them",)
    assert subjects(store.chain("leaf", ChainSpec(ChainKind.LEAF))) == ["leaf"]


@pytest.mark.parametrize("name", ["leaf", "rsa"])
@pytest.mark.parametrize(
    ("convert", "form"),
    [
        *(
            (convert, form)
            for form in ("PEM", "DER")
            for convert in (
                ("pkcs8", "-topk8", "-nocrypt"),
                ("pkcs8", "-topk8", "-v2", "aes-128-cbc"),
                ("pkcs8", "-topk8", "-v2", "des3", "-v2prf", "hmacWithSHA1"),
                ("pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES"),
                ("pkcs8", "-topk8", "-scrypt"),
                ("pkey", "-traditional"),
            )
        ),
        # the traditional DER form has no encryption
        (("pkey", "-traditional", "-aes128"), "PEM"),
        (("pkey", "-traditional", "-des3"), "PEM"),
    ],
)
def test_keys_of_all_forms(mine: Mine, make: MakeStore, name: str, convert: tuple[str, ...], form: str) -> None:
    key = mine.directory / "key"
    given = mine.file("in", mine.key(name))
    openssl.output(
        *(*convert, "-outform", form, "-passin", "pass:right passphrase", "-passout", "pass:right passphrase"),
        *("-in", given, "-out", key),
    )
    certificate = mine.file("c.pem", mine.certificate(name))
    encrypted = "-nocrypt" not in convert and convert != ("pkey", "-traditional")
    store = make(own(certificate=certificate, key=key, passphrase=RIGHT))
    assert presented(store, passphrase="right passphrase") == [name]
    assert problem(OwnFiles(certificate=certificate, key=key), RIGHT) is None
    for passphrase, reason in ((WRONG, Reason.WRONG_PASSPHRASE), (None, Reason.PASSPHRASE_NEEDED)):
        found = problem(OwnFiles(certificate=certificate, key=key), passphrase)
        assert (found.reason if found is not None else None) == (reason if encrypted else None)
        if found is not None:
            assert found.text.startswith("key: ")
    if encrypted:
        with pytest.raises(ssl.SSLError):
            presented(store, passphrase="wrong passphrase")


def test_certificates_in_der(mine: Mine, make: MakeStore) -> None:
    store = make(own(certificate=mine.der("leaf"), key=mine.file("k", mine.key("leaf"))))
    assert presented(store) == ["leaf"]


@pytest.mark.parametrize(
    "arguments", [(), ("-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES"), ("-nomac",), ("-name", "me")]
)
@pytest.mark.parametrize("name", ["leaf", "rsa"])
def test_pkcs12(mine: Mine, make: MakeStore, name: str, arguments: tuple[str, ...]) -> None:
    container = mine.pkcs12(name, "right passphrase", *arguments)
    store = make(own(pkcs12=container, passphrase=RIGHT))
    assert presented(store, passphrase="right passphrase") == [name, "sub"]
    key = store.credential("leaf").key_path
    assert key is not None
    assert "ENCRYPTED" in key.read_text()
    assert problem(OwnFiles(pkcs12=container), RIGHT) is None
    for passphrase, reason in ((WRONG, Reason.WRONG_PASSPHRASE), (None, Reason.PASSPHRASE_NEEDED)):
        found = problem(OwnFiles(pkcs12=container), passphrase)
        assert found is not None
        assert found.reason is reason
        assert container.name in found.text


def test_pkcs12_without_a_passphrase(mine: Mine, make: MakeStore) -> None:
    container = mine.pkcs12("leaf", "", "-keypbe", "NONE", "-certpbe", "NONE")
    assert presented(make(own(pkcs12=container))) == ["leaf", "sub"]
    empty = mine.pkcs12("leaf", "")
    assert presented(make(own(pkcs12=empty, passphrase=Secret("")))) == ["leaf", "sub"]


@pytest.mark.parametrize("arguments", [("-certpbe", "PBE-SHA1-RC2-40"), ("-keypbe", "PBE-SHA1-RC4-128"), ("-legacy",)])
@pytest.mark.parametrize("passphrase", [RIGHT, WRONG, None])
def test_of_a_legacy_pkcs12_file_the_cipher_is_to_blame(
    mine: Mine, arguments: tuple[str, ...], passphrase: Secret | None
) -> None:
    container = mine.pkcs12("leaf", "right passphrase", "-provider", "legacy", "-provider", "default", *arguments)
    found = problem(OwnFiles(pkcs12=container), passphrase)
    assert found is not None
    assert found.reason is Reason.MALFORMED
    assert "leaf.p12: encrypted with RC" in found.text
    assert "it is the cipher, not the passphrase" in found.text


def test_of_a_legacy_key_the_cipher_is_to_blame(mine: Mine) -> None:
    key = mine.directory / "key"
    openssl.output(
        *("pkcs8", "-topk8", "-v1", "PBE-SHA1-RC2-128", "-provider", "legacy", "-provider", "default"),
        *("-in", mine.file("in", mine.key("leaf")), "-out", key, "-passout", "pass:right passphrase"),
    )
    found = problem(OwnFiles(certificate=mine.file("c", mine.certificate("leaf")), key=key), RIGHT)
    assert found is not None
    assert "key: encrypted with RC2" in found.text


def test_of_a_traditional_key_with_single_des_the_cipher_is_to_blame(mine: Mine) -> None:
    certificate, key = mine.file("c", mine.certificate("leaf")), mine.directory / "key"
    for cipher, blamed in (("-des-cbc", True), ("-des3", False)):
        openssl.output(
            *("pkey", "-traditional", cipher, "-provider", "legacy", "-provider", "default"),
            *("-in", mine.file("in", mine.key("leaf")), "-out", key, "-passout", "pass:right passphrase"),
        )
        found = problem(OwnFiles(certificate=certificate, key=key), RIGHT)
        assert (found is not None and "key: encrypted with DES, a legacy cipher" in found.text) == blamed
        assert (found is None) != blamed


def test_an_encrypted_key_without_its_cipher(mine: Mine) -> None:
    broken = b"-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMAA=\n-----END EC PRIVATE KEY-----\n"
    found = problem(files(mine, key=broken), RIGHT)
    assert found is not None
    assert found.text == "key.pem: an encrypted key without a DEK-Info line"


@pytest.mark.parametrize("form", ["compressed", "uncompressed"])
def test_a_certificate_whose_point_is_compressed(mine: Mine, make: MakeStore, form: str) -> None:
    key, certificate = mine.directory / "key", mine.directory / "certificate"
    converted = openssl.output("ec", "-conv_form", form, text=mine.key("leaf"))
    key.write_text(converted)
    openssl.output("req", "-x509", "-new", "-key", key, "-subj", "/CN=point", "-out", certificate)
    assert presented(make(own(certificate=certificate, key=mine.file("k", mine.key("leaf"))))) == ["point"]
    assert ("pub: 04:" in openssl.show(certificate)) == (form == "uncompressed")
    found = problem(OwnFiles(certificate=certificate, key=mine.file("other", mine.key("other"))), None)
    assert found is not None
    assert found.reason is Reason.KEY_MISMATCH


# --- what is wrong with it -------------------------------------------------------------------------------------------


def files(mine: Mine, **parts: Path | bytes | None) -> OwnFiles:
    """A good certificate and key, but for the parts given: their content, or where they are; ``None``: not named."""
    good: dict[str, Path | bytes | None] = {"certificate": mine.certificate("leaf"), "key": mine.key("leaf")}
    return OwnFiles(
        **{
            name: mine.file(f"{name}.pem", part) if isinstance(part, bytes) else part
            for name, part in (good | parts).items()
        }
    )


def test_nothing_is_wrong_with_good_files(mine: Mine) -> None:
    assert problem(files(mine), None) is None
    assert problem(files(mine), RIGHT) is None  # needless, but no fault
    assert problem(files(mine, chain=mine.certificate("sub")), None) is None


@pytest.mark.parametrize("part", ["certificate", "key", "chain"])
def test_a_missing_file(mine: Mine, part: str) -> None:
    found = problem(files(mine, **{part: mine.directory / "not-there.pem"}), None)
    assert found is not None
    assert (found.reason, found.text) == (Reason.MISSING_FILE, "not-there.pem: No such file or directory")


def test_what_is_no_file(mine: Mine) -> None:
    os.mkfifo(mine.directory / "pipe")
    for path in (mine.directory, mine.directory / "pipe", Path("/dev/zero")):
        found = problem(files(mine, key=path), None)
        assert found is not None
        assert (found.reason, found.text) == (Reason.MISSING_FILE, f"{path.name}: not a regular file")


def test_no_key_at_all(mine: Mine) -> None:
    alone = files(mine, key=None)
    found = problem(alone, None)
    assert found is not None
    assert found.reason is Reason.MISSING_FILE
    assert "certificate.pem: holds no private key" in found.text
    assert problem(alone, None, need_key=False) is None


@pytest.mark.parametrize(
    ("part", "content", "why"),
    [
        ("certificate", b"", "an empty file"),
        ("certificate", b" \n", "an empty file"),
        ("certificate", b"hello", "neither PEM nor DER"),
        ("certificate", b"0\x82\xff\xff\x00", "neither PEM nor DER"),
        ("certificate", b"0\x03\x02\x01\x01", "DER, but neither a certificate nor a private key"),
        ("certificate", b"-----BEGIN CERTIFICATE-----\nMIIB\n", "PEM whose end is missing"),
        ("certificate", b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "is not base64"),
        ("certificate", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "OpenSSL can't read"),
        ("certificate", b"-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n", "a certificate revocation list"),
        ("certificate", b"-----BEGIN PKCS7-----\nMAA=\n-----END PKCS7-----\n", "PKCS #7"),
        ("key", b"-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n", "a public key"),
        ("key", b"-----BEGIN OPENSSH PRIVATE KEY-----\nMAA=\n-----END OPENSSH PRIVATE KEY-----\n", "ssh-keygen"),
        ("key", b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n", "no usable private key"),
        ("key", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n", "no usable"),
        ("chain", b"hello", "neither PEM nor DER"),
    ],
)
def test_malformed_files(mine: Mine, part: str, content: bytes, why: str) -> None:
    found = problem(files(mine, **{part: content}), RIGHT)
    assert found is not None
    assert found.reason is Reason.MALFORMED
    assert found.text.startswith(f"{part}.pem: ")
    assert why in found.text


def test_files_under_the_wrong_name(mine: Mine) -> None:
    def told(wrong: OwnFiles) -> tuple[Reason, str] | None:
        found = problem(wrong, RIGHT)
        return (found.reason, found.text) if found is not None else None

    container = mine.pkcs12("leaf")
    bad = Reason.MALFORMED
    assert told(files(mine, certificate=mine.key("leaf"))) == (bad, "certificate.pem: no certificate in it")
    assert told(files(mine, key=mine.certificate("leaf"))) == (bad, "key.pem: no private key in it")
    assert told(files(mine, certificate=container)) == (bad, "leaf.p12: a PKCS #12 file; name it as pkcs12")
    assert told(files(mine, key=container)) == (bad, "leaf.p12: a PKCS #12 file; name it as pkcs12")
    no_container = OwnFiles(pkcs12=mine.file("c.pem", mine.certificate("leaf")))
    assert told(no_container) == (bad, "c.pem: not a PKCS #12 file")


def test_a_certificate_request_is_no_certificate(mine: Mine) -> None:
    key = mine.file("k", mine.key("leaf"))
    for form in ("PEM", "DER"):
        request = mine.directory / f"request.{form}"
        openssl.output("req", "-new", "-key", key, "-subj", "/CN=a", "-out", request, "-outform", form)
        found = problem(files(mine, certificate=request), None)
        assert found is not None
        assert found.reason is Reason.MALFORMED


@pytest.mark.parametrize("name", ["other", "rsa"])
def test_a_key_of_another_certificate(mine: Mine, name: str) -> None:
    found = problem(files(mine, key=mine.key(name)), RIGHT)
    assert found is not None
    assert (found.reason, found.text) == (Reason.KEY_MISMATCH, "key.pem: not the key of certificate.pem")


def test_what_is_not_valid_now_is_noted_and_no_problem(mine: Mine, make: MakeStore) -> None:
    store = make(
        own("a", certificate=mine.file("a.pem", mine.certificate("old"), mine.key("old"))),
        own("b", certificate=mine.file("b.pem", mine.certificate("young"), mine.key("young"))),
        own("c", certificate=mine.file("c.pem", mine.certificate("leaf"), mine.key("leaf"))),
    )
    expired, early = store.users_files.notes
    assert expired.startswith("a.pem: CN=old expired on 2")
    assert early.startswith("b.pem: CN=young is not valid before 2")
    assert store.users_files.problem("a", None) is None
    assert presented(store, "a") == ["old"]


# --- own material in the store ---------------------------------------------------------------------------------------


def test_a_leaf_that_cannot_be_read_is_answered_with_the_users_own_path(mine: Mine, make: MakeStore) -> None:
    gone = mine.directory / "gone.pem"
    store = make(
        own("no-certificate", certificate=gone, key=mine.file("k.pem", mine.key("leaf"))),
        own("no-key", certificate=mine.file("c.pem", mine.certificate("leaf")), key=gone),
        own("no-chain", certificate=mine.file("c.pem", mine.certificate("leaf"), mine.key("leaf")), chain=gone),
        own("no-container", pkcs12=gone),
        own("good", certificate=mine.file("d.pem", mine.certificate("leaf"), mine.key("leaf"))),
    )
    no_certificate = store.credential("no-certificate")
    assert no_certificate.certificate_path == no_certificate.chain_path == gone
    assert (no_certificate.der, no_certificate.subject) == (b"", "")
    assert store.credential("no-key").key_path == gone
    assert store.credential("no-chain").chain_path == gone
    assert store.credential("no-container").chain_path == store.credential("no-container").key_path == gone
    for name in ("no-certificate", "no-key", "no-chain", "no-container"):
        found = store.users_files.problem(name, None)
        assert found is not None
        assert found.reason is Reason.MISSING_FILE
        with pytest.raises(FileNotFoundError):
            presented(store, name)
    assert store.users_files.problem("good", None) is None
    assert presented(store, "good") == ["leaf"]


def test_a_leaf_without_any_certificate_file(make: MakeStore, mine: Mine) -> None:
    store = make(own(key=mine.file("k.pem", mine.key("leaf"))))
    with pytest.raises(MaterialError, match="certificate 'leaf': no file of a certificate is given"):
        store.credential("leaf")


def test_an_own_authority_is_trusted_with_all_that_its_file_holds(mine: Mine, make: MakeStore) -> None:
    both = mine.file("cas.pem", mine.certificate("ca"), mine.certificate("sub"))
    store = make(own_authority(certificate=both), own_authority("alone", certificate=mine.der("ca")))
    assert subjects(store.bundle(["ca"])) == ["ca", "sub"]
    assert subjects(store.bundle(["alone"])) == ["ca"]
    certificate = mine.file("leaf.pem", mine.certificate("leaf"))
    assert openssl.verify(certificate, store.bundle(["ca"])) == 0
    assert openssl.verify(certificate, store.bundle(["alone"])) == 20


def test_an_own_authority_that_cannot_be_read(mine: Mine, make: MakeStore) -> None:
    gone = mine.directory / "gone.pem"
    store = make(own_authority(certificate=gone), leaf("leaf"), authority("good"))
    assert store.bundle(["ca"]) == store.bundle(["good", "ca"]) == gone
    assert store.bundle(["good"]) != gone
    with pytest.raises(MaterialError, match=r"its issuer 'ca' can't sign: gone\.pem: No such file"):
        store.credential("leaf")


def test_an_own_authority_issues(mine: Mine, make: MakeStore) -> None:
    root, root_key = mine.file("ca.pem", mine.certificate("ca")), mine.file("ca.key", mine.key("ca"))
    sub_files = {"certificate": mine.file("sub.pem", mine.certificate("sub"), mine.certificate("ca"))}
    store = make(
        own_authority(certificate=root, key=root_key),
        own_authority("sub", certificate=sub_files["certificate"], key=mine.file("sub.key", mine.key("sub"))),
        own_authority("keyless", certificate=root),
        own_authority("mismatched", certificate=root, key=mine.file("x.key", mine.key("sub"))),
        leaf("leaf"),
        leaf("deep", issuer="sub"),
        leaf("impossible", issuer="keyless"),
        leaf("wrong", issuer="mismatched"),
    )
    assert code(store, "leaf") == code(store, "deep") == 0
    assert store.credential("leaf").ancestors == ("ca",)
    assert store.credential("deep").ancestors == ("sub", "ca")
    assert subjects(store.chain("deep", ChainSpec())) == ["deep", "sub"]
    with pytest.raises(MaterialError, match="its issuer 'keyless' can't sign: no private key is given"):
        store.credential("impossible")
    with pytest.raises(MaterialError, match=r"can't sign: x\.key: not the key of ca\.pem"):
        store.credential("wrong")


@pytest.mark.parametrize(("passphrase", "works"), [(RIGHT, True), (WRONG, False), (None, False)])
def test_an_own_authority_with_an_encrypted_key(make: MakeStore, passphrase: Secret | None, works: bool) -> None:
    issuing = make(
        authority(passphrase=RIGHT, key=KeySpec(KeyAlgorithm.EC_P256, KeyFormat.PKCS8, KeyCipher.DES_EDE3_CBC))
    )
    credential = issuing.credential("ca")
    store = make(
        own_authority(certificate=credential.certificate_path, key=credential.key_path, passphrase=passphrase),
        leaf("leaf"),
    )
    assert subjects(store.bundle(["ca"])) == ["ca"]  # for trust, nobody needs the key
    if works:
        assert code(store, "leaf") == 0
    else:
        with pytest.raises(MaterialError, match=r"can't sign: ca\.key: "):
            store.credential("leaf")


def test_an_own_authority_with_an_odd_serial_issues_too(make: MakeStore) -> None:
    mine = make(authority(subject="CN=Müller,C=DE", serial=-5)).credential("ca")
    store = make(own_authority(certificate=mine.certificate_path, key=mine.key_path), leaf("leaf"))
    assert code(store, "leaf") == 0


def test_own_leaves_find_their_issuers_in_the_plan(mine: Mine, make: MakeStore) -> None:
    fields = Fields(files=OwnFiles(certificate=mine.file("leaf.pem", mine.certificate("leaf"), mine.key("leaf"))))
    store = make(
        leaf("leaf", **fields),
        authority(),
        own_authority("my-root", certificate=mine.der("ca")),
        own_authority("my-sub", certificate=mine.der("sub")),
    )
    # the plan's own "ca" has the name of the declared issuer, but neither name nor key of the real one's
    assert store.credential("leaf").ancestors == ("my-sub", "my-root")
    assert presented(store) == ["leaf", "sub"]
    assert store.name(mine.store.credential("leaf").der) == "leaf"
    assert store.name(mine.store.credential("sub").der) == "my-sub"


def test_of_an_unknown_issuer_there_are_no_ancestors(mine: Mine, make: MakeStore) -> None:
    store = make(own(certificate=mine.file("leaf.pem", mine.certificate("leaf"), mine.key("leaf"))), authority())
    assert store.credential("leaf").ancestors == ()
    assert presented(store) == ["leaf"]


def test_the_labs_own_material_has_no_problem(mine: Mine) -> None:
    assert mine.store.users_files.problem("leaf", None) is None
    assert mine.store.users_files.notes == ()


def test_own_copies_are_private(mine: Mine, make: MakeStore) -> None:
    store = make(own(certificate=mine.file("c.pem", mine.certificate("leaf"), mine.key("leaf")), passphrase=RIGHT))
    store.credential("leaf")
    modes = {path.stat().st_mode & 0o777 for path in store.directory.rglob("*") if path.is_file()}
    assert modes == {0o600}


def test_reading_twice_is_the_same(mine: Mine) -> None:
    given = files(mine, chain=mine.certificate("sub"))
    assert read_own(given, None).certificate == read_own(given, None).certificate != b""
