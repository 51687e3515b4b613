"""The openssl command line: the oracle of these tests."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path


def run(
    *arguments: str | Path, text: bytes = b"", settings: Path = Path("/dev/null")
) -> subprocess.CompletedProcess[bytes]:
    """One command, with these settings in place of the user's, and without a terminal to ask on."""
    return subprocess.run(
        ["openssl", *map(str, arguments)],
        input=text,
        capture_output=True,
        check=False,
        timeout=30,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "OPENSSL_CONF": str(settings), "LC_ALL": "C"},
    )


def output(*arguments: str | Path, text: bytes = b"") -> str:
    """What a command that must succeed prints."""
    result = run(*arguments, text=text)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout.decode()


def show(certificate: Path) -> str:
    """The certificate as text, blanks evened out; newer versions print ``CN=a`` where older ones print ``CN = a``."""
    return " ".join(output("x509", "-noout", "-text", "-in", certificate).split()).replace(" = ", "=")


def verify(certificate: Path, trust: Path, *arguments: str | Path, untrusted: Path | None = None) -> int:
    """The verify code (X509_V_ERR_…) of the certificate; 0: it is good.

    Only what is named is trusted. The security level is 0 unless the arguments say otherwise.
    """
    more: list[str | Path] = ["-untrusted", untrusted] if untrusted is not None else []
    level = [] if "-auth_level" in arguments else ["-auth_level", "0"]
    result = run("verify", "-no-CApath", "-no-CAstore", *level, "-CAfile", trust, *more, *arguments, certificate)
    if result.returncode == 0:
        return 0
    found = re.search(r"error (\d+) at \d+ depth", result.stderr.decode())
    assert found is not None, result.stderr.decode()
    return int(found[1])


def opens(key: Path, passphrase: Path) -> bool:
    """Whether openssl opens the private key with the first line of that file."""
    return run("pkey", "-in", key, "-noout", "-passin", f"file:{passphrase}").returncode == 0
