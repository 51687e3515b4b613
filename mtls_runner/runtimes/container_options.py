"""A container's ``options:``, whatever runs in it."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

__all__ = ["ContainerOptions"]

_MEMORY = re.compile(r"([0-9]{1,12})([kKmMgG])")
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_LEAST, _MOST = 6 << 20, 1 << 40  # Docker's own least


def _memory(text: object) -> int:
    """Bytes."""
    match = _MEMORY.fullmatch(str(text))
    size = int(match[1]) * _UNITS[match[2].lower()] if match else 0
    if not _LEAST <= size <= _MOST:
        raise ValueError("this is not an amount of memory", "a whole number with k, m or g behind it, from 6m to 1024g")
    return size


class ContainerOptions(BaseModel):
    """A container's settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    memory: Annotated[
        int | None,
        BeforeValidator(_memory),
        WithJsonSchema({"type": "string", "pattern": "^[0-9]{1,12}[kKmMgG]$"}),
    ] = Field(default=None, description="Memory limit of a container, swap included.", examples=["512m"])
    pids: Annotated[
        int | None, Field(ge=16, le=32768), WithJsonSchema({"type": "integer", "minimum": 16, "maximum": 32768})
    ] = Field(default=None, description="Limit of a container's processes and threads.", examples=[512])
