"""How a server can break TLS: name → what it does, and the outcome that both clients must say."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator

from .wire import ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, Wire, record, records

__all__ = ["BEHAVIOURS", "Behaviour"]

Behaviour = Callable[[Wire], None]

_FATAL, _WARNING = 2, 1
_FINISHED, _CERTIFICATE_REQUEST, _TICKET, _KEY_UPDATE = 20, 13, 4, 24

_RECORD, _HANDSHAKE, _ALERT = "protocol-error: record", "protocol-error: handshake", "protocol-error: alert"
_CLOSED, _RESET, _NOT_TLS = "no-connection: closed", "no-connection: reset", "no-connection: not-tls"
_IN_HANDSHAKE, _IN_RESPONSE = "timed-out: handshake", "timed-out: response"

_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def _say(data: bytes) -> Behaviour:
    """At once, without listening."""

    def behave(wire: Wire) -> None:
        wire.sock.sendall(data)
        wire.sock.shutdown(socket.SHUT_WR)
        wire.drain()

    return behave


def _answer(data: bytes) -> Behaviour:
    """Instead of a ServerHello."""

    def behave(wire: Wire) -> None:
        wire.hello()
        _say(data)(wire)

    return behave


def _again_and_again(data: bytes, *, greet: bool = True) -> Behaviour:
    """As fast as it goes, until the client is gone."""

    def behave(wire: Wire) -> None:
        if greet:
            wire.hello()
        while True:
            wire.sock.sendall(data)

    return behave


def _changed(change: Callable[[bytes], bytes]) -> Behaviour:
    """The server's first flight, but not as it was."""

    def behave(wire: Wire) -> None:
        wire.sock.sendall(change(wire.flight()))
        wire.sock.shutdown(socket.SHUT_WR)
        wire.drain()

    return behave


def _flip(at: int) -> Callable[[bytes], bytes]:
    def change(flight: bytes) -> bytes:
        return flight[:at] + bytes((flight[at] ^ 0x55,)) + flight[at + 1 :]

    return change


def _drip(pieces: Callable[[Wire], Iterator[bytes]]) -> Behaviour:
    """Byte by byte, slowly; the client's silence is what it waits for."""

    def behave(wire: Wire) -> None:
        for data in pieces(wire):
            for byte in data:
                wire.sock.sendall(bytes((byte,)))
                if wire.left():
                    return

    return behave


def _slow_flight(wire: Wire) -> Iterator[bytes]:
    yield wire.flight()


def _cut(keep: Callable[[bytes], int], *, reset: bool = False) -> Behaviour:
    """Only the beginning of the server's first flight."""

    def behave(wire: Wire) -> None:
        flight = wire.flight()
        wire.sock.sendall(flight[: keep(flight)])
        if reset:
            wire.reset()
            return
        wire.sock.shutdown(socket.SHUT_WR)
        wire.drain()

    return behave


def _after(act: Callable[[Wire], None]) -> Behaviour:
    """Once the handshake is done and the request is there."""

    def behave(wire: Wire) -> None:
        wire.handshake()
        wire.request()
        act(wire)

    return behave


def _sealed(*contents: tuple[int, bytes]) -> Behaviour:
    """Protected records of these inner types instead of a response."""

    def act(wire: Wire) -> None:
        seal = wire.sealer()
        wire.sock.sendall(b"".join(seal(kind, content) for kind, content in contents))
        wire.sock.shutdown(socket.SHUT_WR)
        wire.drain()

    return _after(act)


def _sealed_forever(kind: int, content: bytes) -> Behaviour:
    def act(wire: Wire) -> None:
        seal = wire.sealer()
        while True:
            wire.sock.sendall(b"".join(seal(kind, content) for _ in range(64)))

    return _after(act)


def _raw(data: bytes) -> Behaviour:
    """Bytes that nobody has protected, instead of a response."""

    def act(wire: Wire) -> None:
        wire.sock.sendall(data)
        wire.sock.shutdown(socket.SHUT_WR)
        wire.drain()

    return _after(act)


def _bad_mac(wire: Wire) -> None:
    sealed = bytearray(wire.sealer()(APPLICATION_DATA, _OK))
    sealed[-1] ^= 1
    wire.sock.sendall(sealed)
    wire.sock.shutdown(socket.SHUT_WR)
    wire.drain()


def _replayed(wire: Wire) -> None:
    sealed = wire.sealer()(APPLICATION_DATA, _OK[:20])
    wire.sock.sendall(sealed + sealed)
    wire.sock.shutdown(socket.SHUT_WR)
    wire.drain()


def _message(kind: int, body: bytes, *, length: int | None = None) -> bytes:
    """A Handshake (RFC 8446 §4)."""
    return struct.pack("!I", (len(body) if length is None else length) | kind << 24) + body


def _server_hello(
    *, version: int = 0x0303, suite: int = 0x1302, chosen: int = 0x0304, group: int = 29, more: bytes = b""
) -> bytes:
    """RFC 8446 §4.1.3; its key share is no point of any curve."""
    share = struct.pack("!HHHH", 51, 36, group, 32) + b"\x09" * 32
    versions = struct.pack("!HHH", 43, 2, chosen)
    extensions = share + versions + more
    body = struct.pack("!H", version) + b"\x07" * 32 + b"\0" + struct.pack("!HB", suite, 0)
    return record(HANDSHAKE, _message(2, body + struct.pack("!H", len(extensions)) + extensions))


def _retry(wire: Wire) -> None:
    """A HelloRetryRequest for a group that the client's key share was of already."""
    hello = wire.hello()
    session = hello[44 : 44 + hello[43]]
    retry = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
    extensions = struct.pack("!HHH", 43, 2, 0x0304) + struct.pack("!HHH", 51, 2, 29)
    body = struct.pack("!H", 0x0303) + retry + bytes((len(session),)) + session + struct.pack("!HB", 0x1302, 0)
    body += struct.pack("!H", len(extensions)) + extensions
    wire.sock.sendall(record(HANDSHAKE, _message(2, body)))
    wire.sock.shutdown(socket.SHUT_WR)
    wire.drain()


def _echo(wire: Wire) -> None:
    wire.sock.sendall(wire.hello())
    wire.sock.shutdown(socket.SHUT_WR)
    wire.drain()


def _silent(wire: Wire) -> None:
    wire.drain()


def _reset_at_once(wire: Wire) -> None:
    wire.reset()


def _close_at_once(wire: Wire) -> None:
    wire.sock.shutdown(socket.SHUT_WR)
    wire.drain()


def _reset_after_hello(wire: Wire) -> None:
    wire.hello()
    wire.reset()


def _plain_alert_then_reset(wire: Wire) -> None:
    wire.hello()
    wire.sock.sendall(record(ALERT, bytes((_FATAL, 80))))
    wire.reset()


def _close_notify(wire: Wire) -> None:
    wire.close_notify()
    wire.drain()


def _fin(wire: Wire) -> None:
    wire.sock.shutdown(socket.SHUT_WR)
    wire.drain()


def _reset(wire: Wire) -> None:
    wire.reset()


def _response_then(act: Callable[[Wire], None]) -> Behaviour:
    def behave(wire: Wire) -> None:
        wire.send(_OK)
        act(wire)

    return _after(behave)


def _close_notify_twice(wire: Wire) -> None:
    seal = wire.sealer()
    response = seal(APPLICATION_DATA, _OK)
    wire.sock.sendall(response + seal(ALERT, bytes((_WARNING, 0))) + seal(ALERT, bytes((_WARNING, 0))))
    wire.sock.shutdown(socket.SHUT_WR)
    wire.drain()


def _data_after_close_notify(wire: Wire) -> None:
    seal = wire.sealer()
    half = seal(APPLICATION_DATA, _OK[:20]) + seal(ALERT, bytes((_WARNING, 0)))
    wire.sock.sendall(half + seal(APPLICATION_DATA, _OK[20:]))
    wire.sock.shutdown(socket.SHUT_WR)
    wire.drain()


def _first_record(flight: bytes) -> int:
    return len(records(flight)[0])


_FIRST: dict[str, tuple[Behaviour, str]] = {
    "closes before the ClientHello": (_close_at_once, _CLOSED),
    "resets before the ClientHello": (_reset_at_once, _RESET),
    "says nothing": (_silent, _IN_HANDSHAKE),
    "an SSH banner": (_say(b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"), _NOT_TLS),
    "an SMTP banner": (_say(b"220 mail.example.com ESMTP ready\r\n"), _NOT_TLS),
    "plain HTTP": (_answer(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"), _NOT_TLS),
    "zeros without end": (_again_and_again(bytes(4096), greet=False), _NOT_TLS),
    "garbage": (_answer(bytes((7 * n) % 251 for n in range(1, 4000))), _NOT_TLS),
    "closes after the ClientHello": (_answer(b""), _CLOSED),
    "resets after the ClientHello": (_reset_after_hello, _RESET),
    "half a record header": (_answer(b"\x16\x03\x03"), _CLOSED),
    "a record without its content": (_answer(record(HANDSHAKE, b"", length=200)), _CLOSED),
    "echoes the ClientHello": (_echo, _HANDSHAKE),
}

_ALERTS: dict[str, tuple[Behaviour, str]] = {
    f"alert {code}": (_answer(record(ALERT, bytes((_FATAL, code)))), outcome)
    for code, outcome in (
        (10, _ALERT),
        (20, _ALERT),
        (21, _ALERT),
        (22, _ALERT),
        (30, _ALERT),
        (40, "no-agreement: cipher"),
        (47, _ALERT),
        (50, _ALERT),
        (60, _ALERT),
        (70, "no-agreement: protocol-version"),
        (71, "no-agreement: cipher"),
        (80, _ALERT),
        (86, _ALERT),
        (90, _ALERT),
        (109, _ALERT),
        (110, _ALERT),
        (112, "no-agreement: server-name"),
        (115, _ALERT),
        (120, "no-agreement: alpn"),
        (121, _ALERT),
        (200, _ALERT),
        (255, _ALERT),
    )
} | {
    "an alert of an unknown level": (_answer(record(ALERT, bytes((9, 40)))), _RECORD),
    "half an alert": (_answer(record(ALERT, b"\x02")), _RECORD),
    "an alert of three bytes": (_answer(record(ALERT, b"\x02\x28\x00")), _RECORD),
    "an empty alert record": (_answer(record(ALERT, b"")), _RECORD),
    "warnings without end": (_again_and_again(record(ALERT, bytes((_WARNING, 112)))), _RECORD),
    "close_notify instead of a ServerHello": (_answer(record(ALERT, bytes((_WARNING, 0)))), _CLOSED),
    "an alert, then a reset": (_plain_alert_then_reset, _ALERT),
}

_RECORDS: dict[str, tuple[Behaviour, str]] = {
    "a record of 65535 bytes": (_answer(record(HANDSHAKE, bytes(65535))), _RECORD),
    "a record of 20000 bytes": (_answer(record(HANDSHAKE, bytes(20000))), _RECORD),
    "an unknown content type": (_answer(record(99, bytes(40))), _HANDSHAKE),
    "a heartbeat": (_answer(record(24, b"\x01\x00\x03abc" + bytes(16))), _HANDSHAKE),
    "application data first": (_answer(record(APPLICATION_DATA, bytes(64))), _HANDSHAKE),
    "an empty handshake record": (_answer(record(HANDSHAKE, b"")), _CLOSED),
    "empty handshake records without end": (_again_and_again(record(HANDSHAKE, b"")), _RECORD),
    "ChangeCipherSpec first": (_answer(record(CHANGE_CIPHER_SPEC, b"\x01")), _HANDSHAKE),
    "ChangeCipherSpec without end": (_again_and_again(record(CHANGE_CIPHER_SPEC, b"\x01") * 64), _HANDSHAKE),
    "a record of SSL 2": (_answer(b"\x80\x2e\x04\x00\x01\x00\x02" + bytes(40)), _NOT_TLS),
    "a record version of 4.4": (_answer(record(HANDSHAKE, bytes(64), version=0x0404)), _NOT_TLS),
}

_MESSAGES: dict[str, tuple[Behaviour, str]] = {
    "a Finished first": (_answer(record(HANDSHAKE, _message(_FINISHED, bytes(32)))), _HANDSHAKE),
    "an unknown handshake type": (_answer(record(HANDSHAKE, _message(77, bytes(32)))), _HANDSHAKE),
    "a message of 16 MB": (_answer(record(HANDSHAKE, _message(2, bytes(100), length=0xFFFFFF))), _HANDSHAKE),
    "a ServerHello that is cut": (_answer(record(HANDSHAKE, _message(2, b"\x03\x03" + bytes(8)))), _HANDSHAKE),
    "a ServerHello of zeros": (_answer(record(HANDSHAKE, _message(2, bytes(76)))), _HANDSHAKE),
    "a cipher suite that was not offered": (_answer(_server_hello(suite=0x0001)), _HANDSHAKE),
    "a version that was not offered": (_answer(_server_hello(chosen=0x0399)), _HANDSHAKE),
    "a group that was not offered": (_answer(_server_hello(group=999)), _HANDSHAKE),
    "an extension that was not offered": (_answer(_server_hello(more=struct.pack("!HH", 0x7777, 0))), _HANDSHAKE),
    "a retry for what was there": (_retry, _HANDSHAKE),
    "a wrong session id": (_changed(_flip(5 + 4 + 2 + 32 + 1)), _HANDSHAKE),
    "a changed random": (_changed(_flip(5 + 4 + 2 + 3)), _RECORD),
    "a changed byte in the flight": (_changed(lambda flight: _flip(len(flight) // 2)(flight)), _RECORD),
    "a changed byte at its end": (_changed(lambda flight: _flip(len(flight) - 1)(flight)), _RECORD),
    "a record twice": (_changed(lambda flight: b"".join([*records(flight)[:3], records(flight)[2]])), _RECORD),
    "records in another order": (
        _changed(lambda flight: b"".join([*records(flight)[:2], *reversed(records(flight)[2:])])),
        _RECORD,
    ),
    "plain text amid the flight": (
        _changed(lambda flight: b"".join([*records(flight)[:2], b"HTTP/1.1 200 OK\r\n\r\n"])),
        _RECORD,
    ),
    "cut within the ServerHello": (_cut(lambda _: 40), _CLOSED),
    "cut after the ServerHello": (_cut(_first_record), _CLOSED),
    "cut within the flight": (_cut(lambda flight: len(flight) // 2), _CLOSED),
    "cut before its last byte": (_cut(lambda flight: len(flight) - 1), _CLOSED),
    "reset after the ServerHello": (_cut(_first_record, reset=True), _RESET),
    "reset within the flight": (_cut(lambda flight: len(flight) // 2, reset=True), _RESET),
    "a flight in drips": (_drip(_slow_flight), _IN_HANDSHAKE),
}

_DONE: dict[str, tuple[Behaviour, str]] = {
    "close_notify instead of a response": (_after(_close_notify), _CLOSED),
    "FIN instead of a response": (_after(_fin), _CLOSED),
    "RST instead of a response": (_after(_reset), _RESET),
    "silence instead of a response": (_after(_silent), _IN_RESPONSE),
    "alert 10 instead of a response": (_sealed((ALERT, bytes((_FATAL, 10)))), _ALERT),
    "alert 80 instead of a response": (_sealed((ALERT, bytes((_FATAL, 80)))), _ALERT),
    "alert 40 instead of a response": (_sealed((ALERT, bytes((_FATAL, 40)))), _ALERT),
    "alert 47 as a warning": (_sealed((ALERT, bytes((_WARNING, 47)))), _ALERT),
    "alert 199 instead of a response": (_sealed((ALERT, bytes((_FATAL, 199)))), _ALERT),
    "user_canceled, then close_notify": (_sealed((ALERT, b"\x01\x5a"), (ALERT, b"\x01\x00")), _CLOSED),
    "a fatal close_notify": (_sealed((ALERT, b"\x02\x00")), _CLOSED),
    "half a protected alert": (_sealed((ALERT, b"\x02")), _RECORD),
    "a bad MAC": (_after(_bad_mac), _RECORD),
    "a record twice, protected": (_after(_replayed), _RECORD),
    "a protected record of nothing": (_sealed((0, bytes(20))), _RECORD),
    "a protected unknown type": (_sealed((99, b"what")), _RECORD),
    "a protected ChangeCipherSpec": (_sealed((CHANGE_CIPHER_SPEC, b"\x01")), _RECORD),
    "a record that is too large": (_raw(record(APPLICATION_DATA, bytes(40000))), _RECORD),
    "a content that is too large": (_sealed((APPLICATION_DATA, bytes(16385 + 200))), _RECORD),
    "an unprotected alert": (_raw(record(ALERT, bytes((_FATAL, 80)))), _RECORD),
    "unprotected data": (_raw(record(APPLICATION_DATA, _OK)), _RECORD),
    "plain HTTP in the middle": (_raw(_OK), _RECORD),
    "a Finished twice": (_sealed((HANDSHAKE, _message(_FINISHED, bytes(48)))), _HANDSHAKE),
    "a ServerHello in the middle": (_sealed((HANDSHAKE, _message(2, bytes(76)))), _HANDSHAKE),
    "a CertificateRequest that nobody offered": (
        _sealed((HANDSHAKE, _message(_CERTIFICATE_REQUEST, b"\x00" + struct.pack("!H", 0)))),
        _HANDSHAKE,
    ),
    "a broken session ticket": (_sealed((HANDSHAKE, _message(_TICKET, b"\0"))), _HANDSHAKE),
    "a broken KeyUpdate": (_sealed((HANDSHAKE, _message(_KEY_UPDATE, b"\x07"))), _HANDSHAKE),
    "half a handshake message, then data": (
        _sealed((HANDSHAKE, _message(_TICKET, bytes(20))[:10]), (APPLICATION_DATA, _OK)),
        _RECORD,
    ),
    "empty data without end": (_sealed_forever(APPLICATION_DATA, b""), _RECORD),
    "session tickets without end": (
        _sealed_forever(
            HANDSHAKE,
            _message(_TICKET, struct.pack("!IIB", 60, 0, 1) + b"\0" + struct.pack("!H", 8) + bytes(8) + b"\0\0"),
        ),
        _IN_RESPONSE,
    ),
    "a response, then FIN": (_response_then(_fin), "accepted"),
    "a response, then RST": (_response_then(_reset), "accepted"),
    "a response, then close_notify": (_response_then(_close_notify), "accepted"),
    "a response, then close_notify twice": (_after(_close_notify_twice), "accepted"),
    "data after close_notify": (_after(_data_after_close_notify), _CLOSED),
}

BEHAVIOURS: dict[str, tuple[Behaviour, str]] = _FIRST | _ALERTS | _RECORDS | _MESSAGES | _DONE
