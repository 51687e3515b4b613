from __future__ import annotations

import pytest
from msgspec.structs import replace

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import (
    OF_ISSUER,
    AuthorityKeyIdentifier,
    BasicConstraints,
    CertificateSpec,
    Extension,
    NameConstraints,
)

from . import openssl
from .conftest import MakeStore
from .describe import Fields, authority, leaf
from .test_forge import code

UNHANDLED_EXTENSION, NAME_VIOLATION, EXCLUDED_NAME, PURPOSE, UNKNOWN_ISSUER = 34, 47, 48, 26, 20
NULL = b"\x05\x00"


def shown(make: MakeStore, spec: CertificateSpec) -> str:
    store = make(authority(), spec)
    return openssl.show(store.credential(spec.id).certificate_path)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (Fields(key_usage=("digitalSignature", "keyEncipherment")), "Key Usage: critical Digital Signature, Key Enc"),
        (Fields(key_usage=("cRLSign",), key_usage_critical=False), "Key Usage: CRL Sign"),
        (Fields(key_usage=("keyAgreement", "encipherOnly")), "Key Usage: critical Key Agreement, Encipher Only"),
        (Fields(key_usage=("contentCommitment",)), "Key Usage: critical Non Repudiation"),
        (Fields(extended_key_usage=("clientAuth",)), "Extended Key Usage: TLS Web Client Authentication X"),
        (Fields(extended_key_usage=("anyExtendedKeyUsage",)), "Extended Key Usage: Any Extended Key Usage X"),
        (Fields(extended_key_usage=("OCSPSigning", "1.2.3.4")), "Extended Key Usage: OCSP Signing, 1.2.3.4 X"),
        (
            Fields(extended_key_usage=("codeSigning",), extended_key_usage_critical=True),
            "Extended Key Usage: critical Code Signing X",
        ),
        (Fields(san=("DNS:a",), san_critical=True), "Alternative Name: critical DNS:a X"),
        (Fields(basic_constraints=BasicConstraints(ca=False, critical=False)), "Basic Constraints: CA:FALSE"),
        (
            Fields(basic_constraints=BasicConstraints(ca=True, path_length=3)),
            "Basic Constraints: critical CA:TRUE, pathlen:3 X",
        ),
        (
            Fields(name_constraints=NameConstraints(("DNS:a",), ("IP:10.0.0.0/8",), critical=False)),
            "Name Constraints: Permitted: DNS:a Excluded: IP:10.0.0.0/255.0.0.0 X",
        ),
        (
            Fields(authority_key_identifier=AuthorityKeyIdentifier(None, "leaf"), serial=0x4711),
            "Authority Key Identifier: DirName:/CN=ca serial:47:11",
        ),
        (
            Fields(authority_key_identifier=AuthorityKeyIdentifier(serial="leaf"), serial=0x4711),
            " DirName:/CN=ca serial:47:11",
        ),
        (Fields(extensions=(Extension("1.2.3.4.5", b"\x04\x02hi"),)), "1.2.3.4.5: ..hi"),
        (Fields(extensions=(Extension("1.2.3.4.5", NULL, critical=True),)), "1.2.3.4.5: critical"),
    ],
)
def test_given(make: MakeStore, fields: Fields, expected: str) -> None:
    assert expected in shown(make, leaf("leaf", **fields)) + " X"
    assert expected not in shown(make, leaf("leaf"))


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        (Fields(key_usage=None), "X509v3 Key Usage"),
        (Fields(key_usage=()), "X509v3 Key Usage"),
        (Fields(extended_key_usage=None), "Extended Key Usage"),
        (Fields(extended_key_usage=()), "Extended Key Usage"),
        (Fields(san=None), "Subject Alternative Name"),
        (Fields(basic_constraints=None), "Basic Constraints"),
        (Fields(subject_key_identifier=False), "Subject Key Identifier"),
        (Fields(authority_key_identifier=None), "Authority Key Identifier"),
    ],
)
def test_absent(make: MakeStore, fields: Fields, name: str) -> None:
    assert name not in shown(make, leaf("leaf", **fields))
    assert name in shown(make, leaf("leaf"))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (Fields(key_usage=("signing",)), "'signing' is not a key usage"),
        (Fields(key_usage=("encipherOnly",)), "can't be made"),
        (Fields(extended_key_usage=("webServer",)), "'webServer' is neither"),
        (Fields(extensions=(Extension("not.an.oid", NULL),)), "'not.an.oid' is not an object identifier"),
        (Fields(basic_constraints=BasicConstraints(ca=False, path_length=1)), "can't be made"),
        (Fields(name_constraints=NameConstraints(("nothing",))), "is not a"),
    ],
)
def test_impossible(make: MakeStore, fields: Fields, why: str) -> None:
    with pytest.raises(MaterialError, match=f"certificate 'leaf'.*{why}"):
        make(authority(), leaf("leaf", **fields)).credential("leaf")


@pytest.mark.parametrize(
    ("names", "verdict"),
    [
        (AuthorityKeyIdentifier(), 0),
        (AuthorityKeyIdentifier(key="namesake"), UNKNOWN_ISSUER),
        (AuthorityKeyIdentifier(None, OF_ISSUER), 0),
        (AuthorityKeyIdentifier(None, "namesake"), UNKNOWN_ISSUER),
        (AuthorityKeyIdentifier(serial="namesake"), UNKNOWN_ISSUER),
        (None, 0),
    ],
)
def test_openssl_takes_for_the_issuer_whom_the_certificate_names(
    make: MakeStore, names: AuthorityKeyIdentifier | None, verdict: int
) -> None:
    store = make(authority(), authority("namesake", subject="CN=ca"), leaf("leaf", authority_key_identifier=names))
    assert code(store, "leaf") == verdict


def test_an_unknown_extension_counts_when_it_is_critical(make: MakeStore) -> None:
    store = make(
        authority(),
        leaf("critical", extensions=(Extension("1.2.3.4.5", NULL, critical=True),)),
        leaf("not-critical", extensions=(Extension("1.2.3.4.5", NULL),)),
    )
    assert code(store, "critical") == UNHANDLED_EXTENSION
    assert code(store, "not-critical") == 0


def test_one_given_by_oid_takes_the_place_of_the_made_one(make: MakeStore) -> None:
    text = shown(make, leaf("leaf", extensions=(Extension("2.5.29.19", b"\x30\x03\x01\x01\xff"),)))
    assert text.count("Basic Constraints") == 1
    assert "Basic Constraints: CA:TRUE" in text


def test_the_same_oid_twice(make: MakeStore) -> None:
    twice = tuple(Extension("1.2.3.4.5", value) for value in (b"\x04\x03one", b"\x04\x03two"))
    text = shown(make, leaf("leaf", extensions=twice))
    assert "1.2.3.4.5: ..one" in text
    assert "1.2.3.4.5: ..two" in text


@pytest.mark.parametrize(
    ("purpose", "usages", "expected"),
    [
        ("sslclient", ("clientAuth",), 0),
        ("sslclient", ("serverAuth",), PURPOSE),
        ("sslserver", ("serverAuth",), 0),
        ("sslserver", ("clientAuth",), PURPOSE),
        ("sslclient", ("anyExtendedKeyUsage",), PURPOSE),
        ("sslclient", None, 0),
    ],
)
def test_usages_mean_to_openssl_what_they_say(
    make: MakeStore, purpose: str, usages: tuple[str, ...] | None, expected: int
) -> None:
    store = make(authority(), leaf("leaf", extended_key_usage=usages))
    assert code(store, "leaf", "ca", "-purpose", purpose) == expected


@pytest.mark.parametrize(
    ("constraint", "inside", "outside"),
    [
        ("DNS:example.test", Fields(san=("DNS:a.example.test",)), Fields(san=("DNS:a.example.org",))),
        ("DNS:.example.test", Fields(san=("DNS:a.example.test",)), Fields(san=("DNS:example.test",))),
        ("IP:10.0.0.0/8", Fields(san=("IP:10.1.2.3",)), Fields(san=("IP:11.1.2.3",))),
        ("IP:10.0.0.0/255.0.0.0", Fields(san=("IP:10.1.2.3",)), Fields(san=("IP:11.1.2.3",))),
        ("IP:2001:db8::/32", Fields(san=("IP:2001:db8::1",)), Fields(san=("IP:2001:db9::1",))),
        ("email:example.test", Fields(san=("email:me@example.test",)), Fields(san=("email:me@example.org",))),
        ("email:me@example.test", Fields(san=("email:me@example.test",)), Fields(san=("email:you@example.test",))),
        (
            "URI:.example.test",
            Fields(san=("URI:https://a.example.test/",)),
            Fields(san=("URI:https://a.example.org/",)),
        ),
        ("dirName:O=inside", Fields(subject="CN=a,O=inside"), Fields(subject="CN=a,O=outside")),
    ],
)
def test_name_constraints_of_every_type(make: MakeStore, constraint: str, inside: Fields, outside: Fields) -> None:
    store = make(
        authority(),
        authority("permits", issuer="ca", name_constraints=NameConstraints(permitted=(constraint,))),
        authority("excludes", issuer="ca", name_constraints=NameConstraints(excluded=(constraint,))),
        replace(leaf("in-permitted", **inside), issuer="permits"),
        replace(leaf("out-of-permitted", **outside), issuer="permits"),
        replace(leaf("in-excluded", **inside), issuer="excludes"),
        replace(leaf("out-of-excluded", **outside), issuer="excludes"),
    )
    codes = [code(store, name) for name in ("in-permitted", "out-of-permitted", "in-excluded", "out-of-excluded")]
    assert codes == [0, NAME_VIOLATION, EXCLUDED_NAME, 0]
