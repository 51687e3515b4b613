"""The application behind gunicorn: answers as the lab's file says, and prints a line for each request."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_RESPONSES = json.loads(Path(os.environ["LAB_FILE"]).read_text())["responses"]


def app(environ: dict[str, Any], start_response: Callable[[str, list[tuple[str, str]]], object]) -> list[bytes]:
    """A WSGI application."""
    tls = environ["gunicorn.socket"]
    certificate = base64.b64encode(tls.getpeercert(True) or b"").decode()
    request = f"{environ['REQUEST_METHOD']} {environ['RAW_URI']}"
    # In one piece: print() writes the line's end by itself where nothing is buffered, and another thread's line comes between.
    sys.stdout.write(
        f"answered request=<{request}> tls={tls.version()} cipher={tls.cipher()[0]} certificate={certificate}\n"
    )
    sys.stdout.flush()
    chosen = next(one for one in _RESPONSES if one["path"] in (None, environ["PATH_INFO"]))
    body = Path(chosen["body_file"]).read_bytes() if chosen["body_file"] else b""
    headers = [(name, value) for name, value in chosen["headers"]]
    headers.append(("Content-Type", chosen["content_type"] or "text/plain; charset=utf-8"))
    start_response(f"{chosen['status']} Answered", [*headers, ("Content-Length", str(len(body)))])
    return [body]
