"""How a server in a container reaches the servers of the plan that it connects to.

Those listen on loopback, or are published there, where a container can't reach them. So the lab listens for it on this machine's
own address on the engine's network, and lets in nobody but this container. Names stay what they are (``/etc/hosts``): a proxy
may look for them in the certificate.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.errors import EngineError
from mtls_runner.model.endpoint import Address, ServerSpec
from mtls_runner.model.names import is_address
from mtls_runner.runtimes.listening import Relay
from mtls_runner.servers.container.engine import Engine

__all__ = ["Reach", "reach"]


class Reach(Struct, frozen=True):
    """What a container needs to reach the servers behind it.

    Args:
        server: its description; ``reached`` says where it finds the others.
        hosts: names that have to resolve inside.
        relays: in front of the others.
    """

    server: ServerSpec
    hosts: tuple[tuple[str, str], ...] = ()
    relays: tuple[Relay, ...] = ()

    def admit(self, host: str) -> None:
        """It is the container with this address that may come."""
        for relay in self.relays:
            relay.admit(host)


@contextlib.contextmanager
def reach(engine: Engine, server: ServerSpec) -> Iterator[Reach]:
    """What a container with ``server`` needs, while it runs.

    Raises:
        EngineError: containers of this engine can't reach this machine.
    """
    if not server.reached:
        yield Reach(server)
        return
    gateway = engine.gateway()
    with contextlib.ExitStack() as stack:
        relays, reached, hosts = [], [], {}
        for upstream, address in server.reached:
            try:
                relay = stack.enter_context(Relay(gateway, 0, address, guarded=True))
            except OSError as error:
                raise EngineError(
                    f"{gateway}, the engine's network, is not of this machine ({error.strerror}): a container can't reach the "
                    "servers of the file. Next: use this machine's own engine, or runtime: process"
                ) from error
            name = upstream.rpartition(":")[0] or upstream
            host = name if _is_name(name) else gateway
            if host == name:
                hosts[name] = gateway
            relays.append(relay)
            reached.append((upstream, Address(host, relay.address.port)))
        yield Reach(replace(server, reached=tuple(reached)), tuple(hosts.items()), tuple(relays))


def _is_name(host: str) -> bool:
    return host != "localhost" and "/" not in host and ":" not in host and not is_address(host.strip("[]"))
