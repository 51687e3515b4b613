"""Masks the plan's passphrases and private keys in what programs printed, before people see it.

That happens last: the lab reads and compares the unmasked text.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar, cast

from msgspec import Struct
from msgspec.structs import replace

from mtls_runner.engine.compare import observed_text
from mtls_runner.errors import LabError, ServerUnusable
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.certificate import Secret
from mtls_runner.model.endpoint import ServerSpec
from mtls_runner.model.observation import HttpResponse, Observation
from mtls_runner.model.verdict import Mismatch, Verdict
from mtls_runner.snippet import MASK

__all__ = ["Discretion", "secrets"]

_T = TypeVar("_T")
_PROGRAMS_WORDS = frozenset(
    {
        "behind",
        "body",
        "client",
        "error",
        "evidence",
        "expected",
        "headers",
        "log",
        "mismatches",
        "observation",
        "observed",
        "own_words",
        "received",
        "request",
        "response",
        "server",
        "server_log",
        "steps",
        "upstream_headers",
        "upstream_request",
    }
)
"""Fields of verdicts, observations and views that hold text printed by programs, or values with such fields."""
_LONG = 8
"""Characters; a shorter passphrase may occur in ordinary text, and is masked as a whole word only."""
_BLOCK = re.compile(
    r"(-----BEGIN [A-Z ]*PRIVATE KEY-----)((?:(?!-----BEGIN ).)*?(?=-----END [A-Z ]*PRIVATE KEY)|(?:\s*+[A-Za-z0-9+/=]{16,}+)*+)",
    re.DOTALL,
)
"""A private key in PEM, up to its END line or, where that is missing, as far as it looks like base64."""
_BASE64 = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
_LINE = 16
_LONG_BASE64 = re.compile(rf"[A-Za-z0-9+/]{{{_LINE}}}")
_LARGEST = 1 << 16
"""Bytes of a file that may hold a key."""


def secrets(plan: Plan) -> frozenset[Secret]:
    """Every passphrase of a plan: of certificates, and what servers and clients are given."""
    found = {spec.passphrase for spec in plan.certificates.values()}
    seen: dict[int, ServerSpec] = {}
    for case in plan.every_case:
        for step in case.steps:
            if step.client is not None:
                found.add(step.client.passphrase)
        for server in _servers(case):
            if id(server) not in seen:
                seen[id(server)] = server
                found |= {one.passphrase for one in server.every_host}
    return frozenset(secret for secret in found if secret is not None)


def _servers(case: Case) -> Iterator[ServerSpec]:
    waiting = [case.server, *(step.server for step in case.steps if step.server is not None)]
    waiting += [other for step in case.steps if step.client for _, other in step.client.location or ()]
    while waiting:
        server = waiting.pop()
        yield server
        waiting += [other for _, other in server.behind]


class Discretion:
    """Masks secrets in values.

    Args:
        plan: the one whose passphrases are masked.
        places: directories of the run that hold keys by now.
    """

    def __init__(self, plan: Plan, places: Callable[[], Iterable[Path]]) -> None:
        self._passphrases = _pattern(secrets(plan))
        self._users = plan.files
        self._places = places
        self._looked_at: set[Path] = set()
        self._looking = threading.Lock()
        self._stale = True
        self._keys: dict[str, tuple[str, ...]] = {}

    def told(self, value: _T) -> _T:
        """A verdict, an observation, a view or a text, with its secrets masked."""
        self._stale = True  # there may be more keys by now
        return cast("_T", self._without(value))

    def error(self, error: LabError) -> None:
        """Mask secrets in an error's text, and in a server's last lines."""
        error.args = tuple(map(self.told, error.args))
        if isinstance(error, ServerUnusable):
            error.log = self.told(error.log)

    def _text(self, text: str) -> str:
        """The text masked; its number of lines stays the same."""
        shown = text
        if "PRIVATE KEY" in text:
            shown = _BLOCK.sub(lambda block: block[1] + re.sub(r"[^\n]+", MASK, block[2]), shown)
        if "PRIVATE KEY" in text or _LONG_BASE64.search(shown):
            self._look()
            shown = _BASE64.sub(self._run, shown)
        if self._passphrases is not None:
            shown = self._passphrases.sub(MASK, shown)
        return text if shown == text else shown

    def _run(self, found: re.Match[str]) -> str:
        """The mask for a run of base64 that is part of a key, or contains one; any other run as it is."""
        run = found[0]
        for body, lines in self._keys.items():
            if run in lines or (len(run) >= _LINE and run in body):
                return MASK
            for line in lines:
                if len(line) >= _LINE:
                    run = run.replace(line, MASK)
        return run

    def _look(self) -> None:
        """Read the keys that were written since the last look."""
        with self._looking:
            if not self._stale:
                return
            self._stale = False
            paths = {path for place in self._places() for path in place.iterdir()} | self._users
            found = {key for path in paths - self._looked_at for key in _keys_in(path)}
            self._looked_at |= paths
            self._keys = {**self._keys, **{"".join(key): key for key in found}}

    def _without(self, value: object) -> object:
        if type(value) is str:
            return self._text(value)
        if isinstance(value, bytes):
            text = value.decode("utf-8", "surrogateescape")
            return value if (shown := self._text(text)) == text else shown.encode("utf-8", "surrogateescape")
        if isinstance(value, tuple):
            return self._all(value)
        if isinstance(value, Struct):
            return self._fields(value)
        return value

    def _all(self, values: tuple[object, ...]) -> tuple[object, ...]:
        lines = [value for value in values if type(value) is str and "\n" not in value]
        if len(lines) == len(values) > 1:  # a key goes over several
            shown: tuple[object, ...] = tuple(self._text("\n".join(lines)).split("\n"))
        else:
            shown = tuple(map(self._without, values))
        return values if shown == values else shown

    def _fields(self, value: Struct) -> Struct:
        changed = {}
        for name in _PROGRAMS_WORDS.intersection(value.__struct_fields__):
            before = getattr(value, name)
            if (after := self._without(before)) is not before:
                changed[name] = after
        if not changed:
            return value
        shown = replace(value, **changed)
        if isinstance(value, HttpResponse) and isinstance(shown, HttpResponse):
            return replace(shown, size=value.size - len(value.body) + len(shown.body))
        if isinstance(value, Verdict) and isinstance(shown, Verdict) and value.observation and shown.observation:
            seen = (value.observation, shown.observation)
            told = zip(value.mismatches, shown.mismatches, strict=True)
            return replace(shown, mismatches=tuple(_observed(*each, *seen) for each in told))
        return shown


def _observed(before: Mismatch, after: Mismatch, seen: Observation, shown: Observation) -> Mismatch:
    """The mismatch with the masked value: the unmasked one may have been cut in the middle of a secret."""
    whole, text = observed_text(seen, before.path), observed_text(shown, before.path)
    if text == whole or not before.observed.startswith(whole):
        return after
    return replace(after, observed=text + before.observed[len(whole) :])


def _keys_in(path: Path) -> Iterator[tuple[str, ...]]:
    """The lines of base64 of each private key in a file of PEM."""
    try:
        if not path.is_file():
            return  # a pipe would be waited for
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode("ascii", "replace")
    except OSError:
        return
    for block in _BLOCK.finditer(text):
        yield tuple(line.strip() for line in block[2].splitlines() if ":" not in line and line.strip())


def _pattern(passphrases: Iterable[Secret]) -> re.Pattern[str] | None:
    """Matches any of the passphrases, as they are and as JSON or Python write them; the longest first."""
    forms = set()
    for each in passphrases:
        secret = each.reveal()
        if secret.strip():
            quoted = (json.dumps(secret), json.dumps(secret, ensure_ascii=False), repr(secret))
            forms |= {secret, *(form[1:-1] for form in quoted)}
    parts = [
        re.escape(form) if len(form) >= _LONG else rf"(?<![\w-]){re.escape(form)}(?![\w-])"
        for form in sorted(forms, key=len, reverse=True)
    ]
    return re.compile("|".join(parts)) if parts else None
