"""Error codes as OpenSSL packs them; live lines of OpenSSL 3 come from real servers in the tests beside this one."""

from __future__ import annotations

import ssl

import pytest

from mtls_runner.model.observation import Reason
from mtls_runner.tls.openssl_errors import openssl_errors, why_unusable


def test_openssl_3_has_no_function_and_its_own_packing() -> None:
    text = "(SSL: error:0A0000C1:SSL routines::no shared cipher)"
    assert [(e.library, e.reason, e.symbol) for e in openssl_errors(text)] == [(20, 193, "NO_SHARED_CIPHER")]


def test_openssl_1_1_1_packs_a_function_in_between() -> None:
    text = "(SSL: error:1417A0C1:SSL routines:tls_post_process_client_hello:no shared cipher)"
    assert [(e.library, e.reason, e.symbol) for e in openssl_errors(text)] == [(20, 193, "NO_SHARED_CIPHER")]


def test_system_errors_are_errnos_in_both() -> None:
    new = "error:80000002:system library::No such file or directory:calling fopen(/x, r)"
    old = "error:02001002:system library:fopen:No such file or directory:fopen('/x','r')"
    assert [e.symbol for e in openssl_errors(f"{new} {old}")] == ["ENOENT", "ENOENT"]


def test_an_unknown_number_has_no_symbol_and_other_text_no_error() -> None:
    assert [e.symbol for e in openssl_errors("error:0A000FFF:SSL routines::what")] == [""]
    assert openssl_errors("no error: here") == ()


def test_the_symbols_are_those_of_pythons_ssl() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    incoming = ssl.MemoryBIO()
    incoming.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with pytest.raises(ssl.SSLError) as caught:
        context.wrap_bio(incoming, ssl.MemoryBIO(), server_hostname="localhost").do_handshake()
    symbols = [e.symbol for e in openssl_errors("error:0A00010B:SSL routines::wrong version number")]
    assert symbols == [caught.value.reason]


@pytest.mark.parametrize(
    ("line", "passphrase", "reason"),
    [
        # What Node says with a wrong passphrase of one key in 256 (14 of 2,500), and of all others.
        ("error:1E08010C:DECODER routines::unsupported", True, Reason.WRONG_PASSPHRASE),
        ("error:1C800064:Provider routines::bad decrypt", True, Reason.WRONG_PASSPHRASE),
        ("error:1E08010C:DECODER routines::unsupported", False, None),
        ("error:80000002:system library::No such file or directory", True, Reason.MISSING_FILE),
    ],
)
def test_a_wrong_passphrase_may_decrypt_to_valid_padding(line: str, passphrase: bool, reason: Reason | None) -> None:
    (error,) = openssl_errors(line)
    assert why_unusable(error, passphrase=passphrase) is reason
