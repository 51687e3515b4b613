"""A scenario of what an attempt at a running server came to, to be judged and run again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from mtls_runner.diagnosis.attempt import Attempt
from mtls_runner.diagnosis.inputs import PASSPHRASE, AttemptInputs, own_files, system_trust
from mtls_runner.init.text import relative
from mtls_runner.init.write import Draft
from mtls_runner.language.emit import Written, block, flow, scalar
from mtls_runner.model.observation import Observation
from mtls_runner.record.expectation import RecordedCell, summary
from mtls_runner.registry import registry
from mtls_runner.servers.external import TRAITS

__all__ = ["from_attempt"]


def from_attempt(tried: Attempt, file: Path) -> Draft:
    """The scenario.

    Args:
        tried: what came of it.
        file: where it will lie: the paths in it are relative to that.
    """
    inputs = tried.inputs
    return Draft(file.name, "\n".join(_lines(tried, file)) + "\n", _notes(inputs))


def _notes(inputs: AttemptInputs) -> list[str]:
    if inputs.passphrase is None or inputs.passphrase_file is not None:
        return []
    return [f"the passphrase is not written down: {PASSPHRASE} in the environment has to hold it"]


def _lines(tried: Attempt, file: Path) -> Iterator[str]:
    inputs, directory = tried.inputs, file.resolve().parent
    today = datetime.now(UTC).strftime("%Y-%m-%d")
    yield f"# What was seen at {inputs.endpoint} on {today}. It is what happened, and need not be what should: judge it."
    yield "#"
    yield f"#   mtls-run {file.name}                    tries it again"
    yield f"#   mtls-run record --update {file.name}    writes what happens then"
    yield f"name: {scalar(file.stem)}"
    yield f"description: {scalar(f'{inputs.endpoint}, as it answers.')}"
    trust = inputs.ca or system_trust()
    if trust is not None:
        yield from ("", "authorities:", f"  trusted: {flow({'certificate': relative(trust, directory)})}")
    own = _own(inputs, directory)
    if own:
        yield from ("", "leaves:", *_indented(block("own", own, 2), 2))
    yield ""
    yield f"server: {flow({'backend': TRAITS.name, 'address': str(inputs.endpoint.address)})}"
    yield from ("", "cases:")
    client = _client(tried)
    if inputs.certificate is not None:
        name = f"with {inputs.certificate.name}"
        yield from _case(tried, name, {"certificate": "own", **client}, tried.observation)
        if tried.without is not None:
            yield from _case(tried, "without a certificate", client, tried.without)
    else:
        yield from _case(tried, "without a certificate", client, tried.observation)


def _own(inputs: AttemptInputs, directory: Path) -> dict[str, Written]:
    files = own_files(inputs)
    if files is None:
        return {}
    given = {"certificate": files.certificate, "pkcs12": files.pkcs12, "key": files.key}
    found: dict[str, Written] = {key: relative(path, directory) for key, path in given.items() if path is not None}
    if inputs.passphrase_file is not None:
        found["passphrase"] = {"file": relative(inputs.passphrase_file, directory)}
    elif inputs.passphrase is not None:
        found["passphrase"] = {"env": PASSPHRASE}
    return found


def _client(tried: Attempt) -> dict[str, Written]:
    inputs, client = tried.inputs, tried.case.client
    found: dict[str, Written] = {}
    if client is not None and client.tool is not registry().clients.default:
        found["tool"] = client.tool.name
    if client is not None and client.trust:
        found["trust"] = ["trusted"]
    found["server_name"] = inputs.endpoint.name
    if inputs.tls:
        found["tls"] = [version.value for version in inputs.tls]
    if client is not None and client.security_level == 0:
        found["security_level"] = 0
    if inputs.endpoint.path != "/":
        found["request"] = {"path": inputs.endpoint.path}
    return found


def _case(tried: Attempt, name: str, client: dict[str, Written], seen: Observation) -> Iterator[str]:
    cell = RecordedCell(tried.case, 0, (seen,))
    expected = summary([cell], ()).value
    yield f"  - name: {scalar(name)}"
    yield from _indented(block("client", client, 4), 4)
    if expected is not None:
        yield from _indented(block("expect", expected, 4), 4)


def _indented(lines: list[str], by: int) -> Iterator[str]:
    yield from (" " * by + line for line in lines)
