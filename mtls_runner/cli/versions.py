"""What takes part on this machine, and in which version."""

from __future__ import annotations

import platform
import ssl
from importlib.metadata import version

__all__ = ["versions"]


def versions() -> dict[str, str]:
    """Name → version, in the order that they are shown."""
    return {
        "mtls-run": version("mtls-run"),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION.removeprefix("OpenSSL ").partition(" ")[0],
    }
