"""Why nginx did not start, from its own words."""

from __future__ import annotations

import errno
import re
from collections.abc import Sequence

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

__all__ = ["renamed", "start_failure"]

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
    said = [line for line in map(parse_line, log) if line.is_fatal]
    shown = tuple(renamed(text, names) for text in dict.fromkeys(log))
    if not said:
        last = renamed(log[-1], names) if log else "nothing"
        return ServerUnusable(
            f"nginx ended with exit code {exit_code}; its last words: {last}", reason=Reason.EXITED, log=shown
        )
    message = said[0].message
    text = _short(message)
    for file in files:
        if file.name:
            text = text.replace(f'"{file.path}"', f'"{file.name}"')
    return ServerUnusable(renamed(text, names), reason=_reason(message, files), log=shown)


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


def renamed(text: str, names: Sequence[tuple[str, str]]) -> str:
    """A message with the author's files in place of their copies in the container."""
    for inside, outside in names:
        if inside.endswith("/"):  # a folder in which all of them are
            text = text.replace(inside, outside)
        text = text.replace(f" in {inside}:", f" in {outside}:")
    return text
