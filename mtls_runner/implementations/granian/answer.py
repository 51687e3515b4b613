"""The application behind granian: answers as the lab's file says, and prints a line for each request."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
_RESPONSES = json.loads(Path(os.environ["LAB_FILE"]).read_text())["responses"]


async def app(scope: Scope, receive: object, send: Send) -> None:  # noqa: ARG001 - as ASGI has it
    """An ASGI application."""
    query = scope["query_string"].decode("latin-1")
    target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    # In one piece: print() writes the line's end by itself where nothing is buffered, and another thread's line comes between.
    sys.stdout.write(f"answered port={scope['client'][1]} request=<{scope['method']} {target}>\n")
    sys.stdout.flush()
    chosen = next(one for one in _RESPONSES if one["path"] in (None, scope["path"]))
    body = Path(chosen["body_file"]).read_bytes() if chosen["body_file"] else b""
    headers = [*chosen["headers"], ["Content-Type", chosen["content_type"] or "text/plain; charset=utf-8"]]
    headers.append(["Content-Length", str(len(body))])
    fields = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": chosen["status"], "headers": fields})
    await send({"type": "http.response.body", "body": body})
