"""What an nginx configuration says about TLS, with everything that it includes.

The tokens are read as for a run (:mod:`mtls_runner.servers.nginx.read.statements`); what an ``include`` reaches is looked for
where a run looks, and then where an ``/etc/nginx`` of this machine, or a checkout of one, has it.
"""

from __future__ import annotations

import glob
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from msgspec import Struct, field

from mtls_runner.errors import UsageError
from mtls_runner.servers.mapped_files import text_of
from mtls_runner.servers.nginx.read.files import ROOT, beside
from mtls_runner.servers.nginx.read.stand_ins import USUAL
from mtls_runner.servers.nginx.read.statements import Unreadable, is_whole, statements

__all__ = ["Directive", "Reading", "ServerBlock", "places", "read"]

_MAGIC = frozenset("*?[")
_DEEPEST = 16
"""Includes within includes; nginx has no limit but the number of open files."""


class Directive(Struct, frozen=True):
    """One directive, and where it stands.

    Args:
        name, arguments: without quotes.
        path: names of the blocks around it, outermost first, those of the including files too.
        around: numbers of those blocks.
        place: file and line, for people.
        opens: number of the block that it opens; 0: it opens none.
    """

    name: str
    arguments: tuple[str, ...]
    path: tuple[str, ...]
    around: tuple[int, ...]
    place: str
    opens: int = 0


class ServerBlock(Struct):
    """One ``server`` of ``http``: its own directives, those of its blocks, and what it inherits."""

    place: str
    number: int
    inherited: dict[str, list[Directive]]
    own: dict[str, list[Directive]] = field(default_factory=dict)
    inside: list[Directive] = field(default_factory=list)
    """Everything in it, its locations' directives too."""

    def nested(self, *names: str) -> list[Directive]:
        """Directives of these names in blocks within it: its locations, mostly."""
        return [directive for directive in self.inside if directive.name in names and len(directive.path) > 2]

    def all(self, name: str) -> list[Directive]:
        """Directives of that name that hold for the block: its own, or else those of ``http``."""
        return self.own.get(name) or self.inherited.get(name, [])

    def one(self, name: str) -> Directive | None:
        """The one that holds, where only one can be."""
        return next(iter(self.all(name)), None)

    def value(self, name: str, default: str = "") -> str:
        """Its first argument."""
        found = self.one(name)
        return found.arguments[0] if found is not None and found.arguments else default


class Reading(Struct):
    """Everything that was found.

    Args:
        main: the file.
        whole: whether it is a whole ``nginx.conf``, or a file for ``conf.d``.
        servers: of ``http``, in order.
        directives: all, in order.
        files: path in the container → file here, of what a run does not find by itself.
        notes: what can't be carried over.
    """

    main: Path
    whole: bool
    servers: list[ServerBlock] = field(default_factory=list)
    directives: list[Directive] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read(main: Path) -> Reading:
    """Read a configuration and all that it includes.

    Raises:
        UsageError: it can't be read, or is no nginx configuration.
    """
    text = _text(main)
    try:
        whole = is_whole(statements(text))
    except Unreadable as error:
        raise UsageError(f"{main}: this is no nginx configuration: {error}") from error
    reading = Reading(main, whole)
    walk = _Walk(reading)
    inherited: dict[str, list[Directive]] = {}
    servers: dict[int, ServerBlock] = {}
    for directive in walk.file(main, () if whole else ("http",), (), 0):
        reading.directives.append(directive)
        if directive.path == ("http",):
            if directive.name == "server" and not directive.arguments:
                servers[directive.opens] = ServerBlock(directive.place, directive.opens, inherited)
            else:
                inherited.setdefault(directive.name, []).append(directive)
        elif directive.path[:2] == ("http", "server"):
            owner = next(servers[number] for number in directive.around if number in servers)
            owner.inside.append(directive)
            if len(directive.path) == 2:
                owner.own.setdefault(directive.name, []).append(directive)
    reading.servers = list(servers.values())
    return reading


class _Walk:
    """Through a file and what it includes; blocks are numbered in the order in which they open."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._opened = 0

    def file(self, file: Path, inside: tuple[str, ...], around: tuple[int, ...], deep: int) -> Iterator[Directive]:
        text = _text(file)
        try:
            found = statements(text)
        except Unreadable as error:
            self._reading.notes.append(f"{file}: this can't be read as an nginx configuration: {error}")
            return
        blocks: dict[int, tuple[int, ...]] = {0: around}
        for statement in found:
            place = f"{file}:{text.count(chr(10), 0, statement.start) + 1}"
            here = blocks[statement.block]
            path = (*inside, *statement.path)
            self._opened += statement.opens
            opens = self._opened if statement.opens else 0
            directive = Directive(statement.name, statement.arguments, path, here, place, opens)
            if statement.opens:
                blocks[statement.end] = (*here, opens)
            if statement.name != "include" or not statement.arguments:
                yield directive
            elif deep < _DEEPEST:
                for included in self._included(directive):
                    yield from self.file(included, path, here, deep + 1)

    def _included(self, directive: Directive) -> Iterator[Path]:
        pattern = directive.arguments[0]
        target = ROOT / pattern
        found = list(_reached(self._reading.main, target, self._reading.whole))
        for inside, local, by_itself in found:
            if not by_itself:
                self._reading.files[inside] = local
            yield local
        missing = not found and not _MAGIC.intersection(pattern) and target.name not in USUAL
        if missing:
            self._reading.notes.append(
                f"{directive.place}: {pattern} is not here; nginx will not start without it unless the image has it "
                f"({_bring_in(target)})"
            )


def _bring_in(path: object) -> str:
    """What an author can do about a file that the container does not have."""
    return f"bring it in with `files: {{{path}: {{file: …}}}}`"


def _reached(main: Path, target: PurePosixPath, whole: bool) -> Iterator[tuple[str, Path, bool]]:
    """Files that an include names: path in the container, file here, and whether a run finds it by itself."""
    for pattern, by_itself in places(main, target, whole):
        files = [Path(name) for name in sorted(glob.glob(str(pattern))) if Path(name).is_file()]  # noqa: PTH207 - absolute
        files = [file for file in files if file.resolve() != main.resolve()]
        if files:
            yield from ((str(target.parent / file.name), file, by_itself) for file in files)
            return


def places(main: Path, target: PurePosixPath, whole: bool) -> list[tuple[Path, bool]]:
    """Where something of that path in the container may be here, and whether a run takes an ``include`` from there.

    A run takes the configuration's folder for ``/etc/nginx`` (and for ``conf.d``). Here the folders above it are tried
    too, as in a checkout with ``sites-available/`` beside ``snippets/``; then the path itself, on this machine.
    """
    tries = [(main.parent / place, True) for place in beside(target, whole)]
    if tries:
        relative = target.relative_to(ROOT)
        tries += [(folder / relative, False) for folder in list(main.resolve().parent.parents)[:2]]
    return [*tries, (Path(target), False)]


def _text(file: Path) -> str:
    try:
        return text_of(file)
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
