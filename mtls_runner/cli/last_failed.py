"""Which cases failed last: kept for each working directory, in the user's cache, for ``--last-failed``."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mtls_runner.errors import MaterialError
from mtls_runner.model.case import Case, Plan
from mtls_runner.private_files import make_private, user_cache, write_private

__all__ = ["chooser", "remember"]


def _place() -> Path:
    name = hashlib.sha256(os.fsencode(Path.cwd())).hexdigest()[:32]
    return user_cache() / "last-failed" / f"{name}.json"


def _known() -> set[str]:
    """The ids that are kept; none where there is no list, or where it can't be read."""
    with suppress(OSError, ValueError, TypeError, KeyError):
        return {str(one) for one in json.loads(_place().read_text("utf-8"))["failed"]}
    return set()


def _key(path: Path, case: Case) -> str:
    return f"{os.path.realpath(path)}::{case.name}"


def chooser() -> Callable[[Plan, Case], bool] | None:
    """Whether a case failed when it was last run; ``None``: none did."""
    known = _known()
    return (lambda plan, case: _key(plan.path, case) in known) if known else None


def remember(passed: dict[Path, list[Case]], failed: dict[Path, list[Case]]) -> None:
    """What came of a run; cases that it did not come to stay as they were. A cache that can't be written stays empty."""
    known = _known()
    after = known - {_key(path, case) for path, cases in passed.items() for case in cases}
    after |= {_key(path, case) for path, cases in failed.items() for case in cases}
    if after == known:
        return
    place = _place()
    with suppress(OSError, MaterialError):
        make_private(place.parent)
        _sweep(place.parent)
        if not after:
            place.unlink(missing_ok=True)
            return
        write_private(place, json.dumps({"directory": str(Path.cwd()), "failed": sorted(after)}).encode())


def _sweep(directory: Path) -> None:
    """Lists of directories that are no more."""
    for path in directory.glob("*.json"):
        with suppress(OSError, ValueError, TypeError, KeyError):
            if not Path(json.loads(path.read_text("utf-8"))["directory"]).is_dir():
                path.unlink(missing_ok=True)
