"""Words of declarations: settings that an end may honour, syntaxes of files."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CLIENT_SETTINGS", "SERVER_SETTINGS", "SYNTAXES"]

#: Settings of a scenario's server beside those that have a list of their own.
SERVER_SETTINGS = (
    "advertise",
    "ciphers",
    "ciphersuites",
    "groups",
    "other_certificates",
    "partial_chain",
    "passphrase",
    "reject_handshake",
    "response",
    "responses",
    "security_level",
    "session_tickets",
    "signature_algorithms",
    "verify_depth",
    "virtual_hosts",
    "x509_strict",
)
#: Settings of a scenario's client, likewise.
CLIENT_SETTINGS = (
    "ciphers",
    "ciphersuites",
    "groups",
    "insecure",
    "limit_rate",
    "partial_chain",
    "passphrase",
    "request",
    "security_level",
    "signature_algorithms",
    "x509_strict",
)
#: Syntax → how an expression's value is written in it.
SYNTAXES: Mapping[str, str] = {
    "plain": "only values of letters, digits and ./_:@%+=,-",
    "line": "values as they are, without line breaks, as in `key = value`",
    "json": "JSON strings in quotes, which YAML and TOML take, too",
    "haproxy": "HAProxy's words, with blanks and quotes escaped",
    "apache": "Apache's arguments, in double quotes",
}
