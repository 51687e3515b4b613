"""A validated scenario → :class:`~mtls_runner.model.case.Plan`."""

from collections.abc import Iterator
from dataclasses import replace

from mtls_runner.language.certificates import Certificates
from mtls_runner.language.context import Context
from mtls_runner.language.endpoint import Client, Server
from mtls_runner.language.ends import Ends, planned_version
from mtls_runner.language.expected import expected, server_expected
from mtls_runner.language.matrix import Cell, Setting, applied, axes, cells
from mtls_runner.language.merge import over
from mtls_runner.language.scenario import Case as CaseModel
from mtls_runner.language.servers import Servers
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.spec import ServerSpec

__all__ = ["Planner"]


class Planner:
    """Plans one file."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.certificates = Certificates(context)
        self.servers = Servers(context)
        self.ends = Ends(context, self.certificates)
        self.file_axes = axes(context, context.scenario.matrix, ("matrix",))
        self._specs: dict[tuple[int, tuple[Setting, ...]], ServerSpec] = {}

    def plan(self) -> Plan:
        """The whole file; what is wrong is in the context's problems."""
        scenario, document = self.context.scenario, self.context.document
        cases = (*self._server_cases(), *self._cases())
        return Plan(
            path=document.path,
            name=scenario.name or document.path.stem,
            description=scenario.description or "",
            tags=tuple(scenario.tags or ()),
            certificates=self.certificates.specs(frozenset(self.ends.presented)),
            cases=cases,
            text=document.text,
        )

    def _server_cases(self) -> Iterator[Case]:
        document = self.context.document
        several = self.context.scenario.servers is not None
        server_axes = tuple(axis for axis in self.file_axes if axis.path.startswith("server."))
        for id_, entry in self.servers.declared.items():
            model = self.servers.merged(id_)
            if entry.model.expect is None or model is None:
                continue
            loc = (*entry.loc, "expect")
            wanted = server_expected(document, entry.model.expect, loc)
            name = f"server.{id_}" if several else "server"
            for cell in cells(self.context, server_axes, ("matrix",)):
                spec = self._server(id_, model, cell)
                yield Case(
                    id=f"{document.path}::{name}{cell.suffix}",
                    name=f"{name}{cell.suffix}",
                    server=spec,
                    client=None,
                    expect=wanted.resolve(spec.backend, "", None),
                    span=document.span(loc, key=True),
                    tags=tuple(self.context.scenario.tags or ()),
                )

    def _server(self, id_: str, model: Server, cell: Cell) -> ServerSpec:
        key = (id(model), cell.server)
        known = self._specs.get(key)
        if known is None:
            known = self._specs[key] = self.ends.server(id_, applied(model, cell.server))
        return known

    def _cases(self) -> Iterator[Case]:
        document, scenario = self.context.document, self.context.scenario
        path, tags = str(document.path), tuple(scenario.tags or ())
        defaults = self.context.lab.defaults.client
        file_cells = list(cells(self.context, self.file_axes, ("matrix",)))
        nodes = document.items(("cases",))
        for index, case in enumerate(scenario.cases or ()):
            place = replace(document, root=nodes[index])
            found = self.servers.of_case(case, ("cases", index))
            if found is None:
                continue
            id_, server = found
            client = case.client or Client()
            if defaults is not None:
                client = over(defaults, client)
            wanted = expected(place, case.expect, ("expect",))
            span = place.span(())
            for cell in file_cells if case.matrix is None else self._own_cells(case, index):
                spec = self._server(id_, server, cell)
                client_spec = self.ends.client(applied(client, cell.client) if cell.client else client, spec)
                tls = planned_version(spec, client_spec)
                yield Case(
                    f"{path}::{case.name}{cell.suffix}",
                    f"{case.name}{cell.suffix}",
                    spec,
                    client_spec,
                    wanted.resolve(spec.backend, client_spec.tool, tls),
                    span,
                    tls,
                    tags,
                )

    def _own_cells(self, case: CaseModel, index: int) -> Iterator[Cell]:
        loc = ("cases", index, "matrix")
        yield from cells(self.context, axes(self.context, case.matrix, loc), loc)
