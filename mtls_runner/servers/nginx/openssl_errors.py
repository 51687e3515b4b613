"""OpenSSL error codes in nginx's log lines."""

from mtls_runner.tls.openssl_errors import SYSTEM_LIBRARY, OpensslError, openssl_errors

__all__ = ["SYSTEM_LIBRARY", "OpensslError", "openssl_errors"]
