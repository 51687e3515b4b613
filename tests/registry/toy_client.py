"""A client of one file: ``ssl`` and ``http.client``, no more."""

from __future__ import annotations

import errno
import http.client
import ssl

from mtls_runner.deadlines import Deadline
from mtls_runner.model.endpoint import Address, ChainKind, ClientSpec
from mtls_runner.model.observation import ClientView, HttpResponse, Phase
from mtls_runner.model.port import Client, Material
from mtls_runner.model.traits import ClientTraits, Runtime

_VERSIONS = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}
#: All that it takes a description to say; anything else is declared as what it can't do.
_KNOWN = frozenset(("tool", "certificate", "passphrase", "trust", "server_name", "tls", "request", "timeout", "repeat"))


class ToyClient(Client):
    def version(self) -> str:
        return "1.0"

    def cannot(self, client: ClientSpec) -> str | None:
        usual, names = ClientSpec(client.tool), ClientSpec.__struct_fields__
        set_ = [name for name in names if getattr(client, name) != getattr(usual, name)]
        unknown = [name for name in set_ if name not in _KNOWN]
        if unknown:
            return f"a toy knows no {unknown[0]}"
        return None if set(client.tls) <= set(_VERSIONS) else "a toy is too young for old versions of TLS"

    def probe(self, client: ClientSpec, address: Address, material: Material, deadline: Deadline) -> ClientView:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version, context.maximum_version = _VERSIONS[client.tls[0]], _VERSIONS[client.tls[-1]]
        if client.trust:
            context.load_verify_locations(material.bundle(client.trust))
        if client.certificate is not None:
            secret = client.passphrase
            context.load_cert_chain(
                material.chain(client.certificate, client.chain),
                material.credential(client.certificate).key_path,
                secret.reveal if secret is not None else None,
            )
        assert client.chain.kind is ChainKind.FULL
        seen: dict[str, object] = {}
        connection = http.client.HTTPSConnection(
            address.host, address.port, timeout=deadline.remaining(), context=context
        )
        phase = Phase.CONNECT
        try:
            connection.sock = _plain(connection)
            seen["local_port"] = connection.sock.getsockname()[1]
            phase = Phase.HANDSHAKE
            tls = context.wrap_socket(connection.sock, server_hostname=client.server_name or address.host)
            connection.sock = tls
            seen |= {"tls_version": tls.version(), "verify_code": 0}
            phase = Phase.REQUEST
            request = client.request
            connection.request(request.method, request.path, request.body or None, dict(request.headers))
            response = connection.getresponse()
            headers = tuple((name.lower(), value) for name, value in response.getheaders())
            seen["response"] = HttpResponse(response.status, headers, response.read())
            phase = Phase.DONE
        except ssl.SSLError as error:
            seen |= {"error": str(error), "error_symbol": error.reason or ""}
            if isinstance(error, ssl.SSLCertVerificationError):
                seen |= {"verify_code": error.verify_code, "name_mismatch": error.verify_code in (62, 64)}
        except TimeoutError:
            seen["timed_out"] = True
        except OSError as error:
            seen |= {"error": str(error), "error_symbol": errno.errorcode.get(error.errno or 0, "EOF")}
        finally:
            connection.close()
        return ClientView("toy", "1.0", phase, **seen)  # type: ignore[arg-type]


def _plain(connection: http.client.HTTPSConnection) -> ssl.SSLSocket:
    http.client.HTTPConnection.connect(connection)
    return connection.sock


TRAITS = ClientTraits(
    name="toy",
    sentence="a toy",
    make=ToyClient,
    library="openssl",
    completes_chains=True,
    runtimes=(Runtime.EMBEDDED,),
)
