"""The files that an nginx configuration sends by itself: error pages and indexes come along, document roots don't."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mtls_runner.servers.nginx.read.configuration import Directive, Reading, ServerBlock, bring_in, places
from mtls_runner.servers.nginx.read.files import ROOT

__all__ = ["Pages", "pages"]

_PREFIXES = (ROOT, PurePosixPath("/usr/share/nginx"))
"""What a relative ``root`` starts from is compiled in: nginx's own images have the first, Debian's nginx the second."""
_LOCATION = re.compile(r"(=|~\*|~|\^~)?(.*)", re.DOTALL)
_ANSWERING = re.compile(r"return|\w+_pass|stub_status|empty_gif|\w+_by_lua(_block|_file)?|js_content|perl")
_INDEX = "index.html"


@dataclass(slots=True)
class Pages:
    """What comes along.

    Args:
        files: path in the container → file here.
        notes: what does not.
    """

    files: dict[str, Path] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Location:
    """A ``location``: its modifier (``""``: a prefix), what it matches, and the directive."""

    modifier: str
    match: str
    directive: Directive

    @property
    def exact(self) -> bool:
        return self.modifier == "="

    @property
    def regular(self) -> bool:
        return self.modifier.startswith("~")

    def matches(self, uri: str) -> bool:
        if self.exact:
            return uri == self.match
        if not self.regular:
            return not self.match.startswith("@") and uri.startswith(self.match)
        try:
            return re.search(self.match, uri, re.IGNORECASE if self.modifier == "~*" else 0) is not None
        except re.error:
            return False


@dataclass(frozen=True, slots=True)
class _Target:
    """What a URI leads to: paths in the container (one for each prefix), by which ``root`` or ``alias``, if by any.

    No paths: they depend on variables.
    """

    paths: tuple[str, ...]
    by: Directive | None
    location: _Location | None


def pages(reading: Reading, blocks: Sequence[ServerBlock]) -> Pages:
    """What the blocks send when a client is turned away, and at ``/``, which the cases ask for.

    Args:
        reading: the whole configuration.
        blocks: those that are tested.
    """
    found = Pages()
    single: set[int] = set()
    for block in blocks:
        _error_pages(reading, block, found, single)
        _indexes(reading, block, found)
    for block in blocks:
        _directories(reading, block, found, single)
    found.notes = list(dict.fromkeys(found.notes))
    return found


def _error_pages(reading: Reading, block: ServerBlock, found: Pages, single: set[int]) -> None:
    """Those that are internal URIs; ``single`` gets the blocks of locations that are there for nothing else."""
    for directive in (*block.all("error_page"), *block.nested("error_page")):
        uri = directive.arguments[-1].partition("?")[0] if directive.arguments else ""
        if not uri.startswith("/"):
            continue
        target = _target(block, uri) if "$" not in uri else _Target((), None, None)
        if target is None:
            continue
        if target.location is not None and target.location.exact:
            single.add(target.location.directive.opens)
        told = f"{directive.place}: error_page {uri}"
        if not target.paths:
            found.notes.append(f"{told}: which file that is depends on variables: it is not carried over")
        elif not _carried(reading, target.paths, found):
            path = target.paths[0]
            found.notes.append(
                f"{told}: {path} is not here; nginx will answer 404 in its place unless the image has it "
                f"({bring_in(path)})"
            )


def _indexes(reading: Reading, block: ServerBlock, found: Pages) -> None:
    """A directory with error pages but without its index would answer 403 at ``/``: as if a client were refused."""
    target = _target(block, "/")
    if target is None or target.by is None:
        return
    chain = _chain(target.location) if target.location is not None else ()
    given = next(iter(_in_effect(block, chain, ("index",))), None)
    for name in given.arguments if given is not None else (_INDEX,):
        paths = tuple(posixpath.join(path, name) for path in target.paths)
        # Not the page that a packaged nginx of this machine says hello with.
        if "$" not in name and not name.startswith("/") and _carried(reading, paths, found, look=paths[:1]):
            return


def _directories(reading: Reading, block: ServerBlock, found: Pages, single: set[int]) -> None:
    """A note on each ``root`` and ``alias``, unless all of it came along."""
    for directive in (*block.all("root"), *block.nested("root", "alias")):
        if not directive.arguments or (directive.around and directive.around[-1] in single):
            continue
        value = directive.arguments[0]
        bases = _absolute(value)
        came = sorted({posixpath.relpath(path, base) for path in found.files for base in bases if _below(path, base)})
        if came and _is_whole(reading, bases[0], found):
            continue
        what = f"of its files only {', '.join(came)} came along" if came else "its files are not in the container"
        found.notes.append(
            f"{directive.place}: {directive.name} {value}: {what}; nginx will answer 404 for {'others' if came else 'them'} "
            "unless the image has them (bring them in with `files:`)"
        )


def _below(path: str, base: str) -> bool:
    return path == base or path.startswith(f"{base.rstrip('/')}/")


def _is_whole(reading: Reading, base: str, found: Pages) -> bool:
    """Whether everything came along that is in that directory here."""
    directory = next(
        (place for place, _ in places(reading.main, PurePosixPath(base), reading.whole) if place.is_dir()), None
    )
    if directory is None:
        return base in found.files
    for folder, _, names in os.walk(directory):
        inside = posixpath.normpath(posixpath.join(base, Path(folder).relative_to(directory).as_posix()))
        if any(posixpath.join(inside, name) not in found.files for name in names):
            return False
    return True


def _carried(reading: Reading, paths: Sequence[str], found: Pages, look: Sequence[str] | None = None) -> bool:
    """Whether one of them (or of those to look for) is here; then it comes along, as all of them."""
    for path in paths if look is None else look:
        for place, _ in places(reading.main, PurePosixPath(path), reading.whole):
            if os.access(place, os.R_OK) and place.is_file():
                found.files.update(dict.fromkeys(paths, place))
                return True
    return False


def _target(block: ServerBlock, uri: str) -> _Target | None:
    """The file that the URI stands for; ``None``: none, since something else answers there."""
    location = _location(block, uri, block.number)
    chain = _chain(location) if location is not None else ()
    if chain and any(d.around[-1:] == chain[-1:] and _ANSWERING.fullmatch(d.name) for d in block.inside):
        return None
    by = next(iter(_in_effect(block, chain, ("root", "alias"))), None)
    value = by.arguments[0] if by is not None and by.arguments else "html"
    if "$" in value:
        return _Target((), by, location)
    if by is None or by.name == "root":
        return _Target(_absolute(f"{value}/{uri}"), by, location)
    holder = next(one for one in _locations(block) if one.directive.opens == by.around[-1])
    rest = "" if holder.regular else uri.removeprefix(holder.match)
    return _Target(_absolute(f"{value}{rest}"), by, location)


def _absolute(path: str) -> tuple[str, ...]:
    """Under each of the prefixes, if it is relative."""
    prefixes = _PREFIXES if not path.startswith("/") else _PREFIXES[:1]
    return tuple(posixpath.normpath(str(prefix / path)) for prefix in prefixes)


def _in_effect(block: ServerBlock, chain: Sequence[int], names: Sequence[str]) -> Iterator[Directive]:
    """Directives of these names, the innermost first."""
    for number in reversed(chain):
        yield from (d for d in block.inside if d.name in names and d.around[-1:] == (number,))
    for name in names:
        yield from block.all(name)


def _chain(location: _Location) -> tuple[int, ...]:
    """Numbers of the blocks around it, and its own."""
    return (*location.directive.around, location.directive.opens)


def _locations(block: ServerBlock) -> Iterator[_Location]:
    for directive in block.inside:
        if directive.name == "location" and directive.opens and directive.arguments:
            found = _LOCATION.fullmatch("".join(directive.arguments))
            if found is not None:
                yield _Location(found[1] or "", found[2], directive)


def _location(block: ServerBlock, uri: str, within: int) -> _Location | None:
    """The one that nginx takes: an exact one, else the first regular expression unless ``^~`` forbids, else the longest."""
    here = [one for one in _locations(block) if one.directive.around[-1:] == (within,) and one.matches(uri)]
    exact = next((one for one in here if one.exact), None)
    if exact is not None:
        return exact
    longest = max((one for one in here if not one.regular), key=lambda one: len(one.match), default=None)
    inner = _location(block, uri, longest.directive.opens) if longest is not None else None
    if inner is not None and (inner.exact or inner.regular):
        return inner
    regular = next((one for one in here if one.regular), None)
    if regular is not None and (longest is None or longest.modifier != "^~"):
        return _location(block, uri, regular.directive.opens) or regular
    return inner or longest
