"""For each case, the commands that do by hand what its client does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.engine.lab import Lab
from mtls_runner.errors import LabError, MaterialError
from mtls_runner.explain.expected import expected
from mtls_runner.model.case import Action, Case, Plan
from mtls_runner.model.chain import completed
from mtls_runner.model.endpoint import Address, ClientSpec, ServerSpec
from mtls_runner.model.port import TypedCommand
from mtls_runner.model.traits import ClientTraits, Runtime
from mtls_runner.registry import registry

__all__ = ["TypedCase", "entries"]


class TypedCase(Struct, frozen=True):
    """One case, or several that differ in nothing that a command shows.

    Args:
        title: their names.
        server: which one they are about.
        expected: in words.
        commands: to be typed into a POSIX shell, one line each; no secret is in them.
        reasons: why there is no such command, for people.
    """

    title: str
    server: ServerSpec
    expected: str
    commands: tuple[str, ...]
    reasons: tuple[str, ...]


def entries(
    plan: Plan, lab: Lab, running: Mapping[ServerSpec, Address], *, relative: bool = False
) -> Iterator[TypedCase]:
    """Of all cases with a client, in the file's order; ``relative``: files below the working directory by their relative names.

    Raises:
        LabError: the lab is broken.
    """
    known = sorted(registry().clients.usable(), key=lambda traits: Runtime.PROCESS not in traits.runtimes)
    writers = [(traits, traits.typed()) for traits in known if traits.typed is not None]
    found: dict[tuple[ServerSpec, str, tuple[str, ...], tuple[str, ...]], list[tuple[str, str]]] = {}
    for case in plan.cases:
        for name, one in _exchanges(case):
            if one.client is None:
                continue
            server = running.get(case.server)
            commands: tuple[str, ...] = ()
            reasons: tuple[str, ...] = (lab.servers.cannot(case.server, case.client) or "its server does not start",)
            if server is not None:
                commands, reasons = _commands(one, one.client, plan, lab, server, writers)
            found.setdefault((case.server, expected(one).sentence, commands, reasons), []).append((name, case.written))
    for (spec, sentence, commands, reasons), names in found.items():
        if relative:
            commands = tuple(_relative(command, lab) for command in commands)
        yield TypedCase(_together(names), spec, sentence, commands, reasons)


def _exchanges(case: Case) -> Iterator[tuple[str, Case]]:
    """The case, or each of its steps that connects, as a case of its own."""
    for number, step in enumerate(case.steps):
        if step.action is Action.CONNECT:
            title = case.name if case.plain else f"{case.name}, step {number + 1}: {step.name}"
            yield title, replace(case.alone(number), server=case.server)


def _commands(
    case: Case,
    client: ClientSpec,
    plan: Plan,
    lab: Lab,
    server: Address,
    writers: Sequence[tuple[ClientTraits, TypedCommand]],
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    commands: dict[str, None] = {}
    reasons: dict[str, None] = {}
    for traits, writer in writers:
        reason = completed(case.server, replace(client, tool=traits), plan.certificates)
        try:
            reason = reason or _cannot(writer, client)
            if reason is None:
                commands[writer.command(client, server, lab.material)] = None
            else:
                reasons[reason] = None
        except MaterialError as error:
            reasons[str(error)] = None
    return tuple(commands), tuple(reasons)


def _relative(command: str, lab: Lab) -> str:
    place = lab.material.directory.absolute()
    return (
        command.replace(f"{place}/", f"{place.relative_to(Path.cwd())}/")
        if place.is_relative_to(Path.cwd())
        else command
    )


def _cannot(writer: TypedCommand, client: ClientSpec) -> str | None:
    try:
        return writer.cannot(client)
    except LabError as error:  # there is none here; the command may still be typed where there is one
        return str(error)


def _together(titles: Sequence[tuple[str, str]]) -> str:
    """``name [a] [b]`` for titles that differ in a matrix's parameters only.

    Args:
        titles: each with the case's name as it is written.
    """
    _, first = titles[0]
    if len(titles) > 1 and all(written == first for _, written in titles):
        return " ".join([first, *(title.removeprefix(first) for title, _ in titles)])
    return ", ".join(title for title, _ in titles)
