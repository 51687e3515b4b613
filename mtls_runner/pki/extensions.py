"""A description's extensions → X.509 extensions, in the order in which OpenSSL's own tools write them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from mtls_runner.errors import MaterialError, without_warnings
from mtls_runner.model.certificate import CertificateSpec, Defect
from mtls_runner.model.names import ascii_host, ascii_uri, parse

__all__ = ["EXTENDED_KEY_USAGES", "KEY_USAGES", "constraint", "distinguished_name", "extensions", "general_name"]


@lru_cache(maxsize=4096)
def distinguished_name(text: str) -> x509.Name:
    """RFC 4514 text → Name; ``""`` is the empty name.

    Raises:
        MaterialError: it is none.
    """
    try:
        return x509.Name(x509.RelativeDistinguishedName(map(_attribute, rdn)) for rdn in reversed(parse(text)))
    except ValueError as error:
        raise MaterialError(
            f"{text!r} is not a distinguished name as RFC 4514 writes it (CN=name,O=organization): {error}"
        ) from error


def _attribute(pair: tuple[str, str]) -> x509.NameAttribute[str]:
    oid, value = x509.ObjectIdentifier(pair[0]), pair[1]
    try:
        return x509.NameAttribute(oid, value)
    except ValueError:
        # X.520 gives most attributes a character at the least and 64 at most; OpenSSL reads others, too.
        with without_warnings():
            return x509.NameAttribute(oid, value, _validate=False)


@lru_cache(maxsize=4096)
def general_name(text: str) -> x509.GeneralName:
    """``DNS:…``, ``IP:…``, ``URI:…``, ``email:…``, ``dirName:…``, ``RID:…`` → GeneralName (RFC 5280 §4.2.1.6).

    Raises:
        MaterialError: it is none.
    """
    kind, colon, value = text.partition(":")
    try:
        if not colon:
            raise ValueError("no type before a colon")
        return _general_name(kind, value)
    except ValueError as error:  # UnicodeError is one
        raise MaterialError(f"{text!r} is not a subject alternative name: {error}") from error


def _general_name(kind: str, value: str) -> x509.GeneralName:
    match kind.lower():
        case "dns":
            return x509.DNSName(ascii_host(value))
        case "ip":
            return x509.IPAddress(ipaddress.ip_address(value))
        case "uri":
            return x509.UniformResourceIdentifier(ascii_uri(value))
        case "email":
            local, at, host = value.rpartition("@")
            return x509.RFC822Name(f"{local}{at}{ascii_host(host)}")
        case "dirname":
            return x509.DirectoryName(distinguished_name(value))
        case "rid":
            return x509.RegisteredID(x509.ObjectIdentifier(value))
        case _:
            raise ValueError("its type is none of DNS, IP, URI, email, dirName, RID")


@lru_cache(maxsize=4096)
def constraint(text: str) -> x509.GeneralName:
    """An entry of name constraints (RFC 5280 §4.2.1.10): as :func:`general_name`, an IP is a network (CIDR or netmask).

    Raises:
        MaterialError: it is none.
    """
    kind, _, value = text.partition(":")
    if kind.lower() != "ip":
        return general_name(text)
    try:
        return x509.IPAddress(ipaddress.ip_network(value))
    except ValueError as error:
        raise MaterialError(f"{text!r} is not a name constraint: {error}") from error


EXTENDED_KEY_USAGES: Mapping[str, x509.ObjectIdentifier] = {
    # RFC 5280 §4.2.1.12, then what OpenSSL also has a name for
    "serverAuth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "codeSigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "emailProtection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timeStamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "OCSPSigning": ExtendedKeyUsageOID.OCSP_SIGNING,
    "anyExtendedKeyUsage": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    "ipsecIKE": ExtendedKeyUsageOID.IPSEC_IKE,
    "msSmartcardLogin": ExtendedKeyUsageOID.SMARTCARD_LOGON,
}

KEY_USAGES: Mapping[str, str] = {
    # RFC 5280 §4.2.1.3 → the names that the x509 module has for them
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "contentCommitment": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
    "encipherOnly": "encipher_only",
    "decipherOnly": "decipher_only",
}


def extensions(
    spec: CertificateSpec, subject_key: bytes, authority_key: x509.AuthorityKeyIdentifier | None
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    """The extensions that ``spec`` and its defects ask for, each with its criticality.

    One given by OID takes the place of the one that would be made; usages and names that are given but empty are absent,
    since RFC 5280 has no empty ones.

    Args:
        spec: the description.
        subject_key: identifier of the certificate's own key.
        authority_key: whom it names as its issuer.

    Raises:
        MaterialError: a name or usage is none.
    """
    given = {extension.oid for extension in spec.extensions}
    for extension, critical in _made(spec, subject_key, authority_key):
        if extension.oid.dotted_string not in given:
            yield extension, critical
    for own in spec.extensions:
        try:
            oid = x509.ObjectIdentifier(own.oid)
        except ValueError as error:
            raise MaterialError(f"certificate {spec.id!r}: {own.oid!r} is not an object identifier") from error
        yield x509.UnrecognizedExtension(oid, own.value), own.critical


def _made(
    spec: CertificateSpec, subject_key: bytes, authority_key: x509.AuthorityKeyIdentifier | None
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    constraints = spec.basic_constraints
    if constraints is not None and Defect.NO_BASIC_CONSTRAINTS not in spec.defects:
        critical = constraints.critical and Defect.BASIC_CONSTRAINTS_NOT_CRITICAL not in spec.defects
        yield x509.BasicConstraints(ca=constraints.ca, path_length=constraints.path_length), critical
    if spec.key_usage:
        yield _key_usage(spec.key_usage), spec.key_usage_critical
    if spec.extended_key_usage:
        usages = [_extended_key_usage(name) for name in spec.extended_key_usage]
        yield x509.ExtendedKeyUsage(usages), spec.extended_key_usage_critical
    if spec.san:
        yield x509.SubjectAlternativeName([general_name(name) for name in spec.san]), spec.san_critical
    names = spec.name_constraints
    if names is not None and (names.permitted or names.excluded):
        yield (
            x509.NameConstraints(
                [constraint(name) for name in names.permitted] or None,
                [constraint(name) for name in names.excluded] or None,
            ),
            names.critical,
        )
    if spec.ocsp:
        method = AuthorityInformationAccessOID.OCSP
        places = [x509.AccessDescription(method, x509.UniformResourceIdentifier(uri)) for uri in spec.ocsp]
        yield x509.AuthorityInformationAccess(places), False
    if spec.must_staple:
        yield x509.TLSFeature([x509.TLSFeatureType.status_request]), False
    if Defect.NO_KEY_IDENTIFIERS in spec.defects:
        return
    if spec.subject_key_identifier:
        yield x509.SubjectKeyIdentifier(subject_key), False
    if authority_key is not None:
        yield authority_key, False


def _key_usage(names: tuple[str, ...]) -> x509.KeyUsage:
    unknown = [name for name in names if name not in KEY_USAGES]
    if unknown:
        raise MaterialError(f"{unknown[0]!r} is not a key usage; it is one of: {', '.join(KEY_USAGES)}")
    wanted = {KEY_USAGES[name] for name in names}
    return x509.KeyUsage(**{bit: bit in wanted for bit in KEY_USAGES.values()})


def _extended_key_usage(name: str) -> x509.ObjectIdentifier:
    known = EXTENDED_KEY_USAGES.get(name)
    if known is not None:
        return known
    try:
        return x509.ObjectIdentifier(name)
    except ValueError as error:
        raise MaterialError(
            f"{name!r} is neither an object identifier nor one of: {', '.join(EXTENDED_KEY_USAGES)}"
        ) from error
