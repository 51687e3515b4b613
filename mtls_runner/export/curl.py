"""Each case's client as a curl command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from mtls_runner.clients.curl.command import NO_PASSPHRASE, CurlFiles, build, openssl_settings, secret_headers
from mtls_runner.export.material import Workshop
from mtls_runner.export.shell import PORT, word
from mtls_runner.model.certificate import FileForm
from mtls_runner.model.endpoint import Address, ChainKind, ClientSpec, ServerSpec
from mtls_runner.pki.own_bytes import part_of

__all__ = ["curl"]

NOBODY = "pki/nobody.crt"
"""Trusting it means trusting nobody: curl takes no empty file."""


def curl(client: ClientSpec, server: ServerSpec, shop: Workshop, generated: dict[str, bytes]) -> list[str]:
    """The words of a curl command, quoted for a shell.

    Args:
        client: what to do.
        server: whom it connects to.
        shop: names the files.
        generated: small files that options name, by name relative to the script; more are added.
    """
    address = client.connect or server.address or Address("127.0.0.1", PORT)
    files = _files(client, shop, generated)
    command = build(client, address, files)
    options = list(command.options)
    asks = client.certificate is not None and client.passphrase is None and not files.asks_for_nothing
    if asks and _locked(client, shop):
        options += ["--pass", NO_PASSPHRASE]  # otherwise curl would ask on the terminal
    words = ["env", f"OPENSSL_CONF={command.settings}"] if command.settings is not None else []
    words += ["curl", *(["-K", str(command.config)] if command.config is not None else [])]
    if client.connect is not None or server.address is not None:
        return [*map(word, words), *map(word, [*options, command.url])]
    return [*map(word, words), *_quoted(options), word(command.url, ports=1)]


def _quoted(words: list[str]) -> Iterator[str]:
    before = ""
    for text in words:
        yield word(text, ports=2 if before == "--connect-to" else 0)
        before = text


def _locked(client: ClientSpec, shop: Workshop) -> bool:
    key = client.key
    if key is not None and key.file is not None:
        return True
    spec = shop.plan.certificates[(key.id if key is not None else None) or client.certificate or ""]
    return spec.passphrase is not None or spec.files is not None


def _files(client: ClientSpec, shop: Workshop, generated: dict[str, bytes]) -> CurlFiles:
    config = None
    if client.certificate is not None and client.passphrase is not None:
        config = Path(shop.curl_settings(client.passphrase, client.certificate))
    plain = client.security_level == 2 and not client.signature_algorithms
    settings = "none" if plain else _generated("openssl.cnf", openssl_settings(client).encode(), generated)
    body, hidden = client.request.body, secret_headers(client.request)
    certificate, certificate_form = _certificate(client, shop)
    key, key_form = _key(client, shop) if certificate_form is not FileForm.PKCS12 else (None, FileForm.PEM)
    return CurlFiles(
        certificate=certificate,
        key=key,
        certificate_form=certificate_form,
        key_form=key_form,
        trust=Path(shop.bundle(client.trust) if client.trust else NOBODY),
        empty=Path("empty"),
        settings=Path(settings),
        config=config,
        body=Path(_generated("body", body, generated)) if body else None,
        crl=Path(shop.crl(client.crl)) if client.crl else None,
        headers=Path(_generated("headers", hidden, generated)) if hidden else None,
    )


def _certificate(client: ClientSpec, shop: Workshop) -> tuple[Path | None, FileForm]:
    """What it presents: the author's own PKCS #12 or DER file as it is (``--cert-type``), all else in PEM."""
    if client.certificate is None:
        return None, FileForm.PEM
    own = shop.plan.certificates[client.certificate].files
    if own is not None and client.chain.kind is ChainKind.FULL:
        if own.pkcs12 is not None and client.key is None:
            return Path(shop.bring(own.pkcs12)), FileForm.PKCS12
        if own.certificate is not None and own.chain is None and _is_der(own.certificate):
            return Path(shop.bring(own.certificate)), FileForm.DER
    return Path(shop.chain(client.certificate, client.chain)), FileForm.PEM


def _key(client: ClientSpec, shop: Workshop) -> tuple[Path | None, FileForm]:
    if client.certificate is None:
        return None, FileForm.PEM
    if client.key is not None and client.key.file is not None:
        return Path(shop.bring(client.key.file)), FileForm.PEM
    owner = (client.key.id if client.key is not None else None) or client.certificate
    own = shop.plan.certificates[owner].files
    if own is not None and own.key is not None and _is_der(own.key):
        return Path(shop.bring(own.key)), FileForm.DER
    return Path(shop.key(owner)), FileForm.PEM


def _is_der(path: Path) -> bool:
    return part_of(path).der is not None


def _generated(name: str, content: bytes, generated: dict[str, bytes]) -> str:
    stem, dot, ending = name.partition(".")
    number = 1
    while generated.get(path := f"files/{stem}{f'-{number}' if number > 1 else ''}{dot}{ending}", content) != content:
        number += 1
    generated[path] = content
    return path
