"""The two directories of a user: a private one for what runs, and a cache."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from mtls_runner.errors import LabError

__all__ = ["user_cache", "user_directory"]


def user_directory() -> Path:
    """One directory for each user, 0700, owned by that user: others can neither read nor plant anything in it.

    Raises:
        LabError: somebody else made it, or it can't be made.
    """
    base = Path(tempfile.gettempdir()) / f"mtls-run-{os.getuid()}"
    try:
        base.mkdir(mode=0o700, exist_ok=True)
        status = base.lstat()
    except OSError as error:
        raise LabError(f"there is no place to work in: {base}: {error.strerror} (TMPDIR names another)") from error
    if not base.is_dir() or base.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise LabError(f"{base} is not a private directory of this user: remove it, or set TMPDIR")
    return base


def user_cache() -> Path:
    """``mtls-run`` in the user's cache directory (XDG Base Directory Specification); the private one where there is none."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    if cache.startswith("/"):  # the specification has relative paths ignored
        return Path(cache, "mtls-run")
    try:
        return Path.home() / ".cache" / "mtls-run"
    except RuntimeError:
        return user_directory()
