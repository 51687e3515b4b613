"""Certificates and keys in every form in which people have them are presented as if they were tidy."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from mtls_runner import EngineError, Outcome, Overrides, Reason, Status, Verdict
from mtls_runner.servers.container.engine import Engine

from ..container_engine import IMAGE, not_here
from .issuer import PASSPHRASE, Form, Issuer, bom, crlf, indented, old_mac, utf_16
from .lab import TOOLS, case, observed, run, scenario

Make = Callable[[Issuer], Form]


def _pem(mine: Issuer, spoil: Callable[[bytes], bytes]) -> Form:
    name = spoil.__name__
    return Form(
        mine.write(f"{name}.crt", spoil(mine.data("client.crt"))),
        mine.write(f"{name}.key", spoil(mine.data("client.key"))),
        mine.write(f"{name}-chain.pem", spoil(mine.data("inter.crt"))),
    )


def _one_file(mine: Issuer, name: str, *parts: str) -> Form:
    return Form(mine.write(name, mine.data(*parts)))


def _told_about(mine: Issuer) -> Form:
    """As ``openssl x509 -text`` and ``openssl pkcs12`` leave them."""
    mine.made("text.crt", "x509", "-in", "client.crt", "-text")
    mine.pkcs12("bags.p12", "x")
    return Form(
        "text.crt",
        mine.made("bags.key", "pkcs12", "-in", "bags.p12", "-passin", "pass:x", "-nodes", "-nocerts"),
        mine.made("bags.pem", "pkcs12", "-in", "bags.p12", "-passin", "pass:x", "-nokeys", "-cacerts"),
    )


def _der(mine: Issuer) -> Form:
    return Form(
        mine.made("client.der", "x509", "-in", "client.crt", "-outform", "DER"),
        mine.made("key.der", "pkcs8", "-topk8", "-nocrypt", "-in", "client.key", "-outform", "DER"),
        mine.made("inter.der", "x509", "-in", "inter.crt", "-outform", "DER"),
    )


def _old_der(mine: Issuer, leaf: str, command: str) -> Form:
    key = mine.made(
        f"{command}.der", command, "-in", f"{leaf}.key", "-outform", "DER", *(["-traditional"] * (command == "rsa"))
    )
    return Form(f"{leaf}.crt", key, "inter.crt")


def _trusted(mine: Issuer) -> Form:
    certificate = mine.made("trusted.crt", "x509", "-in", "client.crt", "-trustout", "-addtrust", "clientAuth")
    return Form(certificate, "client.key", "inter.crt")


def _pkcs12(mine: Issuer, name: str, passphrase: str, *options: str, leaf: str = "client") -> Form:
    return Form(pkcs12=mine.pkcs12(f"{name}.p12", passphrase, *options, leaf=leaf), passphrase=passphrase or None)


def _bundle_and_chain(mine: Issuer) -> Form:
    return Form(mine.write("with-inter.pem", mine.data("client.crt", "inter.crt")), "client.key", "inter.crt")


FORMS: dict[str, Make] = {
    "tidy": lambda _: Form("client.crt", "client.key", "inter.crt"),
    "bundle": lambda mine: Form(mine.write("bundle.pem", mine.data("client.crt", "inter.crt")), "client.key"),
    "key-and-certificate": lambda mine: _one_file(mine, "all.pem", "client.key", "client.crt", "inter.crt"),
    "certificate-and-key": lambda mine: _one_file(mine, "all2.pem", "client.crt", "inter.crt", "client.key"),
    "wrong-order": lambda mine: _one_file(mine, "wrong.pem", "inter.crt", "client.key", "client.crt"),
    "said-twice": _bundle_and_chain,
    "crlf": lambda mine: _pem(mine, crlf),
    "old-mac": lambda mine: _pem(mine, old_mac),
    "bom": lambda mine: _pem(mine, bom),
    "utf-16": lambda mine: _pem(mine, utf_16),
    "indented": lambda mine: _pem(mine, indented),
    "text-around": _told_about,
    "der": _der,
    "rsa-der": lambda mine: _old_der(mine, "rsa-client", "rsa"),
    "ec-der": lambda mine: _old_der(mine, "client", "ec"),
    "trusted-certificate": _trusted,
    "pkcs12": lambda mine: _pkcs12(mine, "modern", PASSPHRASE),
    "pkcs12-rsa": lambda mine: _pkcs12(mine, "rsa", PASSPHRASE, leaf="rsa-client"),
    "pkcs12-without-passphrase": lambda mine: _pkcs12(mine, "open", ""),
    "pkcs12-unencrypted": lambda mine: _pkcs12(mine, "plain", "", "-keypbe", "NONE", "-certpbe", "NONE"),
    "pkcs12-3des": lambda mine: _pkcs12(
        mine, "des3", PASSPHRASE, "-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES", "-macalg", "sha1"
    ),
}


@pytest.fixture(scope="module")
def verdicts(mine: Issuer) -> dict[str, Verdict]:
    forms = {name: make(mine) for name, make in FORMS.items()}
    cases = ""
    for name in forms:
        for tool in TOOLS:
            client = f"{{certificate: {name}, tool: {tool}}}"
            cases += case(f"{name} {tool}", client, "accepted")
            cases += case(f"{name} {tool} elsewhere", client, "{server-refused: unknown-ca}", "foreign")
    return run(mine, "forms", scenario(forms, cases))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_presented(form: str, tool: str, verdicts: dict[str, Verdict]) -> None:
    seen = observed(verdicts[f"{form} {tool}"])
    assert seen.outcome is Outcome.ACCEPTED, (seen.summary, seen.evidence)
    assert seen.client_subject in {"CN=client", "CN=rsa-client"}
    assert seen.client_chain is not None
    assert seen.client_chain[1:] == ("CN=inter",)
    elsewhere = verdicts[f"{form} {tool} elsewhere"]
    assert elsewhere.status is Status.PASS
    assert observed(elsewhere).reason is Reason.UNKNOWN_CA


def _served(mine: Issuer, names: Iterable[str], overrides: Overrides | None = None) -> dict[str, Verdict]:
    forms = {name: FORMS[name](mine) for name in names}
    text = (
        "authorities:\n  root: {certificate: root.crt}\n  stranger: {certificate: stranger.crt}\nleaves:\n"
        + "".join(f"  {name}: {form.written()}\n" for name, form in forms.items())
        + "servers:\n"
        + "".join(f"  {name}: {{certificate: {name}, client_auth: none, expect: {{starts: true}}}}\n" for name in forms)
        + "cases:\n"
        + "".join(case(name, "{trust: [root]}", "accepted", name) for name in forms)
        + "".join(
            case(f"{name} elsewhere", "{trust: [stranger]}", "{client-refused: unknown-ca}", name) for name in forms
        )
    )
    return run(mine, "servers", text, overrides)


def test_the_server_presents_them_too(mine: Issuer) -> None:
    verdicts = _served(mine, FORMS)
    assert {name: verdict.status for name, verdict in verdicts.items()} == dict.fromkeys(verdicts, Status.PASS)
    assert len(verdicts) == 3 * len(FORMS)


def test_nginx_presents_them_too(mine: Issuer) -> None:
    try:
        Engine.connect().image(IMAGE)
    except EngineError as error:
        not_here(str(error))
    some = ("wrong-order", "bom", "der", "trusted-certificate", "pkcs12")
    verdicts = _served(mine, some, Overrides(backend="nginx", image=IMAGE))
    assert {name: verdict.status for name, verdict in verdicts.items()} == dict.fromkeys(verdicts, Status.PASS)
    assert len(verdicts) == 3 * len(some)


def test_a_chain_is_completed_from_the_scenarios_authorities(mine: Issuer) -> None:
    alone = {"alone": Form("client.crt", "client.key")}
    text = scenario(alone, case("as it is", "alone", "{server-refused: unknown-ca}"))
    assert observed(run(mine, "alone", text)["as it is"]).client_chain == ("alone",)
    known = text.replace("authorities:\n", "authorities:\n  inter: {certificate: inter.crt}\n")
    known = known.replace("{server-refused: unknown-ca}", "accepted")
    verdict = run(mine, "known", known)["as it is"]
    assert verdict.status is Status.PASS
    assert observed(verdict).client_chain == ("alone", "inter")
