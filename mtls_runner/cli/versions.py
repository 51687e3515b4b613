"""What takes part on this machine, and in which version."""

from __future__ import annotations

import platform

from mtls_runner import __version__
from mtls_runner.errors import LabError
from mtls_runner.registry import registry
from mtls_runner.tls.openssl_errors import LINKED_VERSION

__all__ = ["versions"]


def versions() -> dict[str, str]:
    """Name → version, in the order that they are shown."""
    found = {
        "mtls-run": __version__,
        "python": platform.python_version(),
        "openssl": LINKED_VERSION,
    }
    for traits in registry().clients.usable():
        name = traits.name
        if name not in found:
            try:
                found[name] = traits.make().version()
            except LabError as error:
                found[name] = f"not usable: {error}"
    return found
