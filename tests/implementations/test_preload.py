"""What would listen on all addresses is kept on loopback, and a client connects from the port that the lab knows.

The kernel says so (getsockname(2)), to a program that does not know of it; without the library it says otherwise.
"""

import json
import os
import socket
import subprocess
import sys

import pytest

from mtls_runner.runtimes.preload import cannot_preload, preload

PROGRAM = """\
import json, socket, sys
found = []
for family, address, only in json.loads(sys.argv[1]):
    with socket.socket(family, socket.SOCK_STREAM) as one:
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        one.bind((address, 0))
        found.append(one.getsockname()[0])
found.append(socket.create_connection(("127.0.0.1", int(sys.argv[2]))).getsockname()[1])
print(json.dumps(found))
"""
BINDS = [
    (socket.AF_INET, "0.0.0.0"),  # noqa: S104 - it never listens
    (socket.AF_INET, "127.0.0.2"),
    (socket.AF_INET6, "::", 0),
    (socket.AF_INET6, "::", 1),
    (socket.AF_INET6, "::1", 1),
]


def _told(port: int, more: dict[str, str]) -> list[object]:
    asked = json.dumps([(*one, 0)[:3] for one in BINDS])
    command = [sys.executable, "-I", "-c", PROGRAM, asked, str(port)]
    done = subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True, check=True)
    found: list[object] = json.loads(done.stdout)
    return found


def test_only_loopback_and_from_the_port_that_is_told() -> None:
    why = cannot_preload()
    if why is not None:
        pytest.skip(why)
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_server(("127.0.0.1", 0)) as other:
        port = listener.getsockname()[1]
        free = other.getsockname()[1]
        other.close()
        *addresses, source = _told(port, preload(free))
        assert addresses == ["127.0.0.1", "127.0.0.2", "::ffff:127.0.0.1", "::1", "::1"]
        assert source == free
        *addresses, source = _told(port, {})
        assert addresses == ["0.0.0.0", "127.0.0.2", "::", "::", "::1"]  # noqa: S104 - the same
        assert source != free
