"""A client's description as curl's options, and the small files that they name."""

from __future__ import annotations

import os
import shlex
import socket
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from msgspec import Struct

from mtls_runner.errors import LabError
from mtls_runner.model.certificate import FileForm
from mtls_runner.model.endpoint import Address, ClientSpec, Request, TlsVersion
from mtls_runner.model.port import Material
from mtls_runner.snippet import is_secret

__all__ = [
    "NO_PASSPHRASE",
    "Command",
    "CurlFiles",
    "build",
    "has_settings",
    "locked",
    "openssl_settings",
    "secret_headers",
]

#: Ascending; curl takes the lowest as an option of its own and the highest for ``--tls-max``.
_VERSIONS: Mapping[TlsVersion, tuple[str, str]] = {
    TlsVersion.V1_0: ("--tlsv1.0", "1.0"),
    TlsVersion.V1_1: ("--tlsv1.1", "1.1"),
    TlsVersion.V1_2: ("--tlsv1.2", "1.2"),
    TlsVersion.V1_3: ("--tlsv1.3", "1.3"),
}

#: curl's manual, ENVIRONMENT; ``http_proxy`` is for http:// only.
_PROXIES = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")

#: What curl offers of its own accord (from 7.52 on with OpenSSL 1.1.1; curl's manual, --tls-max).
_CURLS_OWN = (TlsVersion.V1_2, TlsVersion.V1_3)

#: Characters of a request target that curl's URL parser leaves as they are (RFC 3986 pchar, ``/`` and ``?``).
_TARGET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/?%")


#: Given where there is no passphrase, so that curl does not ask on the terminal. It takes no empty one any more (8.14: "blank
#: argument"), and this one opens no encrypted key.
NO_PASSPHRASE = "-"  # noqa: S105 - none


class CurlFiles(Struct, frozen=True):
    """What the options name, all inside the run's private directory.

    Args:
        certificate: chain to present; ``None``: none is.
        key: its private key; ``None``: it lies in the chain's file.
        certificate_form, key_form: what these files are.
        trust: PEM; unused with ``insecure``.
        crl: PEM; ``None``: there is none, and nothing is looked up.
        empty: an empty directory, for options whose default would be the system's.
        settings: what OpenSSL reads instead of the system's ``openssl.cnf``.
        config: for ``--config``, with the passphrase in it; ``None``: there is none to hide.
        body: the request's body; ``None``: it has none.
        headers: for ``-H @file``: the request's header fields that hold secrets; ``None``: there is none to hide.
        locked: the key is encrypted, and there is no passphrase for it.
    """

    certificate: Path | None
    key: Path | None
    trust: Path
    empty: Path
    settings: Path
    config: Path | None
    body: Path | None
    crl: Path | None = None
    headers: Path | None = None
    locked: bool = False
    certificate_form: FileForm = FileForm.PEM
    key_form: FileForm = FileForm.PEM

    @property
    def asks_for_nothing(self) -> bool:
        """A PKCS#12 file alone: curl never asks for its passphrase, and opens one that has none only if it is given none."""
        return self.key is None and self.certificate_form is FileForm.PKCS12


class Command(Struct, frozen=True):
    """How curl is run: the options that the outcome depends on (shown to people, too), and the URL."""

    options: tuple[str, ...]
    config: Path | None
    settings: Path | None
    url: str
    locked: bool = False
    short: bool = False

    def typed(self) -> str:
        """What a person types to repeat it."""
        shown = ["curl", "-v" if self.short else "--verbose"]
        if self.config is not None:
            shown += ["-K", str(self.config)]
        if self.locked:
            shown += ["--pass", NO_PASSPHRASE]  # otherwise curl would ask for what the description withholds
        if any(os.environ.get(name) for name in (*_PROXIES, *(["http_proxy"] if self.url.startswith("http:") else []))):
            shown += ["--noproxy", "*"]
        line = shlex.join([*shown, *self.options, self.url])
        return f"OPENSSL_CONF={shlex.quote(str(self.settings))} {line}" if self.settings is not None else line


def has_settings(client: ClientSpec) -> bool:
    """Whether the client's ``openssl.cnf`` says anything that OpenSSL does not do by itself."""
    return client.security_level != 2 or bool(client.signature_algorithms)


def openssl_settings(client: ClientSpec) -> str:
    """An ``openssl.cnf`` (OpenSSL ``config(5)``, ``SSL_CONF_cmd(3)``) with what curl has no option for.

    A security level in ``--ciphers`` comes too late: curl loads the client certificate before that, and refuses a weak
    one by the level that the context was made with. ``--sigalgs`` exists from curl 8.14 on only.
    """
    lines = [
        "openssl_conf = lab",
        "[lab]",
        "ssl_conf = tls",
        "[tls]",
        "system_default = context",
        "[context]",
        f"CipherString = DEFAULT:@SECLEVEL={client.security_level}",
    ]
    if client.signature_algorithms:
        lines.append(f"SignatureAlgorithms = {':'.join(client.signature_algorithms)}")
    return "\n".join(lines) + "\n"


def build(client: ClientSpec, address: Address, files: CurlFiles, *, short: bool = False) -> Command:
    """The options in the order in which a person would write them; ``short``: only those that a person would not leave out."""
    options: list[str] = []
    if client.proxy_protocol is not None:
        options.append("--haproxy-protocol")
    if client.protocol.encrypted:
        options += _authentication(client, files, short=short)
        options += _tls(client, short=short)
    where, url = _target(client, address, short=short)
    options += where
    if client.location is not None:
        options += _onward(client, address, given="--connect-to" in where)
    options += _request(client.request, files, may_change=client.location is not None)
    settings = files.settings if has_settings(client) else None
    return Command(tuple(options), files.config, settings, url, files.locked, short)


def _authentication(client: ClientSpec, files: CurlFiles, *, short: bool) -> list[str]:
    """The options by which either end authenticates the other."""
    options: list[str] = []
    if client.insecure:
        options.append("--insecure")
    else:
        options += ["--cacert", str(files.trust)]
        if not short or not client.trust:
            # With --cacert alone curl still looks into its built-in directory of the system's authorities.
            options += ["--capath", str(files.empty)]
    if client.cert_status:
        options.append("--cert-status")
    if files.crl is not None:
        options += ["--crlfile", str(files.crl)]
    if files.certificate is not None:
        options += ["--cert", _certificate(files.certificate)]
        if files.certificate_form is not FileForm.PEM:
            options += ["--cert-type", files.certificate_form]
        if files.key is not None:
            options += ["--key", str(files.key)]
        if files.key_form is not FileForm.PEM:
            options += ["--key-type", files.key_form]
    return options


def _tls(client: ClientSpec, *, short: bool) -> list[str]:
    options: list[str] = []
    if not short or client.tls != _CURLS_OWN:
        options += [_VERSIONS[client.tls[0]][0], "--tls-max", _VERSIONS[client.tls[-1]][1]]
    if client.ciphers is not None or client.security_level != 2:
        options += ["--ciphers", f"{client.ciphers or 'DEFAULT'}:@SECLEVEL={client.security_level}"]
    if client.ciphersuites is not None:
        options += ["--tls13-ciphers", client.ciphersuites]
    if client.groups:
        options += ["--curves", ":".join(client.groups)]
    if short and "h2" not in client.alpn:
        return options
    if not client.alpn:
        options.append("--no-alpn")
    options.append("--http2" if "h2" in client.alpn else "--http1.1")
    return options


def _target(client: ClientSpec, address: Address, *, short: bool) -> tuple[list[str], str]:
    """Options and URL by which the name in the URL (for SNI and verification) is independent of the address to connect to."""
    name = client.server_name if client.server_name is not None else _numeric(address)
    host = f"[{name}]" if ":" in name else name
    path = client.request.path
    plain = path.startswith("/") and _TARGET.issuperset(path)
    options = ["--path-as-is"] if plain else ["--request-target", path]
    if short and plain and "/." not in path:
        options = []
    if name != address.host and not (short and (name, address.host) == ("localhost", "127.0.0.1")):
        at = f"[{address.host}]" if ":" in address.host else address.host
        options += ["--connect-to", f"{host}:{address.port}:{at}:{address.port}"]
    return options, f"{client.protocol}://{host}:{address.port}{path if plain else '/'}"


def _onward(client: ClientSpec, address: Address, *, given: bool) -> list[str]:
    """The options by which curl follows redirects, but only to servers that the scenario names."""
    from mtls_runner.tls.redirects import NOWHERE

    options = ["--location", "--proto-redir", "=http,https"]
    own = client.server_name if client.server_name is not None else address.host
    places = [] if given else [(f"{own}:{address.port}", address)]
    for name, there in (*places, *client.reached):
        options += ["--connect-to", f"{name if ':' in name else f'{name}:'}:{there}"]
    return [*options, "--connect-to", f"::{NOWHERE}"]


def _numeric(address: Address) -> str:
    """The address as an IP literal: curl sends no SNI for one, and does for anything else (RFC 6066 §3)."""
    try:
        return str(ip_address(address.host))
    except ValueError:
        pass
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LabError(f"{address.host} has no address, and without a server name curl needs one: {error}") from error
    return str(found[0][4][0])


def secret_headers(request: Request) -> bytes:
    """The content of a file for ``-H @file``: header fields that must not stand in argument lists, which everybody can read."""
    return "".join(f"{_header(*field)}\n" for field in request.headers if is_secret(field[0])).encode()


def _header(name: str, value: str) -> str:
    return f"{name}: {value}" if value else f"{name};"


def _request(request: Request, files: CurlFiles, *, may_change: bool) -> list[str]:
    """``may_change``: a redirect can make another method of it, which curl does not let happen to ``--request``."""
    body = files.body
    options: list[str] = []
    given = {name.lower() for name, _ in request.headers}
    if request.method == "HEAD":
        options.append("--head")
    elif may_change and request.method == "POST":
        options += ["--data", ""] if body is None else []
    elif request.method != "GET" or body is not None:
        options += ["--request", request.method]
    if body is not None:
        options += ["--data-binary", f"@{body}"]
        options += ["--limit-rate", str(request.limit_rate)] if request.limit_rate else []
        # What curl adds of its own accord; an empty value takes it away.
        options += [
            part for name in ("Content-Type", "Expect") if name.lower() not in given for part in ("-H", f"{name}:")
        ]
    for field in request.headers:
        if files.headers is None or not is_secret(field[0]):
            options += ["-H", _header(*field)]
    return [*options, "-H", f"@{files.headers}"] if files.headers is not None else options


def _certificate(path: Path) -> str:
    """For ``--cert``, where a colon would begin a passphrase."""
    return str(path).replace("\\", "\\\\").replace(":", "\\:")


def locked(client: ClientSpec, material: Material) -> bool:
    """Whether the client's key is encrypted at rest, or may be, and it is given no passphrase.

    Raises:
        MaterialError: it can't be made.
    """
    if client.certificate is None or client.passphrase is not None:
        return False
    if client.key is not None and client.key.file is not None:
        return True  # who knows
    other = client.key.id if client.key is not None and client.key.id is not None else client.certificate
    return material.passphrase(other) is not None
