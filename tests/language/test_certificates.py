"""Descriptions of authorities and leaves → what the PKI is asked to make."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mtls_runner.model.certificate import (
    OF_ISSUER,
    AuthorityKeyIdentifier,
    BasicConstraints,
    CertificateSpec,
    Defect,
    Extension,
    KeyAlgorithm,
    KeyCipher,
    KeyFormat,
    KeySpec,
    Moment,
    NameConstraints,
    OwnFiles,
    Secret,
    SignatureSpec,
)
from tests.language.conftest import MINIMAL, Broken, Load, summary


@pytest.fixture(autouse=True)
def own_files(tmp_path: Path) -> None:
    """What the files below name is there; nobody looks into it before a run."""
    for name in (
        "tls/c.crt",
        "tls/c.key",
        "../chain.pem",
        "c.p12",
        "other.crt",
        "server.crt",
        "server.key",
        "x.crt",
        "x.pem",
        "y.p12",
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()


def made(load_text: Load, client: str, ca: str = "subject: CN=Root", more: str = "") -> CertificateSpec:
    text = MINIMAL.replace("{usage: client}", f"{{{client}}}").replace("subject: CN=Root", ca)
    return load_text(text.replace("leaves:\n", f"leaves:\n{more}")).certificates["client"]


def test_the_defaults_of_a_leaf(load_text: Load) -> None:
    certificates = load_text(MINIMAL).certificates
    assert certificates["client"] == CertificateSpec(
        id="client",
        authority=False,
        subject="CN=client",
        issuer="ca",
        key=KeySpec(KeyAlgorithm.EC_P256),
        passphrase=None,
        not_before=Moment(timedelta(hours=-1)),
        not_after=Moment(timedelta(hours=-1, days=365)),
        san=None,
        extended_key_usage=("clientAuth",),
        key_usage=("digitalSignature",),
        basic_constraints=BasicConstraints(False),
    )
    assert certificates["server"].san == ("DNS:localhost", "IP:127.0.0.1")
    assert certificates["server"].extended_key_usage == ("serverAuth", "clientAuth")


def test_the_defaults_of_an_authority(load_text: Load) -> None:
    root = load_text(MINIMAL).certificates["ca"]
    assert root.authority
    assert (root.subject, root.issuer) == ("CN=Root", None)
    assert root.key_usage == ("keyCertSign", "cRLSign")
    assert root.basic_constraints == BasicConstraints(True)
    assert (root.san, root.extended_key_usage) == (None, None)


def test_an_rsa_leaf_may_encipher_keys(load_text: Load) -> None:
    assert made(load_text, "key: rsa-2048").key_usage == ("digitalSignature", "keyEncipherment")


@pytest.mark.parametrize(
    ("typed", "san"),
    [
        ("[]", None),
        ("null", None),
        ("none", None),
        ("www.test", ("DNS:www.test",)),
        ("[www.test, '*.a.test', 10.0.0.1, '::1']", ("DNS:www.test", "DNS:*.a.test", "IP:10.0.0.1", "IP:::1")),
        ("['spiffe://a/b', me@a.test]", ("URI:spiffe://a/b", "email:me@a.test")),
        ("['DNS:10.0.0.1', 'uri:urn:x']", ("DNS:10.0.0.1", "URI:urn:x")),
        ("['dirName:CN=a,O=b', 'RID:1.2.3']", ("dirName:CN=a,O=b", "RID:1.2.3")),
        ("{names: [a.test], critical: true}", ("DNS:a.test",)),
    ],
)
def test_names_by_form(load_text: Load, typed: str, san: tuple[str, ...] | None) -> None:
    spec = made(load_text, f"san: {typed}")
    assert spec.san == san
    assert spec.san_critical is ("critical" in typed)


@pytest.mark.parametrize(
    ("typed", "usages"),
    [
        ("server", ("serverAuth",)),
        ("both", ("serverAuth", "clientAuth")),
        ("none", None),
        ("[]", None),
        ("[client, codeSigning, 1.3.6.1.5.5.7.3.17]", ("clientAuth", "codeSigning", "1.3.6.1.5.5.7.3.17")),
        ("{names: client, critical: true}", ("clientAuth",)),
    ],
)
def test_usage(load_text: Load, typed: str, usages: tuple[str, ...] | None) -> None:
    assert made(load_text, f"usage: {typed}").extended_key_usage == usages


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("key_usage: null", None),
        ("key_usage: [keyEncipherment, nonRepudiation]", ("keyEncipherment", "contentCommitment")),
    ],
)
def test_key_usage(load_text: Load, typed: str, expected: tuple[str, ...] | None) -> None:
    assert made(load_text, typed).key_usage == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("basic_constraints: null", None),
        ("basic_constraints: none", None),
        ("basic_constraints: {ca: false}", BasicConstraints(False)),
        ("path_length: 0", BasicConstraints(True, 0)),
        ("basic_constraints: {critical: false, path_length: 2}", BasicConstraints(True, 2, critical=False)),
    ],
)
def test_basic_constraints_of_an_authority(load_text: Load, typed: str, expected: BasicConstraints | None) -> None:
    text = MINIMAL.replace("{subject: CN=Root}", f"{{subject: CN=Root, {typed}}}")
    assert load_text(text).certificates["ca"].basic_constraints == expected


def test_name_constraints(load_text: Load) -> None:
    text = MINIMAL.replace(
        "{subject: CN=Root}",
        "{name_constraints: {permitted: [.a.test, 10.0.0.0/8, 'email:a.test'], excluded: 'dirName:O=x', critical: false}}",
    )
    assert load_text(text).certificates["ca"].name_constraints == NameConstraints(
        ("DNS:.a.test", "IP:10.0.0.0/8", "email:a.test"), ("dirName:O=x",), critical=False
    )


@pytest.mark.parametrize(
    ("typed", "key"),
    [
        ("ed448", KeySpec(KeyAlgorithm.ED448)),
        ("ml-dsa-65", KeySpec(KeyAlgorithm.ML_DSA_65)),
        ("{algorithm: rsa-3072}", KeySpec(KeyAlgorithm.RSA_3072)),
        (
            "{algorithm: rsa-2048, format: traditional, cipher: des3}",
            KeySpec(KeyAlgorithm.RSA_2048, KeyFormat.TRADITIONAL, KeyCipher.DES_EDE3_CBC),
        ),
        ("{algorithm: ec-p256, explicit: true}", KeySpec(explicit=True)),
        ("{algorithm: rsa-2048, pss: true}", KeySpec(KeyAlgorithm.RSA_2048, pss=True)),
        ("{same_as: ca}", KeySpec(KeyAlgorithm.RSA_1024, same_as="ca")),
    ],
)
def test_keys(load_text: Load, typed: str, key: KeySpec) -> None:
    assert made(load_text, f"key: {typed}", ca="key: rsa-1024").key == key


@pytest.mark.parametrize(
    ("typed", "begin", "end"),
    [
        ("days: 30", Moment(timedelta(hours=-1)), Moment(timedelta(hours=-1, days=30))),
        ("not_before: -10d, not_after: -1h", Moment(timedelta(days=-10)), Moment(timedelta(hours=-1))),
        ("not_before: +1d12h, days: 2", Moment(timedelta(hours=36)), Moment(timedelta(hours=84))),
        ("not_after: now", Moment(timedelta(hours=-1)), Moment()),
        (
            "not_before: 2020-01-31, not_after: 2099-12-31T23:59:59+02:00",
            Moment(absolute=datetime(2020, 1, 31, tzinfo=UTC)),
            Moment(absolute=datetime(2099, 12, 31, 21, 59, 59, tzinfo=UTC)),
        ),
        (
            "not_before: 2020-01-01T00:00:00Z, days: 1",
            Moment(absolute=datetime(2020, 1, 1, tzinfo=UTC)),
            Moment(absolute=datetime(2020, 1, 2, tzinfo=UTC)),
        ),
    ],
)
def test_validity(load_text: Load, typed: str, begin: Moment, end: Moment) -> None:
    spec = made(load_text, typed)
    assert (spec.not_before, spec.not_after) == (begin, end)


def test_the_rest_of_a_description(load_text: Load) -> None:
    spec = made(
        load_text,
        "serial: 0x1A, subject: 'CN=a\\,b,O=c', signature: {hash: sha384, pss: true}, defects: [version-1, key-mismatch], "
        "extensions: {1.3.6.1.4.1.5.1: '05 00', 1.2.3: {der: '0c:01:78', critical: true}, 1.2.4: {size: 300}}, "
        "subject_key_identifier: null, authority_key_identifier: null",
        ca="key: rsa-2048",
    )
    assert spec.serial == 26
    assert spec.subject == "CN=a\\,b,O=c"
    assert spec.signature == SignatureSpec("sha384", pss=True)
    assert spec.defects == (Defect.VERSION_1, Defect.KEY_MISMATCH)
    assert spec.extensions == (
        Extension("1.3.6.1.4.1.5.1", b"\x05\x00"),
        Extension("1.2.3", b"\x0c\x01x", critical=True),
        Extension("1.2.4", b"\x04\x82\x01\x2c" + bytes(300)),
    )
    assert (spec.subject_key_identifier, spec.authority_key_identifier) == (False, None)


@pytest.mark.parametrize(
    ("typed", "names"),
    [
        ("true", AuthorityKeyIdentifier()),
        ("false", None),
        ("none", None),
        ("{serial: true}", AuthorityKeyIdentifier(serial=OF_ISSUER)),
        ("{key: null, serial: ca}", AuthorityKeyIdentifier(None, "ca")),
        ("{key: ca}", AuthorityKeyIdentifier("ca")),
    ],
)
def test_whom_a_certificate_names_as_its_issuer(
    load_text: Load, typed: str, names: AuthorityKeyIdentifier | None
) -> None:
    assert made(load_text, f"authority_key_identifier: {typed}").authority_key_identifier == names


def test_like_differs_in_what_is_given_again(load_text: Load) -> None:
    good = "  good: {subject: CN=good, usage: client, passphrase: secret, days: 10, key: rsa-2048}\n"
    spec = made(load_text, "like: good, not_after: -1d, not_before: -2d", more=good)
    assert (spec.subject, spec.key.algorithm, spec.passphrase) == ("CN=good", KeyAlgorithm.RSA_2048, Secret("secret"))
    assert spec.not_after == Moment(timedelta(days=-1))  # and the inherited days count no more
    assert made(load_text, "like: good, passphrase: null", more=good).passphrase is None


def test_like_through_several(load_text: Load) -> None:
    spec = made(load_text, "like: b, usage: server", more="  a: {days: 3, usage: client}\n  b: {like: a, serial: 7}\n")
    assert (spec.serial, spec.extended_key_usage) == (7, ("serverAuth",))
    assert spec.not_after == Moment(timedelta(hours=-1, days=3))


def test_issuers_come_first(load_text: Load) -> None:
    text = """\
authorities:
  lower: {issuer: upper}
  upper: {issuer: root}
  root: {}
leaves:
  server: {issuer: lower}
server: {trust: root}
cases: [{name: x, client: server, expect: accepted}]
"""
    plan = load_text(text)
    assert list(plan.certificates) == ["root", "upper", "lower", "server"]
    client = plan.cases[0].client
    assert client is not None
    assert client.trust == ("root",)  # the root alone


def test_the_users_own_material(load_text: Load, tmp_path: Path) -> None:
    spec = made(load_text, "certificate: tls/c.crt, key: tls/c.key, chain: ../chain.pem, passphrase: {file: pw}")
    assert spec.files == OwnFiles(tmp_path / "tls/c.crt", tmp_path / "tls/c.key", tmp_path.parent / "chain.pem")
    assert spec.issuer == "ca"  # as far as anybody knows who has not read the file
    assert made(load_text, "pkcs12: c.p12, issuer: self").issuer is None
    assert made(load_text, "pkcs12: c.p12").files == OwnFiles(pkcs12=tmp_path / "c.p12")


OWN_SERVER = """\
authorities:
  one: {}
  other: {certificate: other.crt}
leaves:
  server: {certificate: server.crt, key: server.key}
  client: {issuer: one}
server: {certificate: server, trust: one}
cases: [{name: x, client: {certificate: client}, expect: accepted}]
"""


def test_which_of_several_authorities_issued_an_own_server_must_be_said(load_text: Load, broken: Broken) -> None:
    (found,) = broken(OWN_SERVER)
    assert found.message.startswith("'issuer' is missing: there are 2 authorities, and clients trust")
    assert found.span is not None
    assert found.span.line == 5

    def trusted(text: str) -> tuple[str, ...]:
        client = load_text(text).cases[0].client
        assert client is not None
        return client.trust

    assert trusted(OWN_SERVER.replace("key: server.key", "key: server.key, issuer: other")) == ("other",)
    assert trusted(OWN_SERVER.replace("key: server.key", "key: server.key, issuer: self")) == ("server",)
    assert trusted(OWN_SERVER.replace("{certificate: client}", "{certificate: client, trust: other}")) == ("other",)
    assert trusted(OWN_SERVER.replace("{certificate: client}", "{certificate: client, insecure: true}"))


@pytest.fixture(autouse=True)
def passphrase_file(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("from a file\nsecond line\n")


@pytest.mark.parametrize(
    ("typed", "secret"),
    [("secret", "secret"), ("0777", "0777"), ("{file: pw}", "from a file"), ("{env: LAB_PW}", "from the environment")],
)
def test_where_passphrases_come_from(load_text: Load, monkeypatch: pytest.MonkeyPatch, typed: str, secret: str) -> None:
    monkeypatch.setenv("LAB_PW", "from the environment")
    assert made(load_text, f"passphrase: {typed}").passphrase == Secret(secret)


@pytest.mark.parametrize(
    ("client", "message"),
    [
        ("passphrase: {env: LAB_NOT_SET}", "the environment variable LAB_NOT_SET is not set"),
        ("passphrase: {file: gone}", "the file that is named here can't be read: No such file or directory"),
        ("passphrase: ''", "this can't be a passphrase"),
        ("passphrase: {fiel: pw}", "this can't be a passphrase"),
        ("key: rsa-2049", "this is not a key algorithm"),
        ("key: {algorithm: rsa-2048, same_as: ca}", "'same_as' and 'algorithm' exclude each other"),
        ("authority_key_identifier: {key: cu}", "there is no authority or leaf 'cu'"),
        ("authority_key_identifier: {serial: nobody}", "there is no authority or leaf 'nobody'"),
        ("authority_key_identifier: {serials: true}", "there is no key 'serials' here"),
        ("authority_key_identifier: {key: [ca]}", "this names nobody"),
        ("authority_key_identifier: ca", "text can't stand here"),
        ("key: {algorithm: ec-p384, explicit: true}", "the lab writes out P-256 only; this key is ec-p384"),
        ("key: {algorithm: ec-p384, pss: true}", "only an RSA key makes PSS signatures; this one is ec-p384"),
        (
            "key: {algorithm: rsa-2048, pss: true}, passphrase: x",
            "a key for RSASSA-PSS only is written as PKCS#8, and not encrypted",
        ),
        ("extensions: {1.2.3: {size: 4, der: 05 00}}", "an extension's value is given by `der` or by `size`"),
        ("extensions: {1.2.3: {size: -1}}", "this number is out of range"),
        ("key: {same_as: client}", "these keys are each other's, in a circle"),
        ("subject: CN=a;b", "this is not a distinguished name as RFC 4514 writes it"),
        ("subject: XX=a", "this is not a distinguished name as RFC 4514 writes it"),
        ("subject: C=Germany", "this is not a distinguished name as RFC 4514 writes it"),
        ("serial: 0", "this is not a serial number"),
        ("serial: '5'", "this is not a serial number"),
        ("days: 0", "this number is out of range"),
        ("days: 5, not_after: 5d", "'days' and 'not_after' exclude each other"),
        ("not_before: 2d, not_after: 1d", "it would end before it begins"),
        ("not_before: 9999-12-01, days: 365", "it would end after the year 9999"),
        ("not_before: 0001-01-01", "this is before the year 1950"),
        ("not_before: 1949-12-31T23:59:59Z", "this is before the year 1950"),
        ("not_before: 1950-01-01T00:00:00+01:00", "this is before the year 1950"),
        ("not_before: 0001-01-01T00:00:00+05:00", "this is before the year 1950"),
        ("not_before: -300000d", "this is before the year 1950"),
        ("not_after: 1940-01-01", "this is before the year 1950"),
        ("revoked: {date: 1940-01-01}", "this is before the year 1950"),
        ("not_after: 9999-12-31T23:59:59-05:00", "this is after the year 9999"),
        ("not_before: tomorrow", "this is not a time"),
        ("not_before: 10", "this is not a time"),
        ("path_length: 1", "a leaf issues nothing"),
        ("count: 2", "only an authority stands for several"),
        ("extensions: {1.2.x: '0500'}", "this is not an OID"),
        ("extensions: {3.2.1: '0500'}", "this is not an OID"),
        ("extensions: {1.2.3: '5'}", "this is not DER in hexadecimal digits"),
        ("signature: {pss: true}", "only an RSA key makes PSS signatures; the issuer's is ec-p256"),
        ("certificate: x.crt, san: [a]", "'san' has no meaning beside an own certificate: nothing is generated"),
        ("certificate: x.crt, pkcs12: y.p12", "'certificate' and 'pkcs12' exclude each other"),
        ("certificate: x.crt, key: {algorithm: rsa-2048}", "the key of an own certificate is a file"),
        ("chain: x.pem", "'chain' needs 'certificate' beside it"),
        ("defects: corupted-signature", "this is not a defect"),
        ("like: client", "these descriptions take over each other in a circle"),
        ("san: ['IP:1.2']", "this is not an IP address"),
        ("san: ['RID:x']", "this is not an OID"),
    ],
)
def test_what_can_not_be(broken: Broken, client: str, message: str) -> None:
    text = MINIMAL.replace("{usage: client}", f"{{{client}}}")
    (diagnostic,) = broken(text)
    assert diagnostic.message == message
    assert diagnostic.span is not None
    assert diagnostic.span.line == 4


@pytest.mark.parametrize("issuer", ["self", "client"])
def test_a_leaf_may_sign_itself(load_text: Load, issuer: str) -> None:
    assert made(load_text, f"issuer: {issuer}").issuer is None
    assert made(load_text, "usage: client").issuer == "ca"


def test_circles_of_issuers(broken: Broken) -> None:
    text = MINIMAL.replace("ca: {subject: CN=Root}", "authorities:\n  ca: {issuer: cb}\n  cb: {issuer: ca}").replace(
        "server: {certificate: server}", "server: {trust: [ca]}"
    )
    text = text.replace("  server: {}", "  server: {issuer: ca}").replace("{usage: client}", "{issuer: ca}")
    assert summary(broken(text)) == [
        "2:16 these certificates issue each other in a circle",
        "3:16 these certificates issue each other in a circle",
    ]


def test_an_id_is_taken_once(broken: Broken) -> None:
    assert summary(broken(MINIMAL.replace("  server: {}", "  server: {}\n  ca: {}"))) == [
        "4:3 the id 'ca' is already taken at line 1"
    ]


def test_several_authorities_make_the_issuer_a_must(broken: Broken, load_text: Load) -> None:
    text = MINIMAL.replace("ca: {subject: CN=Root}", "authorities:\n  ca: {}\n  other: {}")
    assert summary(broken(text)) == [
        "5:3 'issuer' is missing: there are 2 authorities",
        "6:3 'issuer' is missing: there are 2 authorities",
        "7:1 'trust' is missing: client certificates are checked against it (client_auth: required)",
    ]
    one = MINIMAL.replace("ca: {subject: CN=Root}", "authorities:\n  other: {}")
    assert load_text(one).certificates["client"].issuer == "other"


@pytest.mark.parametrize("id_", ["self", "none", "full", "a b", "a.b", "-a", "ä"])
def test_ids_that_can_not_be(broken: Broken, id_: str) -> None:
    assert "this can't be an id" in summary(broken(MINIMAL + f"leaves2: x\nauthorities: {{{id_}: {{}}}}\n"))[-1]
