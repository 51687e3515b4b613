"""What a shell offers: names of backends, clients, declarations, reporters and tags, files, and ids of cases."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mtls_runner.errors import MtlsRunError
from mtls_runner.registry import registry, reporters

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from mtls_runner.model.case import Plan

__all__ = ["backends", "cases", "clients", "implementations", "paths", "reports", "scenario_files", "tags"]


def backends(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of backends, for ``--backend``."""
    return _offered(registry().backends, incomplete)


def clients(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of clients, for ``--tool``."""
    return _offered(registry().clients, incomplete)


def implementations(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of declarations, for ``implementation show`` and ``check``."""
    from mtls_runner.cli.implementation import declarations

    return _offered(sorted(declarations()), incomplete)


def reports(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of reporters, for ``--report``."""
    return _offered((f"{name}=" for name in reporters()), incomplete)


def tags(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Tags of the files that were typed, for ``--tag``."""
    # the option itself is not complete yet, so that click has not looked at what stands before it
    typed = ctx.params.get("paths") or os.environ.get("COMP_WORDS", "").split()
    plans = [_plan(path) for path in typed if path.endswith((".yaml", ".yml"))]
    return _offered(sorted({tag for plan in plans if plan for case in plan.cases for tag in case.tags}), incomplete)


def cases(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of a file's cases, where one is typed behind the file."""
    plan = _plan(str(ctx.params.get("file") or ""))
    return _offered(map(_typed, _names(plan)), incomplete)


def paths(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For files, and for ``FILE::CASE``. A bash has parted that into three words, since it parts at colons."""
    from click.shell_completion import CompletionItem

    path, colons, name = incomplete.partition("::")
    if path and colons:
        return _offered((f"{path}::{_typed(one)}" for one in _names(_plan(path))), incomplete)
    typed = [*_words(ctx.params.get("paths")), *_words(ctx.params.get("file"))]
    if incomplete == "::" and typed:
        return _offered((f"::{_typed(one)}" for one in _names(_plan(typed[-1]))), incomplete)
    if typed[-1:] == ["::"] and len(typed) > 1:
        return _offered((_typed(one) for one in _names(_plan(typed[-2]))), name or incomplete)
    return [CompletionItem(incomplete, type="file")]


def scenario_files(incomplete: str) -> list[CompletionItem]:
    """Beside commands: a shell that is given words to choose from does not look for files itself (bash's ``compgen``)."""
    found = sorted(Path().glob("[!.]*"))
    here = [f"{path.name}/" if path.is_dir() else path.name for path in found]
    return _offered((_typed(name) for name in here if name.endswith(("/", ".yaml", ".yml"))), incomplete)


def _words(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [str(one) for one in value] if isinstance(value, tuple | list) else []


def _plan(path: str) -> Plan | None:
    """A file that can't be read, or is invalid, offers nothing: its mistakes are for another time."""
    from mtls_runner.language import load

    try:
        return load(Path(path)) if path and path != "-" and Path(path).is_file() else None
    except MtlsRunError:
        return None


def _names(plan: Plan | None) -> list[str]:
    """Each case as a whole; its variants can be added by hand."""
    return list(dict.fromkeys(case.written for case in plan.cases)) if plan is not None else []


def _typed(name: str) -> str:
    """As bash wants it, which puts it into the line as it is; other shells quote themselves."""
    if os.environ.get("_MTLS_RUN_COMPLETE", "").startswith("bash"):
        return re.sub(r"([^\w./=-])", r"\\\1", name)
    return name


def _offered(choices: Iterable[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    plain = incomplete.replace("\\", "")
    return [CompletionItem(one) for one in choices if one.replace("\\", "").startswith(plain)]
