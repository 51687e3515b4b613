"""The trace's own oddities; what whole traces say is held against real servers beside this file."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mtls_runner.clients.curl.trace import parse
from mtls_runner.model.observation import Alert, Direction


def section(title: str, data: bytes) -> bytes:
    """As curl's ``dump()`` writes it."""
    lines = [f"{title}, {len(data)} bytes (0x{len(data):x})"]
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in part)
        lines.append(f"{at:04x}: {part.hex(' '):<48}{text}")
    return ("\n".join(lines) + "\n").encode()


def sent(*parts: bytes) -> bytes:
    return b"".join(section("=> Send SSL data", part) for part in parts)


def received(*parts: bytes) -> bytes:
    return b"".join(section("<= Recv SSL data", part) for part in parts)


ALERT_1_2 = received(b"\x15\x03\x03\0\2", b"\2\x30")
ALERT_1_3 = received(b"\x17\x03\x03\0\x13", b"\x15", b"\2\x74")


def test_alerts_by_their_bytes_and_direction() -> None:
    trace = ALERT_1_2 + sent(b"\x15\x03\x03\0\2", b"\1\0") + ALERT_1_3
    assert parse(trace).transcript.alerts() == (
        Alert(Direction.RECEIVED, "unknown_ca", 48, fatal=True),
        Alert(Direction.SENT, "close_notify", 0, fatal=False),
        Alert(Direction.RECEIVED, "certificate_required", 116, fatal=True),
    )


def test_an_alert_behind_a_large_body() -> None:
    body = section("<= Recv data", b"=> Send SSL data, 2 bytes (0x2)\n0000: 02 30\n" * 4000)
    found = parse(body + ALERT_1_3)
    assert len(found.transcript.alerts()) == 1
    assert found.answered


def test_a_message_of_five_bytes_is_no_record_header() -> None:
    """KeyUpdate is four bytes of header and one of content (RFC 8446 §4.6.3)."""
    found = parse(received(b"\x17\x03\x03\0\x16", b"\x16", b"\x18\0\0\1\0"))
    assert [message.name for message in found.transcript.messages()] == ["KeyUpdate"]


def test_application_data_is_no_message() -> None:
    found = parse(sent(b"\x17\x03\x03\0\x60", b"\x17") + ALERT_1_3)
    assert [message.name for message in found.transcript.messages()] == ["certificate_required"]


def test_directions_do_not_mix() -> None:
    """A header that was received says nothing about what is sent next."""
    assert parse(received(b"\x15\x03\x03\0\2") + sent(b"\2\x30")).transcript.messages() == ()


def test_offsets_of_more_than_four_digits() -> None:
    hello = b"\1\0\0\x2d\3\3" + bytes(32) + b"\0" + b"\0\2\x13\1" + b"\1\0" + b"\0\4" + b"\0\x17\0\0"
    large = b"\x0b\1\0\0" + bytes(65536)
    found = parse(sent(b"\x16\3\1\0\x30", hello) + received(b"\x16\3\3\x40\0", large))
    assert found.said_hello
    assert [(m.name, m.size) for m in found.transcript.messages()] == [
        ("ClientHello", len(hello)),
        ("Certificate", 65540),
    ]


@given(st.integers(0, 400))
def test_a_trace_that_ends_anywhere(length: int) -> None:
    trace = sent(b"\x16\3\1\0\x30", b"\1\0\0\2\3\3") + received(b"\x16\3\3\0\3", b"\2\0\0\1\3") + ALERT_1_2
    found = parse(trace[:length])
    assert len(found.transcript.messages()) <= len(parse(trace).transcript.messages())


@given(st.binary(max_size=300))
def test_any_bytes_as_a_message(data: bytes) -> None:
    for kind in (1, 2, 8, 11, 13, 14, 20):
        parse(received(b"\x16\3\3\1\0", bytes([kind]) + data)).transcript.authorities()


@pytest.mark.parametrize("trace", [b"", b"\n\n", b"== Info: \xff\n", b"<= Recv SSL data, 99999999999 bytes (0x1)\n"])
def test_traces_that_hold_nothing(trace: bytes) -> None:
    assert parse(trace).transcript.messages() == ()


def test_the_client_s_port_is_told_by_curl_8_3_and_later() -> None:
    """As 8.14.1 wrote it with ``--trace-config tcp``; ``%{local_port}`` is -1 there where the handshake was not completed."""
    tcp = [
        b"cf_socket_open() -> 0, fd=4",
        b"local address 127.0.0.1 port 53454...",
        b"connected",
        b"send(len=1551) -> 1551, err=0",
    ]
    info = b"".join(b"== Info: [TCP] " + line + b"\n" for line in tcp)
    again = b"== Info: [TCP] local address ::1 port 40000...\n"
    found = parse(b"== Info:   Trying 127.0.0.1:4433...\n" + info + ALERT_1_2 + again)
    assert found.local_port == 53454
    assert found.notes == ["Trying 127.0.0.1:4433..."]
    assert parse(b"== Info: local address 127.0.0.1 port 53454...\n" + ALERT_1_2).local_port == 0
