"""Why there is nothing in an nginx configuration that could be tested."""

from __future__ import annotations

from collections.abc import Iterable

from mtls_runner.errors import UsageError
from mtls_runner.servers.nginx.read.configuration import Reading

__all__ = ["nothing_to_test"]


def nothing_to_test(reading: Reading, notes: Iterable[str]) -> UsageError:
    """Why: no ``server`` of it can be tried."""
    main = reading.main
    of = {d.path[0] for d in reading.directives if d.name == "server" and d.path in (("stream",), ("mail",))}
    if of and not reading.servers:
        return UsageError(
            f"{main}: {' and '.join(sorted(of))} only: --from-nginx tests servers of http, and there is none"
        )
    if not reading.servers:
        return UsageError(
            f"{main}: there is no `server` in it: it is a part of a configuration. Give the file that includes it"
        )
    why = "; ".join(notes) or "no `server` of it has a `listen … ssl` with an ssl_certificate"
    return UsageError(f"{main}: there is nothing to test: {why}")
