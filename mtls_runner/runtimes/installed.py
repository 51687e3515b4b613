"""What a declaration needs of this machine: the program itself, or what it is built with; its version; its build."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from mtls_runner.deadlines import Deadline
from mtls_runner.errors import LabError
from mtls_runner.model.implementation import Command, Implementation, Needs
from mtls_runner.private_files import builds_directory
from mtls_runner.runtimes.process import find_program, finish
from mtls_runner.runtimes.template import render

__all__ = ["Installed", "clock", "missing_program"]

_ASK_SECONDS = 20.0
_BUILD_SECONDS = 300.0


def missing_program(implementation: Implementation) -> str | None:
    """What has to be installed, as the reason of a skip; ``None``: nothing."""
    build = implementation.build
    for needs in (implementation.needs, build.needs if build is not None else None):
        if needs is not None and _program_of(needs) is None:
            return needs.sentence(implementation.title)
    server, client = implementation.server, implementation.client
    if (server is not None and server.listens_everywhere) or (client is not None and client.told_port):
        from mtls_runner.runtimes.preload import cannot_preload

        why = cannot_preload()
        return (
            f"{implementation.title} can't be told where to listen or to connect from, and the lab sees to it: {why}"
            if why
            else None
        )
    return None


def _program_of(needs: Needs) -> str | None:
    """The absolute path of what is needed: the first of its commands, or this Python where that has the module."""
    if needs.module is not None:
        return sys.executable if importlib.util.find_spec(needs.module) is not None else None
    return next((path for name in needs.commands if (path := find_program(name)) is not None), None)


class Installed:
    """One implementation on this machine; what is found out is kept.

    Args:
        implementation: the declaration. What is built from its sources is kept in the user's cache directory.
    """

    def __init__(self, implementation: Implementation) -> None:
        self._implementation = implementation
        self._lock = threading.Lock()
        self._versions: dict[str, str] | None = None
        self._built: Path | None = None

    @cached_property
    def _cache(self) -> Path:
        return builds_directory()

    def versions(self) -> Mapping[str, str]:
        """The program's and its TLS library's, as far as it tells."""
        with self._lock:
            if self._versions is None:
                self._versions = self._asked()
            return self._versions

    def _asked(self) -> dict[str, str]:
        version = self._implementation.version
        if version is None or missing_program(self._implementation) is not None:
            return {}
        try:
            command = self.command(version.command, {}, str(self._cache))
            told = finish(command, self._cache, Deadline.after(_ASK_SECONDS)).text()
        except LabError:
            return {}  # a version that can't be told breaks nothing
        return self.read_versions(told)

    def read_versions(self, told: str) -> dict[str, str]:
        """Versions, from what the program printed when it was asked for them."""
        version, name = self._implementation.version, self._implementation.name
        if version is None:
            return {}
        found = {name: re.search(version.match, told, re.MULTILINE)}
        if version.library is not None:
            found[self._implementation.library_name] = re.search(version.library, told, re.MULTILINE)
        return {key: match[1] for key, match in found.items() if match is not None}

    def directory(self) -> str:
        """``{{cache}}``: where its build lies; made when it has one, and not there yet.

        Raises:
            LabError: it can't be built.
        """
        with_build = self._implementation.build is not None
        if not with_build:
            return str(self._cache)
        if self._built is None:
            self._built = self._build()
        return str(self._built)

    def _build(self) -> Path:
        build = self._implementation.build
        compiler = _program_of(build.needs) if build is not None else None
        if build is None or compiler is None:
            raise LabError(missing_program(self._implementation) or f"{self._implementation.title} has no build")
        texts = sorted(self._implementation.sources.items())
        facts = repr((texts, build.command, compiler, os.stat(compiler).st_mtime_ns))  # noqa: PTH116
        directory = self._cache / f"{self._implementation.name}-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (directory / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # runs at the same time build it once
            if not (directory / build.output).exists():
                self._make(directory)
        return directory

    def _make(self, directory: Path) -> None:
        build = self._implementation.build
        if build is None:
            return
        sources = directory / "sources"
        for name, text in self._implementation.sources.items():
            path = sources / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        variables: dict[str, object] = {"cache": str(directory)}
        environment = {name: render(text, "argument", variables, name) for name, text in build.environment}
        command = self.command(build.command, variables, str(directory))
        environment["TMPDIR"] = str(directory)  # not where the sources are: Go ignores modules there
        done = finish(command, sources, Deadline.after(_BUILD_SECONDS), environment=environment)
        if done.exit_code != 0 or not (directory / build.output).exists():
            raise LabError(f"{self._implementation.title} can't be built (exit code {done.exit_code}):\n{done.text()}")
        shutil.rmtree(sources, ignore_errors=True)

    def command(self, command: Command, variables: Mapping[str, object], cache: str) -> list[str]:
        """Arguments with their expressions in place, without those that come out empty; the program by its absolute path.

        Raises:
            LabError: there is no such program, or a template is wrong.
            Inexpressible: a value can't be an argument.
        """
        name = self._implementation.name
        known = {**variables, **self.names(), "cache": cache}
        arguments = [render(one, "argument", known, f"{name}'s command") for one in command]
        return [self._program(arguments[0]), *(argument for argument in arguments[1:] if argument)]

    def names(self) -> dict[str, object]:
        """What templates of a process may name, too: the program that is needed, the declaration's directory, this Python."""
        needs = self._implementation.needs
        directory = str(self._implementation.path.resolve().parent)
        return {
            "program": (_program_of(needs) if needs is not None else None) or "",
            "declaration": directory,
            "python": sys.executable,
        }

    def _program(self, name: str) -> str:
        if "/" not in name:
            found = find_program(name)
            if found is None:
                raise LabError(f"there is no program {name!r}")
            return found
        path = self._implementation.path.resolve().parent / name
        if not path.is_file():
            raise LabError(f"there is no program {name!r}")
        if not os.access(path, os.X_OK):
            raise LabError(
                f"{name!r} is not executable: chmod +x, or its interpreter before {{{{declaration}}}}/{path.name}"
            )
        return str(path)


def clock(implementation: Implementation, faketime: bool | str, container: bool) -> str | None:
    """Why the clock of a declared program can't be moved, as a clause; ``None``: it can."""
    if isinstance(faketime, str):
        return faketime
    program = _program_of(implementation.needs) if faketime and implementation.needs is not None else None
    if not faketime or (program is None and not container):
        return f"libfaketime is not known to move {implementation.title}'s clock"
    from mtls_runner.runtimes.clock import stands

    return stands(None if container else program)
