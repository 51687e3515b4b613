"""Loads a certificate, its key and trusted certificates into an ``SSLContext``, and says why that fails.

OpenSSL itself is asked, so that the answer is the one that curl, nginx and Python's ``ssl`` would give. CPython reports
only the last error of OpenSSL's queue, and for anything about PEM that is ``PEM lib`` without a reason: which of the two
files it was, and whether a passphrase was wanted, is found out here from what OpenSSL did.
"""

from __future__ import annotations

import errno
import ssl
from dataclasses import dataclass, replace
from pathlib import Path

from mtls_runner.model.credential import Secret
from mtls_runner.model.observation import Reason

__all__ = ["Problem", "load", "load_crls", "load_trust"]

_REASONS = {
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


@dataclass(frozen=True, slots=True)
class Problem:
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
    try:
        context.load_verify_locations(bundle)
    except ssl.SSLError as error:
        symbol = error.reason or ""
        text = f"{bundle.name}: no usable certificate in it{_because(symbol)}"
        return Problem(Reason.MALFORMED, symbol, text, trust=True)
    except OSError as error:
        return replace(_unreadable(error, bundle), trust=True)
    return None


def load_crls(context: ssl.SSLContext, crls: Path) -> Problem | None:
    """Load CRLs (PEM); ``None`` when that worked."""
    try:
        context.load_verify_locations(crls)
    except ssl.SSLError as error:
        symbol = error.reason or ""
        return Problem(Reason.MALFORMED, symbol, f"{crls.name}: no usable CRL in it{_because(symbol)}", crl=True)
    except OSError as error:
        return replace(_unreadable(error, crls), crl=True)
    return None


def _explain(error: ssl.SSLError, certificate: Path, key: Path | None, *, asked: bool, given: bool) -> Problem:
    symbol = error.reason or ""
    holder = (key or certificate).name
    reason = _REASONS.get(symbol)
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
