"""How wide a text is on a terminal."""

from __future__ import annotations

__all__ = ["width"]


def width(text: str) -> int:
    """Cells that the text takes: wide East Asian characters take two, combining marks none (Unicode's UAX #11)."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len  # the library is loaded for other texts only

    return cell_len(text)
