"""Why curl could not use its own certificate, key, trust or cipher list: its exit says which, and OpenSSL is asked why."""

from __future__ import annotations

import ssl

from mtls_runner.clients.curl.command import CurlFiles
from mtls_runner.clients.curl.outcome import Written
from mtls_runner.errors import FileUnusable
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import Reason
from mtls_runner.model.port import Material
from mtls_runner.tls.context import Problem, load, load_crls, load_trust

__all__ = ["problem_with"]

_CERTIFICATE_TROUBLE = frozenset((58, 43))  # CURLE_SSL_CERTPROBLEM; CURLE_BAD_FUNCTION_ARGUMENT from 8.16 on
_CIPHER_TROUBLE, _TRUST_TROUBLE, _CRL_TROUBLE = 59, 77, 82
_NO_GROUP = "failed setting curves list"


def problem_with(own: Written, client: ClientSpec, files: CurlFiles, material: Material) -> Problem | None:
    """Why curl could not use its own material: its exit doesn't tell, so OpenSSL is asked the same way."""
    exit_code = own.exit_code
    if exit_code == _CIPHER_TROUBLE:
        if _NO_GROUP in own.error:
            return Problem(Reason.GROUP, "", "")
        return Problem(Reason.CIPHER, "NO_CIPHER_MATCH", "")
    if exit_code in _CERTIFICATE_TROUBLE and client.certificate is not None and files.certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_ciphers(f"DEFAULT:@SECLEVEL={client.security_level}")
        try:
            same = material.presented(client.certificate, client.chain, client.key, client.passphrase)
        except FileUnusable as error:
            return Problem(error.reason, "", str(error))
        problem = load(context, same.certificate, same.key, client.passphrase)
        return problem or Problem(Reason.MALFORMED, "", f"{files.certificate.name}: curl can't use it")
    if exit_code == _TRUST_TROUBLE:
        return load_trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files.trust)
    if exit_code == _CRL_TROUBLE and files.crl is not None:
        return load_crls(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), files.crl)
    return None
