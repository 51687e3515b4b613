"""A sane certificate → one that no sane issuer makes: fields replaced in its ASN.1, then signed anew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from mtls_runner.errors import MaterialError
from mtls_runner.model.certificate import CertificateSpec, Defect
from mtls_runner.pki.keys import PrivateKey, PublicKey, Scheme
from mtls_runner.tls import asn1

__all__ = ["rework", "rework_crl"]

_PRINTABLE = re.compile(r"[A-Za-z0-9 '()+,./:=?-]*")


def rework(
    der: bytes,
    spec: CertificateSpec,
    public: PublicKey,
    signer: PrivateKey,
    how: Scheme,
    *,
    serial: int,
    validity: tuple[datetime, datetime],
    repeated: Sequence[tuple[x509.ExtensionType, bool]],
) -> bytes:
    """The certificate with what its sane twin could not have.

    Args:
        der: the twin, right in all other respects.
        spec: says which defects.
        public: its key.
        signer: signs the result.
        how: with which hash and padding.
        serial: any integer.
        validity: from and until; may be reversed.
        repeated: extensions whose OID it has already.
    """
    twin = asn1.x509.Certificate.load(der)
    tbs = twin["tbs_certificate"]
    fields = {name: tbs[name] for name in ("issuer", "subject", "subject_public_key_info")}
    if spec.key.explicit or spec.key.pss:
        from mtls_runner.pki.key_forms import public_key_info

        fields["subject_public_key_info"] = public_key_info(public, spec.key)
    if Defect.REENCODED_ISSUER_NAME in spec.defects:
        fields["issuer"] = _in_printable_strings(fields["issuer"])
    fields["serial_number"] = serial
    fields["validity"] = asn1.x509.Validity({"not_before": _time(validity[0]), "not_after": _time(validity[1])})
    fields["signature"] = _algorithm(signer, how) if how.weak is not None else tbs["signature"]
    if Defect.VERSION_1 in spec.defects:
        fields["version"] = "v1"
    else:
        fields["version"] = "v3"
        more = [
            {"extn_id": extension.oid.dotted_string, "critical": critical, "extn_value": extension.public_bytes()}
            for extension, critical in repeated
        ]
        fields["extensions"] = asn1.x509.Extensions([*tbs["extensions"], *map(asn1.x509.Extension, more)])
    altered = asn1.x509.TbsCertificate(fields)
    signature = bytearray(how.sign(signer, altered.dump()))
    if Defect.CORRUPTED_SIGNATURE in spec.defects:
        signature[-1] ^= 1  # of ECDSA's two numbers it is the last bit of s: the encoding stays sound
    certificate = asn1.x509.Certificate(
        {
            "tbs_certificate": altered,
            "signature_algorithm": fields["signature"],
            "signature_value": bytes(signature),
        }
    )
    encoded: bytes = certificate.dump()
    return encoded


def rework_crl(der: bytes, serials: Mapping[int, int], signer: PrivateKey, how: Scheme) -> bytes:
    """A CRL whose entries have other serial numbers.

    Args:
        der: the list, signed.
        serials: what an entry has → what it is to have, any integer.
        signer, how: sign the result.
    """
    made = asn1.crl.CertificateList.load(der)
    tbs = made["tbs_cert_list"]
    for entry in tbs["revoked_certificates"]:
        number = entry["user_certificate"].native
        entry["user_certificate"] = serials.get(number, number)
    signed = tbs.dump(force=True)
    made["signature"] = how.sign(signer, signed)
    encoded: bytes = made.dump(force=True)
    return encoded


def _in_printable_strings(name: Any) -> Any:
    """The same name, its UTF8Strings as PrintableStrings (X.680 §41.4 says what these can hold)."""
    for rdn in name.chosen:
        for attribute in rdn:
            value = attribute["value"]
            if getattr(value, "name", "") != "utf8_string":
                continue
            if not _PRINTABLE.fullmatch(value.native):
                raise MaterialError(f"{value.native!r} has letters that no PrintableString can hold")
            attribute["value"] = asn1.x509.DirectoryString(name="printable_string", value=value.native)
    return name


def _time(moment: datetime) -> Any:
    """RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050 on, whole seconds."""
    moment = moment.astimezone(UTC).replace(microsecond=0)
    return asn1.x509.Time({"utc_time" if 1950 <= moment.year < 2050 else "general_time": moment})


def _algorithm(signer: PrivateKey, how: Scheme) -> Any:
    """AlgorithmIdentifier of a signature with a weak hash."""
    name = "md5" if isinstance(how.weak, hashes.MD5) else "sha1"
    if not isinstance(signer, rsa.RSAPrivateKey):
        return asn1.algos.SignedDigestAlgorithm({"algorithm": f"{name}_ecdsa"})
    if not isinstance(how.padding, padding.PSS):
        return asn1.algos.SignedDigestAlgorithm({"algorithm": f"{name}_rsa", "parameters": asn1.algos.Null()})
    hashed = asn1.algos.DigestAlgorithm({"algorithm": name, "parameters": asn1.algos.Null()})
    return asn1.algos.SignedDigestAlgorithm(
        {
            "algorithm": "rsassa_pss",
            "parameters": {
                "hash_algorithm": hashed,
                "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": hashed},
                "salt_length": 16 if name == "md5" else 20,
            },
        }
    )
