"""A directory that is filled again and again, and in which nothing is touched that the program did not put there.

A marker beside the files lists each with the SHA-256 of its content. What is listed and unchanged is the program's own:
it may be replaced or removed. Everything else is somebody's, and in the way it stops everything before anything is written.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mtls_runner.errors import UsageError
from mtls_runner.private_files import make_private, write_private

__all__ = ["fill"]

_SHOWN = 5

_Sums = Mapping[str, frozenset[str]]


def fill(directory: Path, files: Mapping[str, bytes], *, command: str = "forge") -> tuple[str, ...]:
    """Write the files, 0600 in directories that are 0700, and remove those of an earlier time that are not among them.

    Args:
        directory: made where it is not there; one that holds anything has to be of an earlier time.
        files: contents by name, relative to the directory, with ``/``.
        command: whose directory it is; that of one is somebody else's to another.

    Returns:
        Files of an earlier time that somebody changed and that are left alone, since nothing has to go in their place.

    Raises:
        UsageError: somebody else's file is in the way, or the directory is somebody else's; nothing was written.
        MaterialError: writing failed in the middle; the next time finishes it.
    """
    marker = directory / f".mtls-run-{command}.json"
    _prepare(directory, marker)
    with _alone(directory):
        known = _known(marker, command)
        _refuse_conflicts(directory, files, known)
        new = {name: frozenset((_sum(content),)) for name, content in files.items()}
        # Before anything else: what is interrupted in the middle is still known as one's own.
        _mark(
            marker,
            command,
            {name: known.get(name, frozenset()) | new.get(name, frozenset()) for name in {*known, *new}},
        )
        for name, content in files.items():
            path = directory / name
            if path.parent != directory:
                make_private(path.parent)
            write_private(path, content)
        left = tuple(sorted(_removed(directory, {name: sums for name, sums in known.items() if name not in new})))
        _mark(marker, command, new)
        return left


def _prepare(directory: Path, marker: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(directory.iterdir()) and not marker.is_file():
            raise UsageError(
                f"{directory} is not empty, and nothing in it was made by this command: name a new directory, or an empty one"
            )
        directory.chmod(0o700)
    except OSError as error:
        raise UsageError(f"can't write to {directory}: {error.strerror}") from error


@contextmanager
def _alone(directory: Path) -> Iterator[None]:
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise UsageError(f"another process is writing to {directory} right now: try again when it is done") from error
    finally:
        os.close(handle)


def _known(marker: Path, command: str) -> _Sums:
    try:
        told = json.loads(marker.read_bytes())
        if told["made_by"] == f"mtls-run {command}":
            return {str(name): frozenset(map(str, sums)) for name, sums in told["files"].items() if _inside(name)}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    raise UsageError(
        f"{marker} can't be read, so that nobody knows what beside it may be replaced: name a new directory"
    )


def _inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)


def _mark(marker: Path, command: str, sums: _Sums) -> None:
    listed = {name: sorted(sums[name]) for name in sorted(sums)}
    made = {"made_by": f"mtls-run {command}", "files": listed}
    write_private(marker, json.dumps(made, indent=1).encode() + b"\n")


def _refuse_conflicts(directory: Path, files: Mapping[str, bytes], known: _Sums) -> None:
    conflicts = [name for name in files if not _free(directory, name, known.get(name, frozenset()))]
    if conflicts:
        shown = ", ".join(conflicts[:_SHOWN]) + (f" and {len(conflicts) - _SHOWN} more" * (len(conflicts) > _SHOWN))
        raise UsageError(
            f"{directory} holds files that this command did not make, or that were changed since: {shown}; nothing was written. "
            "Move them away, or name another directory"
        )


def _free(directory: Path, name: str, own: frozenset[str]) -> bool:
    """Nothing is there, or one's own file, unchanged; and no link leads elsewhere on the way to it."""
    for parent in list((directory / name).parents)[: len(PurePosixPath(name).parts) - 1]:
        if parent.is_symlink() or (parent.exists() and not parent.is_dir()):
            return False
    path = directory / name
    try:
        regular = stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return True
    return regular and _sum(path.read_bytes()) in own


def _removed(directory: Path, old: _Sums) -> Iterator[str]:
    """Remove what was made earlier; the names of what was changed since, which stays."""
    for name, own in old.items():
        path = directory / name
        if not os.path.lexists(path):
            continue
        if _free(directory, name, own):
            path.unlink()
        else:
            yield name


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
