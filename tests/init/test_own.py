"""``mtls-run init --certificate``: certificates made by openssl do in the lab what the scenario says of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mtls_runner.engine.lab import Lab
from mtls_runner.errors import UsageError
from mtls_runner.init.own_scenario import OwnPaths, from_own
from mtls_runner.init.write import write
from mtls_runner.language import load
from mtls_runner.model.verdict import Status

from ..pki.openssl import run

_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]


@dataclass(frozen=True)
class Shop:
    """Makes certificates with openssl."""

    place: Path

    def root(self, name: str) -> None:
        run(
            "req",
            "-x509",
            *_KEY,
            "-nodes",
            "-keyout",
            self._at(name, "key"),
            "-out",
            self._at(name, "crt"),
            "-subj",
            f"/CN={name}",
        )

    def leaf(self, name: str, *extensions: str, days: str = "10", passphrase: str | None = None) -> OwnPaths:
        locked = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
        run(
            "req",
            *_KEY,
            *locked,
            "-keyout",
            self._at(name, "key"),
            "-out",
            self._at(name, "csr"),
            "-subj",
            f"/CN={name}",
        )
        (self.place / "ext").write_text("\n".join(("basicConstraints=CA:FALSE", *extensions)))
        issuer = ["-CA", self._at("root", "crt"), "-CAkey", self._at("root", "key"), "-CAcreateserial"]
        out = ["-days", days, "-extfile", str(self.place / "ext"), "-out", self._at(name, "crt")]
        run("x509", "-req", "-in", self._at(name, "csr"), *issuer, *out)
        return OwnPaths(self.place / f"{name}.crt", self.place / f"{name}.key", self.place / "root.crt")

    def _at(self, name: str, ending: str) -> str:
        return str(self.place / f"{name}.{ending}")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("own"))
    shop.root("root")
    shop.root("other")
    return shop


def _outcomes(paths: OwnPaths, directory: Path, warnings: int = 0) -> dict[str, str]:
    plan = load(write(from_own(paths, directory), directory).scenario)
    assert len(plan.warnings) == warnings
    with Lab(plan) as lab:
        verdicts = [lab.run(case) for case in plan.cases]
    assert [(v.case.name, v.mismatches, v.error) for v in verdicts if v.status is not Status.PASS] == []
    return {
        v.case.name.partition("[")[0]: f"{v.observation.outcome} {v.observation.reason or ''}".strip()
        for v in verdicts
        if v.observation is not None
    }


def test_a_servers(shop: Shop, tmp_path: Path) -> None:
    paths = shop.leaf("server", "extendedKeyUsage=serverAuth", "subjectAltName=DNS:*.shop.example")
    assert _outcomes(paths, tmp_path) == {
        "as a server, for clients that trust its authority": "accepted",
        "as a server, for clients that trust another authority": "client-refused unknown-ca",
        "as a server, under another name": "client-refused name-mismatch",
    }


def test_a_clients(shop: Shop, tmp_path: Path) -> None:
    assert _outcomes(shop.leaf("client", "extendedKeyUsage=clientAuth"), tmp_path) == {
        "as a client, where its authority is trusted": "accepted",
        "as a client, where it is not": "server-refused unknown-ca",
        "the client that it knows there": "accepted",
        "no certificate, where its authority is trusted": "server-refused no-certificate",
        "somebody else's certificate there": "server-refused unknown-ca",
    }


def test_for_both_by_address(shop: Shop, tmp_path: Path) -> None:
    found = _outcomes(shop.leaf("both", "subjectAltName=IP:192.0.2.1"), tmp_path)
    assert len(found) == 8
    assert found["as a server, for clients that trust its authority"] == "accepted"


def test_expired(shop: Shop, tmp_path: Path) -> None:
    paths = shop.leaf("old", "extendedKeyUsage=clientAuth", days="-1")
    # A warning: nobody gets in where only the expired one could.
    found = _outcomes(paths, tmp_path, warnings=1)
    assert found["as a client, where its authority is trusted"] == "server-refused expired"
    assert any("expired" in note for note in from_own(paths, tmp_path).notes)


def test_signed_by_itself(shop: Shop, tmp_path: Path) -> None:
    paths = OwnPaths(shop.place / "other.crt", shop.place / "other.key")
    found = _outcomes(paths, tmp_path)
    assert found["as a server, for clients that trust its authority"] == "accepted"
    assert found["as a client, where it is not"] == "server-refused self-signed"


def test_an_encrypted_key(shop: Shop, tmp_path: Path) -> None:
    paths = shop.leaf("locked", "extendedKeyUsage=clientAuth", passphrase="kept to itself")
    secret = tmp_path / "secret"
    secret.write_text("kept to itself\n")
    given = OwnPaths(paths.certificate, paths.key, paths.ca, secret)
    assert _outcomes(given, tmp_path / "lab")["as a client, where its authority is trusted"] == "accepted"
    assert "kept to itself" not in (tmp_path / "lab" / "own.yaml").read_text()
    with pytest.raises(UsageError, match="--passphrase-file"):
        from_own(paths, tmp_path)
    secret.write_text("something else\n")
    with pytest.raises(UsageError, match="passphrase") as raised:
        from_own(given, tmp_path)
    assert "something else" not in str(raised.value)


def test_files_that_do_not_fit(shop: Shop, tmp_path: Path) -> None:
    paths = shop.leaf("fits")
    for wrong, message in (
        (OwnPaths(paths.certificate, shop.place / "other.key", paths.ca), "not the key of"),
        (OwnPaths(paths.certificate, paths.key, shop.place / "other.crt"), "did not issue it"),
        (OwnPaths(paths.certificate, paths.key), "--ca"),
        (OwnPaths(paths.certificate, None, paths.ca), "--key"),
    ):
        with pytest.raises(UsageError, match=message):
            from_own(wrong, tmp_path)
