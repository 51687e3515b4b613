"""What a server is, what it demands of its clients, and what it answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath

from mtls_runner.explain.requests import demanded_by_path
from mtls_runner.explain.words import TextLine, either, listed, quoted, titled, tls_names
from mtls_runner.model import plural
from mtls_runner.model.case import Match, Matcher
from mtls_runner.model.certificate import CertificateSpec
from mtls_runner.model.chain import PresentedChain, presented
from mtls_runner.model.endpoint import ClientAuth, RefusalForm, Response, ServerSpec, VerifyFlag, VirtualHost
from mtls_runner.model.revocation import RevocationCheck
from mtls_runner.model.traits import Runtime

__all__ = ["demand", "server", "then_sent"]

_SHOWN = 60


def server(spec: ServerSpec, certificates: Mapping[str, CertificateSpec], name: str) -> Iterator[TextLine]:
    """Paragraphs about a server, the heading first.

    Args:
        spec: the server.
        certificates: the plan's, by id.
        name: what to call it.
    """
    where = f" at {spec.address}" if spec.address is not None else ""
    config = spec.option("config")
    summary = spec.backend.summary if spec.runtime is None else f"{spec.backend} {spec.runtime.told}"
    if spec.runtime is None and config and spec.backend.runtime is Runtime.PROCESS:
        summary = f"{spec.backend.sentence} {Runtime.CONTAINER.told}"  # it could have a program do anything
    yield TextLine(f"Server {name}: {summary}{where}", heading=True)
    if config:
        yield TextLine(
            f"Its configuration is your own {PurePath(config).name}, which has the last word on all of this.", indent=2
        )
    if spec.certificate is not None:
        yield TextLine(f"It {_shows(spec, certificates)}, and speaks {tls_names(spec.tls)}.", indent=2)
    yield TextLine(f"It {demand(spec, certificates)} {demanded_by_path(spec)}".rstrip(), indent=2)
    for upstream, behind in spec.behind:
        yield TextLine(f"What it calls {upstream} is {quoted(behind.id)}: there it is a client itself.", indent=2)
    for sentence in _checks(spec):
        yield TextLine(sentence, indent=2)
    if spec.refusal is not None:
        yield TextLine(f"Whom it refuses after the handshake, it {_refuses(spec.refusal)}.", indent=2)
    for host in spec.hosts:
        yield from _host(host, spec, certificates)
    if spec.responses != (Response(),) or config:
        yield TextLine(_answers(spec), indent=2)


def _refuses(form: RefusalForm) -> str:
    """As the end of a sentence; any one of several forms will do, and each part has to fit."""
    if form.closed:
        return "sends no answer: it closes the connection"
    parts = [("status", form.status), *((f"header {name}", ways) for name, ways in form.headers), ("body", form.body)]
    told = [f"{name} {either(map(_written, ways))}" for name, ways in parts if ways]
    return f"answers with {listed(told)}"


def _written(way: Matcher) -> str:
    value = f'"{way.value}"' if isinstance(way.value, str) else str(way.value)
    return value if way.kind is Match.EQUALS else f"that {way.kind} {value}"


def _host(host: VirtualHost, spec: ServerSpec, certificates: Mapping[str, CertificateSpec]) -> Iterator[TextLine]:
    """What is different for those who ask for one of its names."""
    told = [demand(host.server, certificates).rstrip(".")]
    if host.server.certificate is not None and host.server.certificate != spec.certificate:
        told.insert(0, _shows(host.server, certificates))
    yield TextLine(f"Asked for {either(host.names)} it {', and '.join(told)}.", indent=2)


def _shows(spec: ServerSpec, certificates: Mapping[str, CertificateSpec]) -> str:
    name = spec.certificate or ""
    return f"shows {titled(certificates, name)}{then_sent(presented(spec, certificates))}"


def then_sent(shown: PresentedChain | None) -> str:
    """What an end sends after its own certificate, as the end of a clause; and why, where nobody told it to."""
    if shown is None or len(shown.ids) < 2:
        return ""
    added = " (OpenSSL adds what the same end trusts)" if shown.completed_from is not None else ""
    return f", then {listed(map(quoted, shown.ids[1:]))}{added}"


def demand(spec: ServerSpec, certificates: Mapping[str, CertificateSpec]) -> str:
    """What it wants of a client, as the end of a sentence that begins with it."""
    trusted = either(titled(certificates, name) for name in spec.trust) if spec.trust else "nobody: it trusts none"
    match spec.client_auth:
        case ClientAuth.NONE:
            return "asks for no client certificate: this is TLS, not mutual TLS."
        case ClientAuth.OPTIONAL_NO_CA:
            return "asks for a client certificate and takes any, whoever issued it, and none; the application has to judge."
        case ClientAuth.OPTIONAL:
            return f"asks for a client certificate and can do without; one that comes has to lead to {trusted}."
        case ClientAuth.REQUIRED:
            return f"demands a client certificate that leads to {trusted}."


def _checks(spec: ServerSpec) -> Iterator[str]:
    yield from _depth(spec)
    if VerifyFlag.PARTIAL_CHAIN in spec.verify_flags:
        yield "A trusted intermediate is enough; the chain need not reach a root (partial_chain)."
    if VerifyFlag.STRICT in spec.verify_flags:
        yield "It holds chains to every rule of RFC 5280 (x509_strict)."
    whose = {RevocationCheck.LEAF: "the client's own certificate", RevocationCheck.CHAIN: "the client's whole chain"}
    if spec.crl_check is not RevocationCheck.NONE:
        crls = listed(map(quoted, spec.crl)) if spec.crl else "no CRL at all"
        yield f"It looks up {whose[spec.crl_check]} in {crls}."
    if spec.ocsp is not RevocationCheck.NONE:
        yield f"It asks OCSP responders about {whose[spec.ocsp]}."
    if spec.stapling is not None:
        yield "It sends an OCSP response with its own certificate (stapling)."
    if spec.advertise is not None:
        names = listed(map(quoted, spec.advertise)) if spec.advertise else "nobody"
        yield f"As authorities whose certificates it takes it names {names}."
    settings = {
        "TLS 1.2 ciphers": spec.ciphers,
        "TLS 1.3 cipher suites": spec.ciphersuites,
        "groups": ":".join(spec.groups),
        "signature algorithms": ":".join(spec.signature_algorithms),
        "ALPN": ", ".join(spec.alpn),
        "security level": str(spec.security_level) if spec.security_level != 2 else "",
    }
    narrowed = [f"{name} {value}" for name, value in settings.items() if value]
    if narrowed:
        yield f"Set for it: {'; '.join(narrowed)}."


def _depth(spec: ServerSpec) -> Iterator[str]:
    own = spec.verify_depth is None
    depth = spec.backend.verify_depth if own else spec.verify_depth
    told = not own or not spec.option("config")
    if depth is not None and told and spec.client_auth is not ClientAuth.NONE:
        whose = f", {spec.backend}'s own default" if own else ""
        yield f"Between a client's certificate and the root it allows {plural(depth, 'intermediate')} (verify depth{whose})."


def _answers(spec: ServerSpec) -> str:
    if spec.option("config") or spec.address is not None:
        return "What it answers is its own affair."
    told = []
    for response in spec.responses:
        body = response.body.decode("utf-8", "backslashreplace")
        body = body if len(body) <= _SHOWN else body[: _SHOWN - 1] + "…"
        path = f"{response.path} with " if response.path is not None else ""
        told.append(f"{path}status {response.status}" + (f' and "{body}"' if body else " and an empty body"))
    return f"Whom it takes, it answers {'; '.join(told)}."
