"""A scenario's path → :class:`~mtls_runner.model.case.Plan`: read, validate, plan, check; every mistake is told at once."""

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from msgspec.structs import replace
from pydantic import ValidationError

from mtls_runner.errors import ScenarioError, Span
from mtls_runner.language import Overrides
from mtls_runner.language.certificates import Certificates
from mtls_runner.language.check_cases import check_cases, check_outlook
from mtls_runner.language.check_material import check_certificates, check_faults, check_files, check_unused
from mtls_runner.language.check_servers import (
    check_acceptance,
    check_declared,
    check_descriptions,
    check_lists,
    check_spec,
)
from mtls_runner.language.context import Context, Problems
from mtls_runner.language.crls import Crls, Responders
from mtls_runner.language.document import Document, Loc, read
from mtls_runner.language.endpoint import ClientDescription, ServerDescription
from mtls_runner.language.expected import Planned, expected, server_expected
from mtls_runner.language.resolve import Resolver, planned_version
from mtls_runner.language.scenario import CaseModel, Scenario
from mtls_runner.language.servers import Axis, AxisValue, MatrixCell, Servers, applied, axes, cells
from mtls_runner.language.tree import LabYaml, known_to, load_lab
from mtls_runner.language.values import Strict, over
from mtls_runner.model.case import Action, Case, Expectation, Plan, Step, bracketed
from mtls_runner.model.endpoint import ByIdentity, ServerSpec, TlsVersion
from mtls_runner.model.traits import ClientTraits
from mtls_runner.registry import Registry, consent_given

__all__ = ["load_plan", "planned"]

Resolve: TypeAlias = Callable[[ServerSpec, ClientTraits | None, TlsVersion | None], Expectation]
_LOOK = "# look:"
"""How comments of :mod:`mtls_runner.language.recording` begin: it is only loaded for a text that has one."""


def load_plan(path: Path, overrides: Overrides) -> Plan:
    """See :func:`mtls_runner.language.load`."""
    return planned(read(path), overrides)


def planned(document: Document, overrides: Overrides, *, recording: bool = False) -> Plan:
    """The plan of a document.

    Args:
        document: of a scenario file.
        overrides: what the command line sets.
        recording: expectations may be missing, since they are about to be recorded.

    Raises:
        ScenarioError, UsageError: as :func:`mtls_runner.language.load`.
    """
    path = document.path
    consent = overrides.allow_commands or consent_given()
    known = known_to(overrides.tree or path, consent=consent)
    _check_names(overrides, known)
    found = list(document.problems)
    lab, scenario, indices = LabYaml(), None, None
    lost: Collection[str] = ()
    try:
        lab = load_lab(path, known)
    except ScenarioError as error:
        found += error.diagnostics
    try:
        scenario = Scenario.model_validate(document.value, context=known)
    except ValidationError as error:
        from mtls_runner.language.diagnose import diagnose, ids, salvage

        found += diagnose(error, document, Scenario)
        before = ids(document.value)
        scenario, indices = salvage(document.value, error, known)
        lost = before - ids(document.value)
    if scenario is None:
        raise ScenarioError(found)
    context = Context(document, scenario, lab, overrides, known, Problems(partial=bool(found), lost=lost), indices)
    context.recording = recording
    context.problems.add(found)
    if _LOOK in document.text:
        from mtls_runner.language.recording import looks

        context.problems.add(looks(document))
    result = _Planner(context).plan()
    if context.problems.errors:
        raise ScenarioError(context.problems.errors)
    return result


def _check_names(overrides: Overrides, known: Registry) -> None:
    if overrides.backend is not None:
        known.backends.named(overrides.backend)
    if overrides.tool is not None:
        known.clients.named(overrides.tool)


class _Planner:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._certificates = Certificates(context)
        self._servers = Servers(context)
        self._crls = Crls(context, self._certificates)
        self._responders = Responders(context, self._certificates)
        self._resolver = Resolver(context, self._certificates, self._crls, self._responders)
        self._resolver.server_of = self._behind
        self._resolver.server_by_id = self._declared
        self._above: list[str] = []
        self._file_axes = axes(context, context.scenario.matrix, ("matrix",))
        self._own_axes: list[Axis] = []
        self._specs: ByIdentity[ServerDescription, dict[tuple[AxisValue, ...], ServerSpec]] = ByIdentity()
        self._planned: list[Planned] = []
        self._connected: dict[str, list[Case]] = {}
        self._tags = tuple(context.scenario.tags or ())

    def plan(self) -> Plan:
        context, certificates = self._context, self._certificates
        scenario, document = context.scenario, context.document
        check_certificates(context, certificates)
        check_declared(context, self._servers)
        starts = tuple(self._starts())
        cases = tuple(self._cases(frozenset(case.written for case in starts)))
        check_descriptions(
            context, certificates, self._crls, self._responders, self._servers, (*self._file_axes, *self._own_axes)
        )
        check_acceptance(context, self._servers, self._planned, self._connected)
        check_cases(context, frozenset(certificates.ids), self._planned)
        check_files(context, certificates, (*starts, *cases))
        self._responders.check()
        self._crls.check(asked=self._responders.named)
        check_unused(context, certificates)
        specs = certificates.specs(frozenset(self._resolver.presented))
        crls = self._crls.specs()
        check_faults(context, certificates, specs, crls, cases)
        check_lists(context, self._servers, self._connected, specs, crls)
        check_outlook(context, cases, specs, crls)
        return Plan(
            path=document.path,
            name=scenario.name or document.path.stem,
            description=scenario.description or "",
            tags=self._tags,
            certificates=specs,
            cases=(*starts, *cases),
            text=document.text,
            warnings=context.problems.warnings,
            crls=crls,
            files=frozenset(context.files),
            places=dict(self._places()),
        )

    def _places(self) -> Iterator[tuple[tuple[str, str, str], Span]]:
        """The places of what this file describes; what comes from lab.yaml has none here."""
        document = self._context.document
        written: list[tuple[str, str, Loc, frozenset[str]]] = [
            ("certificate", id_, declared.loc, frozenset(declared.model.model_fields_set))
            for id_, declared in self._certificates.own.items()
        ]
        for id_ in self._servers.declared:
            for base in reversed(self._servers.family(id_)):  # the nearest counts
                declared = self._servers.declared[base]
                written.append(("server", id_, declared.loc, frozenset(declared.model.model_fields_set)))
        for id_, crl in (self._context.scenario.crls or {}).items():
            written.append(("crl", id_, ("crls", id_), frozenset(crl.model_fields_set)))
        for kind, id_, loc, keys in written:
            yield (kind, id_, ""), document.span(loc, key=True)
            for key in keys:
                yield (kind, id_, key), document.span((*loc, key))

    def _starts(self) -> Iterator[Case]:
        """The cases that are servers' own expectations."""
        document = self._context.document
        server_axes = tuple(axis for axis in self._file_axes if axis.path.startswith("server."))
        for id_, declared in self._servers.declared.items():
            model = self._servers.merged(id_)
            expect = declared.model.expect
            if expect is None or model is None:
                continue
            loc: Loc = (*declared.loc, "expect")
            wanted = server_expected(document, expect, loc)
            name = "server" if self._context.scenario.servers is None else f"server.{id_}"
            for cell in cells(self._context, server_axes, ("matrix",)):
                spec = self._server(id_, model, cell)
                span = document.span(loc, key=True)
                step = Step("", Action.START, span, expect=wanted.resolve(spec, None, None))
                called = name + bracketed(cell.parameters)
                yield Case(
                    id=f"{document.path}::{called}",
                    name=called,
                    server=spec,
                    steps=(step,),
                    span=span,
                    tags=self._tags,
                    parameters=cell.parameters,
                )

    def _server(self, id_: str, model: ServerDescription, cell: MatrixCell) -> ServerSpec:
        specs = self._specs.get(model)
        if specs is None:
            specs = self._specs.set(model, {})
        known = specs.get(cell.server)
        if known is None:
            described = applied(model, cell.server)
            known = specs[cell.server] = self._resolver.server(id_, described)
            self._check(id_, described, known)
        return known

    def _declared(self, id_: str) -> ServerSpec | None:
        model = self._servers.merged(id_) if id_ in self._servers.declared else None
        return self._server(id_, model, MatrixCell((), (), ())) if model is not None else None

    def _behind(self, above: str, name: str, id_: str) -> ServerSpec | None:
        """The server that another one connects to."""
        above = above.partition(".")[0]
        loc: Loc = (*self._servers.declared[above].loc, "upstreams", name)
        if id_ not in self._servers.declared:
            names = ", ".join(other for other in self._servers.declared if other != above)
            self._context.problems.error(
                self._context.document,
                loc,
                f"there is no server '{id_}'",
                f"one of: {names}" if names else "a server of `servers`",
            )
            return None
        if id_ == above or id_ in self._above:
            self._context.problems.error(self._context.document, loc, "a server can't be behind itself")
            return None
        model = self._servers.merged(id_)
        if model is None:
            return None
        self._above.append(above)
        try:
            # The server behind shows what the proxy does: it stays as the file describes it, whichever backend the proxy runs on.
            spec = self._resolver.server(id_, model, as_written=True)
        finally:
            self._above.pop()
        self._check(id_, model, spec)
        return spec

    def _cases(self, taken: frozenset[str]) -> Iterator[Case]:
        document = self._context.document
        file_cells = tuple(cells(self._context, self._file_axes, ("matrix",)))
        nodes = document.items(("cases",))
        names: dict[str, int] = {}
        told = False
        for index, case in enumerate(self._context.scenario.cases or ()):
            at = self._context.case_index(index)
            place = replace(document, root=nodes[at])
            first = names.setdefault(case.name, place.span(("name",)).line)
            if first != place.span(("name",)).line:
                self._context.problems.error(
                    document, ("cases", at, "name"), f"a case of this name is already at line {first}"
                )
                continue
            if case.name in taken:
                message = f"'{case.name}' is the name of the server's own expectation"
                self._context.problems.error(document, ("cases", at, "name"), message)
            found = self._servers.of_case(case, ("cases", at))
            if found is None:
                continue
            id_, server = found
            own = file_cells if case.matrix is None else self._own_cells(case, at)
            if case.matrix is None:
                self._taken_by_the_matrix(case, at)
            changed = case.server is not None and bool(case.server.model_fields_set - {"like"})
            if case.steps is not None:
                yield from self._stepped(case, id_, server, own, place, None if changed else id_)
                continue
            if case.expect is None:
                if not told:
                    told = True
                    bare = sum(one.expect is None and one.steps is None for one in self._context.scenario.cases or ())
                    self._context.unrecorded(document, ("cases", at), bare - 1)
                unrecorded = tuple(self._case_cells(case, id_, server, own, _unconditional, place.span(())))
                self._connected.setdefault(id_, []).extend(unrecorded)
                yield from unrecorded
                continue
            wanted = expected(place, case.expect, ("expect",))
            made = tuple(self._case_cells(case, id_, server, own, wanted.resolve, place.span(())))
            self._planned.append(Planned(place, ("expect",), None if changed else id_, wanted, made))
            self._connected.setdefault(id_, []).extend(made)
            yield from made

    def _taken_by_the_matrix(self, case: CaseModel, at: int) -> None:
        """Report what a case says itself, and the file's matrix says for all."""
        for axis in self._file_axes:
            held: object = case
            for part in axis.path.split("."):
                held = getattr(held, part) if isinstance(held, Strict) and part in held.model_fields_set else None
            if held is not None:
                loc: Loc = ("cases", at, *axis.path.split("."))
                message = f"the file's matrix says {axis.path}, too, and that counts"
                self._context.problems.warning(
                    self._context.document, loc, message, "matrix: {} in the case, to keep its own", key=True
                )

    def _stepped(
        self,
        case: CaseModel,
        id_: str,
        server: ServerDescription,
        own: Sequence[MatrixCell],
        place: Document,
        declared: str | None,
    ) -> Iterator[Case]:
        """A case with steps, in each cell."""
        from mtls_runner.language.steps import CaseSteps

        if case.expect is not None:
            self._context.problems.error(
                place, ("expect",), "'expect' and 'steps' exclude each other", "each step's own expect", key=True
            )
        if not case.steps:
            self._context.problems.error(place, ("steps",), "there are no steps")
        steps = CaseSteps(self._context, place, case.steps or (), partial(self._replaced, id_), self._resolver)
        client = self._client(case)
        for cell, made in zip(
            own, self._case_cells(case, id_, server, own, _unconditional, place.span(())), strict=True
        ):
            whole = replace(made, server=replace(made.server, alone=True)) if steps.changes_server else made
            yield replace(whole, steps=steps.steps(whole, applied(server, cell.server), applied(client, cell.client)))
        for planned in steps.planned(declared):
            self._planned.append(planned)
            self._connected.setdefault(id_, []).extend(planned.cells)

    def _replaced(self, id_: str, model: ServerDescription) -> ServerSpec:
        spec = self._resolver.server(id_, model)
        self._check(id_, model, spec)
        return spec

    def _check(self, id_: str, model: ServerDescription, spec: ServerSpec) -> None:
        written = self._resolver.backend(model.backend)
        check_spec(self._context, self._certificates, self._servers.declared[id_], spec, written)

    def _client(self, case: CaseModel) -> ClientDescription:
        client = case.client or ClientDescription()
        defaults = self._context.lab.client
        return client if defaults is None else over(defaults, client)

    def _own_cells(self, case: CaseModel, at: int) -> Sequence[MatrixCell]:
        loc: Loc = ("cases", at, "matrix")
        found = axes(self._context, case.matrix, loc)
        self._own_axes += found
        return tuple(cells(self._context, found, loc))

    def _case_cells(
        self,
        case: CaseModel,
        id_: str,
        server: ServerDescription,
        own: Sequence[MatrixCell],
        resolve: Resolve,
        span: Span,
    ) -> Iterator[Case]:
        path = str(self._context.document.path)
        client = self._client(case)
        for cell in own:
            spec = self._server(id_, server, cell)
            client_spec = self._resolver.client(applied(client, cell.client) if cell.client else client, spec)
            tls = planned_version(spec, client_spec)
            name = case.name + bracketed(cell.parameters)
            expect = resolve(spec, client_spec.tool, tls)
            step = Step("", Action.CONNECT, span, client=client_spec, expect=expect, tls=tls)
            yield Case(f"{path}::{name}", name, spec, (step,), span, self._tags, cell.parameters)


def _unconditional(*_: object) -> Expectation:
    """No expectation: that of a case whose steps have their own."""
    return Expectation(())
