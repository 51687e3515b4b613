"""Where a scenario's lab.yaml is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

__all__ = ["IMAGE_VARIABLE", "LAB_FILE", "above", "find_lab"]

LAB_FILE = "lab.yaml"
IMAGE_VARIABLE = "MTLS_RUN_IMAGE"
"""The environment variable of the image that ``engine:`` of lab.yaml names."""


def find_lab(start: Path) -> Path | None:
    """The lab.yaml that a scenario at ``start`` belongs to: the nearest one above it."""
    return next((directory / LAB_FILE for directory in above(start) if (directory / LAB_FILE).is_file()), None)


def above(start: Path) -> Iterator[Path]:
    """The scenario's directory and those above it, up to the repository's root (the directory that holds ``.git``), the file
    system's boundary or the root."""
    directory = start.resolve().parent
    try:
        device = directory.stat().st_dev
        for candidate in (directory, *directory.parents):
            if candidate.stat().st_dev != device:
                return
            yield candidate
            if (candidate / ".git").exists():
                return
    except OSError:
        return
