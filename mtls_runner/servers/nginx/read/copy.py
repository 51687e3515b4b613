"""The author's own configuration (``config:``) and the files that it needs, as they go into the container."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import unified_diff
from pathlib import Path

from mtls_runner.model.port import Material
from mtls_runner.model.server import ServerSpec
from mtls_runner.servers.container.files import ContainerFile
from mtls_runner.servers.mapped_files import mapped_files, text_of_own
from mtls_runner.servers.nginx.read.files import ROOT, beside, is_whole_text
from mtls_runner.servers.nginx.read.instrument import instrument
from mtls_runner.servers.nginx.read.statements import Statement, Unreadable, statements
from mtls_runner.servers.nginx.write.access_log import FORMAT_DEFINITION

__all__ = ["UserConfiguration", "read_user_configuration"]

_OWN_FILE = str(ROOT / "conf.d" / "00-mtls-run.conf")
"""What the lab adds at ``http`` level; its name sorts before the author's, so that what it defines is there for them."""


@dataclass(slots=True)
class UserConfiguration:
    """What goes into the container.

    Args:
        files: configuration files, the lab's copies, and what ``files:`` maps.
        names: path in the container → the author's file.
        difference: what the copies change, as a unified diff.
        listens: arguments of every ``listen``, for messages.
        texts: the author's configuration files, unchanged.
    """

    files: list[ContainerFile] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)
    difference: str = ""
    listens: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


def read_user_configuration(server: ServerSpec, material: Material, http: str = "") -> UserConfiguration:
    """Read the configuration and everything beside it, and make the lab's copies.

    Args:
        server: its options say where the configuration is; its ``files`` what else goes in.
        material: the plan's.
        http: more configuration for the ``http`` level, on one line.

    Raises:
        MaterialError: a file can't be read.
    """
    main = Path(server.option("config"))
    http = " ".join(part for part in (FORMAT_DEFINITION, http) if part)
    own = {path: Path(what.removeprefix("file:")) for path, what in server.files if what.startswith("file:")}
    result = UserConfiguration()
    text = text_of_own(main)
    whole = is_whole_text(text)
    path = ROOT / ("nginx.conf" if whole else f"conf.d/{main.stem}.conf")
    pending = [(str(path), main, () if whole else ("http",))]
    done: set[str] = set()
    while pending:
        inside_path, file, inside = pending.pop(0)
        if inside_path in done:
            continue
        done.add(inside_path)
        text = text_of_own(file)
        copy, found = _copied(text, inside, http)
        result.texts.append(text)
        result.files.append(ContainerFile(inside_path, copy.encode("utf-8", "surrogateescape")))
        result.names.append((inside_path, str(file)))
        result.difference += _difference(text, copy, str(file), inside_path)
        for statement in found:
            if statement.name == "listen":
                result.listens.append(" ".join(statement.arguments))
            elif statement.name == "include" and statement.arguments:
                around = (*inside, *statement.path)
                pending += [(at, local, around) for at, local in _included(statement.arguments[0], main, whole, own)]
    if not whole:
        result.files.append(ContainerFile(_OWN_FILE, f"{http}\n".encode()))
    result.files += (file for file in mapped_files(server, material) if file.path not in done)
    return result


def _copied(text: str, inside: tuple[str, ...], http: str) -> tuple[str, list[Statement]]:
    """The copy and its statements; what can't be read goes in as it is, and nginx says what is wrong with it."""
    try:
        return instrument(text, inside, http), statements(text)
    except Unreadable:
        return text, []


def _included(pattern: str, main: Path, whole: bool, own: dict[str, Path]) -> Iterator[tuple[str, Path]]:
    """Files of the author's that an ``include`` reaches: by ``files:``, or beside the main one. Others are the image's."""
    target = ROOT / pattern  # an absolute pattern replaces the root, as nginx has it
    for at, local in own.items():
        if fnmatch.fnmatchcase(at, str(target)):
            yield at, local
    for place in beside(target, whole):
        for local in sorted(main.parent.glob(str(place))):
            if local.is_file() and local != main:
                yield str(target.parent / local.name), local


def _difference(before: str, after: str, file: str, path: str) -> str:
    lines = unified_diff(before.splitlines(), after.splitlines(), file, f"container:{path}", lineterm="", n=1)
    text = "\n".join(lines)
    return f"{text}\n" if text else ""
