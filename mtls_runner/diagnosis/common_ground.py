"""Why there is no connection, or nothing that both ends could agree on: found out by asking again in other ways."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from mtls_runner.diagnosis.cause import Cause, Certainty
from mtls_runner.diagnosis.evidence import Evidence
from mtls_runner.model import HINTS, MEANINGS, sentence
from mtls_runner.model.endpoint import TlsVersion
from mtls_runner.model.observation import ClientView, Outcome, Phase, Reason
from mtls_runner.pki.described import describe

__all__ = ["no_agreement", "no_connection"]

_R = Reason
_ASK_SECONDS = 3.0
_CLOSED = (_R.RESET, _R.CLOSED)
_GROUPS = ("P-256", "P-384", "P-521", "X25519")
_TLS_PORT = (b"to an HTTPS server", b"to HTTPS port", b"SSL-enabled server port")
"""How Go, nginx and Apache answer plain HTTP on a port of theirs that speaks TLS."""
_GREETINGS: Mapping[bytes, str] = {
    # what services say first, or to a request that they don't know
    b"SSH-": "an SSH server",
    b"220 ": "a mail or FTP server, which speaks TLS after STARTTLS or AUTH TLS",
    b"* OK": "an IMAP server, which speaks TLS after STARTTLS",
    b"+OK": "a POP3 server, which speaks TLS after STLS",
    b"-ERR": "a Redis or POP3 server",
    b"RFB ": "a VNC server",
}


def no_connection(evidence: Evidence) -> Iterator[Cause]:
    """Nobody listens, something else than TLS does, or the connection ends without a word."""
    cause = _unreached(evidence) or _no_tls(evidence)
    if cause is None:
        yield from _wordless(evidence)
    else:
        yield cause


def _unreached(evidence: Evidence) -> Cause | None:
    endpoint, commands = evidence.inputs.endpoint, evidence.commands
    outcome, reason = evidence.observation.outcome, evidence.observation.reason
    if reason is _R.NAME_NOT_RESOLVED:
        return Cause(
            Outcome.NO_CONNECTION,
            reason,
            f"The name {endpoint.host} stands for no address here.",
            "Look for a slip in it, at /etc/hosts and DNS; --resolve gives it an address for once.",
            (commands.resolves(),),
        )
    if outcome is Outcome.TIMED_OUT and reason is _R.CONNECT:
        return Cause(
            Outcome.TIMED_OUT,
            reason,
            f"{endpoint.address} does not answer at all: a firewall that drops packets, or an address that nobody has.",
            "Look at the address, the port and the firewalls between.",
            (commands.connects(),),
        )
    if reason is _R.REFUSED:
        return Cause(
            Outcome.NO_CONNECTION,
            reason,
            f"Nothing listens on {endpoint.address}: the server is not running, or on another port or address.",
            "Look at the server's own list of listeners (ss -ltn there), and for a slip in the port.",
            (commands.connects(),),
        )
    return None


def _no_tls(evidence: Evidence) -> Cause | None:
    """Whoever is there speaks something else, by what it says to a question in plain HTTP."""
    answer = b"" if evidence.view.received_chain else _plainly(evidence)
    if any(words in answer for words in _TLS_PORT):
        return None  # it says itself that it wants TLS
    port = evidence.inputs.endpoint.port
    greeting = next((who for begin, who in _GREETINGS.items() if answer.startswith(begin)), "")
    if answer.startswith(b"HTTP/"):
        status = answer.split(b"\r\n", 1)[0].decode("latin-1")
        said = f"Port {port} speaks plain HTTP, without TLS ({status})."
        remedy = f"The TLS port is another one (443, 8443, …); or take http://, or turn TLS on there (nginx: listen {port} ssl)."
    elif greeting or (answer and answer[:1] not in (b"\x15", b"\x16")):
        first = answer.split(b"\n", 1)[0][:60].decode("latin-1").strip()
        said = f"Port {port} is {greeting or 'of something that speaks no TLS'}: it says {first!r}."
        remedy = "Look for a slip in the port."
    else:
        return None
    outcome = evidence.observation.outcome or Outcome.NO_CONNECTION
    return Cause(outcome, _R.NOT_TLS, said, remedy, (evidence.commands.plainly(),))


def _wordless(evidence: Evidence) -> Iterator[Cause]:
    outcome, reason = evidence.observation.outcome, evidence.observation.reason
    handshake = (evidence.commands.handshake(),)
    if outcome is Outcome.TIMED_OUT:
        yield Cause(
            outcome,
            reason or _R.HANDSHAKE,
            f"{evidence.inputs.endpoint.address} takes the connection and says nothing: it may wait for something before "
            "TLS (a PROXY protocol header, another protocol), or hang.",
            "nginx and HAProxy wait so where a listener has proxy_protocol or accept-proxy.",
            handshake,
            Certainty.LIKELY,
        )
    elif reason in _CLOSED:
        yield from _closed(evidence, reason)
    elif reason is not None:
        told = sentence(MEANINGS[reason])
        yield Cause(outcome or Outcome.NO_CONNECTION, reason, told, HINTS.get(reason, ""), handshake, Certainty.LIKELY)


def _closed(evidence: Evidence, reason: Reason) -> Iterator[Cause]:
    commands, view = evidence.commands, evidence.view
    how = "reset" if reason is _R.RESET else "closed"
    if view.phase is Phase.HANDSHAKE and not view.received_chain:
        yield Cause(
            Outcome.NO_CONNECTION,
            reason,
            f"The connection was {how} before the server sent anything: a listener that wants a PROXY protocol "
            f"header first, one that serves no host of the name {evidence.inputs.endpoint.host} (nginx's 444), a "
            "balancer without a backend, or no TLS at all.",
            commands=(commands.handshake(),),
            certainty=Certainty.LIKELY,
        )
        return
    yield Cause(
        Outcome.NO_CONNECTION,
        reason,
        f"The connection was {how} without a word once the client's certificate was there: so servers refuse that "
        "send no alert, or close so fast that it is lost.",
        "Look at the server's log (--log); the Python client (--tool python) reads an alert that comes before a reset.",
        (commands.handshake(),),
        Certainty.LIKELY,
    )


def _plainly(evidence: Evidence) -> bytes:
    """What the port says without TLS: unasked, or to a plain request."""
    address = evidence.inputs.endpoint.address
    request = f"GET / HTTP/1.0\r\nHost: {evidence.inputs.endpoint.host}\r\n\r\n".encode("ascii", "replace")
    try:
        with socket.create_connection((address.host, address.port), _ASK_SECONDS) as plain:
            plain.settimeout(_ASK_SECONDS)
            plain.sendall(request)
            return plain.recv(512)
    except OSError:
        return b""


def no_agreement(evidence: Evidence) -> Iterator[Cause]:
    """Which versions, ciphers, groups and names the server would have taken."""
    reasons = evidence.observation.reasons
    asked = evidence.client.server_name or ""
    if asked.endswith("."):
        yield Cause(
            Outcome.CLIENT_REFUSED,
            _R.NAME_MISMATCH,
            f"{asked} was asked for, with a dot at its end, which names in SNI (RFC 6066 §3) and in certificates don't have.",
            "Leave the dot out.",
            (evidence.commands.server_certificate("-subject", "-ext", "subjectAltName", name=False),),
        )
    if _R.SERVER_NAME in reasons:
        yield from _name(evidence)
        return
    views = {version: _with(evidence, version) for version in TlsVersion}
    spoken = [version for version, view in views.items() if _shakes(view)]
    yield from _cannot_sign(evidence, next((view for view in views.values() if view.received_chain), None))
    offered = evidence.client.tls
    if spoken and not set(spoken) & set(offered):
        yield Cause(
            Outcome.NO_AGREEMENT,
            _R.PROTOCOL_VERSION,
            f"The server speaks {_listed(spoken)}, and {_listed(offered)} was offered.",
            f"Offer it (--tls {spoken[-1]}), or allow another version at the server (nginx ssl_protocols)."
            + (" TLS 1.0 and 1.1 also need security level 0 at both ends." if max(spoken) < TlsVersion.V1_2 else ""),
            (evidence.commands.speaks(spoken[-1]), evidence.commands.speaks(offered[-1])),
            Certainty.CERTAIN if evidence.observation.alert == "protocol_version" else Certainty.LIKELY,
        )
    if not spoken:
        yield from _more_allowed(evidence)


def _more_allowed(evidence: Evidence) -> Iterator[Cause]:
    """What the server takes that is not allowed here."""
    loose = replace(evidence.client, certificate=None, insecure=True, ciphers="ALL:COMPLEMENTOFALL", security_level=0)
    suite = _shakes(evidence.again(loose))
    if suite:
        yield Cause(
            Outcome.NO_AGREEMENT,
            _R.CIPHER,
            f"The server takes no cipher that is allowed here; it would take {suite} (at security level 0).",
            "Allow a common cipher at both ends (nginx ssl_ciphers, curl --ciphers); a weak key or old DH parameters at the "
            "server ask for a low security level, too.",
            (evidence.commands.handshake("-cipher", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"),),
        )
        return
    for group in _GROUPS:
        suite = _shakes(evidence.again(replace(loose, groups=(group,))))
        if suite:
            yield Cause(
                Outcome.NO_AGREEMENT,
                _R.GROUP,
                f"A handshake with the key exchange group {group} succeeds ({suite}).",
                "Allow a common group at both ends (nginx ssl_ecdh_curve, curl --curves).",
                (evidence.commands.handshake("-groups", group),),
            )
            return


def _cannot_sign(evidence: Evidence, view: ClientView | None) -> Iterator[Cause]:
    """A key usage that TLS 1.2's cipher suites have no use for (RFC 8422 §5.3); TLS 1.3 servers mind it less."""
    chain = view.received_chain if view is not None else None
    if not chain or max(evidence.client.tls) is TlsVersion.V1_3:
        return
    for spec in describe({"": chain[0]}).certificates.values():
        if spec.id == "" and spec.key_usage is not None and "digitalSignature" not in spec.key_usage:
            yield Cause(
                Outcome.NO_AGREEMENT,
                _R.CIPHER,
                f"The server's certificate has the key usage {', '.join(spec.key_usage)}, and may not sign "
                "(digitalSignature), which the cipher suites of TLS 1.2 need.",
                "Issue the server's certificate with the key usage digitalSignature.",
                (evidence.commands.server_certificate("-ext", "keyUsage"),),
            )


def _name(evidence: Evidence) -> Iterator[Cause]:
    without = evidence.again(replace(evidence.client, certificate=None, insecure=True, server_name=None))
    other = " Without SNI it does answer." if _shakes(without) else ""
    yield Cause(
        Outcome.NO_AGREEMENT,
        _R.SERVER_NAME,
        f"The server serves no host of the name {evidence.client.server_name or 'that was asked for'} (SNI): it ends "
        f"such handshakes by the alert unrecognized_name.{other}",
        "Look for a slip in the name, and at the server's names (nginx server_name, ssl_reject_handshake).",
        (evidence.commands.server_certificate("-subject", "-ext", "subjectAltName", name=False),),
    )


def _with(evidence: Evidence, version: TlsVersion) -> ClientView:
    level = 0 if version < TlsVersion.V1_2 else 2
    asked = replace(evidence.client, certificate=None, insecure=True, tls=(version,), security_level=level)
    return evidence.again(asked)


def _shakes(view: ClientView) -> str:
    """The cipher suite, where the handshake came as far as the server's certificate; ``""``: it did not."""
    return (view.cipher or "a suite") if view.received_chain else ""


def _listed(versions: tuple[TlsVersion, ...] | list[TlsVersion]) -> str:
    return " and ".join(versions)
