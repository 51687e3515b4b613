"""The tables of keys in the users' references: made from the models, between markers in ``docs/scenario-language.md`` and
``docs/implementations.md``.

``python -m mtls_runner.language.reference`` writes them, ``--check`` says whether they are current.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel

from mtls_runner.generated_page import keep_current
from mtls_runner.language.certificate import (
    AuthorityKey,
    Basic,
    Certificate,
    Constraints,
    Key,
    OwnExtension,
    Signature,
)
from mtls_runner.language.emit import flow
from mtls_runner.language.endpoint import (
    ClientDescription,
    RequestModel,
    ResponseModel,
    ServerDescription,
    VirtualHostDescription,
)
from mtls_runner.language.expectation import Checks, RefusalModel, ServerExpect, UpstreamChecks, When
from mtls_runner.language.implementations.models import MODELS as IMPLEMENTATION_MODELS
from mtls_runner.language.implementations.reading import DIRECTORY, shipped
from mtls_runner.language.scenario import (
    CaseModel,
    Crl,
    Defaults,
    EngineSettings,
    LabFile,
    Responder,
    Scenario,
    StepModel,
)
from mtls_runner.language.shared_words import Stapling, described, options_model
from mtls_runner.language.x509_words import Revoked
from mtls_runner.model import HINTS, MEANINGS
from mtls_runner.model.endpoint import ClientAuth, TlsVersion
from mtls_runner.model.implementation import Honours, Implementation
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.registry import DECLARATION
from mtls_runner.runtimes.template_names import CLIENT, PROCESS, ROWS, SERVER
from mtls_runner.tls import REASONS

__all__ = ["PAGE", "PAGES", "TABLES", "filled", "main"]

_DOCS = Path(__file__).parents[2] / "docs"
PAGE = _DOCS / "scenario-language.md"
PAGES = (PAGE, _DOCS / "implementations.md")
#: Marker → the model whose keys stand there.
TABLES: Mapping[str, type[BaseModel]] = {
    model.__name__: model
    for model in (
        AuthorityKey,
        Basic,
        CaseModel,
        Certificate,
        Checks,
        UpstreamChecks,
        ClientDescription,
        Constraints,
        Crl,
        Defaults,
        EngineSettings,
        Key,
        LabFile,
        options_model(),
        OwnExtension,
        RefusalModel,
        RequestModel,
        Responder,
        ResponseModel,
        Revoked,
        Scenario,
        ServerDescription,
        ServerExpect,
        Stapling,
        Signature,
        StepModel,
        VirtualHostDescription,
        When,
        *IMPLEMENTATION_MODELS,
    )
}
_BLOCK = re.compile(r"(<!-- (keys|reasons|servers|clients|names)(?:: (\w+))? -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str) -> str:
    """The page with every table as the models have it now."""

    def table(match: re.Match[str]) -> str:
        whole = {"reasons": _reasons, "servers": _servers, "clients": _clients, "names": _names}
        lines = whole[match[2]]() if match[2] in whole else _keys(TABLES[match[3]])
        return match[1] + "\n".join(lines) + "\n" + match[4]

    return _BLOCK.sub(table, text)


def _keys(model: type[BaseModel]) -> Iterator[str]:
    yield "| key | what it says | example |"
    yield "|---|---|---|"
    for name, field in model.model_fields.items():
        must = " **Needed.**" if field.is_required() else ""
        examples = " or ".join(f"`{flow(example)}`" for example in field.examples or ())
        yield f"| `{name}` | {described(field.description or '').replace('|', chr(92) + '|')}{must} | {examples} |"


def _reasons() -> Iterator[str]:
    yield "| reason | of | what it means | what to look at |"
    yield "|---|---|---|---|"
    for reason in Reason:
        outcomes = ", ".join(f"`{outcome.value}`" for outcome in Outcome if reason in REASONS[outcome])
        yield f"| `{reason.value}` | {outcomes} | {MEANINGS[reason]} | {HINTS.get(reason, '')} |"


def _shipped() -> Iterator[Implementation]:
    for path in sorted(DIRECTORY.glob(f"*/{DECLARATION}")):
        yield shipped(path)


def _names() -> Iterator[str]:
    yield "| name | where | what it is |"
    yield "|---|---|---|"
    for row in ROWS:
        where = " and ".join(sorted(row.where & {SERVER, CLIENT, PROCESS}, reverse=True))
        yield f"| {', '.join(f'`{name}`' for name in row.names)} | {where} | {row.what} |"


def _servers() -> Iterator[str]:
    yield "| server | TLS library | `client_auth` | TLS | CRLs | ALPN | besides | reload | container | own `config` |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for one in _shipped():
        server = one.server
        if server is not None:
            modes = ", ".join(mode.value for mode in ClientAuth if mode in server.honours.client_auth)
            how = server.reload
            reload = "-" if how is None else f"SIG{how.signal}" if how.signal is not None else f"`{how.file}` moved in"
            inside = f"`{server.container.image}`" if server.container is not None else "-"
            own = "yes" if server.config is not None else "-"
            yield f"| `{one.name}` | {one.library} | {modes} | {_honoured(server.honours)} | {reload} | {inside} | {own} |"


def _clients() -> Iterator[str]:
    yield "| client | TLS library | TLS | CRLs | ALPN | besides |"
    yield "|---|---|---|---|---|---|"
    for one in _shipped():
        if one.client is not None:
            yield f"| `{one.name}` | {one.library} | {_honoured(one.client.honours)} |"


def _honoured(honours: Honours) -> str:
    """Four columns: versions, parts of a chain, names by ALPN, all else."""
    versions = [
        {"1": "1.0"}.get(text := version.value.removeprefix("TLSv"), text)
        for version in TlsVersion
        if version in honours.tls
    ]
    parts = ", ".join(sorted(honours.crl_check)) or "-"
    lists = "any" if honours.alpn is None else " or ".join(sorted(",".join(one) for one in honours.alpn)) or "-"
    settings = ", ".join(f"`{name}`" for name in sorted(honours.settings))
    return f"{versions[0]} to {versions[-1]} | {parts} | {lists} | {settings}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Writes or checks the page; the exit code is 1 where it is not current."""
    return keep_current(
        arguments, module="mtls_runner.language.reference", description=__doc__, pages=PAGES, filled=filled
    )


if __name__ == "__main__":
    sys.exit(main())
