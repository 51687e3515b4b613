"""Where nginx runs, and what a configuration that the lab writes has to fit into."""

from __future__ import annotations

from pathlib import PurePosixPath

from msgspec import Struct

__all__ = ["CAPABILITIES", "FIRST_PORT", "FOREGROUND", "IN_CONTAINER", "ROOT", "Surroundings"]

FOREGROUND = ("-g", "daemon off;")
"""Arguments with which nginx does not leave whoever started it."""
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "NET_BIND_SERVICE", "SETGID", "SETUID")
"""What its master needs in a container to become its workers' user, to make its temporary directories and to write logs, though
their places belong to that user (Debian's package); ports below 1024. Workers keep none."""
ROOT = PurePosixPath("/etc/nginx")
"""What relative paths of an author's configuration start from."""

FIRST_PORT = 443
"""Inside, of several servers in one container."""


class Surroundings(Struct, frozen=True):
    """What the configuration has to fit into.

    Args:
        directory: where nginx finds its files; nothing else is there.
        host: that it listens on, with the colon before a port; ``""``: every address.
        main: directives at the top.
        http: directives of the ``http`` block.
        modules: the folder of nginx's dynamic modules.
    """

    directory: str
    host: str = ""
    main: tuple[str, ...] = ()
    http: tuple[str, ...] = ()
    modules: str = ""

    @property
    def main_file(self) -> str:
        """The configuration itself."""
        return f"{self.directory}/nginx.conf"


IN_CONTAINER = Surroundings("/etc/mtls-run", main=("pid /tmp/nginx.pid;",))
