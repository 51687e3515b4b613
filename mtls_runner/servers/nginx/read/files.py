"""Where a configuration's files are: in the container, and here."""

from __future__ import annotations

from pathlib import PurePosixPath

from mtls_runner.servers.nginx.read.statements import is_whole, readable
from mtls_runner.servers.nginx.surroundings import ROOT

__all__ = ["ROOT", "beside", "is_whole_text"]


def is_whole_text(text: str) -> bool:
    """Whether it is a whole ``nginx.conf``, as far as it can be read."""
    return is_whole(readable(text))


def beside(target: PurePosixPath, whole: bool) -> list[PurePosixPath]:
    """Where a run takes a path of the container from, which may be a pattern: paths from the configuration's folder.

    None, if it leads out of :data:`ROOT`. For a whole ``nginx.conf`` its folder stands for ``/etc/nginx``; for a ``conf.d``
    file, for that folder too.

    Args:
        target: the path in the container.
        whole: whether ``main`` is a whole ``nginx.conf``.
    """
    if not target.is_relative_to(ROOT) or ".." in target.parts:
        return []
    relative = target.relative_to(ROOT)
    found = [relative]
    if not whole and relative.parts[:1] == ("conf.d",) and len(relative.parts) > 1:
        found.append(PurePosixPath(*relative.parts[1:]))
    return found
