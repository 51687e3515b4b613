"""What is published of the atlas: whole, current, each divergence explained; and each case as a scenario of its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mtls_runner import Overrides, load
from mtls_runner.conformance.catalogue import Combination, plan_of, scenario_files
from mtls_runner.conformance.measure import whole_catalogue
from mtls_runner.conformance.measurement import Seen
from mtls_runner.conformance.reproduction import filled, scenario
from mtls_runner.conformance.scope import ChosenClient, ChosenServer, chosen_clients, chosen_servers, in_scope, judges
from mtls_runner.model.observation import Outcome
from mtls_runner.registry import registry


def test_each_case_is_a_scenario_of_its_own_with_the_same_ends(tmp_path: Path) -> None:
    written = tmp_path / "one.yaml"
    place, seen = Combination("python", "curl", "TLSv1.3"), Seen(Outcome.ACCEPTED)
    compared = 0
    for path in scenario_files():
        plan = plan_of(path, Overrides(), [registry().clients["curl"]])
        for case in plan.cases:
            if case.client is None or case.tls is None or case.tls != place.tls:
                continue
            name = case.name.partition("[client.")[0]
            written.write_text(filled(scenario(path.stem, name), place, seen), "utf-8")
            (alone,) = (found := load(written)).cases
            assert alone.client == case.client, name
            assert replace(alone.server, id=case.server.id) == case.server, name  # ids are numbered
            assert {id_: plan.certificates[id_] for id_ in found.certificates} == found.certificates, name
            assert all("can never hold" in one.message for one in found.warnings), [
                one.message for one in found.warnings
            ]
            compared += 1
    assert compared > 250


def test_who_judges_is_asked_everywhere_and_the_other_is_one_of_two() -> None:
    servers, clients = chosen_servers(["all"]), chosen_clients(["all"])
    both = frozenset(("server", "client"))

    def names(judging: frozenset[str], *, everywhere: bool = False) -> set[tuple[str, str]]:
        found = in_scope(judging, servers, clients, everywhere=everywhere)
        return {(server.name, client.name) for server, client in found}

    assert names(frozenset(("server",))) == {(one.name, tool) for one in servers for tool in ("python", "curl")}
    assert names(frozenset(("client",))) == {(backend, one.name) for one in clients for backend in ("python", "nginx")}
    assert names(both) == names(frozenset(("server",))) | names(frozenset(("client",)))
    assert len(names(both, everywhere=True)) == len(servers) * len(clients) > 30
    # Fewer that are chosen are partners themselves.
    few: tuple[list[ChosenServer], list[ChosenClient]] = chosen_servers(["go,haproxy"]), chosen_clients(["go"])
    assert {(s.name, c.name) for s, c in in_scope(frozenset(("server",)), *few, everywhere=False)} == {
        ("go", "go"),
        ("haproxy", "go"),
    }


@pytest.mark.parametrize(
    ("file", "case", "who"),
    [
        ("validity", "the client's certificate has expired", {"server"}),
        ("validity", "the server's certificate has expired", {"client"}),
        ("validity", "all of the client's chain is valid", {"server", "client"}),  # a control of both
        ("settings", "a certificate that leads nowhere, and any will do", {"server"}),
        ("settings", "the client does not take the signature that the server's key makes", {"server", "client"}),
        ("keys", "the client's key is encrypted, and it has no passphrase", {"client"}),
        ("keys", "server.with-a-weak-key", {"server"}),
    ],
)
def test_whose_matter_a_case_is(file: str, case: str, who: set[str]) -> None:
    (entries,) = (group.entries for group in whole_catalogue() if group.plan.name == file)
    assert judges(entries)[case] == who
