"""What this machine's ``nginx.conf`` says of TLS to the files that it includes: one of an author's gets it without it, too."""

from __future__ import annotations

from pathlib import Path

from mtls_runner.servers.nginx.read.copy import OwnConfiguration
from mtls_runner.servers.nginx.read.statements import readable

__all__ = ["said_around"]

_ADDED_UP = frozenset(("ssl_conf_command", "ssl_protocols"))
"""Said twice, both count."""
_SAID_ONCE = frozenset(("ssl_ciphers", "ssl_ecdh_curve", "ssl_prefer_server_ciphers"))


def said_around(configuration: Path, own: OwnConfiguration) -> tuple[str, ...]:
    """Directives for the ``http`` level, as they are written there; none for a whole configuration.

    Args:
        configuration: of this machine's nginx; it need not be there.
        own: the author's; what nginx takes only once at that level, and is said there, is left out.
    """
    if own.whole:
        return ()
    try:
        text = configuration.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ()
    said = {one.name for around, one in own.found if around == ("http",)}
    wanted = _ADDED_UP | (_SAID_ONCE - said)
    return tuple(text[one.start : one.end] for one in readable(text) if one.path == ("http",) and one.name in wanted)
