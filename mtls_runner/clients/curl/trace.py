"""Reads curl's ``--trace``: TLS messages by their bytes, never by curl's words for them.

A trace is a series of sections, each with a line that says what it is and how long, and then that many bytes as hex, 16 a
line (curl, ``src/tool_cb_dbg.c``). curl hands every call of OpenSSL's message callback through as ``SSL data``: record
headers (5 bytes), TLS 1.3's inner content types (1 byte) and the messages themselves; a message's kind is therefore what
the header, or the inner type, before it said.

Beside it, the head of the response as ``--dump-header`` wrote it, and what curl does not mind in it though it is not HTTP/1.1."""

from __future__ import annotations

import re
from itertools import pairwise

from msgspec import Struct, field

from mtls_runner.clients.curl.binary import Kept
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import Direction, HttpResponse
from mtls_runner.tls import WIRE_VERSIONS
from mtls_runner.tls.http_response import END_OF_HEAD, LONGEST_HEAD
from mtls_runner.tls.messages import ALPN, TLS_1_3, block, extensions, protocol, read_server_hello
from mtls_runner.tls.sockets import Transcript

__all__ = ["CurlTrace", "Head", "TraceReader", "parse", "take"]

_SECTION = re.compile(rb"(=>|<=) (Send|Recv) (SSL data|header|data), (\d+) bytes \(0x[0-9a-f]+\)")
_INFO = b"== Info: "
_TCP = b"[TCP] "
"""What ``--trace-config tcp`` adds, of which one line counts."""
_LOCAL_ADDRESS = re.compile(rb"\[TCP\] local address \S+ port (\d+)\.\.\.")
_WIDTH = 16
#: A dump that begins with ``HTTP/1.1 `` or ``HTTP/2 `` and a status that is no interim one.
_ANSWER = re.compile(rb"0000: 48 54 54 50 2f (?:31 2e [0-9a-f]{2}|32|33) 20 3[2-9] ")
_NOTES = 1024
"""Remarks of curl's that are kept."""

# RFC 8446 §5.1; 0x17 stands in the headers of encrypted TLS 1.3 records, whose real type follows.
_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _APPLICATION_DATA = 20, 21, 22, 23
_CONTENT_TYPES = frozenset((_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE, _APPLICATION_DATA))
_SIGNATURE_ALGORITHMS = 13  # the IANA registry of extensions


class CurlTrace(Struct):
    """TLS messages, headers and connections of one curl, as its trace has them.

    Args:
        transcript: handshake messages and alerts.
        notes: curl's own remarks (``== Info:``), for people and for errno texts.
        version: as negotiated, on the wire (``0x0304``); 0: no ServerHello came.
        cipher: OpenSSL's name of the cipher suite; ``None``: no ServerHello came.
        alpn: the protocol that the server chose; ``None``: none.
        resumed: on TLS 1.3 the server took a pre-shared key, on TLS 1.2 it sent no certificate; ``None``: not known.
        said_hello: a ClientHello was sent.
        offered_signature_algorithms: how many the ClientHello lists.
        finished: directions in which a Finished message went.
        flight_complete: the server said all that it has to say before the client's turn.
        answered: something of an HTTP response arrived.
        local_port: the client's TCP port, from curl 8.3 on; 0: not told.
        reconnected: curl made another connection after this one, which nothing here is about.
    """

    transcript: Transcript = field(default_factory=Transcript)
    notes: list[str] = field(default_factory=list)
    version: int = 0
    cipher: str | None = None
    alpn: str | None = None
    resumed: bool | None = None
    said_hello: bool = False
    offered_signature_algorithms: int = 0
    finished: set[Direction] = field(default_factory=set)
    flight_complete: bool = False
    answered: bool = False
    local_port: int = 0
    reconnected: bool = False

    @property
    def tls_version(self) -> str | None:
        """As negotiated, by name."""
        named = WIRE_VERSIONS.get(self.version)
        return named.value if named is not None else None

    @property
    def requested(self) -> bool | None:
        """Whether the server asked for a certificate; ``None``: the connection ended before that could be told."""
        return self.transcript.requested() or (False if self.flight_complete else None)


class TraceReader:
    """Reads a trace as it comes; of what people exchanged (``data``) no byte is looked at or kept.

    Args:
        several: each connection has a trace of its own; otherwise there is only that of the first.
    """

    def __init__(self, *, several: bool = False) -> None:
        self.connections = [CurlTrace()]
        self.responses: list[int] = []
        """On which of the connections each response came, from 0; interim ones are none."""
        self._several = several
        self._kinds = {b"=>": 0, b"<=": 0}
        self._rest = b""
        self._skip = 0

    @property
    def found(self) -> CurlTrace:
        """What the trace has of the last connection, with which curl went on."""
        return self.connections[-1]

    def feed(self, data: bytes) -> None:
        """The next bytes, however they are cut."""
        if self._skip >= len(data):
            self._skip -= len(data)
            return
        text = self._rest + data[self._skip :]
        self._skip = 0
        at = 0
        while (end := text.find(b"\n", at)) >= 0:
            line = text[at:end]
            section = _SECTION.fullmatch(line)
            if section is None:
                if line.startswith(_INFO):
                    self._note(line[len(_INFO) :])
                at = end + 1
                continue
            arrow, _, what, count = section.groups()
            size = int(count)
            height = _dumped(size)
            if what == b"SSL data":
                if end + 1 + height > len(text):
                    break  # the rest of it is still to come
                content = _bytes(text[end + 1 : end + 1 + height].split(b"\n"), size)
                if len(content) == size:
                    self._take(arrow, content)
            elif arrow == b"<=":
                self.found.answered = True
                if what == b"header" and _ANSWER.match(text, end + 1):
                    self.responses.append(len(self.connections) - 1)
            at = end + 1 + height
        self._rest = text[at:]
        self._skip = max(0, at - len(text))

    def _take(self, arrow: bytes, content: bytes) -> None:
        kind = self._kinds[arrow]
        self._kinds[arrow] = take(self.found, arrow, kind, content)
        if self._several and self.found.reconnected:
            self.found.reconnected = False
            self.connections.append(CurlTrace())
            self._kinds[arrow] = take(self.found, arrow, kind, content)

    def _note(self, text: bytes) -> None:
        if text.startswith(_TCP):
            told = _LOCAL_ADDRESS.match(text)
            if told is not None and not self.found.local_port:
                self.found.local_port = int(told[1])
        elif len(self.found.notes) < _NOTES:
            self.found.notes.append(text.decode("utf-8", "replace").strip())


def _dumped(size: int) -> int:
    """How many bytes the hex dump of so many takes: in each line offset, colon, blank, hex, the same as text, line feed."""
    offsets = 4 * -(-size // _WIDTH)
    digits, first = 5, 1 << 16
    while first < size:  # offsets from 0x10000 on take five digits, and so on
        offsets += -(-(size - first) // _WIDTH)
        digits, first = digits + 1, first << 4
    lines = -(-size // _WIDTH)
    return offsets + lines * (2 + 3 * _WIDTH + 1) + size


def parse(trace: bytes) -> CurlTrace:
    """Read a whole trace, or as much of one as a killed curl left."""
    reader = TraceReader()
    reader.feed(trace)
    return reader.found


def _bytes(lines: list[bytes], size: int) -> bytes:
    """The bytes of a hex dump: ``0010: 3d 12 … 4a =.…``; offsets take four digits, or more where needed."""
    try:
        return bytes.fromhex("".join([line.partition(b": ")[2][: 3 * _WIDTH].decode("ascii") for line in lines]))[:size]
    except ValueError:
        return b""


def take(found: CurlTrace, arrow: bytes, kind: int, data: bytes) -> int:
    """One call of OpenSSL's message callback; what the next one of this direction is. ``=>``: sent."""
    if len(data) == 5 and data[0] in _CONTENT_TYPES and data[1] == 3:
        return data[0]
    if kind == _APPLICATION_DATA:
        return data[0] if len(data) == 1 else kind
    if kind not in _CONTENT_TYPES:
        return kind
    if found.reconnected or (kind == _HANDSHAKE and data[:1] == b"\x01" and arrow == b"=>" and found.finished):
        found.reconnected = True  # all that follows is another connection's
        return kind
    direction = Direction.SENT if arrow == b"=>" else Direction.RECEIVED
    if kind == _HANDSHAKE:
        _look(found, direction, data)
    message_type = data[0] if kind == _HANDSHAKE and data else -1
    found.transcript.add("write" if direction is Direction.SENT else "read", found.version, kind, message_type, data)
    return kind


def _look(found: CurlTrace, direction: Direction, data: bytes) -> None:
    match data[:1]:
        case b"\x01":  # ClientHello, the second one of a HelloRetryRequest as well
            found.said_hello = True
            offered = extensions(data, 4 + 34, suites_width=2).get(_SIGNATURE_ALGORITHMS, b"")
            found.offered_signature_algorithms = max(0, len(offered) - 2) // 2
        case b"\x02":  # ServerHello
            _server_hello(found, data)
        case b"\x08":  # EncryptedExtensions
            found.alpn = protocol(block(data, 4).get(ALPN))
        case b"\x0b" if direction is Direction.RECEIVED and found.version < TLS_1_3:  # Certificate
            found.resumed = False
        case b"\x0e":  # ServerHelloDone
            found.flight_complete = True
        case b"\x14":  # Finished
            found.finished.add(direction)
            if direction is Direction.RECEIVED:
                found.flight_complete = True
                if found.resumed is None:
                    found.resumed = found.version < TLS_1_3


def _server_hello(found: CurlTrace, data: bytes) -> None:
    hello = read_server_hello(data)
    if hello is None:
        return
    found.version, found.cipher, found.alpn = hello.version, hello.cipher, hello.alpn
    if found.version >= TLS_1_3:
        found.resumed = hello.pre_shared_key


_BEGIN = re.compile(rb"^HTTP/", re.MULTILINE)
_SWITCHING = b"HTTP/1.1 101"
_STATUS = re.compile(rb"HTTP/[0-9.]+ +([0-9]{3})")
_INTERIM = re.compile(rb"HTTP/[0-9.]+ 1")
_SHOWN = 32


class Head(Struct, frozen=True):
    """The last of those that came (informational ones come before it, RFC 9110 §15.2), trailers behind it.

    Args:
        octets: as curl wrote them.
        whole: nothing of them was left out.
    """

    octets: bytes
    whole: bool

    @classmethod
    def each(cls, dumped: bytes) -> list[Head]:
        """All that are no interim ones, in order."""
        begins = [*(match.start() for match in _BEGIN.finditer(dumped)), len(dumped)]
        heads = [cls(dumped[at:end], whole=True) for at, end in pairwise(begins)]
        return [head for head in heads if not _INTERIM.match(head.octets)]

    @classmethod
    def last(cls, dumped: bytes, *, whole: bool) -> Head:
        """The last head of all that ``--dump-header`` wrote."""
        begins = [match.start() for match in _BEGIN.finditer(dumped)]
        return cls(dumped[begins[-1] :] if begins else b"", whole)

    @property
    def cut(self) -> bool:
        """Whether the server closed the connection before its end, which is no error to curl."""
        return bool(self.octets) and self.whole and END_OF_HEAD.search(self.octets) is None

    def switched(self, client: ClientSpec) -> bool:
        """Whether the server took the offer of another protocol, which curl knows nothing of: to it no response came."""
        return self.octets.startswith(_SWITCHING) and not self.cut and _offers(client)

    def fault(self, client: ClientSpec, trace: CurlTrace) -> str:
        """What makes it no answer in HTTP/1.1; ``""``: nothing."""
        if not self.whole:
            return f"the head of the response is longer than {LONGEST_HEAD} bytes"
        if self.octets.startswith(b"HTTP/2") and trace.alpn != "h2":
            return f"the answer does not begin as HTTP/1.1 does, but with {self.octets[:_SHOWN]!r}"
        if self.octets.startswith(_SWITCHING) and not _offers(client):
            return "the server switches to another protocol (101), which nobody offered"
        return ""

    def response(self, body: Kept) -> HttpResponse | None:
        """The response, with the body that came; ``None``: there is no head."""
        status = _STATUS.match(self.octets)
        if status is None:
            return None
        fields = [line.partition(":") for line in self.octets.decode("latin-1").split("\n")[1:]]
        headers = tuple((name.strip().lower(), value.strip()) for name, colon, value in fields if colon)
        return HttpResponse(int(status[1]), headers, bytes(body.data), body.size)


def _offers(client: ClientSpec) -> bool:
    return any(name.lower() == "upgrade" for name, _ in client.request.headers)
