"""Certificates and keys in every form in which people have them are presented as they are, and never put right."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mtls_runner import Lab, Outcome, Reason, Status, Verdict, load

from ..once import once
from .issuer import PASSPHRASE, Form, Issuer, bom, crlf, indented, issuer, old_mac, utf_16
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
    "said-twice": _bundle_and_chain,
    "crlf": lambda mine: _pem(mine, crlf),
    "bom": lambda mine: _pem(mine, bom),
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


#: Name → files that OpenSSL does not take, the reason, and what the lab says that it saw.
UNREAD: dict[str, tuple[Make, Reason, str]] = {
    "wrong-order": (
        lambda mine: _one_file(mine, "wrong.pem", "inter.crt", "client.key", "client.crt"),
        Reason.KEY_MISMATCH,
        "wrong.pem: the key's certificate does not come first in it, as OpenSSL wants it",
    ),
    "old-mac": (
        lambda mine: _pem(mine, old_mac),
        Reason.MALFORMED,
        "old_mac.crt: ends its lines with CR alone, which OpenSSL does not read",
    ),
    "utf-16": (
        lambda mine: _pem(mine, utf_16),
        Reason.MALFORMED,
        "utf_16.crt: is UTF-16 text, which OpenSSL does not read",
    ),
    "indented": (
        lambda mine: _pem(mine, indented),
        Reason.MALFORMED,
        "indented.crt: line 1 does not begin with the BEGIN of its CERTIFICATE, as OpenSSL wants it",
    ),
    "other-key-first": (
        lambda mine: Form("client.crt", mine.write("keys.pem", mine.data("server.key", "client.key")), "inter.crt"),
        Reason.KEY_MISMATCH,
        "keys.pem: the certificate's key is not the first one in it, which is the one that OpenSSL takes",
    ),
}
NOTED = (*((name, "python") for name in ("tidy", "bundle", "der", "pkcs12")), ("pkcs12", "curl"), ("rsa-der", "curl"))


def _direct(mine: Issuer) -> Form:
    """A leaf of the root's own, in DER."""
    mine.key("direct")
    mine.sign("direct", "root", "subjectAltName=DNS:localhost\n")
    return Form(
        mine.made("direct.der", "x509", "-in", "direct.crt", "-outform", "DER"),
        mine.made("direct-key.der", "pkcs8", "-topk8", "-nocrypt", "-in", "direct.key", "-outform", "DER"),
    )


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    return once(tmp_path_factory, "own-forms", lambda directory: _verdicts(issuer(tmp_path_factory, directory)))


def _verdicts(mine: Issuer) -> dict[str, Verdict]:
    forms = {name: make(mine) for name, make in FORMS.items()}
    forms |= {name: make(mine) for name, (make, _, _) in UNREAD.items()}
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
    assert seen.client_chain[1:] == ("CN=inter",) * (2 if form == "said-twice" else 1)
    elsewhere = verdicts[f"{form} {tool} elsewhere"]
    assert elsewhere.status is Status.PASS
    assert observed(elsewhere).reason is Reason.UNKNOWN_CA


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("form", UNREAD)
def test_a_form_is_not_put_right(form: str, tool: str, verdicts: dict[str, Verdict]) -> None:
    reason, said = UNREAD[form][1:]
    seen = observed(verdicts[f"{form} {tool}"])
    assert (seen.outcome, seen.reason) == (Outcome.CLIENT_UNUSABLE, reason), (seen.summary, seen.evidence)
    assert said in " ".join(seen.evidence)


def test_what_is_joined_or_converted_is_noted(mine: Issuer) -> None:
    forms = {name: FORMS[name](mine) for name in ("tidy", "bundle", "der", "pkcs12", "rsa-der")}
    cases = "".join(
        case(f"{name} {tool}", f"{{certificate: {name}, tool: {tool}}}", "accepted") for name, tool in NOTED
    )
    mine.path("noted.yaml").write_text(scenario(forms, cases))
    with Lab(load(mine.path("noted.yaml"))) as lab:
        notes = lab.notes()
    assert sorted(notes) == sorted(
        (
            "server.crt and inter.crt: given as one file, with line breaks between them",
            "client.crt and inter.crt: given as one file, with line breaks between them",
            "client.der and inter.der: given as one file, with line breaks between them",
            "client.der: DER, converted to PEM for ends that load no DER",
            "inter.der: DER, converted to PEM for ends that load no DER",
            "key.der: DER, converted to PEM for ends that load no DER",
            "modern.p12: PKCS #12, converted to PEM for ends that load no PKCS #12",
            "rsa-client.crt and inter.crt: given as one file, with line breaks between them",
        )
    )


def test_curl_gets_the_very_files(mine: Issuer) -> None:
    forms = {"pkcs12": FORMS["pkcs12"](mine), "bundle": FORMS["bundle"](mine), "direct": _direct(mine)}
    cases = "".join(case(name, f"{{certificate: {name}, tool: curl}}", "accepted") for name in forms)
    verdicts = run(mine, "very", scenario(forms, cases))
    commands = {}
    for name, verdict in verdicts.items():
        assert verdict.status is Status.PASS
        client = observed(verdict).client
        assert client is not None
        commands[name] = client.command
    assert f"--cert {mine.path('modern.p12')} --cert-type P12" in commands["pkcs12"]
    assert f"--cert {mine.path('bundle.pem')} --key {mine.path('client.key')}" in commands["bundle"]
    both = f"--cert {mine.path('direct.der')} --cert-type DER --key {mine.path('direct-key.der')} --key-type DER"
    assert both in commands["direct"]


def test_a_chain_is_completed_from_the_scenarios_authorities(mine: Issuer) -> None:
    alone = {"alone": Form("client.crt", "client.key")}
    text = scenario(alone, case("as it is", "alone", "{server-refused: unknown-ca}"))
    assert observed(run(mine, "alone", text)["as it is"]).client_chain == ("alone",)
    known = text.replace("authorities:\n", "authorities:\n  inter: {certificate: inter.crt}\n")
    known = known.replace("{server-refused: unknown-ca}", "accepted")
    verdict = run(mine, "known", known)["as it is"]
    assert verdict.status is Status.PASS
    assert observed(verdict).client_chain == ("alone", "inter")
