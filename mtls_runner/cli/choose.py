"""From what was typed to scenario files, and to the cases that run."""

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.errors import Diagnostic, ScenarioError, Severity, UsageError, did_you_mean
from mtls_runner.language import Overrides, load
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.traits import Runtime

if TYPE_CHECKING:
    from mtls_runner.language.document import Value

__all__ = [
    "SETTINGS_FILES",
    "Choice",
    "NothingChosen",
    "Target",
    "chosen",
    "discover",
    "named",
    "overrides",
    "targets",
    "unknown_case",
]


class Choice(Struct, frozen=True):
    """What to run, as typed: the options of these names, which several commands have."""

    paths: Sequence[str]
    expression: str | None = None
    tags: Sequence[str] = ()
    backend: str | None = None
    tool: str | None = None
    image: str | None = None
    runtime: str | None = None
    strict: bool = False
    allow_commands: bool = False
    last_failed: bool = False


class NothingChosen(UsageError):
    """No case is what was asked for; the message says what there is."""


def targets(choice: Choice, *, settings: bool = False) -> list[Target]:
    """The scenario files; with ``settings``, every lab.yaml that was typed, too. Where nothing was, what is here and below.

    Raises:
        UsageError: a path is wrong.
    """
    if not choice.paths:
        return discover((os.curdir,), most=_MOST_DIRECTORIES)
    return discover(choice.paths, settings=settings)


def chosen(choice: Choice) -> list[Plan]:
    """The plans, with only the cases that were asked for; files without one are left out.

    Raises:
        UsageError: a path, an expression or a name is wrong.
        NothingChosen: no case is left.
        ScenarioError: any file is invalid (all mistakes of all files), or ``strict`` and there are warnings.
    """
    wanted = _expression(choice.expression) if choice.expression is not None else None
    failed = _failed_last() if choice.last_failed else None
    files = targets(choice)
    with _no_collection():
        plans = _loaded(files, overrides(choice), choice.strict)
    selected: list[Plan] = []
    for target, plan in zip(files, plans, strict=True):
        for name in target.names:
            if not any(named(case, (name,)) for case in plan.cases):
                raise unknown_case(plan, name)
        cases = tuple(
            case
            for case in plan.cases
            if named(case, target.names)
            and (wanted is None or wanted(case.id))
            and (not choice.tags or not set(choice.tags).isdisjoint(case.tags))
            and (failed is None or failed(plan, case))
        )
        if cases:
            selected.append(plan if len(cases) == len(plan.cases) else _only(plan, cases))
    if not selected:
        raise _nothing(choice, plans, failed is not None)
    return selected


def _expression(text: str) -> Callable[[str], bool]:
    from mtls_runner.cli.select import compile_expression

    return compile_expression(text)


def named(case: Case, wanted: Sequence[str]) -> bool:
    """Whether a case is one of those named after a path: by its whole name, or by its name without matrix parameters."""
    return not wanted or any(want in (case.name, case.written) for want in wanted)


def unknown_case(plan: Plan, name: str) -> UsageError:
    """No case is called so: what is meant, or what there is."""
    names = list(dict.fromkeys(case.written for case in plan.cases))
    plain = name.partition("[")[0]
    there = (did_you_mean(plain, names) if plain not in names else "") or _there_are(names)
    return UsageError(f"no case of {plan.path} is called {name!r}{there}")


def _nothing(choice: Choice, plans: Sequence[Plan], failed: bool) -> NothingChosen:
    cases = [case for plan in plans for case in plan.cases]
    tags = sorted({tag for case in cases for tag in case.tags})
    unknown = [tag for tag in choice.tags if tag not in tags]
    if not cases:
        return NothingChosen("no case: the scenario has none")
    if unknown and len(unknown) == len(choice.tags):
        there = did_you_mean(unknown[0], tags) or (_there_are(tags) if tags else "; no file has any")
        return NothingChosen(f"no case matches: no file has the tag {unknown[0]!r}{there}")
    what = " and ".join(
        said
        for said, given in (
            (f"-k {choice.expression!r}", choice.expression is not None),
            ("--tag " + " or ".join(choice.tags), bool(choice.tags)),
            ("--last-failed", failed),
        )
        if given
    )
    names = list(dict.fromkeys(case.written for case in cases))
    return NothingChosen(f"no case matches {what}{_there_are(names)}; --list shows whole ids")


def _there_are(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"; there are: {', '.join(map(repr, names[:_LISTED]))}{more}"


def _failed_last() -> Callable[[Plan, Case], bool] | None:
    from mtls_runner.cli.last_failed import chooser

    found = chooser()
    if found is None:
        sys.stderr.write("mtls-run: no case is known to have failed here: all are run\n")
    return found


def _only(plan: Plan, cases: tuple[Case, ...]) -> Plan:
    chosen = {case.id for case in cases}
    return replace(plan, cases=cases, not_run=tuple(case for case in plan.cases if case.id not in chosen))


def overrides(choice: Choice) -> Overrides:
    """What was typed that counts for every case."""
    runtime = Runtime(choice.runtime) if choice.runtime is not None else None
    return Overrides(choice.backend, choice.tool, choice.image, runtime, choice.allow_commands)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Loading makes many objects that live to the end: looking for garbage among them takes a tenth of the start."""
    wanted = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if wanted:
            gc.enable()


def _loaded(files: Sequence[Target], given: Overrides, strict: bool) -> list[Plan]:
    plans: list[Plan] = []
    wrong: list[Diagnostic] = []
    warnings: list[Diagnostic] = []
    for target in files:
        try:
            plan = load(target.path, given)
        except ScenarioError as error:
            wrong.extend(error.diagnostics)
        else:
            plans.append(plan)
            warnings.extend(plan.warnings)
    if strict:
        wrong.extend(replace(warning, severity=Severity.ERROR) for warning in warnings)
    if wrong:
        raise ScenarioError(wrong)
    return plans


SETTINGS_FILES = frozenset({"lab.yaml", "lab.yml", "implementation.yaml"})
"""What lies among scenarios and is none."""
_SUFFIXES = frozenset({".yaml", ".yml"})


_MOST_DIRECTORIES = 2000
"""That are looked into where nobody said where to look: more have other things than a project of somebody's."""
_LISTED = 20
"""Names that a message lists."""
STANDARD_INPUT = "-"


class Target(Struct, frozen=True):
    """A scenario file, and the names of the cases that were asked for by id (none: all)."""

    path: Path
    names: tuple[str, ...] = ()


def discover(typed: Sequence[str], *, settings: bool = False, most: int | None = None) -> list[Target]:
    """The scenario files that were meant, each once, in the order typed; a directory's in the order of their names.

    Args:
        typed: files, directories, or case ids (``path::case name``); ``-`` is standard input.
        settings: a lab.yaml that is typed counts; otherwise it is left out among others, as a shell's ``*.yaml`` gives it.
        most: directories that are looked into; ``None``: all that there are.

    Raises:
        UsageError: a path that does not exist, a directory without scenarios or with too many others, nothing but a lab.yaml.
    """
    typed = typed if settings else _without_settings(typed)
    found: dict[str, tuple[Path, list[str] | None]] = {}
    for argument in typed:
        text, separator, name = argument.partition("::")
        for path in _files(text, most):
            key = os.path.realpath(path)
            known, names = found.get(key, (path, []))
            # Asked for as a whole once, it is run as a whole.
            found[key] = (known, [*names, name] if separator and names is not None else None)
    return [Target(path, tuple(names or ())) for path, names in found.values()]


def _without_settings(typed: Sequence[str]) -> Sequence[str]:
    left = [one for one in typed if Path(one.partition("::")[0]).name not in SETTINGS_FILES]
    if typed and not left:
        raise UsageError(
            f"{typed[0]} holds settings and no cases; mtls-run config FILE shows what it sets for a scenario"
        )
    return left


def _files(text: str, most: int | None) -> list[Path]:
    if text == STANDARD_INPUT:
        return [Path(STANDARD_INPUT)]
    path = Path(text)
    if path.name == STANDARD_INPUT:  # ./- is a file
        path = path.absolute()
    if path.is_dir():
        files = sorted(_below(path, most))
        if not files:
            raise UsageError(f"no scenarios in {text}: no *.yaml or *.yml but lab.yaml")
        others = {named for file in files for named in _named_by(file)}
        return [file for file in files if os.path.realpath(file) not in others]
    if path.exists():
        return [path]
    if path.is_symlink():
        raise UsageError(f"{text} is a link that leads nowhere: {path.readlink()}")
    raise UsageError(f"no such file or directory: {text}{_meant(path, text)}")


def _below(directory: Path, most: int | None) -> Iterator[Path]:
    for number, (folder, folders, names) in enumerate(os.walk(directory)):
        if number == most:
            raise UsageError(
                f"{directory.absolute()} holds more than {most} directories: name the scenarios, or where they are"
            )
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder, name)
            waits = path.exists() and not path.is_file()  # a FIFO has nobody who writes into it now
            if path.suffix in _SUFFIXES and name not in SETTINGS_FILES and not name.startswith(".") and not waits:
                yield path


_OWN_FILE = re.compile(r"(?:config|file)['\"]?\s*:[^:]*\.ya?ml")


def _named_by(scenario: Path) -> Iterator[str]:
    """The real paths of YAML files that a scenario gives to its servers, by ``config:`` or in ``files:``: an Envoy's
    configuration, say. What has neither cases nor servers is no scenario; what can't be read is told later."""
    from mtls_runner.language.document import read

    try:
        # Few have any: the others are not read as YAML for that.
        if _OWN_FILE.search(scenario.read_text("utf-8", "replace")) is None:
            return
        value = read(scenario).value
    except (OSError, ScenarioError):
        return
    if isinstance(value, dict) and not value.keys().isdisjoint(("cases", "server", "servers")):
        for name in _own_files(value):
            yield os.path.realpath(scenario.parent / name)


def _own_files(value: Value) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _own_files(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key.rpartition(".")[2] in ("config", "file"):  # of a matrix: server.config
                yield from (name for name in (item if isinstance(item, list) else [item]) if isinstance(name, str))
            else:
                yield from _own_files(item)


def _meant(path: Path, text: str) -> str:
    """``"; did you mean …?"``, from the commands and from what lies where the path leads as far as it exists."""
    from mtls_runner.cli.commands import COMMANDS

    if text == "help":
        return "; did you mean --help?"
    candidates = [] if os.sep in text or path.suffix else list(COMMANDS)
    parent = path.parent
    if parent.is_dir():
        candidates += [str(parent / entry.name) for entry in parent.iterdir() if not entry.name.startswith(".")]
    return did_you_mean(text, candidates)
