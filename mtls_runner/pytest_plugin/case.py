"""One case of a scenario, to be run by somebody's own client."""

from __future__ import annotations

import ssl

from msgspec.structs import replace

from mtls_runner.engine.compare import judge
from mtls_runner.engine.lab import Lab
from mtls_runner.engine.observe import observe
from mtls_runner.errors import UsageError
from mtls_runner.model.case import Case, Expectation, Versions
from mtls_runner.model.endpoint import ClientSpec
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.model.verdict import Status, strictly
from mtls_runner.pytest_plugin.client_material import ClientMaterial, trusting
from mtls_runner.pytest_plugin.connection import Connection
from mtls_runner.pytest_plugin.lab import Find, MtlsLab
from mtls_runner.reporters import headline
from mtls_runner.reporters.failure import explain
from mtls_runner.tls.classify import Facts

__all__ = ["MtlsCase", "expected", "not_for_others"]

__tracebackhide__ = True

#: What a server can tell, whoever its client is.
_SEEN_BY_SERVERS = frozenset(
    ("outcome", "reason", "client_subject", "client_verify", "server_verify_code", "tls_version", "cipher")
)
_NO_HANDSHAKE = frozenset((Outcome.CLIENT_UNUSABLE, Outcome.NO_CONNECTION, Outcome.TIMED_OUT))


def expected(case: Case, path: str) -> str | None:
    """The value that a case expects of a field, where it expects exactly one."""
    for check in case.expect.checks:
        if check.path == path and len(check.alternatives) == 1:
            return str(check.alternatives[0].value)
    return None


def not_for_others(case: Case) -> str | None:
    """Why a case can't be run by somebody's own client; ``None``: it can."""
    if case.client is None:
        return "it is about the server alone"
    if not case.plain:
        return "it has several steps"
    if expected(case, "outcome") in _NO_HANDSHAKE:
        return f"it expects {expected(case, 'outcome')}, which the server does not see"
    if expected(case, "reason") == Reason.NOT_AUTHORIZED:
        return f"it expects {Reason.NOT_AUTHORIZED}, which is in the answer and not in the handshake"
    return None


class MtlsCase:
    """The fixture ``mtls_case``: what the case's client presents, trusts and offers, and whether the server saw what it should.

    Args:
        case: one that :func:`not_for_others` has nothing against.
        lab: opened.
        find: as of :class:`MtlsLab`.
        strict: a reason that the server can't tell from others does not hold (``--mtls-strict``).
    """

    def __init__(self, case: Case, lab: Lab, find: Find, *, strict: bool = False) -> None:
        if case.client is None:
            raise UsageError(f"{case.id} has no client")
        self.case = case
        self.lab = MtlsLab(find, (lab, case.server))
        self._client: ClientSpec = case.client
        self._opened = lab
        self._strict = strict

    @property
    def url(self) -> str:
        """Where the client asks for its page, ``https://localhost:PORT/…``."""
        return self.lab.url.removesuffix("/") + self._client.request.path

    @property
    def client(self) -> ClientMaterial | None:
        """What the client presents; ``None``: nothing."""
        return ClientMaterial(self._client, self._opened.material) if self._client.certificate is not None else None

    @property
    def cert(self) -> tuple[str, str] | None:
        """The ``cert=`` of requests: certificate and key, or nothing."""
        client = self.client
        return client.paths if client is not None else None

    @property
    def trust(self) -> str:
        """The ``verify=`` of requests: what the client trusts."""
        return str(self._opened.material.bundle(self._client.trust))

    @property
    def server_name(self) -> str:
        """The name that the client asks for and checks (SNI); the address, where the case has none."""
        return self._client.server_name or self.lab.host

    @property
    def accepted(self) -> bool:
        """Whether the case expects that the server lets the client in."""
        return expected(self.case, "outcome") == Outcome.ACCEPTED

    def context(self) -> ssl.SSLContext:
        """A new ``ssl.SSLContext`` with the client's certificate, trust and TLS versions."""
        client = self.client
        return client.context() if client is not None else trusting(self._client, self._opened.material)

    def check(self) -> Connection:
        """Hold what the server saw of the last connection against the expectation, as far as a server can tell.

        Raises:
            AssertionError: they differ; the text is the one that ``mtls-run`` shows.
            DeadlineExceeded: no connection came.
        """
        connection = self.lab.last
        server = self.case.server.host(self._client.server_name)
        facts = Facts(server, self._client, None, connection.view)
        observation = observe(facts, self._opened.material.name)
        checks = tuple(check for check in self.case.expect.checks if check.path in _SEEN_BY_SERVERS)
        step = replace(self.case.steps[0], expect=Expectation(checks))
        verdict = judge(self.case, step, observation, Versions())
        if self._strict:
            verdict = strictly(verdict)
        if verdict.status is not Status.PASS:
            raise AssertionError(f"{headline(verdict)}\n\n{explain(verdict, self._opened.plan.text)}")
        return connection

    def __repr__(self) -> str:
        return f"<case {self.case.id}>"
