"""Hints name the true cause from the user's own files: which certificate, which list, which key."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mtls_runner import Lab, Observation, load

NOW = datetime.now(UTC)


class Own:
    """Files of a user's."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root_key = ec.generate_private_key(ec.SECP256R1())
        self.root = self.certificate("CN=Own Root", self.root_key, None, ca=True)
        self.write("root.crt", self.root)
        self.make("good")

    def write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        (self.directory / name).write_bytes(certificate.public_bytes(Encoding.PEM))
        if key is not None:
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (self.directory / name).with_suffix(".key").write_bytes(pem)

    def certificate(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
        *,
        ca: bool = False,
        ends: timedelta = timedelta(days=9),
        identifier: bytes | None = None,
        usage: x509.ObjectIdentifier | None = None,
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name.removeprefix("CN="))])
        signer = issuer[1] if issuer is not None else key
        of_key = x509.SubjectKeyIdentifier.from_public_key(signer.public_key()).digest
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[0].subject if issuer is not None else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(days=20))
            .not_valid_after(NOW + ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier(identifier or of_key, None, None), critical=False)
        )
        if usage is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if not ca:
            names = [x509.DNSName("localhost")]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signer, hashes.SHA256())

    def make(
        self,
        name: str,
        *,
        ends: timedelta = timedelta(days=9),
        identifier: bytes | None = None,
        curve: ec.EllipticCurve | None = None,
    ) -> x509.Certificate:
        key = ec.generate_private_key(curve or ec.SECP256R1())
        made = self.certificate(f"CN={name}", key, (self.root, self.root_key), ends=ends, identifier=identifier)
        self.write(f"{name}.crt", made, key)
        return made

    def crl(
        self, name: str, *, identifier: bytes | None = None, scope: x509.IssuingDistributionPoint | None = None
    ) -> None:
        of_key = x509.SubjectKeyIdentifier.from_public_key(self.root_key.public_key()).digest
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.root.subject)
            .last_update(NOW - timedelta(hours=1))
            .next_update(NOW + timedelta(days=1))
            .add_extension(x509.AuthorityKeyIdentifier(identifier or of_key, None, None), critical=False)
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        if scope is not None:
            builder = builder.add_extension(scope, critical=True)
        made = builder.sign(self.root_key, hashes.SHA256())
        (self.directory / name).write_bytes(made.public_bytes(Encoding.PEM))


def observed(directory: Path, leaf: str, server: str = "", client: str = "") -> Observation:
    """The client presents that leaf to a server that trusts the root."""
    file = directory / "own.yaml"
    file.write_text(
        f"""\
name: own
authorities:
  root: {{certificate: root.crt}}
  lab: {{subject: CN=Lab CA}}
leaves:
  it: {{certificate: {leaf}.crt, key: {leaf}.key}}
  lab-server: {{issuer: lab, usage: server}}
  lab-client: {{issuer: lab, usage: client}}
server: {{certificate: lab-server, trust: [root] {server}}}
crls:
  lab-list: {{issuer: lab}}
  key: {{file: key.crl}}
  scope: {{file: scope.crl}}
cases:
  - {{name: it, client: {{certificate: it, trust: [lab] {client}}}, expect: accepted}}
"""
    )
    plan = load(file)
    with Lab(plan) as lab:
        seen = lab.run(plan.cases[0]).observation
    assert seen is not None
    return seen


@pytest.fixture
def own(tmp_path: Path) -> Own:
    made = Own(tmp_path)
    made.crl("key.crl", identifier=b"another key")
    scope = x509.IssuingDistributionPoint(None, None, False, True, None, False, False)
    made.crl("scope.crl", scope=scope)
    return made


def test_nothing_is_wrong_with_a_good_one(own: Own) -> None:
    seen = observed(own.directory, "good")
    assert (seen.outcome, seen.hint) == ("accepted", "")


def test_its_dates(own: Own) -> None:
    own.make("late", ends=-timedelta(days=2))
    when = (NOW - timedelta(days=2)).strftime("%Y-%m-%d")
    assert observed(own.directory, "late").hint.startswith(f"The certificate `it` expired {when}")


def test_an_intermediate_in_its_own_file(own: Own) -> None:
    key, above = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    usage = ExtendedKeyUsageOID.SERVER_AUTH
    issuing = own.certificate("CN=Own Issuing", above, (own.root, own.root_key), ca=True, usage=usage)
    own.write("below.crt", own.certificate("CN=below", key, (issuing, above)), key)
    with (own.directory / "below.crt").open("ab") as file:
        file.write(issuing.public_bytes(Encoding.PEM))
    hint = observed(own.directory, "below").hint
    assert hint.startswith("The intermediate `CN=Own Issuing` (depth 1) has only the EKU serverAuth")


def test_a_key_identifier_that_is_not_its_issuers(own: Own) -> None:
    own.make("misnamed", identifier=b"another key")
    seen = observed(own.directory, "misnamed")
    assert seen.outcome == "server-refused"
    assert seen.hint.startswith("The certificate `it` names another key of `root`'s (authorityKeyIdentifier)")


@pytest.mark.parametrize(
    ("crl", "said"),
    [
        ("key", "The CRL in key.crl, which `it` is looked up in, names another key (authorityKeyIdentifier)"),
        ("scope", "The CRL in scope.crl, which `it` is looked up in, is for authorities only"),
    ],
)
def test_a_list_that_does_not_count(own: Own, crl: str, said: str) -> None:
    seen = observed(own.directory, "good", f", crl: {crl}, crl_check: leaf")
    assert seen.outcome == "server-refused"
    assert seen.hint.startswith(said)


def test_a_curve_that_is_written_out(own: Own) -> None:
    """OpenSSL itself makes it, and refuses it."""
    own.write("root.crt", own.root, own.root_key)
    for words in (
        "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit -out odd.key",
        "req -new -key odd.key -subj /CN=odd -out odd.csr",
        "x509 -req -in odd.csr -CA root.crt -CAkey root.key -days 9 -out odd.crt",
    ):
        subprocess.run(["openssl", *words.split()], cwd=own.directory, check=True, capture_output=True)
    seen = observed(own.directory, "odd")
    assert seen.outcome == "server-refused"
    assert "curve is written out parameter by parameter" in seen.hint


def test_an_unusual_curve(own: Own) -> None:
    own.make("odd", curve=ec.SECP256K1())
    seen = observed(own.directory, "odd", client=", tls: [TLSv1.3]")
    assert seen.outcome == "server-refused"
    assert "is on secp256k1, for which TLS 1.3 has no signature algorithm" in seen.hint
    # the other way round: what such a server says of versions and ciphers is not the cause
    file = own.directory / "server.yaml"
    file.write_text(
        """\
name: server
authorities: {root: {certificate: root.crt}, lab: {subject: CN=Lab CA}}
leaves: {it: {certificate: odd.crt, key: odd.key}, client: {issuer: lab, usage: client}}
server: {certificate: it, trust: [lab]}
cases: [{name: it, client: {certificate: client, trust: [root], tls: [TLSv1.3]}, expect: accepted}]
"""
    )
    plan = load(file)
    with Lab(plan) as lab:
        other = lab.run(plan.cases[0]).observation
    assert other is not None
    assert (other.outcome, other.reason) == ("no-agreement", "protocol-version")
    assert "is on secp256k1, for which TLS 1.3 has no signature algorithm" in other.hint
