"""What a server's own log says of an attempt, whichever server wrote it: nginx's lines, and those of every dialect."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mtls_runner.deadlines import Deadline, pause
from mtls_runner.errors import LabError, UsageError
from mtls_runner.model.implementation import Pattern
from mtls_runner.model.observation import ClientView, Direction, Reason, ServerView
from mtls_runner.registry import DECLARATION, DECLARED
from mtls_runner.tls.dialects import Told, told
from mtls_runner.tls.rules import HELD, OPENSSL, alert_reasons

__all__ = ["LogFile"]

_PAUSE = 0.05
_PATIENCE = 2.0
"""Seconds that a server may take to write its line."""
_LARGEST = 4 * 1024 * 1024
"""Bytes of a log that are read, its end."""
_SHOWN = 3
#: What HAProxy writes where its log-format has no ssl_c_err: conn_err_code_str in src/connection.c, and the fields of
#: ``option httpslog`` (its configuration manual, 8.2.4).
_HAPROXY = (
    Pattern(r"SSL client (?:certificate not trusted|CA chain cannot be verified)", tuple(sorted(HELD))),
    Pattern(r" \d+/[0-9A-F]{16}/\d+/(?P<code>[1-9]\d*)/[01] "),
    Pattern(r" \d+/[0-9A-F]{16}/(?P<code>[1-9]\d*)/\d+/[01] "),
)
_REFUSED = 300
"""Statuses from here on may be refusals."""


class LogFile:
    """A log that a server writes to, or standard input.

    Args:
        path: ``None``: standard input.

    Raises:
        UsageError: it can't be read.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._before = 0
        #: What was last written before this connection, where nothing was written of it.
        self.earlier: ServerView | None = None
        if path is None:
            return
        try:
            with path.open("rb") as file:
                self._before = file.seek(0, os.SEEK_END)
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None

    def lines(self, client: ClientView) -> ServerView | None:
        """What it says of the connection that ``client`` made; ``None``: nothing that the lab understands.

        A file tells of it by what is added to it from now on. What is piped is taken for what belongs to it, unless the client
        was let in.

        Raises:
            LabError: it can't be read any more.
        """
        deadline = Deadline.after(_PATIENCE)
        if self._path is None:
            answered = client.response is not None and client.response.status < _REFUSED
            return _view([] if answered else _piped(deadline), client, "standard input")
        while True:
            text = self._read(self._before)
            seen = _view(text.splitlines(), client, self._path.name)
            if seen is not None or deadline.passed:
                break
            pause(_PAUSE)  # the server writes when it likes
        if seen is None:
            self.earlier = _view(self._read(0).splitlines(), client, self._path.name, last=True)
        return seen

    def _read(self, start: int) -> str:
        try:
            with (self._path or Path()).open("rb") as file:
                end = file.seek(0, os.SEEK_END)
                start = start if end >= start else 0  # it was rotated
                file.seek(max(start, end - _LARGEST))
                return file.read(_LARGEST).decode("utf-8", "replace")
        except OSError as error:
            raise LabError(f"{self._path}: {error.strerror}") from None


def _piped(deadline: Deadline) -> list[str]:
    """What comes on standard input until it ends, or nothing more comes."""
    data = b""
    handle = sys.stdin.fileno()
    while not deadline.passed and len(data) < _LARGEST:
        ready, _, _ = select.select([handle], [], [], deadline.remaining())
        more = os.read(handle, 65536) if ready else b""
        if not more:
            break
        data += more
    return data.decode("utf-8", "replace").splitlines()


def _view(lines: Sequence[str], client: ClientView, source: str, *, last: bool = False) -> ServerView | None:
    """``None``: they say nothing that the lab understands."""
    mine = [line for line in lines if client.local_port is not None and f":{client.local_port}" in line]
    found = _nginx(lines, client, source, last=last)
    return found or _dialect(mine or lines, client, source, last=last)


def _nginx(lines: Sequence[str], client: ClientView, source: str, *, last: bool) -> ServerView | None:
    from mtls_runner.servers.nginx.log.lines import LogLine, parse_line, server_view

    connections: dict[int, list[LogLine]] = {}
    for line in map(parse_line, lines):
        if line.connection is not None:
            connections.setdefault(line.connection, []).append(line)
    views = [server_view(of_one, client) for of_one in connections.values()]
    telling = [
        view
        for view in views
        if view.verify_code or view.error_symbol or view.refused_status or view.ocsp or view.reasons
    ]
    if not telling:
        return None
    view = telling[-1] if last else telling[0]
    return ServerView(
        source=f"nginx log, {source}",
        error=view.error,
        error_symbol=view.error_symbol,
        verify_code=view.verify_code,
        client_verify=view.client_verify
        or ("NONE" if view.refused_status and not view.verify_code and not view.ocsp else None),
        refused_status=view.refused_status,
        ocsp=view.ocsp,
        reasons=view.reasons,
        log=view.log,
    )


def _dialect(lines: Sequence[str], client: ClientView, source: str, *, last: bool) -> ServerView | None:
    for name, patterns in _dialects().items():
        for line in reversed(lines) if last else lines:
            said = told(patterns, [line])
            if said is None or (said.alert is None and not said.reasons and not said.verify_code and not said.symbol):
                continue
            return ServerView(
                source=f"{name} log, {source}",
                error=line.strip(),
                error_symbol=said.symbol,
                verify_code=said.verify_code,
                client_verify=f"FAILED:{said.verify_code}" if said.verify_code else None,
                alerts=(said.alert,) if said.alert is not None else (),
                reasons=_narrowed(said, client),
                log=tuple(lines[:_SHOWN]) if line in lines[:_SHOWN] else (line,),
            )
    return None


def _narrowed(said: Told, client: ClientView) -> frozenset[Reason]:
    """What a line allows; of HAProxy's one for everything, what its alert allows, too."""
    reasons = frozenset(said.reasons)
    if said.pattern not in _HAPROXY:
        return reasons
    received = [alert.name for alert in client.alerts if alert.fatal and alert.direction is Direction.RECEIVED]
    return reasons.intersection(*(alert_reasons(name, OPENSSL) for name in received[:1])) or reasons


def _dialects() -> Mapping[str, tuple[Pattern, ...]]:
    """Name → patterns: first what each program words by itself, then the dialects of TLS libraries."""
    from mtls_runner.language.implementations.reading import shipped

    found: dict[str, tuple[Pattern, ...]] = {"HAProxy": _HAPROXY}
    libraries: dict[str, tuple[Pattern, ...]] = {}
    for path in sorted(Path(DECLARED).glob(f"*/{DECLARATION}")):
        declared = shipped(path).server
        if declared is not None:
            if declared.log.refused:
                title = shipped(path).title
                found[title] = (*declared.log.refused, *found.get(title, ()))
            libraries[declared.log.dialect.library] = declared.log.dialect.lines
    return {**found, **libraries}
