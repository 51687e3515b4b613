"""The lines of one connection → what the server saw of it."""

from __future__ import annotations

import base64
import binascii
import re
import urllib.parse
from collections.abc import Sequence

from mtls_runner.model.implementation import DeclaredServer, Implementation
from mtls_runner.model.observation import HttpRequest, ServerView
from mtls_runner.tls.dialects import FACTS, Told, compiled, tls_version, told
from mtls_runner.tls.messages import subject
from mtls_runner.tls.rules import ENDS

__all__ = ["OF_REQUESTS", "facts", "is_over", "said", "server_view"]

OF_REQUESTS = frozenset(("method", "path"))
"""Facts of which a connection has several, one for each request."""
_NOTHING = ("", "-", "none", "(null)")
"""How programs write that there is none."""


def facts(declared: DeclaredServer, lines: Sequence[str]) -> dict[str, str]:
    """What the declared regular expressions find; the first find of each counts, of a request's the last one."""
    found: dict[str, str] = {}
    for expression in declared.log.facts:
        regex = compiled(expression)
        for line in lines:
            match = regex.search(line)
            if match is None:
                continue
            FACTS.add(expression)
            for name, text in match.groupdict().items():
                if text is None or text in _NOTHING:
                    continue
                if name in OF_REQUESTS:
                    found[name] = text
                found.setdefault(name, text)
    return found


def said(declared: DeclaredServer, lines: Sequence[str]) -> Told | None:
    """Why the connection was refused, or which alert the client sent."""
    return told((*declared.log.refused, *declared.log.dialect.lines), lines)


def is_over(declared: DeclaredServer, lines: Sequence[str]) -> bool:
    """Whether nothing that matters is missing from a connection's lines."""
    if not lines:
        return False
    if declared.log.ended is not None:
        ended = compiled(declared.log.ended)
        return any(ended.search(line) for line in lines)
    return bool(facts(declared, lines)) or said(declared, lines) is not None


def server_view(implementation: Implementation, declared: DeclaredServer, lines: Sequence[str]) -> ServerView:
    """What the log's lines say, as a :class:`~mtls_runner.model.observation.ServerView`."""
    saw, refusal = facts(declared, lines), said(declared, lines)
    if refusal is not None and refusal.symbol in ENDS and not OF_REQUESTS.isdisjoint(saw):
        refusal = None  # a client that has its answer, and goes without a word
    certificate = _certificate(saw)
    name = subject(certificate) if certificate is not None else saw.get("subject")
    verified = "verified" in saw and refusal is None  # a certificate that was refused may be named all the same
    verify = saw.get("verify") or ("SUCCESS" if verified else "NONE" if "no_certificate" in saw else None)
    if verify is None and refusal is not None and refusal.verify_code:
        verify = f"FAILED:{refusal.verify_code}"
    code = refusal.verify_code if refusal is not None else None
    return ServerView(
        source=f"{implementation.title} log",
        handshake_complete=True if saw and refusal is None else False if refusal is not None else None,
        error=refusal.line.strip() if refusal is not None else "",
        error_symbol=refusal.symbol if refusal is not None else "",
        verify_code=0 if code is None and verify == "SUCCESS" and implementation.library == "openssl" else code,
        client_verify=verify,
        client_subject=name,
        presented=name,
        alerts=(refusal.alert,) if refusal is not None and refusal.alert is not None else (),
        request=_request(saw),
        server_name=saw.get("server_name"),
        tls_version=tls_version(saw.get("tls")),
        cipher=saw.get("cipher"),
        resumed=saw["resumed"] in ("1", "true") if "resumed" in saw else None,
        log=tuple(lines),
        reasons=frozenset(refusal.reasons) if refusal is not None else frozenset(),
    )


def _certificate(saw: dict[str, str]) -> bytes | None:
    """DER in base64, or a PEM block whose line breaks were escaped for the log."""
    text = saw.get("certificate")
    if text is None:
        return None
    content = re.sub(r"-----[A-Z ]+-----|\\n|\s", "", urllib.parse.unquote(text))
    try:
        return base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        return None


def _request(saw: dict[str, str]) -> HttpRequest | None:
    return HttpRequest(saw["method"], saw["path"]) if "method" in saw and "path" in saw else None
