"""Requests by an HTTP library of Python's, one after the other, used as people use it. Prints what it sees, a fact a line.

Run by declarations: ``http_clients.py LIBRARY``; each line of standard input is the path of a file, JSON with the names of a
client's templates.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import importlib
import io
import json
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

Told = dict[str, Any]
_VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


def encoded(content: bytes) -> str:
    """As it stands in a line."""
    return base64.b64encode(content).decode()


def tell_connections(told: Told, *, port: bool) -> None:
    """Resolve every name to the server that ``told`` has by then, as /etc/hosts would; print the ``port`` it connects from."""
    resolve = socket.getaddrinfo

    def to_the_lab(_host: object, service: Any, *args: Any, **named: Any) -> Any:
        return resolve(told["host"], service, *args, **named)

    def on_event(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            arguments[0].bind(("", 0))
            print(f"local {arguments[0].getsockname()[1]}")

    socket.getaddrinfo = cast(Any, to_the_lab)
    if port:
        sys.addaudithook(on_event)


def tell_handshake(end: Any) -> None:
    """Print what an ``SSLSocket`` or ``SSLObject`` knows of its handshake."""
    print(f"peer {encoded(end.getpeercert(True) or b'')}")
    print(f"handshake tls=<{end.version()}> cipher=<{end.cipher()[0]}> alpn=<{end.selected_alpn_protocol() or ''}>")


#: Where contexts log their keys, which nobody keeps.
_KEYS = os.pipe()
os.set_blocking(_KEYS[0], False)


def logs_keys(context: Any) -> None:
    """So that :func:`tell_agreement` can tell."""
    context.keylog_filename = f"/dev/fd/{_KEYS[1]}"


def tell_agreement() -> None:
    """Say whether the two ends had agreed on the connection's parameters: whoever makes keys has."""
    with contextlib.suppress(BlockingIOError):
        if any(not line.startswith(b"#") for line in os.read(_KEYS[0], 1 << 16).splitlines()):
            print("agreed")


class TellingSocket(ssl.SSLSocket):
    """Says what came of its handshake."""

    def do_handshake(self, block: bool = False) -> None:
        """As its base does it."""
        print(f"local {self.getsockname()[1]}")
        super().do_handshake(block)
        tell_handshake(self)


class TellingObject(ssl.SSLObject):
    """The same for asynchronous libraries."""

    def do_handshake(self) -> None:
        """As its base does it."""
        super().do_handshake()
        tell_handshake(self)


def limited(context: ssl.SSLContext, told: Told) -> ssl.SSLContext:
    """Told which versions; and it tells of handshakes."""
    context.minimum_version, context.maximum_version = _VERSIONS[told["tls_min"]], _VERSIONS[told["tls_max"]]
    context.sslsocket_class, context.sslobject_class = TellingSocket, TellingObject
    logs_keys(context)
    return context


def context_of(told: Told) -> ssl.SSLContext:
    """As their manuals have it: a context of the standard library's, with one's own authorities and certificate."""
    context = (
        ssl.create_default_context(cafile=told["trust"]) if told["trust"] else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )
    if told["insecure"]:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if told["ciphers"]:
        context.set_ciphers(told["ciphers"])
    if told["certificate"]:
        context.load_cert_chain(told["certificate"], told["key"], passphrase(told))
    return limited(context, told)


def passphrase(told: Told) -> str | None:
    """The passphrase of its key; ``None``: it needs none."""
    return Path(told["passphrase"]).read_text().rstrip("\n") if told["passphrase"] else None


def body_of(told: Told) -> bytes | None:
    """The request's body; ``None``: it has none."""
    return Path(told["body_file"]).read_bytes() if told["body_file"] else None


def tell_response(status: int, headers: Iterable[tuple[str, str]], body: bytes) -> None:
    """All of it."""
    print(f"status {status}")
    for name, value in headers:
        print(f"header {name}: {value}")
    print(f"body {encoded(body)}")


def with_requests(told: Told) -> None:
    """``verify`` and ``cert`` as ever; the versions by an adapter, as its manual has it."""
    import requests
    import urllib3
    from requests.adapters import HTTPAdapter

    class Versions(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **named: Any) -> None:
            context = urllib3.util.create_urllib3_context()
            if told["insecure"]:
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            super().init_poolmanager(*args, ssl_context=limited(context, told), **named)

    if told["insecure"]:
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", Versions())
        response = session.request(
            told["method"],
            told["url"],
            headers={name: value.encode() for name, value in told["headers"]},
            data=body_of(told),
            verify=False if told["insecure"] else told["trust"] or True,
            cert=(told["certificate"], told["key"]) if told["certificate"] else None,
            allow_redirects=False,
            timeout=told["timeout"],
        )
        tell_response(response.status_code, response.raw.headers.items(), response.content)


def with_httpx(told: Told) -> None:
    """A client with ``verify=context``."""
    import httpx

    with httpx.Client(verify=context_of(told), trust_env=False, timeout=told["timeout"]) as client:
        headers = [(name.encode(), value.encode()) for name, value in told["headers"]]
        response = client.request(told["method"], told["url"], headers=headers, content=body_of(told))
        tell_response(response.status_code, response.headers.multi_items(), response.content)


def with_aiohttp(told: Told) -> None:
    """A session's request with ``ssl=context``."""
    import asyncio

    import aiohttp
    from yarl import URL

    async def get() -> None:
        limit = aiohttp.ClientTimeout(total=told["timeout"])
        url = URL(told["url"], encoded=True)
        headers = [(name, value) for name, value in told["headers"]]
        async with (
            aiohttp.ClientSession(timeout=limit) as session,
            session.request(
                told["method"], url, ssl=context, headers=headers, data=body_of(told), allow_redirects=False
            ) as response,
        ):
            fields = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
            tell_response(response.status, fields, await response.read())

    context = context_of(told)
    asyncio.run(get())


def with_pycurl(told: Told) -> None:
    """One transfer, with the handshake's messages as ``openssl s_client -msg`` writes them."""
    pycurl: Any = importlib.import_module("pycurl")
    curl, body, head = pycurl.Curl(), io.BytesIO(), io.BytesIO()
    with (Path(told["dir"]) / "messages").open("wb") as messages:

        def on_data(kind: int, data: bytes) -> None:
            if kind in (pycurl.INFOTYPE_SSL_DATA_IN, pycurl.INFOTYPE_SSL_DATA_OUT):
                arrow = ">>>" if kind == pycurl.INFOTYPE_SSL_DATA_OUT else "<<<"
                messages.write(f"{arrow} [length {len(data):04x}]\n    {data.hex(' ')}\n".encode())

        for option, value in pycurl_options(pycurl, told):
            curl.setopt(option, os.fsencode(value) if isinstance(value, str) else value)  # a str has to be ASCII
        curl.setopt(pycurl.VERBOSE, True)
        curl.setopt(pycurl.DEBUGFUNCTION, on_data)
        curl.setopt(pycurl.WRITEDATA, body)
        curl.setopt(pycurl.HEADERFUNCTION, head.write)
        try:
            curl.perform()
        finally:
            print(f"local {curl.getinfo(pycurl.LOCAL_PORT)}")
            print(f"sent {curl.getinfo(pycurl.SIZE_UPLOAD):.0f} bytes of the body")
            print(f"verify result {curl.getinfo(pycurl.SSL_VERIFYRESULT)}: {curl.errstr()}")
    lines = head.getvalue().decode("latin-1").replace("\r\n\r\n", "").split("\r\n")
    fields = [(name, value.strip()) for name, colon, value in (line.partition(":") for line in lines[1:]) if colon]
    tell_response(curl.getinfo(pycurl.RESPONSE_CODE), fields, body.getvalue())


def pycurl_options(pycurl: Any, told: Told) -> Iterator[tuple[int, Any]]:
    """As libcurl's manual has them; what is not said here stays as it is."""
    host, port = urlsplit(told["url"]).hostname, told["port"]
    version = {"TLSv1": "TLSv1_0"}
    smallest, largest = (version.get(name, name.replace(".", "_")) for name in (told["tls_min"], told["tls_max"]))
    yield pycurl.URL, told["url"]
    yield pycurl.RESOLVE, [f"{host}:{port}:{told['host']}"]
    yield pycurl.PROXY, ""
    yield pycurl.SSLVERSION, getattr(pycurl, f"SSLVERSION_{smallest}") | getattr(pycurl, f"SSLVERSION_MAX_{largest}")
    yield pycurl.TIMEOUT_MS, int(told["timeout"] * 1000)
    yield pycurl.CUSTOMREQUEST, told["method"]
    yield pycurl.NOBODY, told["method"] == "HEAD"
    yield pycurl.HTTPHEADER, [f"{name}: {value}".encode() for name, value in told["headers"]]
    yield pycurl.SSL_ENABLE_ALPN, bool(told["alpn"])
    yield pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS if "h2" in told["alpn"] else pycurl.CURL_HTTP_VERSION_1_1
    yield pycurl.CAPATH, ""
    if told["insecure"]:
        yield pycurl.SSL_VERIFYPEER, 0
        yield pycurl.SSL_VERIFYHOST, 0
    if told["passphrase"]:
        yield pycurl.KEYPASSWD, passphrase(told)
    if told["groups"]:
        yield pycurl.SSL_EC_CURVES, ":".join(told["groups"])
    if told["body_file"]:
        yield pycurl.POSTFIELDS, body_of(told)
    if told["limit_rate"]:
        yield pycurl.MAX_SEND_SPEED_LARGE, told["limit_rate"]
    for option, name in (
        (pycurl.CAINFO, "trust"),
        (pycurl.CRLFILE, "crl"),
        (pycurl.SSLCERT, "certificate"),
        (pycurl.SSLKEY, "key"),
        (pycurl.SSL_CIPHER_LIST, "ciphers"),
        (pycurl.TLS13_CIPHERS, "ciphersuites"),
    ):
        if told[name]:
            yield option, told[name]


def with_rtls(told: Told) -> None:
    """The standard library's client, with rtls where it has ssl."""
    rtls: Any = importlib.import_module("rtls")
    context = (
        rtls.create_default_context(cafile=told["trust"])
        if told["trust"]
        else rtls.SSLContext(rtls.PROTOCOL_TLS_CLIENT)
    )
    if told["insecure"]:
        context.check_hostname, context.verify_mode = False, rtls.CERT_NONE
    context.minimum_version = getattr(rtls.TLSVersion, told["tls_min"].replace(".", "_"))
    context.maximum_version = getattr(rtls.TLSVersion, told["tls_max"].replace(".", "_"))
    logs_keys(context)
    if told["certificate"]:
        context.load_cert_chain(told["certificate"], told["key"], passphrase(told))
    context.wrap_bio(
        rtls.MemoryBIO(), rtls.MemoryBIO(), server_hostname=told["verify_name"]
    )  # it looks at its own key only now
    connection = http.client.HTTPSConnection(
        told["verify_name"], told["port"], timeout=told["timeout"], context=context
    )
    connection.connect()
    tell_handshake(connection.sock)
    connection.putrequest(told["method"], told["path"], skip_accept_encoding=True)
    for name, value in told["headers"]:
        connection.putheader(name, value.encode())
    body = body_of(told)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    response = connection.getresponse()
    tell_response(response.status, response.getheaders(), response.read())


LIBRARIES: dict[str, Callable[[Told], None]] = {
    "requests": with_requests,
    "httpx": with_httpx,
    "aiohttp": with_aiohttp,
    "pycurl": with_pycurl,
    "rtls": with_rtls,
}
LOOK_LATE = (with_requests,)
"""Those that look at their own files once they are connected: that they have a port says nothing then."""


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The exception that a caller gets, and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def exchange(library: Callable[[Told], None], told: Told) -> int:
    """1 where the library raised."""
    try:
        library(told)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what people see
        seen = [
            f"{type(one).__module__}.{type(one).__qualname__}: {' '.join(str(one).split())}" for one in causes(error)
        ]
        about = "; the key has a passphrase" if told["passphrase"] else ""
        print("\n".join(dict.fromkeys(f"error {text}{about}" for text in seen)))
        return 1
    else:
        return 0
    finally:
        tell_agreement()


def wanted() -> Iterator[Told]:
    """What is asked for. OpenSSL, which asks for passphrases there when it has no terminal, gets nothing from standard input."""
    with os.fdopen(os.dup(sys.stdin.fileno()), encoding="utf-8") as requests, Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
        for line in requests:
            yield json.loads(Path(line.rstrip("\n")).read_text())


def main() -> None:
    """As long as there is something to do."""
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    library = LIBRARIES[sys.argv[1]]
    importlib.import_module(sys.argv[1])  # takes most of the time of its start
    told: Told = {}
    tell_connections(told, port=library not in LOOK_LATE)
    print("ready")
    for one in wanted():
        told.update(one)
        print(f"exit {exchange(library, told)}")


if __name__ == "__main__":
    main()
