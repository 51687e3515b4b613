"""What stands in for others: the applications behind a server, the OCSP responders that it asks."""

__all__ = ["APPLICATION_SOCKET", "RESPONDER_SOCKET"]

APPLICATION_SOCKET = "upstream.sock"
RESPONDER_SOCKET = "ocsp.sock"
"""Names of the Unix sockets at which they answer, in a directory of their own each."""
