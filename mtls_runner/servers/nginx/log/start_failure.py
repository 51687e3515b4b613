"""Why nginx did not start, from its own words."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mtls_runner.errors import ServerUnusable
from mtls_runner.model.observation import Reason
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.nginx.log.lines import parse_line
from mtls_runner.tls.openssl_errors import (
    ASN1_LIBRARY,
    DECODER_LIBRARY,
    ERRNO_REASONS,
    SYSTEM_LIBRARY,
    UNUSABLE,
    openssl_errors,
)

if TYPE_CHECKING:
    from mtls_runner.servers.nginx.prepare import Prepared

__all__ = ["start_failure"]

_KEY = re.compile(r'cannot load certificate key "([^"]+)"')
_ERRNO = re.compile(r" failed \((\d+): ")


def start_failure(log: Sequence[str], prepared: Prepared, exit_code: int | None) -> ServerUnusable:
    """The error to raise.

    Args:
        log: all that nginx wrote.
        prepared: what it was given.
        exit_code: its own, if known.
    """
    said = [line for line in map(parse_line, log) if line.is_fatal]
    shown = tuple(map(prepared.renamed, dict.fromkeys(log)))
    if not said:
        last = shown[-1] if log else "nothing"
        return ServerUnusable(
            f"nginx ended with exit code {exit_code}; its last words: {last}", reason=Reason.EXITED, log=shown
        )
    message = said[0].message
    text = _short(message)
    for file in prepared.files:
        if file.name:
            text = text.replace(f'"{file.path}"', f'"{file.name}"')
    return ServerUnusable(prepared.renamed(text), reason=_reason(message, prepared.files), log=shown)


def _reason(message: str, files: Sequence[ContainerFile]) -> Reason:
    errors = openssl_errors(message)
    reasons = [UNUSABLE[error] for error in errors if error in UNUSABLE]
    for known in (Reason.PASSPHRASE_NEEDED, Reason.WRONG_PASSPHRASE):
        if known in reasons:
            return known
    for error in errors:
        if error.library == SYSTEM_LIBRARY and error.reason in ERRNO_REASONS:
            return ERRNO_REASONS[error.reason]
    if reasons:
        return reasons[0]
    key = _KEY.search(message)
    if key and errors:
        # A wrong passphrase decrypts to valid padding once in 256 times, and then the key is nonsense.
        content = next((file.content for file in files if file.path == key[1]), b"")
        return Reason.WRONG_PASSPHRASE if b"ENCRYPTED" in content else Reason.MALFORMED
    if any(error.library in (ASN1_LIBRARY, DECODER_LIBRARY) for error in errors):
        return Reason.MALFORMED
    number = _ERRNO.search(message)
    # nginx's own files (a log, a directory, a port) that it has no permission for are there.
    if number is None or int(number[1]) == errno.EACCES:
        return Reason.BAD_CONFIG
    return ERRNO_REASONS.get(int(number[1]), Reason.BAD_CONFIG)


def _short(message: str) -> str:
    """OpenSSL's queue can be a dozen errors long; the first says it, the log has them all."""
    head, mark, rest = message.partition(" error:")
    first, more, _ = rest.partition(" error:")
    return f"{head}{mark}{first})" if more else message
