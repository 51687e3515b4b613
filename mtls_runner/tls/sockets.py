"""TLS sockets: what goes over the wire, how long an operation may take, and how one is closed so that its last words arrive.

Every handshake message and alert of a connection is recorded, with its direction. CPython's ``ssl`` reports them through a
private hook of its C contexts (``_SSLContext._msg_callback``, since 3.8). It is used below its Python wrapper on purpose: the
wrapper reads a record header's type as a handshake type (so that content type 22 becomes ``CERTIFICATE_STATUS``), and costs
three enum look-ups a message. Where the hook is absent nothing is recorded.

An end that sends its alert and closes at once, with unread data in its socket, makes the kernel send RST, which discards
the alert at the other end. Sending the alert, shutting down the sending side, reading what is left and only then closing
makes it arrive every time.
"""

from __future__ import annotations

import contextlib
import errno
import math
import select
import socket
import ssl
import time
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from mtls_runner.deadlines import Deadline, ended_by
from mtls_runner.model.observation import Alert, ClientView, Direction, Message
from mtls_runner.tls import HANDSHAKE_TYPES
from mtls_runner.tls.messages import (
    ALPN,
    TLS_1_3,
    ServerHello,
    alert,
    block,
    certificate_authorities,
    certificates,
    key_exchange_scheme,
    protocol,
    read_server_hello,
    requested_algorithms,
    stapled,
    verify_scheme,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

__all__ = [
    "CHUNK",
    "LONGEST",
    "RecordingSocket",
    "Transcript",
    "arrived",
    "close_after_alert",
    "connected",
    "cut_off",
    "heard",
    "limit",
    "record",
    "say_goodbye",
    "send_all",
    "was_reset",
]

CHUNK = 65536
"""Octets that are read at once, at most."""

_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE = 20, 21, 22
_SERVER_HELLO, _ENCRYPTED_EXTENSIONS, _CERTIFICATE, _CERTIFICATE_REQUEST, _CERTIFICATE_STATUS = 2, 8, 11, 13, 22
_SERVER_KEY_EXCHANGE, _CERTIFICATE_VERIFY, _COMPRESSED_CERTIFICATE = 12, 15, 25
_CERTIFICATES = (_CERTIFICATE, _COMPRESSED_CERTIFICATE)
_KEPT = frozenset(
    (
        *_CERTIFICATES,
        _SERVER_HELLO,
        _ENCRYPTED_EXTENSIONS,
        _CERTIFICATE_REQUEST,
        _CERTIFICATE_STATUS,
        _SERVER_KEY_EXCHANGE,
        _CERTIFICATE_VERIFY,
    )
)
_RECORDED = frozenset((_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE))


def _find_hook() -> Any:
    for base in ssl.SSLContext.__mro__:
        if base.__module__ == "_ssl":
            return vars(base).get("_msg_callback")
    return None


_HOOK = _find_hook()

LONGEST = 4096
"""Messages that are kept of one connection; an exchange has some twenty."""


class Transcript:
    """The messages of one connection, in order: the first :data:`LONGEST`. Only the bytes that are read later are kept."""

    __slots__ = ("_entries", "more")

    def __init__(self) -> None:
        self._entries: list[tuple[str, int, int, int, int, bytes]] = []
        self.more = 0
        """Messages that came after those."""

    @property
    def size(self) -> int:
        """Messages so far."""
        return len(self._entries) + self.more

    def add(self, direction: str, version: int, content_type: int, message_type: int, data: bytes) -> None:
        """One call of OpenSSL's message callback."""
        if len(self._entries) >= LONGEST and content_type != _ALERT:
            self.more += 1
            return
        keep = content_type == _ALERT or message_type in _KEPT
        self._entries.append((direction, version, content_type, message_type, len(data), data if keep else b""))

    def messages(self) -> tuple[Message, ...]:
        """Everything, as names."""
        told = [
            _message(direction, content_type, message_type, size, data if content_type == _ALERT else b"")
            for direction, _, content_type, message_type, size, data in self._entries
        ]
        return tuple([each for each in told if each is not None])

    def alerts(self) -> tuple[Alert, ...]:
        """The alerts alone, close_notify included."""
        told = [_alert(entry[0], entry[5]) for entry in self._entries if entry[2] == _ALERT]
        return tuple([each for each in told if each is not None])

    def chain(self, direction: Direction) -> tuple[bytes, ...] | None:
        """The DER certificates that were sent or received; ``None``: there was no such message, or it can't be read."""
        wanted = "write" if direction is Direction.SENT else "read"
        for way, version, content_type, message_type, _, data in self._entries:
            if way == wanted and content_type == _HANDSHAKE and message_type in _CERTIFICATES:
                return certificates(data, version)
        return None

    def stapled(self) -> bytes | None:
        """The OCSP response, DER, that the server sent with its certificate; ``None``: none came."""
        for way, version, content_type, message_type, _, data in self._entries:
            carriers = _CERTIFICATES if version >= TLS_1_3 else (_CERTIFICATE_STATUS,)
            if way == "read" and content_type == _HANDSHAKE and message_type in carriers:
                return stapled(data, version)
        return None

    def signature_algorithms(self) -> tuple[str | None, str | None]:
        """The signature algorithms by which the server, then the client, proved to have its key; recorded by the client."""
        server: str | None = None
        client: str | None = None
        for direction, version, content_type, message_type, _, data in self._entries:
            if content_type != _HANDSHAKE:
                continue
            if message_type == _SERVER_KEY_EXCHANGE:
                server = key_exchange_scheme(data, version)
            elif message_type == _CERTIFICATE_VERIFY and direction == "write":
                client = verify_scheme(data, version)
            elif message_type == _CERTIFICATE_VERIFY:
                server = verify_scheme(data, version)
        return server, client

    def server_hello(self) -> ServerHello | None:
        """The last one that went by (a HelloRetryRequest is one, too); ``None``: none did."""
        for _, _, content_type, message_type, _, data in reversed(self._entries):
            if content_type == _HANDSHAKE and message_type == _SERVER_HELLO:
                return read_server_hello(data)
        return None

    def protocol(self) -> str | None:
        """What the server chose by ALPN; ``None``: nothing, or it was not seen."""
        for way, _, content_type, message_type, _, data in self._entries:
            if way == "read" and content_type == _HANDSHAKE and message_type == _ENCRYPTED_EXTENSIONS:
                return protocol(block(data, 4).get(ALPN))
        hello = self.server_hello()
        return hello.alpn if hello is not None else None

    def requested(self) -> bool:
        """Whether a CertificateRequest went by."""
        return self._request() is not None

    def authorities(self) -> tuple[str, ...] | None:
        """The names of the CertificateRequest; ``None``: there was none."""
        asked = self._request()
        return certificate_authorities(*asked) if asked is not None else None

    def requested_algorithms(self) -> tuple[str, ...] | None:
        """The signature algorithms of the CertificateRequest; ``None``: there was none."""
        asked = self._request()
        return requested_algorithms(*asked) if asked is not None else None

    def told_to(self, view: ClientView) -> ClientView:
        """The client's view, with what these messages say added to it."""
        return replace(
            view,
            alerts=self.alerts(),
            messages=self.messages(),
            messages_left_out=self.more,
            ca_names=self.authorities(),
            requested_algorithms=self.requested_algorithms(),
            sent_chain=self.chain(Direction.SENT),
            received_chain=self.chain(Direction.RECEIVED),
            signature_algorithms=self.signature_algorithms(),
        )

    def _request(self) -> tuple[bytes, int] | None:
        """The CertificateRequest, and the TLS version that it is of; ``None``: there was none."""
        for _, version, content_type, message_type, _, data in self._entries:
            if content_type == _HANDSHAKE and message_type == _CERTIFICATE_REQUEST:
                return data, version
        return None


# Connections exchange the same few messages over and over; equal ones are one object.


@lru_cache(maxsize=4096)
def _message(direction: str, content_type: int, message_type: int, size: int, data: bytes) -> Message | None:
    way = Direction.SENT if direction == "write" else Direction.RECEIVED
    if content_type == _HANDSHAKE:
        return Message(way, HANDSHAKE_TYPES.get(message_type, f"handshake_{message_type}"), size)
    if content_type == _CHANGE_CIPHER_SPEC:
        return Message(way, "ChangeCipherSpec", size)
    told = _alert(direction, data)
    return Message(way, told.name, size, alert=True) if told is not None else None


@lru_cache(maxsize=512)
def _alert(direction: str, data: bytes) -> Alert | None:
    return alert(data, Direction.SENT if direction == "write" else Direction.RECEIVED)


class RecordingSocket(ssl.SSLSocket):
    """An ``SSLSocket`` that carries its transcript; its context must have been given to :func:`record`.

    Set ``transcript`` before the handshake (wrap with ``do_handshake_on_connect=False``).
    """

    transcript: Transcript | None = None
    until = math.inf
    """When the current operation has to end, on the monotonic clock."""
    overran = False
    """The operation took longer, record after record, and the connection was shut down; its error is due to that."""


def _callback(
    conn: Any,
    direction: str,
    version: int,
    content_type: int,
    message_type: int,
    data: bytes,
) -> None:
    # A raise in here would replace the SSLError that the caller must see: nothing here can raise.
    if isinstance(conn, RecordingSocket) and not conn.overran and time.monotonic() > conn.until:
        # OpenSSL reads on for as long as records come that it gives to nobody (empty ones, session tickets, …).
        conn.overran = True
        cut_off(conn)
    if content_type in _RECORDED:
        transcript = getattr(conn, "transcript", None)
        if transcript is not None:
            transcript.add(direction, version, content_type, message_type, data)


def heard(frame: FrameType | None) -> bool:
    """Whether an exception that a signal handler raises in this frame reaches its caller; not in a callback of OpenSSL's.

    CPython puts it aside and goes on with the handshake, and forgets it if that takes too long. A signal that came while
    OpenSSL was at work is handled there first.
    """
    while frame is not None:
        if frame.f_code is _callback.__code__:
            return False
        frame = frame.f_back
    return True


def record(context: ssl.SSLContext) -> None:
    """Let connections of this context record themselves, where the interpreter can."""
    context.sslsocket_class = RecordingSocket
    if _HOOK is not None:
        setter: Callable[[ssl.SSLContext, Any], None] = _HOOK.__set__
        setter(context, _callback)


_RECORD = 16384
"""What one TLS record holds (RFC 8446 §5.1)."""
_CLOSE_ENOUGH = 0.05


def limit(sock: socket.socket, deadline: Deadline) -> None:
    """Let the next operation take no longer than until the deadline, at most 50 ms more.

    An operation of TLS may work through any number of records before it has something to give back: a recording socket
    looks at the deadline at each of them.

    A limit that is close enough already is left alone: setting one gives up the interpreter's lock, which costs more
    than the system call where both ends of a connection live in one process.

    Raises:
        TimeoutError: it has passed already.
    """
    left = deadline.remaining()
    if not left:
        raise TimeoutError("the time limit passed")
    if isinstance(sock, RecordingSocket):
        sock.until = deadline.at
    present = sock.gettimeout()
    if present is None or not left <= present <= left + _CLOSE_ENOUGH:
        sock.settimeout(left)


def arrived(sock: socket.socket) -> bytes | None:
    """What is there to be read, without waiting; empty: the other end has closed; ``None``: nothing, and it has not.

    Raises:
        OSError: from the socket; a reset, for one.
    """
    unread = isinstance(sock, ssl.SSLSocket) and sock.pending()
    if not unread and not _readable(sock):  # mostly; to ask the system is cheaper than to be told by an exception
        return None
    sock.setblocking(False)
    try:
        return sock.recv(CHUNK)
    except (BlockingIOError, ssl.SSLWantReadError):
        return None


def _readable(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def cut_off(sock: socket.socket) -> None:
    """Shut the connection down under a thread that uses it: reading ends there, and writing fails."""
    with contextlib.suppress(OSError):  # it has ended by itself
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def connected(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A TCP connection to the first address of the host that takes one.

    Raises:
        OSError: the last address did not; or the name can't be resolved (``socket.gaierror``).
    """
    failure: OSError | None = None
    for family, kind, number, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        sock = socket.socket(family, kind, number)
        try:
            with ended_by(partial(cut_off, sock)):
                sock.settimeout(max(deadline.remaining(), 0.001))
                sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure or OSError(f"{host} has no address")


def send_all(
    sock: socket.socket, data: bytes, deadline: Deadline, count: Callable[[int], object] | None = None
) -> None:
    """Send everything before the deadline, however slowly the other end reads; ``count`` is told of the bytes that are out.

    Raises:
        OSError: from the socket.
        TimeoutError: the deadline passed.
    """
    rest = memoryview(data)
    while rest:
        limit(sock, deadline)
        sent = sock.send(rest[:_RECORD])
        rest = rest[sent:]
        if count is not None:
            count(sent)


_DRAINED = 1 << 20
"""Bytes that are drained at most."""


def close_after_alert(sock: socket.socket, deadline: Deadline) -> None:
    """Shut down the sending side, drain until the other end closes or the deadline passes, and close.

    An end that sends more than :data:`_DRAINED` bytes meanwhile is not waiting for an alert.

    Works on the TCP level also for an ``ssl.SSLSocket``, whose ``shutdown`` ends its TLS.
    """
    try:
        sock.shutdown(socket.SHUT_WR)
        rest = _DRAINED
        while rest > 0:
            limit(sock, deadline)
            data = socket.socket.recv(sock, CHUNK)
            if not data:
                break
            rest -= len(data)
    except OSError:
        pass  # it is gone already, or the deadline passed
    finally:
        sock.close()


def say_goodbye(sock: ssl.SSLSocket) -> None:
    """Send close_notify, without waiting for the other end's (RFC 8446 §6.1).

    Without it an end that reads on can't tell the end of the data from an attacker's cut; OpenSSL 3 calls it an error.
    """
    try:
        sock.setblocking(False)
        sock.unwrap()
    except (OSError, ValueError):
        pass  # its close_notify has not come, which is fine; or it is gone already


def was_reset(sock: socket.socket) -> bool:
    """Whether what looks like the end of the data was a reset.

    CPython's ``SSLSocket.recv`` takes one for the other, since it asks for the errno only where ``SSL_read_ex`` returned -1,
    and that returns 0. A socket that was reset has no peer any more. Nor has one whose peer had closed before it was sent
    OpenSSL's alert about that, but there the error is still to be fetched (Linux, ``tcp_reset``).
    """
    if isinstance(sock, RecordingSocket) and sock.transcript is not None:
        heard = sock.transcript.alerts()
        if any(alert.name == "close_notify" and alert.direction is Direction.RECEIVED for alert in heard):
            return False
    try:
        sock.getpeername()
    except OSError as error:
        return error.errno == errno.ENOTCONN and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return False
