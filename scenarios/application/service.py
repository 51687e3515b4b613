#!/usr/bin/env python3
# ruff: noqa: A002, ARG002, D101, D102, D103 - as people write them
"""An application that ends TLS itself: an address, its certificate and key, and whom it trusts. It greets who came by name."""

import http.server
import ssl
import sys


def log(client_address, text) -> None:
    # In one piece: print() writes the end of the line by itself, and another thread's line may come between.
    sys.stdout.write(f"[{client_address[1]}] {text}\n")
    sys.stdout.flush()


class Greeter(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        subject = dict(pair for part in self.connection.getpeercert()["subject"] for pair in part)
        body = f"hello {subject['commonName']}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        log(self.client_address, format % arguments)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def finish_request(self, request, client_address) -> None:
        with context.wrap_socket(request, server_side=True) as connection:
            super().finish_request(connection, client_address)

    def handle_error(self, request, client_address) -> None:
        log(client_address, sys.exc_info()[1])


address, certificate, key, trust = sys.argv[1:]
host, _, port = address.rpartition(":")
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=trust)
context.load_cert_chain(certificate, key)
context.verify_mode = ssl.CERT_REQUIRED
Server((host, int(port)), Greeter).serve_forever()
