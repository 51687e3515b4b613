"""Encrypted keys in every form that opens, what is said of those that don't, and that nobody connects with them."""

from __future__ import annotations

import pytest

from mtls_runner import Outcome, Reason, Status, Verdict

from ..once import once
from .issuer import PASSPHRASE, Form, Issuer, issuer
from .lab import TOOLS, case, observed, run, scenario

_PKCS8 = ("pkcs8", "-topk8")
_LEGACY = ("-provider", "legacy", "-provider", "default")
#: Name → the leaf whose key it is, and how openssl encrypts it.
OPENING: dict[str, tuple[str, tuple[str, ...]]] = {
    "aes-256": ("client", _PKCS8),
    "aes-128": ("client", (*_PKCS8, "-v2", "aes-128-cbc")),
    "aes-256-hmac-sha512": ("client", (*_PKCS8, "-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512")),
    "des3": ("client", (*_PKCS8, "-v2", "des3")),
    "pbes1-des3": ("client", (*_PKCS8, "-v1", "PBE-SHA1-3DES")),
    "scrypt": ("client", (*_PKCS8, "-scrypt")),
    "encrypted-der": ("client", (*_PKCS8, "-outform", "DER")),
    "old-rsa-des3": ("rsa-client", ("rsa", "-traditional", "-des3")),
    "old-rsa-aes-128": ("rsa-client", ("rsa", "-traditional", "-aes128")),
    "old-ec-aes-256": ("client", ("ec", "-aes256")),
}
#: What OpenSSL 3 keeps in its legacy provider: no passphrase opens it.
CLOSED: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "des": ("client", "DES", (*_PKCS8, "-v1", "PBE-MD5-DES", *_LEGACY)),
    "rc2": ("client", "RC2", (*_PKCS8, "-v1", "PBE-SHA1-RC2-128", *_LEGACY)),
    "rc4": ("client", "RC4", (*_PKCS8, "-v1", "PBE-SHA1-RC4-128", *_LEGACY)),
}


def _encrypted(mine: Issuer, name: str, leaf: str, options: tuple[str, ...]) -> Form:
    command, *rest = options
    key = mine.made(f"{name}.key", command, "-in", f"{leaf}.key", "-passout", f"pass:{PASSPHRASE}", *rest)
    return Form(f"{leaf}.crt", key, "inter.crt")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Verdict]:
    return once(tmp_path_factory, "own-keys", lambda directory: _verdicts(issuer(tmp_path_factory, directory)))


def _verdicts(mine: Issuer) -> dict[str, Verdict]:
    forms = {name: _encrypted(mine, name, *how) for name, how in OPENING.items()}
    forms |= {name: _encrypted(mine, name, leaf, options) for name, (leaf, _, options) in CLOSED.items()}
    forms["pkcs12"] = Form(pkcs12=mine.pkcs12("locked.p12", PASSPHRASE), passphrase=PASSPHRASE)
    # the form of openssl 1's pkcs12 command: certificates encrypted with 40 bits of RC2
    forms["legacy-pkcs12"] = Form(pkcs12=mine.pkcs12("legacy.p12", PASSPHRASE, "-legacy"))
    given = {"right": f'"{PASSPHRASE}"', "wrong": "wrong", "none": "null"}
    cases = ""
    for name in forms:
        for tool in TOOLS:
            for what, passphrase in given.items():
                client = f"{{certificate: {name}, tool: {tool}, passphrase: {passphrase}}}"
                cases += case(f"{name} {tool} {what}", client, "accepted")
    return run(mine, "keys", scenario(forms, cases))


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("form", [*OPENING, "pkcs12"])
def test_a_passphrase_opens_it(form: str, tool: str, verdicts: dict[str, Verdict]) -> None:
    if (form, tool) == ("encrypted-der", "curl"):  # d2i_PrivateKey takes no passphrase
        seen = observed(verdicts[f"{form} {tool} right"])
        assert (seen.outcome, seen.reason) == (Outcome.CLIENT_UNUSABLE, Reason.MALFORMED)
        return
    assert verdicts[f"{form} {tool} right"].status is Status.PASS
    file = "locked.p12" if form == "pkcs12" else f"{form}.key"
    for given, reason, said in (
        ("wrong", Reason.WRONG_PASSPHRASE, "the passphrase does not open it"),
        ("none", Reason.PASSPHRASE_NEEDED, "encrypted, and no passphrase is given"),
    ):
        seen = observed(verdicts[f"{form} {tool} {given}"])
        assert (seen.outcome, seen.reason) == (Outcome.CLIENT_UNUSABLE, reason)
        assert seen.client is not None
        assert seen.client.error.startswith(f"{file}: {said}")
        assert not seen.handshake  # curl has connected by then, but says nothing
        assert seen.curl_exit in {58, 43}


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("form", [*CLOSED, "legacy-pkcs12"])
def test_it_is_the_cipher_and_not_the_passphrase(form: str, tool: str, verdicts: dict[str, Verdict]) -> None:
    cipher = CLOSED[form][1] if form in CLOSED else "RC2"
    file = f"{form}.key" if form in CLOSED else "legacy.p12"
    for given in ("right", "wrong", "none"):
        seen = observed(verdicts[f"{form} {tool} {given}"])
        assert (seen.outcome, seen.reason) == (Outcome.CLIENT_UNUSABLE, Reason.MALFORMED)
        assert seen.client is not None
        assert seen.client.error.startswith(f"{file}: encrypted with {cipher}, a legacy cipher")
        assert "it is the cipher, not the passphrase" in seen.client.error
        assert not seen.handshake


def test_nothing_that_is_told_holds_a_passphrase(verdicts: dict[str, Verdict]) -> None:
    assert PASSPHRASE not in repr(verdicts)
    told = [observed(verdict) for verdict in verdicts.values()]
    assert not [seen for seen in told if PASSPHRASE in f"{seen.summary}{seen.hint}{seen.evidence}{seen.client}"]


@pytest.mark.parametrize("where", ["{file: passphrase.txt}", "{env: OWN_MATERIAL_PASSPHRASE}"])
def test_where_the_passphrase_may_be(mine: Issuer, where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine.write("passphrase.txt", f"{PASSPHRASE}\n".encode())
    monkeypatch.setenv("OWN_MATERIAL_PASSPHRASE", PASSPHRASE)
    forms = {"locked": _encrypted(mine, "locked", "client", _PKCS8)}
    text = scenario(forms, case("it", "locked", "accepted"))
    text = text.replace('key: "locked.key"', f'key: "locked.key", passphrase: {where}')
    assert run(mine, "where", text)["it"].status is Status.PASS
    monkeypatch.setenv("OWN_MATERIAL_PASSPHRASE", "wrong")
    mine.write("passphrase.txt", b"wrong\n")
    assert observed(run(mine, "where", text)["it"]).reason is Reason.WRONG_PASSPHRASE


@pytest.mark.parametrize("tool", TOOLS)
def test_a_pkcs12_file_is_opened_by_what_the_client_is_given(mine: Issuer, tool: str) -> None:
    forms = {"sealed": Form(pkcs12=mine.pkcs12("sealed.p12", PASSPHRASE))}
    client = f'{{certificate: sealed, tool: {tool}, passphrase: "{PASSPHRASE}"}}'
    text = scenario(forms, case("it", client, "accepted") + case("not", f"{{certificate: sealed, tool: {tool}}}", "x"))
    verdicts = run(mine, "sealed", text.replace("expect: x", "expect: client-unusable"))
    assert verdicts["it"].status is Status.PASS
    seen = observed(verdicts["not"])
    assert (seen.outcome, seen.reason) == (Outcome.CLIENT_UNUSABLE, Reason.PASSPHRASE_NEEDED)
    assert seen.client is not None
    assert seen.client.error.startswith("sealed.p12: encrypted, and no passphrase is given")
