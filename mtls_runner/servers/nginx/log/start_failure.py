"""Why nginx did not start, from its own words."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence

from mtls_runner.errors import ServerUnusable
from mtls_runner.model.observation import Reason
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.nginx.log.lines import parse_line
from mtls_runner.tls.openssl_errors import SYSTEM_LIBRARY, openssl_errors

__all__ = ["start_failure"]

_FATAL = ("emerg", "alert")

# Libraries: err.h. Reasons: pemerr.h, evperr.h, pkcs12err.h, proverr.h, x509err.h, sslerr.h, decodererr.h, asn1err.h.
_ASN1 = 13
_DECODER = 60
_REASONS = {
    (11, 116): Reason.KEY_MISMATCH,  # X509_R_KEY_VALUES_MISMATCH
    (11, 115): Reason.KEY_MISMATCH,  # X509_R_KEY_TYPE_MISMATCH
    (9, 109): Reason.PASSPHRASE_NEEDED,  # PEM_R_PROBLEMS_GETTING_PASSWORD
    (9, 104): Reason.PASSPHRASE_NEEDED,  # PEM_R_BAD_PASSWORD_READ
    (57, 159): Reason.PASSPHRASE_NEEDED,  # PROV_R_UNABLE_TO_GET_PASSPHRASE
    (57, 100): Reason.WRONG_PASSPHRASE,  # PROV_R_BAD_DECRYPT
    (6, 100): Reason.WRONG_PASSPHRASE,  # EVP_R_BAD_DECRYPT
    (9, 101): Reason.WRONG_PASSPHRASE,  # PEM_R_BAD_DECRYPT
    (35, 116): Reason.WRONG_PASSPHRASE,  # PKCS12_R_PKCS12_CIPHERFINAL_ERROR
    (20, 185): Reason.CIPHER,  # SSL_R_NO_CIPHER_MATCH
    (20, 399): Reason.WEAK_KEY,  # SSL_R_EE_KEY_TOO_SMALL
    (20, 397): Reason.WEAK_KEY,  # SSL_R_CA_KEY_TOO_SMALL
    (20, 398): Reason.WEAK_DIGEST,  # SSL_R_CA_MD_TOO_WEAK
    (9, 108): Reason.MALFORMED,  # PEM_R_NO_START_LINE
    (9, 102): Reason.MALFORMED,  # PEM_R_BAD_END_LINE
    (9, 100): Reason.MALFORMED,  # PEM_R_BAD_BASE64_DECODE
    (11, 136): Reason.MALFORMED,  # X509_R_NO_CERTIFICATE_OR_CRL_FOUND
}
_ERRNOS = {
    errno.ENOENT: Reason.MISSING_FILE,
    errno.EACCES: Reason.MISSING_FILE,
    errno.EISDIR: Reason.MISSING_FILE,
    errno.EADDRINUSE: Reason.ADDRESS_IN_USE,
}
_KEY = re.compile(r'cannot load certificate key "([^"]+)"')
_ERRNO = re.compile(r" failed \((\d+): ")


def start_failure(
    log: Sequence[str], files: Sequence[ContainerFile], exit_code: int | None, names: Sequence[tuple[str, str]] = ()
) -> ServerUnusable:
    """The error to raise.

    Args:
        log: all that the container wrote.
        files: what it was given.
        exit_code: of the container, if known.
        names: path in the container → what the author calls that file, for messages.
    """
    said = [line for line in map(parse_line, log) if line.level in _FATAL]
    shown = tuple(_renamed(text, names) for text in dict.fromkeys(log))
    if not said:
        last = _renamed(log[-1], names) if log else "nothing"
        return ServerUnusable(
            f"nginx ended with exit code {exit_code}; its last words: {last}", reason=Reason.EXITED, log=shown
        )
    message = said[0].message
    return ServerUnusable(_renamed(_short(message), names), reason=_reason(message, files), log=shown)


def _reason(message: str, files: Sequence[ContainerFile]) -> Reason:
    errors = openssl_errors(message)
    reasons = [_REASONS[error] for error in errors if error in _REASONS]
    for known in (Reason.PASSPHRASE_NEEDED, Reason.WRONG_PASSPHRASE):
        if known in reasons:
            return known
    for error in errors:
        if error.library == SYSTEM_LIBRARY and error.reason in _ERRNOS:
            return _ERRNOS[error.reason]
    if reasons:
        return reasons[0]
    key = _KEY.search(message)
    if key and errors:
        # A wrong passphrase decrypts to valid padding once in 256 times, and then the key is nonsense.
        content = next((file.content for file in files if file.path == key[1]), b"")
        return Reason.WRONG_PASSPHRASE if b"ENCRYPTED" in content else Reason.MALFORMED
    if any(error.library in (_ASN1, _DECODER) for error in errors):
        return Reason.MALFORMED
    number = _ERRNO.search(message)
    # nginx's own files (a log, a directory, a port) that it has no permission for are there.
    if number is None or int(number[1]) == errno.EACCES:
        return Reason.BAD_CONFIG
    return _ERRNOS.get(int(number[1]), Reason.BAD_CONFIG)


def _short(message: str) -> str:
    """OpenSSL's queue can be a dozen errors long; the first says it, the log has them all."""
    head, mark, rest = message.partition(" error:")
    first, more, _ = rest.partition(" error:")
    return f"{head}{mark}{first})" if more else message


def _renamed(text: str, names: Sequence[tuple[str, str]]) -> str:
    for inside, outside in names:
        text = text.replace(f" in {inside}:", f" in {outside}:")
    return text
