"""Certificates by plain ``openssl``: what it has no option for is said, and forged by the lab instead."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from datetime import timedelta

from cryptography import x509

from mtls_runner.model.certificate import (
    AuthorityKeyIdentifier,
    CertificateSpec,
    Defect,
    KeyAlgorithm,
    KeyCipher,
    KeyFormat,
)
from mtls_runner.pki.extensions import distinguished_name

__all__ = ["days", "extension_lines", "key_command", "openssl_cannot", "subject_option"]

_ALGORITHMS = {
    KeyAlgorithm.RSA_1024: ("RSA", "rsa_keygen_bits:1024"),
    KeyAlgorithm.RSA_2048: ("RSA", "rsa_keygen_bits:2048"),
    KeyAlgorithm.RSA_3072: ("RSA", "rsa_keygen_bits:3072"),
    KeyAlgorithm.RSA_4096: ("RSA", "rsa_keygen_bits:4096"),
    KeyAlgorithm.EC_P256: ("EC", "ec_paramgen_curve:P-256"),
    KeyAlgorithm.EC_P384: ("EC", "ec_paramgen_curve:P-384"),
    KeyAlgorithm.EC_P521: ("EC", "ec_paramgen_curve:P-521"),
    KeyAlgorithm.EC_SECP256K1: ("EC", "ec_paramgen_curve:secp256k1"),
    KeyAlgorithm.EC_BRAINPOOL_P256R1: ("EC", "ec_paramgen_curve:brainpoolP256r1"),
    KeyAlgorithm.ED25519: ("ED25519", ""),
    KeyAlgorithm.ED448: ("ED448", ""),
}
_CIPHERS = {KeyCipher.AES_256_CBC: "-aes-256-cbc", KeyCipher.DES_EDE3_CBC: "-des3"}
_HASHES = frozenset((None, "sha256", "sha384", "sha512"))
_SIMPLE_DEFECTS = frozenset(
    (Defect.NO_KEY_IDENTIFIERS, Defect.NO_BASIC_CONSTRAINTS, Defect.BASIC_CONSTRAINTS_NOT_CRITICAL)
)
#: What needs no quoting in a value of ``x509v3_config(5)``.
_PLAIN = re.compile(r"[A-Za-z0-9.:*@/_?=&%~+-]+")
_NAMED = re.compile(r"[ -~\u00a0-\U0010ffff]*")
_KINDS = frozenset(("dns", "ip", "uri", "email", "rid"))
_SHORT = {"DNS": "DNS", "IP": "IP", "URI": "URI", "EMAIL": "email", "RID": "RID"}
_USUAL_START = timedelta(days=1)


def openssl_cannot(spec: CertificateSpec) -> str | None:
    """Why plain ``openssl`` (3.0) can't make this certificate and key, for people; ``None``: it can."""
    if spec.files is not None:
        return "it is your own"
    defects = [defect for defect in spec.defects if defect not in _SIMPLE_DEFECTS]
    if defects:
        return f"it is wrong on purpose ({defects[0]})"
    if spec.signature.hash not in _HASHES:
        return f"it is signed with {spec.signature.hash}, which many builds of openssl refuse"
    if spec.signature.pss:
        return "it is signed with RSASSA-PSS"
    if spec.key.explicit or spec.key.pss:
        return "its key names no curve" if spec.key.explicit else "its key is for RSASSA-PSS only"
    if spec.key.format is KeyFormat.TRADITIONAL and not spec.key.algorithm.startswith("rsa"):
        return "its key has the traditional form"
    if spec.authority_key_identifier not in (None, AuthorityKeyIdentifier()):
        return "its authorityKeyIdentifier names more than its issuer's key"
    if spec.count > 1:
        return f"it is trusted as {spec.count} of its kind"
    if spec.key.algorithm not in _ALGORITHMS:
        return f"openssl has {spec.key.algorithm} keys from 3.5 on"
    if spec.key.same_as is not None:
        return f"it shares the key of {spec.key.same_as}"
    if spec.serial is not None and spec.serial <= 0:
        return "its serial number is not positive"
    if spec.not_before.absolute is not None or spec.not_after.absolute is not None:
        return "it has absolute dates"
    if spec.passphrase is not None and set(spec.passphrase.reveal()) & set("\r\n"):
        return "its passphrase has several lines"
    return _names_cannot(spec)


def _names_cannot(spec: CertificateSpec) -> str | None:
    if not _NAMED.fullmatch(spec.subject):
        return "its subject has control characters"
    if any(isinstance(a.value, bytes) for rdn in distinguished_name(spec.subject).rdns for a in rdn):
        return "its subject has attributes that are no text"
    constraints = spec.name_constraints
    names = [*(spec.san or ()), *((*constraints.permitted, *constraints.excluded) if constraints else ()), *spec.ocsp]
    for name in names:
        if name.partition(":")[0].lower() not in _KINDS | {"http", "https"} or not _PLAIN.fullmatch(name):
            return f"{name} is a name that has no simple form in openssl's configuration"
    if spec.extended_key_usage is not None and not all(map(_PLAIN.fullmatch, spec.extended_key_usage)):
        return "its extended key usage has no simple form in openssl's configuration"
    return None


def days(spec: CertificateSpec) -> int | None:
    """For ``-days``; ``None``: its validity begins or ends otherwise than from now on, which takes ``openssl ca``."""
    begin, end = spec.not_before.offset, spec.not_after.offset
    if -_USUAL_START <= begin <= timedelta(0) and end - begin >= _USUAL_START and end > timedelta(hours=12):
        return max(1, round(end / timedelta(days=1)))
    return None


def key_command(spec: CertificateSpec, key: str, passphrase: str | None) -> str:
    """The command that makes the private key; ``passphrase`` is the file that holds what encrypts it."""
    algorithm, option = _ALGORITHMS[spec.key.algorithm]
    parts = ["openssl genpkey -algorithm", algorithm]
    if option:
        parts += ["-pkeyopt", option]
    if spec.key.format is KeyFormat.TRADITIONAL:
        locked = f"{_CIPHERS[spec.key.cipher]} -passout file:{passphrase} " if passphrase else ""
        return f"{' '.join(parts)} | openssl rsa -traditional {locked}-out {key}"
    if passphrase:
        parts += [_CIPHERS[spec.key.cipher], "-pass", f"file:{passphrase}"]
    return f"{' '.join(parts)} -out {key}"


def subject_option(subject: str) -> str:
    """RFC 4514 text → the argument of ``-subj``, in the order in which X.509 has it."""
    name = distinguished_name(subject)
    return "/" + "/".join("+".join(_attribute(attribute) for attribute in rdn) for rdn in name.rdns)


def _attribute(attribute: x509.NameAttribute[str | bytes]) -> str:
    text = re.sub(r"([/+\\])", r"\\\1", str(attribute.value))
    short = attribute.rfc4514_attribute_name
    return f"{short if re.fullmatch('[A-Z]+', short) else attribute.oid.dotted_string}={text}"


def extension_lines(spec: CertificateSpec) -> Iterator[str]:
    """The extensions, as ``x509v3_config(5)`` writes them."""
    given = {extension.oid for extension in spec.extensions}
    for oid, line in _lines(spec):
        if oid not in given:
            yield line
    for extension in spec.extensions:
        yield f"{extension.oid} = {_critical(extension.critical)}DER:{extension.value.hex()}"


def _critical(critical: bool) -> str:
    return "critical," if critical else ""


def _lines(spec: CertificateSpec) -> Iterator[tuple[str, str]]:
    basic, bare = spec.basic_constraints, Defect.NO_KEY_IDENTIFIERS in spec.defects
    if basic is not None and Defect.NO_BASIC_CONSTRAINTS not in spec.defects:
        critical = basic.critical and Defect.BASIC_CONSTRAINTS_NOT_CRITICAL not in spec.defects
        length = f",pathlen:{basic.path_length}" if basic.path_length is not None else ""
        yield "2.5.29.19", f"basicConstraints = {_critical(critical)}CA:{str(basic.ca).upper()}{length}"
    if spec.key_usage:
        names = ("nonRepudiation" if name == "contentCommitment" else name for name in spec.key_usage)
        yield "2.5.29.15", f"keyUsage = {_critical(spec.key_usage_critical)}{','.join(names)}"
    if spec.extended_key_usage:
        critical = spec.extended_key_usage_critical
        yield "2.5.29.37", f"extendedKeyUsage = {_critical(critical)}{','.join(spec.extended_key_usage)}"
    if spec.san:
        yield "2.5.29.17", f"subjectAltName = {_critical(spec.san_critical)}{','.join(map(_general, spec.san))}"
    names_ = spec.name_constraints
    if names_ is not None and (names_.permitted or names_.excluded):
        subtrees = [f"permitted;{_constraint(name)}" for name in names_.permitted]
        subtrees += [f"excluded;{_constraint(name)}" for name in names_.excluded]
        yield "2.5.29.30", f"nameConstraints = {_critical(names_.critical)}{','.join(subtrees)}"
    if spec.ocsp:
        yield "1.3.6.1.5.5.7.1.1", "authorityInfoAccess = " + ",".join(f"OCSP;URI:{uri}" for uri in spec.ocsp)
    if spec.must_staple:
        yield "1.3.6.1.5.5.7.1.24", "tlsfeature = status_request"
    yield "2.5.29.14", f"subjectKeyIdentifier = {'hash' if spec.subject_key_identifier and not bare else 'none'}"
    yield "2.5.29.35", f"authorityKeyIdentifier = {'keyid' if spec.authority_key_identifier and not bare else 'none'}"


def _general(name: str) -> str:
    kind, _, value = name.partition(":")
    return f"{_SHORT[kind.upper()]}:{value}"


def _constraint(name: str) -> str:
    kind, _, value = name.partition(":")
    if kind.upper() == "IP":
        network = ipaddress.ip_network(value)
        return f"IP:{network.network_address}/{network.netmask}"
    return _general(name)
