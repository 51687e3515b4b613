"""OpenSSL error codes in nginx's log lines (``SSL: error:0A0000C1:SSL routines::no shared cipher``).

Only the numbers count: the prose changes between versions.
"""

from __future__ import annotations

import _ssl
import errno
import re
from typing import NamedTuple

__all__ = ["SYSTEM_LIBRARY", "OpensslError", "openssl_errors"]

SYSTEM_LIBRARY = 2
"""``ERR_LIB_SYS``: the reason is an errno."""

# The third field is the function's name up to OpenSSL 1.1.1, and empty from 3.0 on.
_ERROR = re.compile(r"\berror:([0-9A-Fa-f]{8}):[^:]*:([^:]*):")

# CPython's own table of OpenSSL's symbols, which names `ssl.SSLError.reason`; private, so its absence must not matter.
_SYMBOLS: dict[tuple[int, int], str] = getattr(_ssl, "err_codes_to_names", {})


class OpensslError(NamedTuple):
    """Library and reason as OpenSSL's headers number them (``ERR_LIB_*`` in ``err.h``)."""

    library: int
    reason: int

    @property
    def symbol(self) -> str:
        """As ``ssl.SSLError.reason``: ``NO_SHARED_CIPHER``, an errno's name for the system's own, or ``""``."""
        if self.library == SYSTEM_LIBRARY:
            return errno.errorcode.get(self.reason, "")
        return _SYMBOLS.get((self.library, self.reason), "")


def openssl_errors(text: str) -> tuple[OpensslError, ...]:
    """All errors of a line, in OpenSSL's order (the first one is the cause)."""
    return tuple(_unpack(int(found[1], 16), old=bool(found[2])) for found in _ERROR.finditer(text))


def _unpack(code: int, *, old: bool) -> OpensslError:
    if old:  # OpenSSL 1.1.1 err.h: 8 bits library, 12 bits function, 12 bits reason
        return OpensslError(code >> 24, code & 0xFFF)
    if code & 0x80000000:  # OpenSSL 3 err.h: ERR_SYSTEM_FLAG
        return OpensslError(SYSTEM_LIBRARY, code & 0x7FFFFFFF)
    return OpensslError(code >> 23 & 0xFF, code & 0x7FFFFF)
