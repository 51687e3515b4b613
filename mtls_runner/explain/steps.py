"""The exchange step by step, up to the one where it should end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import IntEnum
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.explain.cause import cause
from mtls_runner.explain.expected import ExpectedInWords
from mtls_runner.explain.requests import answers, asked, asks, refused_by_path
from mtls_runner.explain.servers import then_sent
from mtls_runner.explain.words import either, listed, quoted, titled, tls_names
from mtls_runner.model import plural
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.chain import lineage, presented
from mtls_runner.model.endpoint import ClientAuth, ClientSpec, ServerSpec, TlsVersion
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.traits import Refusal
from mtls_runner.tls.rules import offered_versions, usable_versions

__all__ = ["ToldStage", "ToldStep", "presents", "steps"]


class ToldStage(IntEnum):
    """What an exchange goes through, in this order."""

    PREPARE = 1
    CONNECT = 2
    HELLO = 3
    AGREE = 4
    CHECK_SERVER = 5
    CERTIFICATE = 6
    CHECK_CLIENT = 7
    REQUEST = 8
    ANSWER = 9


class ToldStep(Struct, frozen=True):
    """One step of an exchange, told.

    Args:
        number: from 1.
        stage: what it is about.
        text: sentences.
        ends: here it ends, refused or answered.
    """

    number: int
    stage: ToldStage
    text: str
    ends: bool


_LOOKS = "The server looks for what both have: a TLS version, ciphers, groups, signature algorithms."
_CONNECTION_ENDS = {
    Reason.REFUSED: ToldStage.CONNECT,
    Reason.NAME_NOT_RESOLVED: ToldStage.CONNECT,
    Reason.CONNECT: ToldStage.CONNECT,
    Reason.REQUEST: ToldStage.REQUEST,
    Reason.RESPONSE: ToldStage.ANSWER,
}


def steps(plan: Plan, case: Case, wanted: ExpectedInWords, now: datetime) -> tuple[ToldStep, ...]:
    """The steps of the exchange, if the case has a client; the last one is where it should end."""
    if case.client is None:
        return ()
    last = _end(case, case.client, wanted)
    told: list[ToldStep] = []
    for stage, text in _stages(plan, case.client, case.server, case.tls, wanted):
        if stage < last:
            told.append(ToldStep(len(told) + 1, stage, text, ends=False))
            continue
        end = _ending(plan, case, wanted, now)
        told.append(ToldStep(len(told) + 1, stage, f"{text} {end}".rstrip(), ends=True))
        break
    return tuple(told)


def presents(plan: Plan, client: ClientSpec) -> str:
    """What a client comes with."""
    if not client.protocol.encrypted:
        return f"no TLS, and so no certificate{asked(client)}"
    if client.certificate is None:
        told = "no certificate"
    else:
        told = titled(plan.certificates, client.certificate) + then_sent(presented(client, plan.certificates))
        if client.key is not None:
            told += f", with another key ({client.key.id or 'a file'})"
    if client.insecure:
        return f"{told}; checks nothing of the server (insecure){asked(client)}"
    return f"{told}; trusts {_trusted(client.trust)}{asked(client)}"


def _end(case: Case, client: ClientSpec, wanted: ExpectedInWords) -> ToldStage:
    if client.location is not None:
        return ToldStage.ANSWER  # at another server, perhaps
    match wanted.outcome:
        case Outcome.CLIENT_UNUSABLE:
            return ToldStage.PREPARE
        case Outcome.PROTOCOL_ERROR:
            return ToldStage.ANSWER if wanted.reason is Reason.HTTP else ToldStage.AGREE
        case Outcome.NO_CONNECTION | Outcome.TIMED_OUT:
            return _CONNECTION_ENDS.get(wanted.reason, ToldStage.AGREE) if wanted.reason else ToldStage.CONNECT
        case Outcome.NO_AGREEMENT:
            own = wanted.reason is Reason.PROTOCOL_VERSION and not usable_versions(_alike(case.server, client), client)
            return ToldStage.HELLO if own else ToldStage.AGREE
        case Outcome.CLIENT_REFUSED:
            return ToldStage.CHECK_SERVER
        case Outcome.SERVER_REFUSED:
            late = wanted.reason is Reason.NOT_AUTHORIZED or case.server.client_auth is ClientAuth.NONE
            return ToldStage.ANSWER if late else ToldStage.CHECK_CLIENT
        case _:
            return ToldStage.ANSWER


def _alike(server: ServerSpec, client: ClientSpec) -> ServerSpec:
    """The server, if it allowed all that the client allows: what is still unusable then is so at the client alone."""
    return replace(server, tls=client.tls, security_level=0)


def _stages(
    plan: Plan, client: ClientSpec, server: ServerSpec, tls: TlsVersion | None, wanted: ExpectedInWords
) -> Iterator[tuple[ToldStage, str]]:
    if not client.protocol.encrypted:
        yield from _without_tls(client, server)
        return
    usable = usable_versions(server, client)
    version = tls or (usable[-1] if usable else None)
    agreed = wanted.outcome is not Outcome.NO_AGREEMENT
    withheld = wanted.reason is Reason.CERTIFICATE_WITHHELD
    yield ToldStage.PREPARE, _prepares(plan, client)
    yield ToldStage.CONNECT, f"The client connects to {client.connect or server.address or 'the server, on loopback'}."
    yield ToldStage.HELLO, _hello(client)
    yield ToldStage.AGREE, _agrees(plan, server, version) if agreed and version is not None else _LOOKS
    yield ToldStage.CHECK_SERVER, _client_checks(client)
    if server.client_auth is not ClientAuth.NONE:
        yield ToldStage.CERTIFICATE, _shows(plan, client, version, withheld=withheld)
        yield ToldStage.CHECK_CLIENT, _server_checks(server, nothing=withheld or client.certificate is None)
    yield ToldStage.REQUEST, asks(client)
    yield ToldStage.ANSWER, answers(server, client, version)


def _without_tls(client: ClientSpec, server: ServerSpec) -> Iterator[tuple[ToldStage, str]]:
    yield ToldStage.CONNECT, f"The client connects to {client.connect or server.address or 'the server, on loopback'}."
    yield ToldStage.REQUEST, f"{asks(client)}{' The server takes it for TLS, which it is not.' * bool(client.says)}"
    yield ToldStage.ANSWER, answers(server, client, None)


def _prepares(plan: Plan, client: ClientSpec) -> str:
    if client.certificate is None:
        told = "The client makes ready without a certificate"
    else:
        whose = "its key"
        if client.key is not None:
            whose = f"the key of {quoted(client.key.id)}" if client.key.id else f"the key file {_name(client.key.file)}"
        told = f"The client loads {titled(plan.certificates, client.certificate)} and {whose}"
        if client.passphrase is not None:
            told += ", which it opens with a passphrase"
        elif client.key is None and _encrypted(plan, client.certificate):
            told += ", for which it is given no passphrase"
    return f"{told}."


def _name(file: Path | None) -> str:
    return file.name if file is not None else ""


def _encrypted(plan: Plan, certificate: str) -> bool:
    spec = plan.certificates.get(certificate)
    return spec is not None and spec.passphrase is not None


def _hello(client: ClientSpec) -> str:
    alpn = f", {listed(client.alpn)} inside it (ALPN)," if client.alpn else ""
    name = f"asks for the name {client.server_name} (SNI)" if client.server_name else "names no server"
    return f"ClientHello: the client offers {tls_names(offered_versions(client))}{alpn} and {name}."


def _agrees(plan: Plan, server: ServerSpec, version: TlsVersion) -> str:
    shows = f"shows {titled(plan.certificates, server.certificate)}" if server.certificate else "shows its certificate"
    asks = "asks for no client certificate"
    if server.client_auth is not ClientAuth.NONE:
        asks = "asks for a client certificate (CertificateRequest)"
        asks += f" of {either(map(quoted, server.advertise))}" if server.advertise else ""
    return f"ServerHello: the server chooses {tls_names((version,))}, {shows}, and {asks}."


def _client_checks(client: ClientSpec) -> str:
    if client.insecure:
        return "The client takes the server's certificate as it is (insecure)."
    name = client.server_name or "the address"
    listed_too = ", is on no CRL" if client.crl else ""
    return (
        f"The client checks that the server's certificate leads to {_trusted(client.trust)}, is valid today{listed_too}, "
        f"is for servers, and names {name}."
    )


def _shows(plan: Plan, client: ClientSpec, version: TlsVersion | None, *, withheld: bool) -> str:
    if withheld and client.certificate is not None:
        told = (
            f"The client keeps {quoted(client.certificate)} back, since it is nothing that the server asks for, and "
            "answers with an empty Certificate message."
        )
    elif client.certificate is None:
        told = "The client answers with an empty Certificate message: it has none."
    else:
        shown = presented(client, plan.certificates)
        issuers = len(shown.ids) - 1 if shown is not None else 0
        more = f" with {plural(issuers, 'issuer')}" if issuers else ""
        told = f"The client sends {quoted(client.certificate)}{more}, and proves by a signature that it has the key."
    if version is TlsVersion.V1_3:
        told += " For the client the TLS 1.3 handshake is complete now, before the server has looked at that."
    return told


def _server_checks(server: ServerSpec, *, nothing: bool) -> str:
    if server.client_auth is ClientAuth.OPTIONAL_NO_CA:
        return (
            "The server takes note of whether it verifies, and goes on where it leads to no authority that it trusts."
        )
    if nothing:
        return "The server looks for the client's certificate, and finds none."
    listed_too = ", is not revoked" if server.crl or server.ocsp != "none" else ""
    return (
        f"The server checks that the client's certificate leads to {_trusted(server.trust)}, is valid today{listed_too}, "
        "and is for clients."
    )


def _trusted(ids: tuple[str, ...]) -> str:
    return either(map(quoted, ids)) if ids else "nobody (it trusts none)"


def _ending(plan: Plan, case: Case, wanted: ExpectedInWords, now: datetime) -> str:
    elsewhere = case.client is not None and case.client.location is not None
    why = "" if elsewhere else cause(plan, case, wanted, now)
    because = f": {why}" if why else ""
    match wanted.outcome:
        case Outcome.ACCEPTED:
            return _taken(plan, case)
        case Outcome.ANSWERED:
            return "It answers, and from here nobody can tell whether that is a refusal."
        case Outcome.SERVER_REFUSED:
            return f"It refuses{because}. {_refusal(case, wanted)}"
        case Outcome.CLIENT_REFUSED:
            return (
                f"It refuses{because}. It sends an alert{_named(wanted.alert)} and closes, without asking for anything."
            )
        case Outcome.NO_AGREEMENT:
            alert = f" An alert{_named(wanted.alert)} ends it." if wanted.alert else ""
            return f"They can't agree{because}.{alert}"
        case Outcome.CLIENT_UNUSABLE:
            return f"That fails{because}. It never connects."
        case Outcome.NO_CONNECTION:
            return f"It ends here{because}."
        case Outcome.PROTOCOL_ERROR:
            return f"The other end breaks the protocol here{because}."
        case Outcome.TIMED_OUT:
            late = wanted.reason is Reason.REQUEST
            return "The server waits no longer for the rest of it." if late else "The time limit passes here."
        case _:
            return ""


def _taken(plan: Plan, case: Case) -> str:
    """Why the server has nothing against the client."""
    client, server = case.client, case.server
    if client is None or not client.protocol.encrypted or server.client_auth is ClientAuth.NONE:
        return ""
    if client.location is not None:
        return "It takes what the client came with."
    if client.certificate is None:
        return "It goes without a client certificate."
    if server.client_auth is ClientAuth.OPTIONAL_NO_CA:
        return "It takes the client's certificate, whoever issued it."
    path = [spec.id for spec in lineage(plan.certificates, client.certificate)]
    anchor = next((number for number, one in enumerate(path) if one in server.trust), None)
    if not anchor:
        return "It takes the client's certificate."
    return f"It takes the client's certificate: {' ← '.join(map(quoted, path[: anchor + 1]))}, which it trusts."


def _refusal(case: Case, wanted: ExpectedInWords) -> str:
    """How a refusal travels: what differs most between servers, and surprises most."""
    by_path = refused_by_path(case.server, case.client, wanted.reason) if case.client is not None else ""
    if by_path:
        return by_path
    backend = case.server.backend
    if wanted.reason is Reason.NOT_AUTHORIZED or (wanted.status and backend.refusal is Refusal.ALERT):
        return f"It says so by HTTP{f', status {wanted.status}' if wanted.status else ''}."
    if backend.refusal is Refusal.STATUS:
        status = wanted.status or backend.refusal_status
        return f"{backend} completes the handshake all the same, and says so by HTTP, status {status}."
    if backend.refusal is not Refusal.ALERT:
        return ""
    alert = f"by an alert{_named(wanted.alert)}"
    if case.tls is TlsVersion.V1_2:
        return f"It says so {alert} in the middle of the handshake."
    if case.tls is TlsVersion.V1_3:
        return f"It says so {alert}, which reaches the client where it waits for an answer."
    return f"It says so {alert}."


def _named(alert: str | None) -> str:
    return f" ({alert})" if alert else ""
