"""Descriptions of an end to ``ssl.SSLContext``.

Every setting that changes a verdict is set here explicitly: interpreters differ in their defaults (CPython 3.13's
``create_default_context`` sets ``VERIFY_X509_STRICT`` and ``VERIFY_X509_PARTIAL_CHAIN``, earlier ones don't), and no
context loads the system's trust store.
"""

from __future__ import annotations

import ssl
import threading
import warnings

from mtls_runner.errors import FileUnusable
from mtls_runner.model.client import ClientSpec, KeySource
from mtls_runner.model.credential import Secret
from mtls_runner.model.endpoint import ChainSpec, TlsVersion, VerifyFlag
from mtls_runner.model.observation import Reason
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.server import ClientAuth, ServerSpec
from mtls_runner.tls.material import Problem, load, load_crls, load_trust
from mtls_runner.tls.transcript import record

__all__ = ["VERSIONS", "client_context", "server_context", "unsupported"]

#: Of the model → of the ``ssl`` module.
VERSIONS = {
    TlsVersion.V1_0: ssl.TLSVersion.TLSv1,
    TlsVersion.V1_1: ssl.TLSVersion.TLSv1_1,
    TlsVersion.V1_2: ssl.TLSVersion.TLSv1_2,
    TlsVersion.V1_3: ssl.TLSVersion.TLSv1_3,
}
_EXCLUSIONS = {
    TlsVersion.V1_1: ssl.OP_NO_TLSv1_1,
    TlsVersion.V1_2: ssl.OP_NO_TLSv1_2,
}
_FLAGS = {
    VerifyFlag.PARTIAL_CHAIN: ssl.VerifyFlags(0x80000),  # X509_V_FLAG_PARTIAL_CHAIN; named by CPython from 3.10 on
    VerifyFlag.STRICT: ssl.VERIFY_X509_STRICT,
}
_CRL_FLAGS = {
    RevocationCheck.NONE: ssl.VerifyFlags(0),
    RevocationCheck.LEAF: ssl.VERIFY_CRL_CHECK_LEAF,
    RevocationCheck.CHAIN: ssl.VERIFY_CRL_CHECK_CHAIN,
}
_MODES = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.OPTIONAL: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}
#: Names that OpenSSL's TLS code has for groups → short names of objects, which is where ``set_ecdh_curve`` looks.
_CURVES = {
    "P-256": "prime256v1",
    "secp256r1": "prime256v1",
    "P-384": "secp384r1",
    "P-521": "secp521r1",
    "x25519": "X25519",
    "x448": "X448",
}
_NO_CIPHER = "NO_CIPHER_MATCH"
# warnings.catch_warnings is not thread-safe before 3.14.
_quiet = threading.Lock()


def unsupported(spec: ServerSpec | ClientSpec) -> str | None:
    """What of a description Python's ``ssl`` has no setting for; ``None``: nothing."""
    if spec.signature_algorithms:
        return "Python's ssl has no setting for signature algorithms"
    if spec.ciphersuites is not None:
        return "Python's ssl has no setting for TLS 1.3 cipher suites"
    if "h2" in spec.alpn:
        return "the lab's Python server and client speak HTTP/1.1 only, no HTTP/2"
    if isinstance(spec, ServerSpec) and not spec.session_tickets:
        if spec.session_cache not in (None, "none", "off"):
            # ssl3_send_alert: an end without close_notify, as most clients make, takes the session out of the cache
            return (
                "Python's ssl forgets the sessions in its cache with their connections: it keeps them in tickets only"
            )
        if min(spec.tls) < TlsVersion.V1_3:
            return "Python's ssl has no setting for its session cache, which TLS 1.2 uses without tickets"
    if len(spec.groups) > 1:
        return "Python's ssl can set one key exchange group, not a list"
    return None


def _context(protocol: int, spec: ServerSpec | ClientSpec) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    lowest, highest = spec.tls[0], spec.tls[-1]
    with _quiet, warnings.catch_warnings():
        # TLS 1.0 and 1.1 are deprecated; a lab asks for them on purpose.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = VERSIONS[lowest]
        context.maximum_version = VERSIONS[highest]
        for version, option in _EXCLUSIONS.items():
            if lowest < version < highest and version not in spec.tls:
                context.options |= option
    context.set_ciphers(f"{spec.ciphers or 'DEFAULT'}:@SECLEVEL={spec.security_level}")
    if spec.groups:
        context.set_ecdh_curve(_CURVES.get(spec.groups[0], spec.groups[0]))
    if spec.alpn:
        context.set_alpn_protocols(list(spec.alpn))
    flags = ssl.VERIFY_X509_TRUSTED_FIRST | _CRL_FLAGS[spec.crl_check]
    for flag in spec.verify_flags:
        flags |= _FLAGS[flag]
    context.verify_flags = flags
    record(context)
    return context


def _trust(context: ssl.SSLContext, material: Material, spec: ServerSpec | ClientSpec) -> Problem | None:
    try:
        problem = load_trust(context, material.bundle(spec.trust)) if spec.trust else None
    except FileUnusable as error:
        return Problem(error.reason, "", str(error), trust=True)
    try:
        return load_crls(context, material.crl(spec.crl)) if problem is None and spec.crl else problem
    except FileUnusable as error:
        return Problem(error.reason, "", str(error), crl=True)


def _present(
    context: ssl.SSLContext,
    material: Material,
    certificate: str,
    passphrase: Secret | None,
    chain: ChainSpec = ChainSpec(),
    key: KeySource | None = None,
) -> Problem | None:
    try:
        files = material.presented(certificate, chain, key, passphrase)
    except FileUnusable as error:
        return Problem(error.reason, "", str(error))
    return load(context, files.certificate, files.key, passphrase)


def server_context(spec: ServerSpec, material: Material) -> ssl.SSLContext | Problem:
    """What a server serves with, or why it can't.

    Raises:
        MaterialError: the lab itself could not make the material.
    """
    try:
        context = _context(ssl.PROTOCOL_TLS_SERVER, spec)
    except ssl.SSLError:  # of Python's own making, without OpenSSL's reason
        return Problem(Reason.CIPHER, _NO_CIPHER, f"no cipher can be selected from {spec.ciphers!r}")
    except ValueError as error:
        return Problem(Reason.BAD_CONFIG, "", str(error))
    if spec.certificate is not None:
        problem = _present(context, material, spec.certificate, spec.passphrase, spec.chain)
        if problem is not None:
            return problem
    for other in spec.other_certificates:
        problem = _present(context, material, other, material.passphrase(other))
        if problem is not None:
            return problem
    if not spec.session_tickets:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    context.verify_mode = _MODES[spec.client_auth]
    return _trust(context, material, spec) or context


def client_context(spec: ClientSpec, material: Material) -> ssl.SSLContext | Problem:
    """What a client connects with, or why its own material can't be used.

    Raises:
        MaterialError: the lab itself could not make the material.
    """
    try:
        context = _context(ssl.PROTOCOL_TLS_CLIENT, spec)
    except ssl.SSLError:  # of Python's own making, without OpenSSL's reason
        return Problem(Reason.CIPHER, _NO_CIPHER, f"no cipher can be selected from {spec.ciphers!r}")
    except ValueError as error:
        return Problem(Reason.CIPHER, "", str(error))
    if spec.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if spec.certificate is not None:
        problem = _present(context, material, spec.certificate, spec.passphrase, spec.chain, spec.key)
        if problem is not None:
            return problem
    if spec.insecure:
        return (
            context  # as curl --insecure: what is not checked against is not loaded, nor is a chain completed from it
        )
    return _trust(context, material, spec) or context
