"""The odd files: certificates, keys and PKCS #12 files as people really have them, made with the openssl command."""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from ..own_material.issuer import Form, Issuer, bom, crlf, indented, old_mac, utf_16

__all__ = ["LEAVES", "ODD", "PASSPHRASE", "ROOT", "Odd", "issuer"]

PASSPHRASE = "opens it"
LEAVES = ("client", "server")
ROOT = "root"
_LEGACY = ("-provider", "legacy", "-provider", "default")


@dataclass(frozen=True)
class Odd:
    """One of them.

    Args:
        form: its files, relative to the issuer's directory.
        der_certificate: that it is DER, as a user knows who types ``--cert-type DER``.
        der_key: likewise; what its PEM would be called.
    """

    form: Form
    der_certificate: bool = False
    der_key: str = ""

    @property
    def names(self) -> list[str]:
        """Of the files; of one that no file system takes, the beginning."""
        files = (self.form.certificate, self.form.key, self.form.chain, self.form.pkcs12)
        return [name[:60] for name in files if name is not None]


Make = Callable[[Issuer, str], Odd]
ODD: dict[str, Make] = {}


def issuer(directory: Path) -> Issuer:
    """Someone's own root, intermediate and leaves, one of them the root's own; and what the odd files are made of."""
    mine = Issuer(directory)
    for name in LEAVES:
        key = f"direct-{name}"
        mine.key(key)
        mine.sign(key, "root", "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    mine.made("crl.pem", "crl", "-in", _crl(mine))
    mine.made("dh.pem", "genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe2048")
    mine.made("ec.params", "ecparam", "-name", "prime256v1")
    return mine


def _crl(mine: Issuer) -> str:
    mine.write("index", b"")
    mine.write("crl.cnf", f"[ca]\ndefault_ca=a\n[a]\ndatabase={mine.directory / 'index'}\ndefault_md=sha256\n".encode())
    arguments = ("ca", "-gencrl", "-config", "crl.cnf", "-cert", "root.crt", "-keyfile", "root.key", "-crldays", "2")
    return mine.made("made.crl", *arguments)


def _parts(who: str) -> tuple[str, ...]:
    """The certificates of a leaf's file, or of the authority's."""
    return ("root.crt",) if who == ROOT else (f"{who}.crt", "inter.crt")


# --- what is odd about the certificates ---------------------------------------------------------------------------------


def _changed(name: str, change: Callable[[bytes], bytes]) -> None:
    def make(mine: Issuer, who: str) -> Odd:
        file = mine.write(f"{who}-{name}.pem", change(mine.data(*_parts(who))))
        return Odd(Form(file, f"{who}.key"))

    ODD[name] = make


def _around(name: str, build: Callable[[Issuer, str, bytes], bytes]) -> None:
    def make(mine: Issuer, who: str) -> Odd:
        file = mine.write(f"{who}-{name}.pem", build(mine, who, mine.data(*_parts(who))))
        return Odd(Form(file, f"{who}.key"))

    ODD[name] = make


def _rewrapped(length: int) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        def block(match: re.Match[bytes]) -> bytes:
            body = b"".join(match[2].split())
            lines = [body[at : at + length] for at in range(0, len(body), length)]
            return match[1] + b"\n" + b"\n".join(lines) + b"\n" + match[3]

        return re.sub(rb"(-----BEGIN [A-Z0-9 ]+-----)(.*?)(-----END )", block, data, flags=re.DOTALL)

    return change


def _first_line_of_body(change: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    def changed(data: bytes) -> bytes:
        first, second, rest = data.split(b"\n", 2)
        return first + b"\n" + change(second) + b"\n" + rest

    return changed


def _after_begin(text: bytes) -> Callable[[bytes], bytes]:
    return lambda data: data.replace(b"BEGIN CERTIFICATE-----\n", b"BEGIN CERTIFICATE-----\n" + text, 1)


_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
_EMPTY = _BEGIN + b"\n" + _END + b"\n"
_GARBAGE = _BEGIN + b"\n!!!!\n" + _END + b"\n"

for _change in (crlf, old_mac, bom, utf_16, indented):
    _changed(_change.__name__, _change)
_changed("plain", bytes)
_changed("bom-twice", lambda data: bom(bom(data)))
_changed("bom-on-the-second", lambda data: data.replace(b"-\n-", b"-\n\xef\xbb\xbf-") + b"\n" + bom(data))
_changed("blanks-at-line-ends", lambda data: data.replace(b"\n", b" \t\n"))
_changed("tab-before-begin", lambda data: b"\t" + data)
_changed("words-before-begin", lambda data: b"certificate: " + data)
_changed("no-line-break-between", lambda data: data.replace(_END + b"\n", _END) + b"\n")
_changed("second-indented", lambda data: data + indented(data))
_changed("no-final-line-break", bytes.rstrip)
_changed("blank-lines-inside", lambda data: data.replace(b"\n", b"\n\n"))
_changed("one-long-line", _rewrapped(100_000))
_changed("76-columns", _rewrapped(76))
_changed("255-columns", _rewrapped(255))
_changed("4-columns", _rewrapped(4))
_changed("odd-columns", _rewrapped(61))
_changed("x509-label", lambda data: data.replace(b" CERTIFICATE-", b" X509 CERTIFICATE-"))
_changed("lower-case-label", lambda data: data.replace(b"BEGIN CERT", b"begin cert").replace(b"END CERT", b"end cert"))
_changed("four-dashes", lambda data: data.replace(b"-----", b"----"))
_changed("trusted-label-only", lambda data: data.replace(b" CERTIFICATE-", b" TRUSTED CERTIFICATE-"))
_changed("two-labels", lambda data: data.replace(_END, b"-----END X509 CERTIFICATE-----"))
_changed("no-end", lambda data: data.rpartition(_END)[0])
_changed("no-begin", lambda data: data.replace(_BEGIN + b"\n", b"", 1))
_changed("blank-after-begin", lambda data: data.replace(_BEGIN, _BEGIN + b" "))
_changed("not-base64", _first_line_of_body(lambda line: b"!" + line[1:]))
_changed("other-content", _first_line_of_body(lambda line: b"A" * len(line)))
_changed("cut", lambda data: data[:300])
_changed("cut-inside", lambda data: data.replace(data.splitlines()[3] + b"\n", b"", 1))
_changed("comment-inside", _after_begin(b"# what is this\n"))
_changed("header-inside", _after_begin(b"Subject: me\n\n"))
_changed("header-without-blank-line", _after_begin(b"Subject: me\n"))
_changed("header-not-ascii", _after_begin("Subject: Müller\n\n".encode()))
_changed("header-latin-1", _after_begin("Subject: Müller\n\n".encode("latin-1")))
_changed("empty-block-first", lambda data: _EMPTY + data)
_changed("empty-block-only", lambda _: _EMPTY)
_changed("garbage-after", lambda data: data + _GARBAGE)
_changed("garbage-before", lambda data: _GARBAGE + data)
_changed("twice", lambda data: data + data)
_changed("nul-before", lambda data: b"\0\0" + data)
_changed("nul-line-before", lambda data: b"\0\0\n" + data)
_changed("nul-after", lambda data: data + b"\0\0")
_changed("control-z-after", lambda data: data + b"\x1a")
_changed("text-not-ascii", lambda data: "Größe: µ\n".encode() + data + b"\xff\xfe\n")
_changed("a-megabyte-before", lambda data: b"# what this is\n" * 70_000 + data)
_changed("base64-of-pem", lambda data: base64.b64encode(data))
_changed("base64-alone", lambda data: b"\n".join(line for line in data.splitlines() if b"-----" not in line) + b"\n")
_changed("gzip", gzip.compress)
_changed("jks", lambda data: b"\xfe\xed\xfe\xed\x00\x00\x00\x02" + data)
_changed("empty", lambda _: b"")
_changed("blank", lambda _: b" \n\n")
_changed("words", lambda _: b"not a certificate\n")
_changed("html", lambda _: b"<!doctype html>\n<title>404</title>\n")

_around("text", lambda mine, who, data: mine.data(mine.made("text", "x509", "-in", f"{who}.crt", "-text")) + data)
_around("issuer-first", lambda mine, _, data: mine.data("inter.crt") + data)
_around("root-last", lambda mine, _, data: data + mine.data("root.crt"))
_around("stranger-first", lambda mine, _, data: mine.data("stranger.crt") + data)
_around("stranger-last", lambda mine, _, data: data + mine.data("stranger.crt"))
_around("crl-first", lambda mine, _, data: mine.data("crl.pem") + data)
_around("crl-last", lambda mine, _, data: data + mine.data("crl.pem"))
_around("crl-only", lambda mine, *_: mine.data("crl.pem"))
_around("dh-first", lambda mine, _, data: mine.data("dh.pem") + data)
_around("key-first", lambda mine, who, data: mine.data(f"{who}.key") + data)
_around("key-between", lambda mine, who, data: data.replace(_END + b"\n", _END + b"\n" + mine.data(f"{who}.key"), 1))
_around("request-first", lambda mine, _, data: mine.data("client.csr") + data)
_around("request-only", lambda mine, *_: mine.data("client.csr"))
_around("key-only", lambda mine, who, _: mine.data(f"{who}.key"))
_around("pkcs12", lambda mine, *_: mine.data(mine.pkcs12("a.p12", PASSPHRASE)))
_around("pkcs7", lambda mine, who, _: mine.data(_pkcs7(mine, who, "PEM")))
_around("pkcs7-der", lambda mine, who, _: mine.data(_pkcs7(mine, who, "DER")))


def _pkcs7(mine: Issuer, who: str, form: str) -> str:
    return mine.made(f"{who}.p7", "crl2pkcs7", "-nocrl", "-certfile", f"{who}.crt", "-outform", form)


def _trusted(name: str, *settings: str) -> None:
    def build(mine: Issuer, who: str, data: bytes) -> bytes:
        first = mine.data(mine.made("settings", "x509", "-in", f"{who}.crt", "-trustout", *settings))
        return first + data.partition(_END + b"\n")[2]

    _around(name, build)


_trusted("trusted")
_trusted("trusted-for-both", "-addtrust", "serverAuth", "-addtrust", "clientAuth")
_trusted("trusted-for-mail", "-addtrust", "emailProtection")
_trusted("rejected-for-servers", "-addreject", "serverAuth")
_trusted("rejected-for-clients", "-addreject", "clientAuth")
_trusted("rejected-for-both", "-addreject", "serverAuth", "-addreject", "clientAuth")


def _der(name: str, change: Callable[[bytes], bytes] = bytes, *, chain: bool = False) -> None:
    def make(mine: Issuer, who: str) -> Odd:
        leaf = who if chain or who == ROOT else f"direct-{who}"
        file = mine.made(f"{who}-{name}", "x509", "-in", f"{leaf}.crt", "-outform", "DER", form=change)
        more = "inter.crt" if chain and who != ROOT else None
        return Odd(Form(file, f"{leaf}.key", more), der_certificate=True)

    ODD[name] = make


_der("der")
_der("der-and-chain", chain=True)
_der("der-and-more", lambda data: data + b"more")
_der("der-cut", lambda data: data[:200])


def _in_two(name: str, first: Callable[[bytes], bytes], second: Callable[[bytes], bytes]) -> None:
    def make(mine: Issuer, who: str) -> Odd:
        file = mine.write(f"{who}-{name}.crt", first(mine.data(f"{who}.crt")))
        chain = mine.write(f"{who}-{name}.chain", second(mine.data("inter.crt")))
        return Odd(Form(file, f"{who}.key", chain))

    ODD[name] = make


_in_two("in-two", bytes, bytes)
_in_two("in-two-without-line-break", bytes.rstrip, bytes.rstrip)
_in_two("in-two-with-bom", bytes.rstrip, bom)
_in_two("in-two-indented", bytes, indented)
_in_two("in-two-crlf", lambda data: crlf(data).rstrip(), crlf)
_in_two("in-two-said-twice", lambda data: data, lambda data: data + data)


# --- what is odd about the keys -----------------------------------------------------------------------------------------


def _key(name: str, *command: str, form: Callable[[bytes], bytes] = bytes, given: str | None = None) -> None:
    """A key as an openssl command writes it (as the leaf's own is, without one), then changed."""

    def make(mine: Issuer, who: str) -> Odd:
        file = f"{who}-{name}.key"
        if command:
            mine.made(file, command[0], "-in", f"{who}.key", *command[1:], form=form)
        else:
            mine.write(file, form(mine.data(f"{who}.key")))
        return _with_key(mine, who, name, file, given)

    ODD[f"key-{name}"] = make


def _with_key(mine: Issuer, who: str, name: str, key: str, given: str | None = None) -> Odd:
    """For trust, the key stands in the authority's file."""
    both = mine.data(key) if mine.path(key).is_file() else b""
    certificate = mine.write(f"{who}-{name}.crt", mine.data(*_parts(who)) + (both if who == ROOT else b""))
    return Odd(Form(certificate, key, passphrase=given), der_key=_DER_KEYS.get(name, ""))


def _written(name: str, build: Callable[[Issuer, str], bytes]) -> None:
    def make(mine: Issuer, who: str) -> Odd:
        return _with_key(mine, who, name, mine.write(f"{who}-{name}.key", build(mine, who)))

    ODD[f"key-{name}"] = make


_DER_KEYS = {"der": "PRIVATE KEY", "traditional-der": "EC PRIVATE KEY", "encrypted-der": "ENCRYPTED PRIVATE KEY"}
_OUT = ("-passout", f"pass:{PASSPHRASE}")
_PKCS8 = ("pkcs8", "-topk8", *_OUT)


def _labelled(label: bytes) -> Callable[[bytes], bytes]:
    return lambda data: re.sub(rb"(BEGIN|END) [A-Z ]+-", rb"\1 " + label + b"-", data)


def _short_vector(data: bytes) -> bytes:
    return re.sub(rb"(DEK-Info: [^,]+,[0-9A-F]{16})[0-9A-F]*", rb"\1", data)


for _change in (crlf, old_mac, bom, utf_16, indented):
    _key(_change.__name__, form=_change)
_key("needless-passphrase", given=PASSPHRASE)
_key("traditional", "ec")
_key("no-final-line-break", form=bytes.rstrip)
_key("wrong-label", form=_labelled(b"RSA PRIVATE KEY"))
_key("ec-label", form=_labelled(b"EC PRIVATE KEY"))
_key("pkcs8-label", "ec", form=_labelled(b"PRIVATE KEY"))
_key("encrypted-label", form=_labelled(b"ENCRYPTED PRIVATE KEY"), given=PASSPHRASE)
_key("encrypted", *_PKCS8, given=PASSPHRASE)
_key("encrypted-crlf", *_PKCS8, form=crlf, given=PASSPHRASE)
_key("encrypted-not-given", *_PKCS8)
_key("encrypted-wrong", *_PKCS8, given="does not open it")
_key("scrypt", *_PKCS8, "-scrypt", given=PASSPHRASE)
_key("des3", *_PKCS8, "-v2", "des3", given=PASSPHRASE)
_key("rc2", *_PKCS8, "-v1", "PBE-SHA1-RC2-128", *_LEGACY, given=PASSPHRASE)
_key("traditional-encrypted", "ec", "-aes256", *_OUT, given=PASSPHRASE)
_key("traditional-not-given", "ec", "-aes256", *_OUT)
_key("short-vector", "ec", "-aes256", *_OUT, form=_short_vector, given=PASSPHRASE)
_key("no-vector", "ec", "-aes256", *_OUT, form=lambda data: re.sub(rb"DEK-Info.*\n", b"", data), given=PASSPHRASE)
_key("header-not-ascii", form=lambda data: data.replace(b"KEY-----\n", "KEY-----\nName: Müller\n\n".encode(), 1))
_key("der", "pkcs8", "-topk8", "-nocrypt", "-outform", "DER")
_key("traditional-der", "ec", "-outform", "DER")
_key("encrypted-der", *_PKCS8, "-outform", "DER", given=PASSPHRASE)
_key("public", "pkey", "-pubout")
_written("other-first", lambda mine, who: mine.data("rsa-client.key", f"{who}.key"))
_written("other-last", lambda mine, who: mine.data(f"{who}.key", "rsa-client.key"))
_written("other", lambda mine, _: mine.data("stranger.key"))
_written("other-kind", lambda mine, _: mine.data("rsa-client.key"))
_written("parameters-first", lambda mine, who: mine.data("ec.params", f"{who}.key"))
_written("certificate-first", lambda mine, who: mine.data(f"{who}.crt", f"{who}.key"))
_written("certificate-only", lambda mine, who: mine.data(f"{who}.crt"))
_written("empty-block", lambda *_: b"-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n")
_written("openssh", lambda *_: b"-----BEGIN OPENSSH PRIVATE KEY-----\nMAA=\n-----END OPENSSH PRIVATE KEY-----\n")
_written("pkcs12", lambda mine, _: mine.data(mine.pkcs12("b.p12", PASSPHRASE)))
_written("empty", lambda *_: b"")


def _in_certificate(mine: Issuer, who: str) -> Odd:
    return Odd(Form(mine.write(f"{who}-all.pem", mine.data(f"{who}.key", *_parts(who)))))


def _nowhere(mine: Issuer, who: str) -> Odd:
    return Odd(Form(mine.write(f"{who}-alone.pem", mine.data(*_parts(who)))))


def _missing_key(mine: Issuer, who: str) -> Odd:
    return replace(_nowhere(mine, who), form=Form(f"{who}-alone.pem", "gone.key"))


ODD["key-in-certificate"] = _in_certificate
ODD["key-nowhere"] = _nowhere
ODD["key-missing"] = _missing_key
ODD["missing"] = lambda _, who: Odd(Form("gone.pem", f"{who}.key"))


def _directory(mine: Issuer, who: str) -> Odd:
    mine.path("a-directory").mkdir(exist_ok=True)
    return Odd(Form("a-directory", f"{who}.key"))


ODD["directory"] = _directory
ODD["name-too-long"] = lambda _, who: Odd(Form(f"{'n' * 300}.pem", f"{who}.key"))


# --- PKCS #12 -----------------------------------------------------------------------------------------------------------


def _container(
    name: str, *options: str, given: str | None = PASSPHRASE, form: Callable[[bytes], bytes] = bytes, sealed: str = ""
) -> None:
    def make(mine: Issuer, who: str) -> Odd:
        file = f"{who}-{name}.p12"
        more = ("-certfile", "inter.crt") if who != ROOT else ()
        arguments = ("pkcs12", "-export", "-in", f"{who}.crt", "-inkey", f"{who}.key", *more)
        mine.made(file, *arguments, "-passout", f"pass:{sealed or given or ''}", *options, form=form)
        return Odd(Form(pkcs12=file, passphrase=given))

    ODD[f"pkcs12-{name}"] = make


def _some(name: str, *arguments: str) -> None:
    def make(mine: Issuer, who: str) -> Odd:
        file = f"{who}-{name}.p12"
        said = [one.replace("WHO", who) for one in arguments]
        mine.made(file, "pkcs12", "-export", *said, "-passout", f"pass:{PASSPHRASE}")
        return Odd(Form(pkcs12=file, passphrase=PASSPHRASE))

    ODD[f"pkcs12-{name}"] = make


_container("plain")
_container("no-passphrase", given=None)
_container("unencrypted", "-keypbe", "NONE", "-certpbe", "NONE", given=None)
_container("unencrypted-but-sealed", "-keypbe", "NONE", "-certpbe", "NONE")
_container("3des", "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1")
_container("no-mac", "-nomac")
_container("legacy", "-legacy")
_container("rc2-certificates", "-certpbe", "PBE-SHA1-RC2-40", *_LEGACY)
_container("named", "-name", "Müller", "-caname", "Größe")
_container("not-given", given=None, sealed=PASSPHRASE)
_container("wrong", given="does not open it", sealed=PASSPHRASE)
_container("umlaut", given="öffne es")
_container("and-more", form=lambda data: data + b"more")
_container("cut", form=lambda data: data[:500])
_container("changed", form=lambda data: data[:-1] + bytes((data[-1] ^ 1,)))
_container("base64", form=base64.b64encode)
_container("crlf", form=crlf)
_some("no-key", "-in", "WHO.crt", "-nokeys")
_some("no-certificate", "-inkey", "WHO.key", "-nocerts")
_some("intermediate-first", "-in", "inter.crt", "-certfile", "WHO.crt", "-nokeys")
ODD["pkcs12-pem"] = lambda mine, who: Odd(
    Form(pkcs12=mine.write(f"{who}-both.pem", mine.data(f"{who}.key", *_parts(who))), passphrase=PASSPHRASE)
)
ODD["pkcs12-missing"] = lambda *_: Odd(Form(pkcs12="gone.p12", passphrase=PASSPHRASE))
