"""The servers of a script: what starts each, and which cases they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct, field

from mtls_runner.errors import LabError
from mtls_runner.export import nginx, s_server
from mtls_runner.export.curl import curl
from mtls_runner.export.expected import COMPARED, ScriptExpectation, expected
from mtls_runner.export.material import Workshop
from mtls_runner.export.shell import word, wrapped
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.chain import Issuers, completed
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.observation import Outcome
from mtls_runner.model.port import Client, Material, ServerBackend
from mtls_runner.model.traits import BackendTraits, ClientTraits, PlainServer
from mtls_runner.reporters import one_line
from mtls_runner.servers.nginx.write.plain import without_lab

__all__ = ["Sections", "ServerSection", "sections"]


class ServerSection(Struct):
    """One server: a comment, the command that starts it, and its cases."""

    comment: str
    start: str
    cases: list[str] = field(default_factory=list)


class Sections(Struct):
    """All servers of a script.

    Args:
        servers: in the order of their first case.
        names: of the cases, in the script's order.
        left_out: name of the case, and why.
        not_compared: what the cases expect and the script can't see, as the scenario calls it.
        files: name → content, of what goes beside the script.
        started: what takes the servers' places.
        images: of containers.
    """

    servers: list[ServerSection] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    not_compared: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    started: set[PlainServer] = field(default_factory=set)
    images: set[str] = field(default_factory=set)


def sections(plan: Plan, shop: Workshop, material: Material) -> Sections:
    """Everything but the material.

    Args:
        plan: all cases with curl as their client.
        shop: names the files.
        material: only asked for what is the author's own.
    """
    made = Sections()
    grouped: dict[ServerSpec, list[Case]] = {}
    backends = {case.server.backend: case.server.backend.make() for case in plan.cases}
    tools = {case.client.tool: case.client.tool.make() for case in plan.cases if case.client is not None}
    for case in plan.cases:
        why = _left_out(case, plan, backends, tools)
        if why is not None:
            made.left_out.append((case.name, why))
        else:
            grouped.setdefault(case.server, []).append(case)
    for server, cases in grouped.items():
        made.servers.append(_section(server, cases, shop, material, made))
    return made


def _left_out(
    case: Case,
    plan: Plan,
    backends: Mapping[BackendTraits, ServerBackend],
    tools: Mapping[ClientTraits, Client],
) -> str | None:
    """Why plain tools can't show a case, for people; ``None``: they can."""
    if not case.plain:
        return "it has several steps: sessions are resumed, or files replaced and read again"
    try:
        found = _cannot(case, plan, backends, tools)
    except LabError:
        found = None  # no curl here: the script's curl will say what it can't do
    return found or next((why for why in _no_plain_command(case, plan) if why), None)


def _cannot(
    case: Case,
    plan: Plan,
    backends: Mapping[BackendTraits, ServerBackend],
    tools: Mapping[ClientTraits, Client],
) -> str | None:
    """What its ends can't do in the lab either."""
    server, client = case.server, case.client
    found = backends[server.backend].cannot(server, client) or completed(server, client, plan.certificates)
    return found or (tools[client.tool].cannot(client) if client is not None else None)


def _no_plain_command(case: Case, plan: Plan) -> Iterator[str | None]:
    server, client = case.server, case.client
    if client is not None:
        yield client.tool.cannot_speak(client.protocol)
    if not server.option("config") and any(
        plan.certificates[id_].passphrase is not None for id_ in server.other_certificates
    ):
        yield "its server has several keys that are encrypted"
    match server.backend.plain:
        case None:
            yield f"there is no plain command that serves as {server.backend} does"
        case PlainServer.S_SERVER:
            yield s_server.cannot(server, client)
        case PlainServer.NGINX:
            yield without_lab(server)
    if server.substitutes:
        yield "its configuration names the fingerprint of a certificate that each run makes anew"
    if client is not None and client.cert_status:
        yield "it needs an OCSP responder that answers as the scenario says"


def _odd(server: ServerSpec, plan: Plan) -> bool:
    """Whether a certificate of its chain has extensions of the author's own."""
    chain = (server.certificate, *Issuers(plan.certificates).ancestors(server.certificate or ""))
    return any(plan.certificates[id_].extensions for id_ in chain if id_ is not None)


def _section(
    server: ServerSpec, cases: Sequence[Case], shop: Workshop, material: Material, made: Sections
) -> ServerSection:
    plan = shop.plan
    plain = server.backend.plain or PlainServer.RUNNING
    made.started.add(plain)
    starter = {PlainServer.S_SERVER: _s_server, PlainServer.NGINX: _nginx}.get(plain)
    start = starter(server, cases, shop, material, made) if starter is not None else ""
    section = ServerSection(
        f"server {server.id}" if start else f"server {server.id}: it runs already, at {server.address}", ""
    )
    starts = [case for case in cases if case.client is None]
    for case in starts:
        unusable = any(
            check.path == "outcome" and check.alternatives[0].value == Outcome.SERVER_UNUSABLE
            for check in case.expect.checks
        )
        made.names.append(case.name)
        section.cases.append(
            f'report {word(one_line(case.name))} {"server_is_down" if unusable else "server_is_up"} "$state"'
        )
    section.start = (
        start
        if not starts
        else f"if {start}; then state='the server started'; else state='the server did not start'; fi"
    )
    for case in cases:
        if case.client is None:
            continue
        told = expected(case, case.client, odd_chain=_odd(server, plan))
        made.not_compared |= {check.path for check in case.expect.checks} - COMPARED
        for number in range(case.client.repeat):
            name = case.name if case.client.repeat == 1 else f"{case.name} ({number + 1} of {case.client.repeat})"
            made.names.append(name)
            section.cases.append(_case(name, told, curl(case.client, server, shop, made.files), case))
    return section


def _case(name: str, told: ScriptExpectation, command: list[str], case: Case) -> str:
    head = f"expect {word(one_line(name))} {word(told.outcome)} {word(told.exits)} {word(told.status)}"
    timeout = case.client.timeout if case.client is not None else 10.0
    options = [*command, "--max-time", f"{timeout:g}"]
    return f"{head} \\\n  " + wrapped(options[0], options[1:]).replace("\n", "\n  ")


def _s_server(server: ServerSpec, cases: Sequence[Case], shop: Workshop, material: Material, made: Sections) -> str:
    clients = [case.client for case in cases if case.client is not None]
    pages = s_server.pages(server, clients)
    made.files.update({f"pages-{server.id}/{name}": content for name, content in pages.items()})
    words = s_server.arguments(server, shop, material, by_page=bool(pages))
    start = wrapped("start_s_server", map(word, words))
    return f"cp {word(f'pages-{server.id}')}/* . && {start}" if pages else start


def _nginx(server: ServerSpec, cases: Sequence[Case], shop: Workshop, material: Material, made: Sections) -> str:
    del cases
    container = nginx.container(server, shop, material)
    made.images.add(server.option("image"))
    made.files.update({f"nginx/{name}": content for name, content in container.configurations.items()})
    words = [word(str(container.port))]
    for name, address in container.hosts:
        words.append(f"--add-host {word(f'{name}:{address}')}")
    for inside, file in container.mounts.items():
        words.append(f'--volume "$work"/{word(f"{file}:{inside}:ro")}')
    return wrapped("start_nginx", words)
