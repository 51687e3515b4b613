"""Descriptions of an end to ``ssl.SSLContext``.

Every setting that changes a verdict is set here explicitly: interpreters differ in their defaults (CPython 3.13's
``create_default_context`` sets ``VERIFY_X509_STRICT`` and ``VERIFY_X509_PARTIAL_CHAIN``, earlier ones don't), and no
context loads the system's trust store.

What material can't be used, and why, OpenSSL itself is asked, so that the answer is the one that curl, nginx and Python's
``ssl`` would give. CPython reports only the last error of OpenSSL's queue, and for anything about PEM that is ``PEM lib``
without a reason: which of the two files it was, and whether a passphrase was wanted, is found out here from what OpenSSL did.
"""

from __future__ import annotations

import errno
import ssl
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.errors import FileUnusable, without_warnings
from mtls_runner.model.certificate import Secret
from mtls_runner.model.endpoint import ChainSpec, ClientAuth, ClientSpec, KeySource, ServerSpec, TlsVersion, VerifyFlag
from mtls_runner.model.observation import Reason
from mtls_runner.model.port import Material
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.tls import ML_KEM
from mtls_runner.tls.sockets import record

__all__ = ["VERSIONS", "Problem", "client_context", "load", "load_crls", "load_trust", "server_context", "unsupported"]

#: OpenSSL's symbolic reasons for material that it does not take.
_UNUSABLE = {
    "KEY_VALUES_MISMATCH": Reason.KEY_MISMATCH,
    "KEY_TYPE_MISMATCH": Reason.KEY_MISMATCH,
    # A key of another type takes another slot of the context, which holds no certificate (ssl/ssl_rsa.c).
    "NO_CERTIFICATE_ASSIGNED": Reason.KEY_MISMATCH,
    "EE_KEY_TOO_SMALL": Reason.WEAK_KEY,
    "CA_KEY_TOO_SMALL": Reason.WEAK_KEY,
    "CA_MD_TOO_WEAK": Reason.WEAK_DIGEST,
    # X.509v3 extensions that are malformed or contradict each other (crypto/x509/v3_purp.c); the PEM itself is fine.
    "INVALID_CERTIFICATE": Reason.MALFORMED,
}


class Problem(Struct, frozen=True):
    """Why material can't be used.

    Args:
        reason: the lab's class of it.
        symbol: OpenSSL's symbolic reason (``KEY_VALUES_MISMATCH``) or an errno name (``ENOENT``); ``""`` where CPython
            gives none.
        text: for people, with the file's name and without a secret.
        crl: it is a file of CRLs.
        trust: it is a file of trusted certificates.
    """

    reason: Reason
    symbol: str
    text: str
    crl: bool = False
    trust: bool = False


def load(context: ssl.SSLContext, certificate: Path, key: Path | None, passphrase: Secret | None) -> Problem | None:
    """Load a certificate chain and its key; ``None`` when that worked.

    The security level of ``context`` decides what is weak. Nothing is ever asked on the terminal.

    Args:
        context: gets the material.
        certificate: PEM, the certificate first, then what is sent after it.
        key: PEM; ``None``: the key lies in the certificate's file.
        passphrase: what there is to open the key with; ``None``: nothing.
    """
    asked = False

    def answer() -> bytes:
        nonlocal asked
        asked = True
        return passphrase.reveal().encode() if passphrase is not None else b""

    try:
        context.load_cert_chain(certificate, key, answer)
    except ssl.SSLError as error:
        return _explain(error, certificate, key, asked=asked, given=passphrase is not None)
    except OSError as error:
        return _unreadable(error, certificate if not _readable(certificate) else key or certificate)
    except ValueError:  # CPython's own limit of 1024 bytes; no key that OpenSSL wrote has a longer passphrase
        return Problem(
            Reason.WRONG_PASSPHRASE, "", f"{(key or certificate).name}: the passphrase is over 1024 bytes long"
        )
    return None


def load_trust(context: ssl.SSLContext, bundle: Path) -> Problem | None:
    """Load trusted certificates (PEM, also CRLs); ``None`` when that worked."""
    return _load_lookup(context, bundle, "certificate", trust=True)


def load_crls(context: ssl.SSLContext, crls: Path) -> Problem | None:
    """Load CRLs (PEM); ``None`` when that worked."""
    return _load_lookup(context, crls, "CRL", crl=True)


def _load_lookup(
    context: ssl.SSLContext, file: Path, what: str, *, trust: bool = False, crl: bool = False
) -> Problem | None:
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        symbol = error.reason or ""
        text = f"{file.name}: no usable {what} in it{_because(symbol)}"
        return Problem(Reason.MALFORMED, symbol, text, trust=trust, crl=crl)
    except OSError as error:
        return replace(_unreadable(error, file), trust=trust, crl=crl)
    return None


def _explain(error: ssl.SSLError, certificate: Path, key: Path | None, *, asked: bool, given: bool) -> Problem:
    symbol = error.reason or ""
    holder = (key or certificate).name
    reason = _UNUSABLE.get(symbol)
    match reason:
        case Reason.KEY_MISMATCH:
            return Problem(reason, symbol, f"{holder}: not the key of {certificate.name}{_because(symbol)}")
        case Reason.WEAK_KEY:
            return Problem(
                reason, symbol, f"{certificate.name}: too weak a key for the security level{_because(symbol)}"
            )
        case Reason.WEAK_DIGEST:
            return Problem(reason, symbol, f"{certificate.name}: signed with too weak a hash{_because(symbol)}")
        case Reason.MALFORMED:
            return Problem(reason, symbol, f"{certificate.name}: its extensions are not valid{_because(symbol)}")
    # From here on it is about PEM: the certificate is read first, so a key that was asked for means a sound certificate.
    if asked and given:
        return Problem(Reason.WRONG_PASSPHRASE, symbol, f"{holder}: the passphrase does not open it")
    if asked:
        return Problem(Reason.PASSPHRASE_NEEDED, symbol, f"{holder}: encrypted, and no passphrase is given")
    if (trouble := load_trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate)) is not None:
        return Problem(Reason.MALFORMED, symbol or trouble.symbol, f"{certificate.name}: no usable certificate in it")
    if key is None:
        return Problem(
            Reason.MISSING_FILE, symbol, f"{certificate.name}: holds no private key, and no other file is given"
        )
    return Problem(Reason.MALFORMED, symbol, f"{holder}: no usable private key in it{_because(symbol)}")


def _unreadable(error: OSError, path: Path) -> Problem:
    symbol = errno.errorcode.get(error.errno or 0, "")
    return Problem(Reason.MISSING_FILE, symbol, f"{path.name}: {error.strerror or 'cannot be read'}")


def _readable(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError:
        return False
    return True


def _because(symbol: str) -> str:
    return f" ({symbol})" if symbol else ""


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
    if spec.groups and not _can_set(spec.groups[0]):
        return f"this Python's ssl can't set the key exchange group {spec.groups[0]}"
    return None


def _can_set(group: str) -> bool:
    """It looks for the curve of that name: ML-KEM is none, nor is X25519 to Python 3.11.2 (Debian 12's).

    A name that nobody knows is told where the context is made.
    """
    if group.lower() in ML_KEM:
        return False
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ecdh_curve(_CURVES.get(group, group))
    except ssl.SSLError:
        return False
    except ValueError:
        return True
    return True


def _context(protocol: int, spec: ServerSpec | ClientSpec, otherwise: Reason) -> ssl.SSLContext | Problem:
    """Before it has any material; ``otherwise``: what it is where something else than the ciphers can't be set."""
    try:
        return _configured(protocol, spec)
    except ssl.SSLError:  # of Python's own making, without OpenSSL's reason
        return Problem(Reason.CIPHER, _NO_CIPHER, f"no cipher can be selected from {spec.ciphers!r}")
    except ValueError as error:
        return Problem(otherwise, "", str(error))


def _configured(protocol: int, spec: ServerSpec | ClientSpec) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    lowest, highest = spec.tls[0], spec.tls[-1]
    with without_warnings():  # of TLS 1.0 and 1.1
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
    context = _context(ssl.PROTOCOL_TLS_SERVER, spec, Reason.BAD_CONFIG)
    if isinstance(context, Problem):
        return context
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
    if spec.asks_later:
        context.post_handshake_auth, context.verify_mode = True, ssl.CERT_OPTIONAL
    return _trust(context, material, spec) or context


def client_context(spec: ClientSpec, material: Material) -> ssl.SSLContext | Problem:
    """What a client connects with, or why its own material can't be used.

    Raises:
        MaterialError: the lab itself could not make the material.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, spec, Reason.GROUP)
    if isinstance(context, Problem):
        return context
    if spec.post_handshake_auth:
        context.post_handshake_auth = True
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
