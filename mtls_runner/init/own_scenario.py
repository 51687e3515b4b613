"""A scenario for certificates that there are already: does what they were made for work, and nothing else?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from mtls_runner.errors import UsageError
from mtls_runner.init.text import relative, rendered
from mtls_runner.init.write import Draft
from mtls_runner.model.certificate import OwnFiles, Secret
from mtls_runner.model.observation import Reason
from mtls_runner.pki.certificate_facts import CertificateFacts, facts
from mtls_runner.pki.own import Own, read_own

__all__ = ["OwnPaths", "from_own"]

_NAME = "own.yaml"


class OwnPaths(Struct, frozen=True):
    """Files of the user's; ``ca`` may be left out for a certificate that signed itself."""

    certificate: Path
    key: Path | None = None
    ca: Path | None = None
    passphrase: Path | None = None


def from_own(paths: OwnPaths, directory: Path) -> Draft:
    """Look at the certificate, and write what it should do.

    Args:
        paths: of the files.
        directory: where the scenario will lie.

    Raises:
        UsageError: a file can't be read or does not fit the others.
    """
    now = datetime.now(UTC)
    own = _read(OwnFiles(paths.certificate, paths.key), _passphrase(paths.passphrase))
    if own.key is None:
        raise UsageError(f"{paths.certificate}: holds no private key: name its file with --key")
    known = facts(own.certificate)
    anchor = _anchor(paths, own, known)
    certificate = x509.load_der_x509_certificate(own.certificate)
    server, client = _usages(certificate)
    if not server and not client:
        raise UsageError(
            f"{paths.certificate}: its extended key usage lets it be neither a TLS server nor a TLS client"
        )
    fault = _fault(known, now)
    notes = [*own.notes, *([f"{paths.certificate.name} is {fault}: the scenario expects that" if fault else ""])]
    values = {
        "file": _NAME,
        "certificate_name": paths.certificate.name,
        "subject": known.text,
        "certificate": relative(paths.certificate, directory),
        "key": relative(paths.key, directory) if paths.key is not None else "",
        "passphrase": relative(paths.passphrase, directory) if paths.passphrase is not None else "",
        "ca": relative(paths.ca or paths.certificate, directory),
        "partial": not anchor.self_issued,
        "self_signed": known.self_issued,
        "server": server,
        "client": client,
        "fault": fault,
        "name": _server_name(certificate),
    }
    return Draft(_NAME, rendered("own.yaml", values), [note for note in notes if note])


def _passphrase(file: Path | None) -> Secret | None:
    if file is None:
        return None
    try:
        return Secret(file.read_text(encoding="utf-8").partition("\n")[0])
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"{file}: {reason}") from None  # whatever is in it is not shown


def _read(files: OwnFiles, passphrase: Secret | None) -> Own:
    own = read_own(files, passphrase)
    if own.problem is not None:
        hint = (
            " (--passphrase-file)" if own.problem.reason in (Reason.WRONG_PASSPHRASE, Reason.PASSPHRASE_NEEDED) else ""
        )
        raise UsageError(f"{own.problem.text}{hint}")
    return own


def _anchor(paths: OwnPaths, own: Own, known: CertificateFacts) -> CertificateFacts:
    """The authority that the certificate leads to, by way of what its own file holds."""
    if paths.ca is None:
        if known.self_issued:
            return known
        raise UsageError(f"{paths.certificate}: name the authority that issued it with --ca")
    authority = _read(OwnFiles(paths.ca), None)
    trusted = [facts(der) for der in (authority.certificate, *authority.more)]
    return _leads_to(known, [facts(der) for der in own.more], trusted) or _stranger(paths, trusted)


def _leads_to(
    known: CertificateFacts, between: Sequence[CertificateFacts], trusted: Sequence[CertificateFacts]
) -> CertificateFacts | None:
    for _ in range(len(between) + len(trusted) + 1):
        found = next((authority for authority in trusted if known.names_as_issuer(authority)), None)
        if found is not None:
            roots = (root for root in trusted if root.self_issued)
            return found if found.self_issued else next(roots, found)
        following = next((one for one in between if known.names_as_issuer(one) and one is not known), None)
        if following is None:
            return None
        known = following
    return None


def _stranger(paths: OwnPaths, trusted: Sequence[CertificateFacts]) -> CertificateFacts:
    raise UsageError(f"{paths.certificate}: {paths.ca} ({trusted[0].text}) did not issue it, nor anything in its chain")


def _usages(certificate: x509.Certificate) -> tuple[bool, bool]:
    """Whether it may be a server's, and a client's (RFC 5280 §4.2.1.12: without the extension both)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True, True
    except ValueError:
        return False, False
    return ExtendedKeyUsageOID.SERVER_AUTH in usage, ExtendedKeyUsageOID.CLIENT_AUTH in usage


def _fault(known: CertificateFacts, now: datetime) -> str:
    if known.end is not None and known.end < now:
        return "expired"
    if known.begin is not None and known.begin > now:
        return "not-yet-valid"
    return ""


def _server_name(certificate: x509.Certificate) -> str:
    """A name that its clients may ask for; ``""``: there is none."""
    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        common = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        return common[0].replace("*", "www", 1) if common and " " not in common[0] else ""
    names = [str(name) for name in san.get_values_for_type(x509.DNSName)]
    names += [str(address) for address in san.get_values_for_type(x509.IPAddress)]
    return names[0].replace("*", "www", 1) if names else ""
