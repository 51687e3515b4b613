"""How a server can break HTTP/1.1, or its reader's patience: name → what it says, and the outcome that both clients must say."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

from .wire import Wire

__all__ = ["BEHAVIOURS"]

Behaviour = Callable[[Wire], None]

_HTTP, _CLOSED, _RESET, _IN_RESPONSE = (
    "protocol-error: http",
    "no-connection: closed",
    "no-connection: reset",
    "timed-out: response",
)
_ACCEPTED = "accepted"
_HEAD = b"HTTP/1.1 200 OK\r\n"
_CHUNKED = _HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
_OK = _HEAD + b"Content-Length: 2\r\n\r\nok"


def _then(data: bytes, end: Behaviour) -> Behaviour:
    """An answer, or a part of one, and what comes behind it."""

    def behave(wire: Wire) -> None:
        wire.handshake()
        wire.request()
        wire.send(data)
        end(wire)

    return behave


def _close(wire: Wire) -> None:
    wire.close_notify()
    wire.drain()


def _fin(wire: Wire) -> None:
    wire.sock.shutdown(1)
    wire.drain()


_then_close, _then_fin = partial(_then, end=_close), partial(_then, end=_fin)
_then_reset, _then_wait = partial(_then, end=Wire.reset), partial(_then, end=Wire.drain)


def _forever(head: bytes, more: bytes) -> Behaviour:
    def go_on(wire: Wire) -> None:
        while True:
            wire.send(more)

    return _then(head, go_on)


def _drip(head: bytes, more: bytes) -> Behaviour:
    def go_on(wire: Wire) -> None:
        wire.send(more)
        while not wire.left():
            wire.send(more)

    return _then(head, go_on)


def _unasked(wire: Wire) -> None:
    """A response before there was a request."""
    wire.handshake()
    wire.send(_OK)
    wire.drain()


_SETTINGS = struct.pack("!I", 0)[1:] + b"\x04\0" + struct.pack("!I", 0)

_STATUS_LINES: dict[str, tuple[Behaviour, str]] = {
    "HTTP/0.9": (_then_close(b"<html>hello</html>"), _HTTP),
    "one byte": (_then_close(b"x"), _HTTP),
    "an HTTP/2 preface": (_then_wait(_SETTINGS * 4), _HTTP),
    "HTTP/2 in its status line": (_then_close(b"HTTP/2 200\r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "HTTP/3.0 in its status line": (_then_close(b"HTTP/3.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "HTTP/1.7 in its status line": (_then_close(b"HTTP/1.7 200 OK\r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "no status": (_then_close(b"HTTP/1.1 \r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "a status of letters": (_then_close(b"HTTP/1.1 abc OK\r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "a status of two digits": (_then_close(b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "a status of four digits": (_then_close(b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "a negative status": (_then_close(b"HTTP/1.1 -200 OK\r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "another protocol's answer": (_then_close(b"RTSP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "a TLS alert as data": (_then_close(b"\x15\x03\x03\x00\x02\x02\x28"), _HTTP),
    "a hundred zeros": (_then_close(bytes(100)), _HTTP),
    "an unasked 101": (
        _then_close(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n"),
        _HTTP,
    ),
    "half a status line": (_then_close(b"HTTP/1.1 20"), _CLOSED),
    "half a status line, then FIN": (_then_fin(b"HTTP/1.1 20"), _CLOSED),
    "half a status line, then RST": (_then_reset(b"HTTP/1.1 20"), _RESET),
    "no reason phrase": (_then_close(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"), _ACCEPTED),
    "line feeds only": (_then_close(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"), _ACCEPTED),
    "HTTP/1.0": (_then_close(b"HTTP/1.0 200 OK\r\n\r\nok"), _ACCEPTED),
    "before the request": (_unasked, _ACCEPTED),
    "status 999": (_then_close(b"HTTP/1.1 999 What\r\nContent-Length: 2\r\n\r\nok"), _ACCEPTED),
}

_FIELDS: dict[str, tuple[Behaviour, str]] = {
    "a line without a colon": (_then_close(_HEAD + b"what is this\r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "a field without a name": (_then_close(_HEAD + b": value\r\nContent-Length: 2\r\n\r\nok"), _ACCEPTED),
    "a NUL in a field": (_then_close(_HEAD + b"X-Lab: a\0b\r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "a blank before the colon": (_then_close(_HEAD + b"X-Lab : a\r\nContent-Length: 2\r\n\r\nok"), _ACCEPTED),
    "a field of Latin-1": (_then_close(_HEAD + b"X-Lab: \xe9\r\nContent-Length: 2\r\n\r\nok"), _ACCEPTED),
    "a folded field": (_then_close(_HEAD + b"X-Lab: a\r\n b\r\nContent-Length: 2\r\n\r\nok"), _ACCEPTED),
    "a field of 50 kB": (
        _then_close(_HEAD + b"X-Lab: " + b"a" * 50_000 + b"\r\nContent-Length: 2\r\n\r\nok"),
        _ACCEPTED,
    ),
    "a field of 2 MB": (_then_close(_HEAD + b"X-Lab: " + b"a" * 2_000_000 + b"\r\nContent-Length: 2\r\n\r\nok"), _HTTP),
    "200 fields": (_then_close(_HEAD + b"X-Lab: a\r\n" * 200 + b"Content-Length: 2\r\n\r\nok"), _ACCEPTED),
    "fields without end": (_forever(_HEAD, b"X-Lab: " + b"a" * 8000 + b"\r\n"), _HTTP),
    "a field without end": (_forever(_HEAD + b"X-Lab: ", b"a" * 8000), _HTTP),
    "a status line without end": (_forever(b"HTTP/1.1 200 ", b"a" * 8000), _HTTP),
    "100 Continue without end": (_forever(b"", b"HTTP/1.1 100 Continue\r\nX: " + b"a" * 8000 + b"\r\n\r\n"), _HTTP),
    "103 Early Hints without end": (
        _forever(b"", b"HTTP/1.1 103 Early Hints\r\nLink: " + b"a" * 8000 + b"\r\n\r\n"),
        _HTTP,
    ),
    "fields in drips": (_drip(_HEAD, b"X: a\r\n"), _IN_RESPONSE),
    "cut within its fields": (_then_close(_HEAD + b"Content-Le"), _CLOSED),
    "reset within its fields": (_then_reset(_HEAD + b"Content-Le"), _RESET),
}

_BODIES: dict[str, tuple[Behaviour, str]] = {
    "a chunk size that is no number": (_then_close(_CHUNKED + b"zz\r\nhello\r\n0\r\n\r\n"), _HTTP),
    "a negative chunk size": (_then_close(_CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n"), _HTTP),
    "a chunk size without digits": (_then_close(_CHUNKED + b"\r\nhello\r\n0\r\n\r\n"), _HTTP),
    "a chunk size of 30 digits": (_then_close(_CHUNKED + b"f" * 30 + b"\r\nhello"), _HTTP),
    "a chunk longer than it says": (_then_close(_CHUNKED + b"3\r\nhello\r\n0\r\n\r\n"), _HTTP),
    "a chunk extension": (_then_close(_CHUNKED + b"2;a=b\r\nok\r\n0\r\n\r\n"), _ACCEPTED),
    "trailers": (_then_close(_CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"), _ACCEPTED),
    "a chunk that is cut": (_then_close(_CHUNKED + b"ff\r\nhello"), _CLOSED),
    "no last chunk": (_then_close(_CHUNKED + b"2\r\nok\r\n"), _CLOSED),
    "chunks without end": (_forever(_CHUNKED, b"400\r\n" + b"a" * 1024 + b"\r\n"), _IN_RESPONSE),
    "tiny chunks without end": (_forever(_CHUNKED, b"1\r\na\r\n" * 1000), _IN_RESPONSE),
    "chunks in drips": (_drip(_CHUNKED, b"1\r\na\r\n"), _IN_RESPONSE),
    "a chunk extension without end": (_forever(_CHUNKED + b"2;", b"a" * 8000), _IN_RESPONSE),
    "trailers without end": (_forever(_CHUNKED + b"0\r\n", b"X-Lab: " + b"a" * 8000 + b"\r\n"), _HTTP),
    "a negative length": (_then_close(_HEAD + b"Content-Length: -2\r\n\r\nok"), _HTTP),
    "a length that is no number": (_then_close(_HEAD + b"Content-Length: two\r\n\r\nok"), _HTTP),
    "two lengths that differ": (_then_close(_HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"), _CLOSED),
    "two lengths that are equal": (_then_close(_HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"), _ACCEPTED),
    "a length of 40 digits": (_then_close(_HEAD + b"Content-Length: " + b"9" * 40 + b"\r\n\r\nok"), _ACCEPTED),
    "an unknown transfer coding": (_then_close(_HEAD + b"Transfer-Encoding: zipped\r\n\r\nok"), _HTTP),
    "a length beside chunks": (
        _then_close(_HEAD + b"Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        _ACCEPTED,
    ),
    "a body that is too short": (_then_close(_HEAD + b"Content-Length: 100\r\n\r\nhalf"), _CLOSED),
    "a body that is too short, then FIN": (_then_fin(_HEAD + b"Content-Length: 100\r\n\r\nhalf"), _CLOSED),
    "a body that is too short, then RST": (_then_reset(_HEAD + b"Content-Length: 100\r\n\r\nhalf"), _RESET),
    "a body that is too short, then silence": (_then_wait(_HEAD + b"Content-Length: 100\r\n\r\nhalf"), _IN_RESPONSE),
    "a body that is too long": (_then_close(_OK + b"more"), _ACCEPTED),
    "two responses": (_then_close(_OK + _OK), _ACCEPTED),
    "a body until the end": (_then_close(_HEAD + b"\r\nok"), _ACCEPTED),
    "a body until FIN": (_then_fin(_HEAD + b"\r\nok"), _ACCEPTED),
    "a body until RST": (_then_reset(_HEAD + b"\r\nok"), _RESET),
    "a body without end": (_forever(_HEAD + b"\r\n", b"a" * 16000), _IN_RESPONSE),
    "a body in drips": (_drip(_HEAD + b"Content-Length: 1000000\r\n\r\n", b"a"), _IN_RESPONSE),
    "204 with a body": (_then_close(b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"), _ACCEPTED),
    "a content coding that lies": (
        _then_close(_HEAD + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nok"),
        _ACCEPTED,
    ),
}

BEHAVIOURS: dict[str, tuple[Behaviour, str]] = _STATUS_LINES | _FIELDS | _BODIES
