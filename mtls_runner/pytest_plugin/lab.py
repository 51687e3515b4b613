"""A running server of a scenario, handed to a test of somebody's own client."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from mtls_runner.deadlines import Deadline
from mtls_runner.engine.lab import Lab
from mtls_runner.errors import DeadlineExceeded, LabError, UsageError
from mtls_runner.model.case import Case
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.port import RunningServer
from mtls_runner.pytest_plugin.client_material import ClientMaterial, trusting
from mtls_runner.pytest_plugin.connection import Connection
from mtls_runner.registry import registry

__all__ = ["MtlsLab", "server_of"]

__tracebackhide__ = True
"""A failure is shown in the test (pytest's documentation, "Writing well integrated assertion helpers")."""

_SETTLES_WITHIN = 5.0
"""Seconds."""

Find = Callable[["str | Path", "str | None"], tuple[Lab, ServerSpec]]


class MtlsLab:
    """A scenario's running server, and what clients need: the fixture ``mtls_lab`` of a test that is marked with a scenario.

    Called with a scenario, it is that scenario's; without a mark, that is all that it can do. It counts from when the test
    asked for it: connections of earlier tests are not seen.

    Args:
        find: a scenario's opened lab and the server that is meant, by file and id.
        chosen: the marked scenario's.

    Raises:
        LabError: the server can't be started.
    """

    def __init__(self, find: Find, chosen: tuple[Lab, ServerSpec] | None = None) -> None:
        self._find = find
        self._chosen = chosen
        self._before = 0
        if chosen is not None:
            self._before = self._server.arrived()

    def __call__(self, scenario: str | Path, *, server: str | None = None) -> MtlsLab:
        """Start a scenario's server, or find it running since an earlier test.

        Args:
            scenario: its file, looked for beside the test and then in the directories above, up to pytest's root.
            server: id, where the scenario has several.

        Raises:
            UsageError: there is no such file or server, or it is not clear which server is meant.
            LabError: it can't be started.
        """
        return MtlsLab(self._find, self._find(scenario, server))

    @property
    def _server(self) -> RunningServer:
        try:
            return self._lab.server(self._spec)
        except LabError as error:  # how the lab came to it is nobody's matter who reads a test's failure
            raise error.with_traceback(None) from None

    @property
    def _lab(self) -> Lab:
        return self._choice()[0]

    @property
    def _spec(self) -> ServerSpec:
        return self._choice()[1]

    def _choice(self) -> tuple[Lab, ServerSpec]:
        if self._chosen is None:
            raise UsageError(
                "mtls_lab has no scenario: call it, mtls_lab('scenario.yaml'), or mark the test with "
                "@pytest.mark.mtls_scenario('scenario.yaml')"
            )
        return self._chosen

    # --- where the server is ---

    @property
    def scenario(self) -> Path:
        """The scenario's file."""
        return self._lab.plan.path

    @property
    def host(self) -> str:
        """A name for it: ``localhost``, which the lab's server certificates are for unless the scenario says otherwise."""
        host = self._server.address.host
        return "localhost" if host == "127.0.0.1" else host

    @property
    def port(self) -> int:
        """TCP."""
        return self._server.address.port

    @property
    def url(self) -> str:
        """``https://localhost:PORT/``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}/"

    # --- what a client needs ---

    @property
    def trust(self) -> str:
        """PEM file with the root of the server's chain: the ``verify=`` of requests, ``cafile=`` of ``ssl``."""
        return str(self._lab.material.bundle(self._trusted()))

    def client(self, leaf: str) -> ClientMaterial:
        """The material of a leaf (or authority) of the scenario, by id, to present to the server.

        Raises:
            UsageError: the scenario has none of that id.
            MaterialError: it can't be made.
        """
        if leaf not in self._lab.plan.certificates:
            known = ", ".join(self._lab.plan.certificates)
            raise UsageError(f"{self.scenario}: there is no authority or leaf {leaf!r}: one of {known}")
        return ClientMaterial(
            ClientSpec(tool=registry().clients.default, certificate=leaf, trust=self._trusted()), self._lab.material
        )

    def context(self, leaf: str | None = None) -> ssl.SSLContext:
        """A new ``ssl.SSLContext`` that trusts the server's authority, and presents a leaf or nothing.

        Raises:
            UsageError: the scenario has no leaf of that id.
            ssl.SSLError: OpenSSL refuses the material.
        """
        if leaf is not None:
            return self.client(leaf).context()
        return trusting(ClientSpec(tool=registry().clients.default, trust=self._trusted()), self._lab.material)

    def _trusted(self) -> tuple[str, ...]:
        if self._spec.certificate is not None:
            credential = self._lab.material.credential(self._spec.certificate)
            return (credential.ancestors[-1] if credential.ancestors else credential.id,)
        for case in self._lab.plan.cases:
            if case.server == self._spec and case.client is not None and case.client.trust:
                return case.client.trust
        raise UsageError(f"{self.scenario}: nothing says whom clients of server {self._spec.id!r} trust")

    # --- what the server saw ---

    @property
    def last(self) -> Connection:
        """The connection that was last heard of since the test asked for the lab, once the server is done with it.

        One that is kept alive counts from its last request: whoever asked last is last.

        Raises:
            DeadlineExceeded: none came within five seconds.
            UsageError: the server can't be asked: the lab did not start it.
        """
        return max(self.connections(), key=lambda connection: connection.view.heard)

    def connections(self, within: float = _SETTLES_WITHIN) -> tuple[Connection, ...]:
        """All connections since the test asked for the lab, in order; a server knows of one as soon as it is accepted.

        Args:
            within: seconds to wait for the first one, and for the server to be done with all.

        Raises:
            DeadlineExceeded: none came.
            UsageError: the server can't be asked: the lab did not start it.
        """
        server = self._server
        if not server.tells_of_everyone:
            raise UsageError(f"{self.scenario}: a server of backend {self._spec.backend!r} does not say what it saw")
        views = server.seen(self._before, Deadline.after(within))
        if not views:
            raise DeadlineExceeded(f"no connection reached server {self._spec.id!r} within {within:g} s")
        return tuple(map(Connection.of, self._lab.discreet(views)))

    def __repr__(self) -> str:
        return f"<lab {self.scenario} at {self.url}>" if self._chosen is not None else "<lab without a scenario>"


def server_of(lab: Lab, server: str | None) -> ServerSpec:
    """The server that is meant; of a matrix over its settings, the first combination.

    Raises:
        UsageError: there is none of that id, or several and no id is given.
    """
    found: dict[str, Case] = {}
    for case in lab.plan.cases:
        found.setdefault(case.server.id, case)
    if server is None and len(found) == 1:
        return next(iter(found.values())).server
    if server in found:
        return found[server].server
    wrong = "which server is meant" if server is None else f"there is no server {server!r}"
    raise UsageError(f"{lab.plan.path}: {wrong}: one of {', '.join(found)}")
