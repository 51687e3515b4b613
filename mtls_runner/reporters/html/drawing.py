"""Where the lines of a ladder diagram go. Equal ladders are drawn once in a page and used many times."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from mtls_runner.reporters.html.ladder import LadderStep, LadderStepKind, Toward

__all__ = ["Drawing", "Drawings", "Line"]

_CLIENT, _SERVER = 12, 348
_TOP, _HEIGHT, _PAUSE = 16, 25, 5
"""User units: where the first label stands, a step's height, and the more where the direction turns."""


class Line(Struct, frozen=True):
    """One step with its place.

    Args:
        css: class names.
        label: the text over the arrow.
        y: of the text's baseline; the arrow is 7 below.
        path: the arrow.
        from_x: where a refusal has its mark; ``None``: it has none.
    """

    css: str
    label: str
    y: int
    path: str
    from_x: int | None


class Drawing(Struct, frozen=True):
    """A ladder. ``name`` is its id in the page."""

    name: str
    height: int
    lines: tuple[Line, ...]
    spoken: str


class Drawings:
    """All ladders of a page, each once."""

    def __init__(self) -> None:
        self._drawings: dict[tuple[LadderStep, ...], Drawing] = {}

    def of(self, steps: tuple[LadderStep, ...]) -> Drawing:
        """The drawing of these steps."""
        drawing = self._drawings.get(steps)
        if drawing is None:
            drawing = self._drawings[steps] = _draw(f"l{len(self._drawings) + 1}", steps)
        return drawing

    def all(self) -> tuple[Drawing, ...]:
        """In the order that they were first asked for."""
        return tuple(self._drawings.values())


def _draw(name: str, steps: Sequence[LadderStep]) -> Drawing:
    lines = []
    y = _TOP
    before: Toward | None = None
    for step in steps:
        if before is not None and step.toward is not before:
            y += _PAUSE
        before = step.toward
        refusal = step.kind in (LadderStepKind.ALERT, LadderStepKind.END)
        origin = {Toward.SERVER: _CLIENT, Toward.CLIENT: _SERVER, Toward.NOBODY: None}[step.toward]
        css = f"{step.kind} alone" if step.server_only else str(step.kind)
        lines.append(Line(css, _label(step), y, _arrow(step.toward, y + 7), origin if refusal else None))
        y += _HEIGHT
    return Drawing(name, y - _HEIGHT + 16 if lines else 0, tuple(lines), _spoken(steps))


def _arrow(toward: Toward, y: int) -> str:
    if toward is Toward.SERVER:
        return f"M{_CLIENT} {y}H{_SERVER - 1}m-7-4 7 4-7 4"
    if toward is Toward.CLIENT:
        return f"M{_SERVER} {y}H{_CLIENT + 1}m7-4-7 4 7 4"
    return f"M{_CLIENT} {y}H{_SERVER}"


def _label(step: LadderStep) -> str:
    text = f"alert {step.label}" if step.kind in (LadderStepKind.ALERT, LadderStepKind.NOTICE) else step.label
    text = f"⊘ {text}" if step.kind in (LadderStepKind.ALERT, LadderStepKind.END) else text
    return f"{text} (unseen by the client)" if step.server_only else text


def _spoken(steps: Sequence[LadderStep]) -> str:
    """What the diagram says, in a sentence; its messages by name are in the transcript."""
    text = f"Ladder diagram of {len(steps)} steps"
    for step in steps:
        if step.kind is LadderStepKind.ALERT:
            return f"{text}; the {_sender(step)} refuses with alert {step.label}"
        if step.kind is LadderStepKind.END:
            return f"{text}; it ends with {step.label}"
    return text


def _sender(step: LadderStep) -> str:
    return "client" if step.toward is Toward.SERVER else "server"
