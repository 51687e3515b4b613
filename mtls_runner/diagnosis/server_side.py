"""Why a server may refuse the client: what it asked for, against what the client has."""

from __future__ import annotations

from collections.abc import Iterator

from mtls_runner.diagnosis.cause import Cause, Certainty, few
from mtls_runner.diagnosis.client_chain import refused_for_the_chain
from mtls_runner.diagnosis.evidence import Evidence
from mtls_runner.diagnosis.keys import algorithms_for
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.pki.public_keys import public_key
from mtls_runner.tls.rules import same_answer

__all__ = ["refused_by_server"]

_R = Reason
_REFUSED = Outcome.SERVER_REFUSED
_REDIRECTS = 300


def refused_by_server(evidence: Evidence) -> Iterator[Cause]:
    """All that the server may hold against the client, what the material shows before what it can't."""
    if evidence.inputs.certificate is None:
        yield from _none_given(evidence)
        return
    yield from _answered(evidence)
    if evidence.shaken and evidence.view.certificate_requested is False:
        yield _not_asked(evidence)
    elif evidence.view.sent_chain == () and evidence.leaf in evidence.inventory.ders:
        yield _withheld(evidence)
    yield from refused_for_the_chain(evidence)


def _answered(evidence: Evidence) -> Iterator[Cause]:
    """What the same request without a certificate says of the answer."""
    view, without = evidence.view, evidence.without
    if without is None or view.response is None or view.response.status < _REDIRECTS or not view.sent_chain:
        return
    path, status = evidence.inputs.endpoint.path, view.response.status
    if evidence.taken:
        who = (
            f"The certificate was taken: without it the handshake is refused. HTTP {status} is what its holder is answered "
            f"at {path}"
        )
        if evidence.forbidden:
            yield Cause(
                Outcome.ANSWERED,
                _R.NOT_AUTHORIZED,
                f"{who}: it is known, and not let in there.",
                "Look at the server's rules for this subject, fingerprint or path.",
                (evidence.commands.own_names(),),
            )
        else:
            text = f"{who}: look at the path, not at the certificate."
            yield Cause(Outcome.ANSWERED, _R.RESPONSE, text, commands=(evidence.commands.request(),))
    elif without.response is not None and same_answer(without.response, view.response) and not evidence.forbidden:
        yield Cause(
            Outcome.ANSWERED,
            _R.RESPONSE,
            f"HTTP {status} is what everybody is answered at {path}, with this certificate or without: look at the path first.",
            commands=(evidence.commands.request(), evidence.commands.request(certificate=False)),
            certainty=Certainty.LIKELY,
        )


def _none_given(evidence: Evidence) -> Iterator[Cause]:
    commands = evidence.commands
    if evidence.view.certificate_requested is False:
        if evidence.shaken and evidence.forbidden:
            yield Cause(
                _REFUSED,
                _R.NOT_AUTHORIZED,
                f"The server did not ask for a certificate, and answered {evidence.status}: who may come in there is "
                "decided otherwise.",
                commands=(commands.request(),),
                certainty=Certainty.LIKELY,
            )
        return
    if not evidence.view.certificate_requested and evidence.observation.outcome is not _REFUSED:
        return  # it did not come so far
    named = evidence.inventory.named
    whose = f", issued by {few(named)}" if named else ""
    yield Cause(
        _REFUSED,
        _R.NO_CERTIFICATE,
        f"The server wants a client certificate{whose}, and none was given.",
        "Name one with --cert and its key with --key.",
        (commands.server_asks(),),
    )


def _not_asked(evidence: Evidence) -> Cause:
    return Cause(
        _REFUSED,
        _R.NO_CERTIFICATE,
        f"The server never asked for a certificate, so `{evidence.leaf}` was not sent: mutual TLS is off there, or "
        "on for another name, port or path only.",
        "At the server: nginx ssl_verify_client, Apache SSLVerifyClient, HAProxy verify, Go ClientAuth, for the name "
        "that is asked for (SNI). A proxy in front of it that ends TLS asks for none on its own.",
        (evidence.commands.server_asks_at_all(),),
    )


def _withheld(evidence: Evidence) -> Cause:
    offered = evidence.view.requested_algorithms or ()
    key = public_key(evidence.inventory.ders[evidence.leaf])
    wanted = algorithms_for(key, evidence.view.tls_version)
    return Cause(
        _REFUSED,
        _R.CERTIFICATE_WITHHELD,
        f"`{evidence.leaf}` was not sent, since its key ({key}) fits no signature algorithm that the server offers: "
        f"it takes {few(offered) or 'none'}; this key signs by {few(wanted) or 'none of TLS'}.",
        "Take a certificate with a key of another type, or have the server offer more (ssl_conf_command "
        "SignatureAlgorithms, SSLOpenSSLConfCmd SignatureAlgorithms).",
        (evidence.commands.own_algorithms(), evidence.commands.server_asks()),
    )
