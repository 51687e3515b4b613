"""``implementation.yaml`` → :class:`~mtls_runner.model.implementation.Implementation`; a dialect's file → its patterns."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from pydantic import ValidationError

from mtls_runner.errors import ScenarioError
from mtls_runner.language.context import Problems
from mtls_runner.language.diagnose import diagnose
from mtls_runner.language.document import Document, EmptyFile, Loc, read
from mtls_runner.language.implementations.models import ClientModel, ImplementationModel, ServerModel, StaysModel
from mtls_runner.language.implementations.parts import (
    BuildModel,
    ClientHonoursModel,
    DialectModel,
    DifferenceModel,
    FileModel,
    HonoursModel,
    LogModel,
    NeedsModel,
    PatternModel,
    ReloadModel,
    VersionModel,
)
from mtls_runner.language.implementations.templates import check_beside, check_within
from mtls_runner.language.values import by_name
from mtls_runner.model.endpoint import ClientAuth, TlsVersion
from mtls_runner.model.implementation import (
    Build,
    DeclaredClient,
    DeclaredFile,
    DeclaredServer,
    Dialect,
    Difference,
    Honours,
    Implementation,
    Log,
    Logs,
    Needs,
    Pattern,
    Reload,
    ServerContainer,
    Stays,
    Version,
)
from mtls_runner.model.traits import Directives
from mtls_runner.runtimes.template_names import BUILD, CLIENT, CONTAINER, PROCESS, SERVER, names_of
from mtls_runner.tls.dialects import compiled

__all__ = ["DIRECTORY", "dialect", "in_place", "read_implementation", "shipped"]

#: Those that come with the package; dialects lie beside them.
DIRECTORY = Path(__file__).parents[2] / "implementations"
_TLS = frozenset((TlsVersion.V1_2, TlsVersion.V1_3))
_MAX_FILE = 1 << 20
_WORD = re.compile(r"(?:\{\{.*?\}\}|\{%.*?%\}|\S)+")
"""Of a command line; a template's own blanks are inside of one."""
_SAYING = frozenset(("code", "error", "alert", "alert_name", "symbol"))
"""Groups of a pattern that say why."""


@lru_cache(maxsize=64)
def shipped(path: Path, name: str = "") -> Implementation:
    """One of an installed package, under its folder's name or another."""
    return read_implementation(path, name=name, shipped=True)


@lru_cache(maxsize=16)
def dialect(name: str) -> Dialect:
    """One that comes with the package."""
    document = read(DIRECTORY / "dialects" / f"{name}.yaml")
    try:
        model = DialectModel.model_validate(document.value)
    except ValidationError as error:
        raise ScenarioError(diagnose(error, document, DialectModel)) from None
    return _Reader(document, trusted=True).dialect(name, model)


def read_implementation(path: Path, *, name: str = "", shipped: bool = False) -> Implementation:
    """Read and check a declaration.

    Args:
        path: of the file.
        name: under which it is found; its directory's by default.
        shipped: it belongs to an installed package.

    Raises:
        ScenarioError: it is invalid; with every mistake that is in it.
    """
    try:
        document = read(path)
    except EmptyFile as error:
        expected = "name, and server, client, or both"
        raise ScenarioError([replace(one, expected=expected) for one in error.diagnostics]) from None
    try:
        model = ImplementationModel.model_validate(document.value)
    except ValidationError as error:
        raise ScenarioError([*document.problems, *diagnose(error, document, ImplementationModel)]) from None
    reader = _Reader(document, trusted=shipped)
    made = reader.implementation(model, name or path.resolve().parent.name, shipped=shipped)
    reader.problems.add(document.problems)
    if reader.problems.errors:
        raise ScenarioError(reader.problems.errors)
    return made


def in_place(document: Document, loc: Loc, model: ServerModel | ClientModel, problems: Problems) -> Implementation:
    """What ``backend:`` or ``tool:`` holds where it is a mapping, at ``loc``."""
    reader = _Reader(document, problems)
    return Implementation(
        name="command",
        title=_title(model.command),
        library=model.dialect,
        path=document.path.absolute(),
        server=reader.server(model, loc) if isinstance(model, ServerModel) else None,
        client=reader.client(model, loc) if isinstance(model, ClientModel) else None,
    )


def _title(command: Sequence[str]) -> str:
    """The program as it was typed; of ``{{python}} {{declaration}}/service.py`` the file."""
    typed = [re.sub(r"\{\{.*?\}\}/?", "", argument) for argument in command]
    return next((text for text in typed if text and not text.startswith("-")), command[0])


class _Reader:
    """Reads the files beside a declaration, too; what is wrong with them is said where they are named.

    Args:
        document: the declaration.
        problems: where to say so.
        trusted: its templates are tested, and not looked at.
    """

    def __init__(self, document: Document, problems: Problems | None = None, *, trusted: bool = False) -> None:
        self._document = document
        self._trusted = trusted
        self.problems = Problems() if problems is None else problems

    def dialect(self, name: str, model: DialectModel) -> Dialect:
        lines, start = self._patterns(model.lines, ("lines",)), self._patterns(model.start, ("start",))
        return Dialect(name, model.library, tuple(lines), tuple(start))

    def implementation(self, model: ImplementationModel, name: str, *, shipped: bool) -> Implementation:
        if model.server is None and model.client is None:
            self.problems.absent(self._document, (), "it neither serves nor connects", "server, client, or both")
        end = model.server or model.client
        return Implementation(
            name=name,
            title=model.name,
            library=end.dialect if end is not None else "",
            path=self._document.path.absolute(),
            about=model.description or "",
            needs=self._needs(model.needs, ("needs",)) if model.needs is not None else None,
            version=self._version(model.version),
            build=self._build(model.build) if model.build is not None else None,
            server=self.server(model.server, ("server",)) if model.server is not None else None,
            client=self.client(model.client, ("client",)) if model.client is not None else None,
            shipped=shipped,
            sources=dict(self._sources(model.build)),
        )

    def _needs(self, model: NeedsModel, loc: Loc) -> Needs:
        if (model.command is None) == (model.module is None):
            self.problems.error(
                self._document, loc, "what is needed is a command or a module", "one of: command, module", key=True
            )
        return Needs(tuple(model.command or ()), **by_name(model, Needs))

    def _version(self, model: VersionModel | None) -> Version | None:
        if model is None:
            return None
        self._check_split(model.command, ("version", "command"))
        self._check_templates(model.command, ("version", "command"), BUILD, PROCESS)
        return Version(tuple(model.command), model.match, model.library)

    def _build(self, model: BuildModel) -> Build:
        needs = self._needs(model.needs, ("build", "needs"))
        self._check_split(model.command, ("build", "command"))
        self._check_templates(model.command, ("build", "command"), BUILD, PROCESS)
        self._check_templates(model.environment, ("build", "environment"), BUILD)
        environment = tuple((model.environment or {}).items())
        return Build(**by_name(model, Build) | {"needs": needs, "environment": environment})

    def _sources(self, build: BuildModel | None) -> Iterator[tuple[str, str]]:
        for index, name in enumerate(build.sources if build is not None else ()):
            yield name, self._beside(name, ("build", "sources", index))

    def _beside(self, name: str, loc: Loc) -> str:
        path = self._document.path.parent / name
        try:
            with path.open("rb") as file:
                return file.read(_MAX_FILE).decode("utf-8")
        except OSError as error:
            self.problems.error(self._document, loc, f"this file can't be read: {error.strerror}")
        except UnicodeDecodeError:
            self.problems.error(self._document, loc, "this file is not UTF-8")
        return ""

    def _patterns(self, models: Sequence[PatternModel] | None, loc: Loc) -> Iterator[Pattern]:
        for index, model in enumerate(models or ()):
            given = [key for key in ("reasons", "code", "alert") if getattr(model, key) is not None]
            if not given and compiled(model.match).groupindex.keys().isdisjoint(_SAYING):
                self.problems.error(
                    self._document, (*loc, index), "nothing says what such a line means", "one of: reasons, code, alert"
                )
            if len(given) > 1:
                self.problems.error(
                    self._document,
                    (*loc, index, given[1]),
                    f"what such a line means is said by {given[0]} already",
                    "one of: reasons, code, alert",
                    key=True,
                )
            yield Pattern(**by_name(model, Pattern), place=self._document.span((*loc, index, "match")))

    def _check_templates(self, texts: Sequence[str] | Mapping[str, str] | None, loc: Loc, *where: str) -> None:
        """Check the templates in a list or mapping: names in them must be known ``where`` they stand."""
        pairs = texts.items() if isinstance(texts, Mapping) else enumerate(texts or ())
        for key, text in () if self._trusted else pairs:
            check_within(self.problems, self._document, (*loc, key), text, names_of(*where))

    def _files(self, files: Mapping[str, FileModel] | None, loc: Loc, *where: str) -> Iterator[DeclaredFile]:
        for name, model in (files or {}).items():
            if (model.template is None) == (model.content is None):
                self.problems.error(
                    self._document,
                    (*loc, name),
                    "a file is a template or a content",
                    "one of: template, content",
                    key=True,
                )
                continue
            text = model.content if model.template is None else self._beside(model.template, (*loc, name, "template"))
            if model.template is None:
                self._check_templates({"content": text or ""}, (*loc, name), *where)
            elif not self._trusted:
                check_beside(self.problems, self._document.path.parent / model.template, text or "", names_of(*where))
            yield DeclaredFile(name, text or "", model.syntax or "plain", bool(model.executable))

    def _check_split(self, command: Sequence[str] | None, loc: Loc) -> None:
        """No shell runs it: of one word with blanks in it the rest was meant as arguments."""
        words = _WORD.findall(command[0]) if command is not None and len(command) == 1 else []
        if len(words) > 1:
            listed = ", ".join(word if word.isalnum() else f"'{word}'" for word in words)
            self.problems.error(self._document, loc, "no shell splits this: it is one word, a program's", f"[{listed}]")

    def _check_command(self, command: Sequence[str], files: Sequence[DeclaredFile], loc: Loc) -> None:
        """It runs in a directory of its own: only the program itself is looked for beside the declaration."""
        self._check_split(command, loc)
        beside, made = self._document.path.parent, {file.name for file in files}
        for index, argument in enumerate(command[1:], 1):
            if "{{" not in argument and argument not in made and not argument.startswith(("/", "-")):
                with contextlib.suppress(OSError, ValueError):  # no argument has to be a path
                    if (beside / argument).is_file():
                        self.problems.error(
                            self._document,
                            (*loc, index),
                            "this file lies here, and the program is started in a directory of its own",
                            f"{{{{declaration}}}}/{argument}",
                        )

    def server(self, model: ServerModel, loc: Loc) -> DeclaredServer:
        where = (SERVER, PROCESS) if model.container is None else (SERVER,)
        files = tuple(self._files(model.files, (*loc, "files"), *where))
        self._check_command(model.command, files, (*loc, "command"))
        self._check_templates(model.command, (*loc, "command"), SERVER, PROCESS)
        self._check_split(model.check, (*loc, "check"))
        self._check_templates(model.check, (*loc, "check"), SERVER, PROCESS)
        self._check_templates(model.environment, (*loc, "environment"), *where)
        if model.config is not None and model.config not in {file.name for file in files}:
            self.problems.unknown(self._document, (*loc, "config"), "file", model.config, [file.name for file in files])
        if model.reload is not None:
            self._check_reload(model.reload, [file.name for file in files], (*loc, "reload"))
        log = model.log or LogModel()
        if log.line is not None and "{{id}}" not in (log.connection or ""):
            self.problems.error(
                self._document,
                (*loc, "log", "line"),
                "no line tells which {{id}} has which port",
                "{{id}} in `connection`, too",
            )
        container = model.container
        if container is not None:
            self._check_templates(container.command, (*loc, "container", "command"), CONTAINER)
        if container is not None and model.answers == "application":
            self.problems.error(
                self._document,
                (*loc, "answers"),
                "in a container it can't reach the lab's application",
                "config",
                key=True,
            )
        given: dict[str, Any] = by_name(model, DeclaredServer) | {
            "log": Log(
                dialect=dialect(model.dialect),
                connection=log.connection,
                line=log.line,
                refused=tuple(self._patterns(log.refused, (*loc, "log", "refused"))),
                facts=tuple(log.facts or ()),
                ended=log.ended,
            ),
            "honours": _honours(model.honours or HonoursModel()),
            "files": files,
            "environment": tuple((model.environment or {}).items()),
            "reload": Reload(**vars(model.reload)) if model.reload else None,
            "logs": Logs(**vars(model.logs)) if model.logs is not None else None,
            "directives": Directives(**vars(model.directives)) if model.directives is not None else None,
            "container": ServerContainer(**by_name(container, ServerContainer)) if container is not None else None,
            "start": tuple(self._patterns(model.start, (*loc, "start"))),
            "differs": _differences(model.differs),
        }
        return DeclaredServer(**given)

    def _check_reload(self, model: ReloadModel, files: Sequence[str], loc: Loc) -> None:
        if (model.signal is None) == (model.file is None):
            self.problems.error(
                self._document,
                loc,
                "it is told by a signal, or by a file that it watches",
                "one of: signal, file",
                key=True,
            )
        elif model.file is not None and model.file not in files:
            self.problems.unknown(self._document, (*loc, "file"), "file", model.file, files)

    def client(self, model: ClientModel, loc: Loc) -> DeclaredClient:
        if model.stays is not None:
            self._check_stays(model, model.stays, loc)
        files = tuple(self._files(model.files, (*loc, "files"), CLIENT, PROCESS))
        self._check_command(model.command, files, (*loc, "command"))
        self._check_templates(model.command, (*loc, "command"), CLIENT, PROCESS)
        self._check_templates(model.environment, (*loc, "environment"), CLIENT, PROCESS)
        self._check_templates({"input": model.input or ""}, loc, CLIENT, PROCESS)
        given: dict[str, Any] = by_name(model, DeclaredClient) | {
            "dialect": dialect(model.dialect),
            "honours": _honours(model.honours or ClientHonoursModel()),
            "files": files,
            "environment": tuple((model.environment or {}).items()),
            "refused": tuple(self._patterns(model.refused, (*loc, "refused"))),
            "start": tuple(self._patterns(model.start, (*loc, "start"))),
            "differs": _differences(model.differs),
            "stays": Stays(**by_name(model.stays, Stays)) if model.stays is not None else None,
        }
        return DeclaredClient(**given)

    def _check_stays(self, model: ClientModel, stays: StaysModel, loc: Loc) -> None:
        self._check_templates({"request": stays.request}, (*loc, "stays"), CLIENT, PROCESS)
        for key, given in (("input", model.input), ("told_port", model.told_port), ("response", model.response)):
            if given:
                self.problems.error(
                    self._document,
                    (*loc, key),
                    "a client that stays has this for all of its exchanges, not for one",
                    "facts in the lines that it writes, and a request in a file",
                    key=True,
                )
        for index, argument in enumerate(model.command):
            if "{{dir}}" in argument.replace(" ", ""):
                self.problems.error(
                    self._document,
                    (*loc, "command", index),
                    "a client that stays is started for many exchanges, and {{dir}} is of one",
                    "{{dir}} in stays.request",
                )
        if re.compile(stays.done).groups != 1:
            self.problems.error(
                self._document,
                (*loc, "stays", "done"),
                "the exit code is one group of this expression",
                "one group, as in ^exit (\\d+)$",
            )


def _alpn(lists: Sequence[str] | None) -> frozenset[tuple[str, ...]] | None:
    if lists == ["any"]:
        return None
    return frozenset(tuple(name.strip() for name in one.split(",") if name.strip()) for one in lists or ())


def _differences(models: Sequence[DifferenceModel] | None) -> tuple[Difference, ...]:
    return tuple(Difference(**by_name(one, Difference)) for one in models or ())


def _honours(model: HonoursModel | ClientHonoursModel) -> Honours:
    modes = frozenset((ClientAuth.REQUIRED,)) if isinstance(model, HonoursModel) else frozenset()
    given = {
        name: frozenset(value) if isinstance(value, tuple) else value for name, value in by_name(model, Honours).items()
    }
    return replace(Honours(client_auth=modes, tls=frozenset(_TLS)), **given | {"alpn": _alpn(model.alpn)})
