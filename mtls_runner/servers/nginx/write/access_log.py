"""What the lab has nginx say of each request, on one stream with its error log and in order with it."""

from __future__ import annotations

__all__ = ["DIRECTIVES", "FORMAT_DEFINITION", "MARK"]

MARK = '{"mtls-run":'
"""How such a line begins."""

_FORMAT = "mtls_run"
_FIELDS = {
    "connection": "connection",
    "status": "status",
    "verify": "ssl_client_verify",
    "subject": "ssl_client_s_dn",
    "fingerprint": "ssl_client_fingerprint",
    "protocol": "ssl_protocol",
    "cipher": "ssl_cipher",
    "server_name": "ssl_server_name",
    "resumed": "ssl_session_reused",
    "request": "request",
}

FORMAT_DEFINITION = (
    f"log_format {_FORMAT} escape=json '{MARK}1,"
    + ",".join(f'"{key}":"${name}"' for key, name in _FIELDS.items())
    + "}';"
)

_ERROR_LOG = "error_log stderr info;"
_ACCESS_LOG = f"access_log /dev/stderr {_FORMAT};"
DIRECTIVES = f"{_ERROR_LOG} {_ACCESS_LOG}"
"""For each ``server`` block. Both go to one pipe: a connection's lines come in the order in which nginx wrote them."""
