from __future__ import annotations

import re

import pytest

from mtls_runner.errors import MaterialError
from mtls_runner.pki.extensions import constraint, distinguished_name, general_name

from . import openssl
from .conftest import MakeStore
from .describe import authority, leaf


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("CN=a", "CN=a"),
        ("CN=a,O=b,C=DE", "CN=a,O=b,C=DE"),
        ("CN = a, O = b", "CN=a,O=b"),  # as openssl prints it
        (" CN=a , OU = x y + L=z ", "CN=a,OU=x y+L=z"),
        (r"CN=a\, b,O=c\+d", r"CN=a\, b,O=c\+d"),
        (r"CN=back\\,O=c", r"CN=back\\,O=c"),
        ("CN=a=b", "CN=a=b"),
        ("CN=*.test.server", "CN=*.test.server"),
        ("CN=Jürgen", "CN=Jürgen"),
        ("emailAddress=me@test,CN=a", "1.2.840.113549.1.9.1=me@test,CN=a"),
        ("1.3.6.1.4.1.99999.1=x,CN=a", "1.3.6.1.4.1.99999.1=x,CN=a"),
        ("", ""),
    ],
)
def test_distinguished_names(text: str, shown: str) -> None:
    assert distinguished_name(text).rfc4514_string() == shown


@pytest.mark.parametrize(
    "text", ["a", "CN", "CN=a,b", "CN=a,,O=b", "XX=a", "cn=a", "CN=#zz", "C=DEU", ",CN=a", "CN=a,"]
)
def test_what_is_no_distinguished_name(text: str) -> None:
    with pytest.raises(MaterialError, match="not a distinguished name"):
        distinguished_name(text)


def test_openssl_reads_the_name_in_the_same_order(make: MakeStore) -> None:
    store = make(authority(), leaf("leaf", subject="CN=a,OU=b,O=c,C=DE"))
    shown = openssl.output(
        "x509", "-noout", "-subject", "-nameopt", "RFC2253", "-in", store.credential("leaf").certificate_path
    )
    assert shown == "subject=CN=a,OU=b,O=c,C=DE\n"
    assert store.credential("leaf").subject == "CN=a,OU=b,O=c,C=DE"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DNS:localhost", "DNS:localhost"),
        ("DNS:*.example.test", "DNS:*.example.test"),
        ("DNS:bücher.test", "DNS:xn--bcher-kva.test"),
        ("IP:127.0.0.1", "IP Address:127.0.0.1"),
        ("IP:2001:db8::1", "IP Address:2001:DB8:0:0:0:0:0:1"),
        ("URI:https://localhost/x?y=z", "URI:https://localhost/x?y=z"),
        ("email:me@example.test", "email:me@example.test"),
        ("RID:1.2.3.4", "Registered ID:1.2.3.4"),
    ],
)
def test_subject_alternative_names(make: MakeStore, text: str, shown: str) -> None:
    store = make(authority(), leaf("leaf", san=(text, "DNS:other")), leaf("none", san=None), leaf("empty", san=()))
    certificate = openssl.show(store.credential("leaf").certificate_path)
    assert f"X509v3 Subject Alternative Name: {shown}, DNS:other" in certificate
    for without in ("none", "empty"):
        assert "Alternative" not in openssl.show(store.credential(without).certificate_path)


def test_a_directory_name_as_subject_alternative_name(make: MakeStore) -> None:
    store = make(authority(), leaf("leaf", san=("dirName:CN=a,O=b",)))
    shown = openssl.show(store.credential("leaf").certificate_path)
    assert re.search(r"Alternative Name: DirName:\W*O=b\W+CN=a X509v3", shown)  # versions differ in what is between


@pytest.mark.parametrize(
    "text", ["localhost", "dns", "DNS", "IP:localhost", "IP:10.0.0.0/8", "RID:x", "email:ä@b", "XXX:a", "dirName:x"]
)
def test_what_is_no_subject_alternative_name(text: str) -> None:
    with pytest.raises(MaterialError, match="is not a"):
        general_name(text)


@pytest.mark.parametrize("text", ["IP:10.0.0.1/8", "IP:x", "10.0.0.0/8", "DNS"])
def test_what_is_no_name_constraint(text: str) -> None:
    with pytest.raises(MaterialError, match="is not a"):
        constraint(text)
