"""Lines to type that settle whether a cause is the true one: plain openssl and curl, with no secret in any argument."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from mtls_runner.diagnosis.inputs import AttemptInputs, system_trust
from mtls_runner.model.endpoint import Address, TlsVersion
from mtls_runner.pki.own_content import Content, read_content

__all__ = ["Commands"]

_VERSIONS = {
    TlsVersion.V1_0: ("-tls1", "1.0"),
    TlsVersion.V1_1: ("-tls1_1", "1.1"),
    TlsVersion.V1_2: ("-tls1_2", "1.2"),
    TlsVersion.V1_3: ("-tls1_3", "1.3"),
}
_QUIET = "</dev/null 2>/dev/null"


class Commands:
    """Lines to type for one attempt, with its files and address.

    Args:
        inputs: what was typed.
    """

    def __init__(self, inputs: AttemptInputs) -> None:
        self._wish = inputs
        content = read_content(inputs.certificate) if inputs.certificate is not None else None
        self._pkcs12 = isinstance(content, Content) and content.pkcs12

    # --- the client's own files ---

    @property
    def _certificate(self) -> str:
        """What writes the certificate to a pipe or names its file, up to ``openssl x509``."""
        file = self._wish.certificate
        if file is None:
            return "openssl x509"
        if self._pkcs12:
            return f"openssl pkcs12 -in {_path(file)} -clcerts -nokeys{self._secret('-passin')} | openssl x509"
        return f"openssl x509 -in {_path(file)}"

    def _secret(self, option: str) -> str:
        file = self._wish.passphrase_file
        return f" {option} file:{_path(file)}" if file is not None else ""

    @property
    def _key(self) -> str:
        holder = self._wish.key or self._wish.certificate
        return _path(holder) if holder is not None else ""

    def own_names(self) -> str:
        """Its subject and who issued it."""
        return f"{self._certificate} -noout -subject -issuer"

    def own_dates(self) -> str:
        """When it is valid; and what time it is here."""
        return f"{self._certificate} -noout -dates; date -u"

    def own_usages(self) -> str:
        """What it may be used for."""
        return f"{self._certificate} -noout -ext keyUsage,extendedKeyUsage,basicConstraints"

    def own_algorithms(self) -> str:
        """Its key, and how it is signed."""
        return f"{self._certificate} -noout -text | grep -E 'Signature Algorithm|Public Key|Public-Key|CURVE'"

    def own_identifiers(self) -> str:
        """The key identifiers in it."""
        return f"{self._certificate} -noout -ext subjectKeyIdentifier,authorityKeyIdentifier"

    def own_serial(self) -> str:
        """What a CRL or an OCSP responder knows it by."""
        return f"{self._certificate} -noout -serial -ocsp_uri -ext crlDistributionPoints"

    def own_text(self) -> str:
        """All of it."""
        return f"{self._certificate} -noout -text"

    def own_key_matches(self) -> tuple[str, ...]:
        """Two lines that print the same if key and certificate belong together."""
        return (
            f"{self._certificate} -noout -pubkey | openssl sha256",
            f"openssl pkey -in {self._key}{self._secret('-passin')} -pubout | openssl sha256",
        )

    def own_key_opens(self) -> str:
        """Says whether the passphrase opens the key; asks for it where it lies in no file."""
        if self._pkcs12 and self._wish.key is None:
            return f"openssl pkcs12 -in {self._key}{self._secret('-passin')} -noout"
        return f"openssl pkey -in {self._key}{self._secret('-passin')} -noout"

    def own_files(self) -> str:
        """Whether they are there, and for whom."""
        files = (self._wish.certificate, self._wish.key, self._wish.ca)
        return "ls -lL " + " ".join(_path(file) for file in files if file is not None)

    def blocks(self, file: Path) -> tuple[str, str]:
        """What a file holds, block by block, and what it is by its first bytes."""
        return f"grep -an -e '-----' {_path(file)}", f"head -c 64 {_path(file)} | od -c"

    def own_chain(self) -> str:
        """What it sends, certificate by certificate: each issuer has to be the subject of the next."""
        file = self._wish.certificate
        if file is None:
            return ""
        if self._pkcs12:
            return f"openssl pkcs12 -in {_path(file)} -nokeys{self._secret('-passin')} | grep -E '^(subject|issuer)'"
        return f"openssl crl2pkcs7 -nocrl -certfile {_path(file)} | openssl pkcs7 -print_certs -noout"

    def own_verifies(self) -> str:
        """Whether the authority that is at hand vouches for it."""
        if self._wish.certificate is None or self._pkcs12:
            return self.own_names()
        file = _path(self._wish.certificate)
        return f"openssl verify{self._trusting()} -purpose sslclient -untrusted {file} {file}"

    def keystore(self) -> str:
        """Makes PKCS #12 of a Java keystore, asking for the passwords."""
        file = self._wish.certificate or self._wish.key
        if file is None:
            return ""
        made = f"{shlex.quote(file.stem)}.p12"
        return f"keytool -importkeystore -srckeystore {_path(file)} -destkeystore {made} -deststoretype pkcs12"

    # --- the server ---

    def _trusting(self) -> str:
        file = self._wish.ca or system_trust()
        return f" -CAfile {_path(file)}" if file is not None else ""

    def _s_client(self, *, own: bool = False, version: TlsVersion | None = None, name: bool = True) -> str:
        endpoint = self._wish.endpoint
        words = [f"openssl s_client -connect {shlex.quote(str(endpoint.address))}"]
        if endpoint.name is not None and name:
            words.append(f"-servername {shlex.quote(endpoint.name)}")
        else:
            words.append("-noservername")
        if own and self._wish.certificate is not None:
            words.append(f"-cert {_path(self._wish.certificate)}")
            if self._wish.key is not None:
                words.append(f"-key {_path(self._wish.key)}")
            if self._wish.passphrase_file is not None:
                words.append(self._secret("-pass").strip())
        asked = self._wish.tls
        chosen = version or (asked[0] if len(asked) == 1 else None)
        if chosen is not None:
            words.append(_VERSIONS[chosen][0])
            if chosen < TlsVersion.V1_2:
                words.append("-cipher DEFAULT@SECLEVEL=0")
        return " ".join(words)

    def server_asks(self) -> str:
        """Whom the server asks for, and by which signature algorithms."""
        return f"{self._s_client()} {_QUIET} | grep -A 9 -E '^(Acceptable client|No client certificate CA)'"

    def server_asks_at_all(self) -> str:
        """Whether a CertificateRequest comes."""
        return f"{self._s_client()} -msg {_QUIET} | grep -c CertificateRequest"

    def server_certificate(self, *what: str, name: bool = True) -> str:
        """Prints what is asked of the server's own certificate."""
        return f"{self._s_client(name=name)} {_QUIET} | openssl x509 -noout {' '.join(what)}"

    def server_sends(self) -> str:
        """The chain as the server sends it."""
        return f"{self._s_client()} -showcerts {_QUIET} | grep -E '^ *([0-9]+ s|i):'"

    def server_verifies(self) -> str:
        """How OpenSSL verifies the server's chain."""
        name = self._wish.endpoint.name
        checked = (
            f" -verify_hostname {shlex.quote(name)}" if name is not None else f" -verify_ip {self._wish.endpoint.host}"
        )
        return f"{self._s_client()}{self._trusting()}{checked} </dev/null 2>&1 | grep -E 'verify error|Verif'"

    def trusted(self) -> str:
        """Whom the client trusts."""
        file = self._wish.ca or system_trust()
        return f"openssl crl2pkcs7 -nocrl -certfile {_path(file)} | openssl pkcs7 -print_certs -noout" if file else ""

    def speaks(self, version: TlsVersion) -> str:
        """Whether the server speaks a version."""
        return f"{self._s_client(version=version)} </dev/null 2>&1 | grep -E 'Protocol|Cipher is|alert'"

    def handshake(self, *more: str) -> str:
        """The handshake with the client's own material, message by message."""
        return " ".join([self._s_client(own=True), *more, "-msg", "</dev/null"])

    def resolves(self) -> str:
        """What the host's name stands for."""
        return f"getent hosts {shlex.quote(self._wish.endpoint.host)}"

    def connects(self) -> str:
        """Whether anything listens there."""
        address = self._wish.endpoint.address
        return (
            f"curl -sv --connect-timeout 5 telnet://{shlex.quote(str(Address(address.host, address.port)))} </dev/null"
        )

    def plainly(self) -> str:
        """What it answers without TLS."""
        endpoint = self._wish.endpoint
        resolve = self._resolve()
        return f"curl -sv --max-time 5 --http0.9{resolve} http://{Address(endpoint.host, endpoint.port)}/"

    def request(self, *, certificate: bool = True) -> str:
        """The whole exchange with curl, which asks for a passphrase by itself."""
        return " ".join(
            ["curl -v", *self._curl_options(certificate=certificate), shlex.quote(str(self._wish.endpoint))]
        )

    def _resolve(self) -> str:
        endpoint = self._wish.endpoint
        if endpoint.address.host == endpoint.host:
            return ""
        return f" --resolve {shlex.quote(f'{endpoint.host}:{endpoint.port}:{endpoint.address.host}')}"

    def _curl_options(self, *, certificate: bool) -> Iterator[str]:
        inputs = self._wish
        if inputs.ca is not None:
            yield f"--cacert {_path(inputs.ca)}"
        if certificate and inputs.certificate is not None:
            yield f"--cert {_path(inputs.certificate)}" + (" --cert-type P12" if self._pkcs12 else "")
            if inputs.key is not None:
                yield f"--key {_path(inputs.key)}"
        if inputs.tls:
            yield f"--tlsv{_VERSIONS[min(inputs.tls)][1]} --tls-max {_VERSIONS[max(inputs.tls)][1]}"
        if self._resolve():
            yield self._resolve().strip()


def _path(path: Path | None) -> str:
    """As short as it can be typed from here."""
    if path is None:
        return ""
    text = str(path)
    if path.is_absolute():
        below = os.path.relpath(path)
        text = below if not below.startswith("..") else text
    return shlex.quote(text if not text.startswith("-") else f"./{text}")
