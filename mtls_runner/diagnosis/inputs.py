"""What an attempt is made with: the address, the material, the options; and the plan of one case that they make."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.diagnosis.endpoint import Endpoint
from mtls_runner.errors import Span, UsageError
from mtls_runner.model.case import Action, Case, Plan, Step
from mtls_runner.model.certificate import CertificateSpec, KeySpec, Moment, OwnFiles, Secret
from mtls_runner.model.endpoint import ClientSpec, Request, ServerSpec, TlsVersion
from mtls_runner.model.port import ServerBackend
from mtls_runner.pki.own_content import Content, read_content
from mtls_runner.registry import registry
from mtls_runner.servers.external import TRAITS

__all__ = ["PASSPHRASE", "AttemptInputs", "own_files", "plan", "system_trust"]

PASSPHRASE = "MTLS_RUN_PASSPHRASE"  # noqa: S105 - a variable's name
"""Holds the passphrase in the environment."""
_BUNDLES = (
    # where systems keep what they trust, as one file
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class AttemptInputs(Struct, frozen=True):
    """What an attempt is made with, as typed.

    Args:
        endpoint: where to.
        certificate: PEM, DER or PKCS #12; ``None``: none is presented.
        key: ``None``: it lies in the certificate's file.
        ca: what the server's chain is checked against; ``None``: what this system trusts.
        passphrase: opens the key.
        passphrase_file: where that lies, for commands to type.
        tls: versions to offer; empty: TLS 1.2 and 1.3.
        tool: the client; ``None``: the one that is there wherever the lab is.
        timeout: seconds for the whole exchange.
    """

    endpoint: Endpoint
    certificate: Path | None = None
    key: Path | None = None
    ca: Path | None = None
    passphrase: Secret | None = None
    passphrase_file: Path | None = None
    tls: tuple[TlsVersion, ...] = ()
    tool: str | None = None
    timeout: float = 10.0


def own_files(inputs: AttemptInputs) -> OwnFiles | None:
    """The client's own, told by their content; ``None``: there are none.

    Raises:
        UsageError: a key without a certificate.
    """
    if inputs.certificate is None:
        if inputs.key is not None:
            raise UsageError("--key goes with --cert: a key alone can't be presented")
        return None
    content = read_content(inputs.certificate)
    if isinstance(content, Content) and content.pkcs12:
        return OwnFiles(pkcs12=inputs.certificate, key=inputs.key)
    return OwnFiles(inputs.certificate, inputs.key)


def plan(inputs: AttemptInputs, make: Callable[[], ServerBackend] | None = None) -> Plan:
    """A plan with the one case.

    Args:
        inputs: what was typed.
        make: what stands for the running server, where its log is at hand.

    Raises:
        UsageError: there is no such client, or the files don't go together.
    """
    known = registry()
    files, trust = own_files(inputs), inputs.ca or system_trust()
    certificates: dict[str, CertificateSpec] = {}
    if files is not None and inputs.certificate is not None:
        certificates[inputs.certificate.name] = _own(inputs.certificate.name, files, inputs.passphrase)
    trusted = ""
    if trust is not None:
        trusted = trust.name if trust.name not in certificates else f"{trust.name} (--cacert)"
        certificates[trusted] = _own(trusted, OwnFiles(trust), None)
    server = ServerSpec(
        id="server",
        backend=TRAITS if make is None else replace(TRAITS, make=make),
        certificate=None,
        passphrase=None,
        tls=tuple(TlsVersion),
        security_level=0,
        address=inputs.endpoint.address,
    )
    client = ClientSpec(
        tool=known.clients.named(inputs.tool) if inputs.tool else known.clients.default,
        certificate=inputs.certificate.name if inputs.certificate is not None else None,
        passphrase=inputs.passphrase,
        trust=(trusted,) if trusted else (),
        server_name=inputs.endpoint.name,
        tls=inputs.tls or (TlsVersion.V1_2, TlsVersion.V1_3),
        # TLS 1.0 and 1.1 have no signature algorithm above it
        security_level=0 if inputs.tls and max(inputs.tls) < TlsVersion.V1_2 else 2,
        request=Request(path=inputs.endpoint.path),
        timeout=inputs.timeout,
    )
    span = Span(Path(str(inputs.endpoint)), 1, 1, 1, 1)
    case = Case(str(inputs.endpoint), str(inputs.endpoint), server, (Step("", Action.CONNECT, span, client),), span)
    return Plan(span.path, str(inputs.endpoint), "", (), certificates, (case,), "")


def system_trust() -> Path | None:
    """The file of what this system trusts (``SSL_CERT_FILE`` names another); ``None``: it keeps none as one file."""
    named = ssl.get_default_verify_paths().cafile
    return next((Path(path) for path in (named, *_BUNDLES) if path and Path(path).is_file()), None)


def _own(id_: str, files: OwnFiles, passphrase: Secret | None) -> CertificateSpec:
    return CertificateSpec(
        id=id_,
        authority=False,
        subject="",
        issuer=None,
        key=KeySpec(),
        passphrase=passphrase,
        not_before=Moment(),
        not_after=Moment(),
        files=files,
    )
