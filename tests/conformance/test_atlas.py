"""What is published of the atlas: whole, current, each divergence explained; and each case as a scenario of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner import Overrides, load
from mtls_runner.conformance.atlas_markdown import atlas_markdown
from mtls_runner.conformance.catalogue import Combination, plan_of, scenario_files
from mtls_runner.conformance.cell_key import plain
from mtls_runner.conformance.divergences import asked, divergences, divergences_markdown
from mtls_runner.conformance.measure import whole_catalogue
from mtls_runner.conformance.measurement import CellKind, Measurement, Seen
from mtls_runner.conformance.page import page
from mtls_runner.conformance.reproduction import filled, scenario, start
from mtls_runner.conformance.scope import (
    ChosenClient,
    ChosenServer,
    Side,
    chosen_clients,
    chosen_servers,
    gaps,
    in_scope,
    judges,
)
from mtls_runner.model.observation import Outcome, Reason
from mtls_runner.registry import registry

from .divergence_scenarios import scenarios

pytestmark = pytest.mark.timeout(600)

UNUSABLE = Seen(Outcome.SERVER_UNUSABLE, (Reason.BAD_CONFIG,))
DOCS = Path(__file__).parents[2] / "docs"


def test_each_case_is_a_scenario_of_its_own_with_the_same_ends(tmp_path: Path) -> None:
    written = tmp_path / "one.yaml"
    place, seen = Combination("python", "curl", "TLSv1.3"), Seen(Outcome.ACCEPTED)
    compared, met = 0, set[str]()
    for path in scenario_files():
        plan = plan_of(path, Overrides(), [registry().clients["curl"]])
        for case in plan.cases:
            if case.client is None or case.tls is None or case.tls != place.tls:
                continue
            name = case.written
            written.write_text(filled(scenario(path.stem, name), place, seen), "utf-8")
            (alone,) = (found := load(written)).cases
            assert alone.client == case.client, name
            # ids are numbered; a long one leaves out authorities that are there for other cases
            trusted = replace(alone.server, id=case.server.id, trust=case.server.trust)
            assert trusted == case.server, name
            assert set(alone.server.trust) <= set(case.server.trust), name
            assert {id_: plan.certificates[id_] for id_ in found.certificates} == found.certificates, name
            # what is refused in one place is not in another; a server that looks nowhere is the point of its case
            expected = ("can never hold", "nothing in this file looks whether it is", "has no CRL of it")
            assert all(any(words in one.message for words in expected) for one in found.warnings), [
                one.message for one in found.warnings
            ]
            compared += 1
            # and where the server does not start:
            text = filled(start(path.stem, name), place, UNUSABLE)
            if text in met:
                continue
            met.add(text)
            written.write_text(text, "utf-8")
            (alone,) = load(written).cases
            assert alone.client is None, name
            trusted = replace(alone.server, id=case.server.id, trust=case.server.trust)
            assert trusted == replace(case.server, tls=alone.server.tls), name
    assert compared > 250


def test_who_judges_is_asked_everywhere_and_the_other_is_one_of_two() -> None:
    servers, clients = chosen_servers(["all"]), chosen_clients(["all"])
    both = frozenset(Side)

    def names(judging: frozenset[Side], *, everywhere: bool = False) -> set[tuple[str, str]]:
        found = in_scope(judging, servers, clients, everywhere=everywhere)
        return {(server.name, client.name) for server, client in found}

    assert names(frozenset((Side.SERVER,))) == {(one.name, tool) for one in servers for tool in ("python", "curl")}
    assert names(frozenset((Side.CLIENT,))) == {
        (backend, one.name) for one in clients for backend in ("python", "nginx")
    }
    assert names(both) == names(frozenset((Side.SERVER,))) | names(frozenset((Side.CLIENT,)))
    assert len(names(both, everywhere=True)) == len(servers) * len(clients) > 30
    # Fewer that are chosen are partners themselves.
    few: tuple[list[ChosenServer], list[ChosenClient]] = chosen_servers(["go,haproxy"]), chosen_clients(["go"])
    assert {(s.name, c.name) for s, c in in_scope(frozenset((Side.SERVER,)), *few, everywhere=False)} == {
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


def test_only_what_a_case_sets_is_part_of_its_key() -> None:
    (path,) = (path for path in scenario_files() if path.stem == "trust")
    given = {"id", "authority", "subject", "issuer", "key", "passphrase", "not_before", "not_after"}
    authority = replace(load(path).certificates["root"], key_usage=None, basic_constraints=None)
    told = plain(authority)
    assert isinstance(told, dict)
    assert set(told) == given
    changed = replace(authority, signature=replace(authority.signature, pss=True))
    assert plain(changed) == {**told, "signature": {"pss": True}}


def test_every_cell_is_an_observation_a_declared_skip_or_a_listed_gap(published: Measurement) -> None:
    counts = dict.fromkeys(CellKind, 0)
    for file, case, place, cell in published.cells:
        counts[cell.kind] += 1
        assert (cell.seen is not None) is (cell.kind is CellKind.SEEN), (file.name, case.name, place)
        assert cell.seen is not None or cell.why, (file.name, case.name, place)
        if cell.kind is CellKind.GAP:
            assert any(gap.covers(case.name, place) and gap.why == cell.why for gap in gaps()), (case.name, place)
    assert counts[CellKind.BROKEN] == 0
    assert counts[CellKind.SEEN] > 5000
    known = {(file.plan.name, entry.name) for file in whole_catalogue() for entry in file.entries}
    assert {(file.name, case.name) for file in published.files for case in file.cases} <= known


_BAD, _CURVE = Reason.BAD_SIGNATURE, Reason.WRONG_CURVE


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (
            Seen(Outcome.SERVER_REFUSED, (_BAD, _CURVE)),
            Seen(Outcome.SERVER_REFUSED, (_BAD,), alert="decrypt_error"),
            True,
        ),
        (Seen(Outcome.SERVER_REFUSED, (_CURVE,)), Seen(Outcome.SERVER_REFUSED, (_BAD,), alert="decrypt_error"), False),
        (Seen(Outcome.SERVER_REFUSED, (_BAD, _CURVE)), Seen(Outcome.SERVER_REFUSED, (_BAD,)), False),
        (
            Seen(Outcome.SERVER_REFUSED, (_BAD,), alert="decrypt_error"),
            Seen(Outcome.SERVER_REFUSED, (_BAD,), alert="unknown_ca"),
            False,
        ),
        (Seen(Outcome.SERVER_REFUSED, (_BAD,)), Seen(Outcome.PROTOCOL_ERROR, (_BAD,), alert="decrypt_error"), False),
    ],
)
def test_an_alert_that_was_lost_makes_no_other_observation(one: Seen, other: Seen, *, same: bool) -> None:
    """It may only leave more reasons open."""
    assert one.agrees(other) is other.agrees(one) is same


def test_each_refusal_stands_beside_a_control_that_was_let_in(published: Measurement) -> None:
    """But for faults whose control itself is one that this end refuses, which is told as a divergence."""
    cells = published.by_name
    told = {(one.file.name, one.case.name) for one in divergences(published)}
    compared = 0
    for file, case, place, cell in published.cells:
        if not case.fault or not case.control or cell.seen is None or cell.seen.outcome is not Outcome.SERVER_REFUSED:
            continue
        control = cells.get((file.name, case.control, place))
        if control is None or control.seen is None or (file.name, case.control) in told:
            continue
        assert control.seen.outcome is Outcome.ACCEPTED, (file.name, case.name, case.control, place)
        compared += 1
    assert compared > 1000


@pytest.mark.parametrize("name", ["atlas.md", "atlas.html", "divergences.md"])
def test_the_pages_are_made_of_it(published: Measurement, name: str) -> None:
    made = {"atlas.md": atlas_markdown, "atlas.html": page, "divergences.md": divergences_markdown}[name](published)
    assert made == (DOCS / name).read_text("utf-8"), (
        "make it again: mtls-run conformance --merge docs/atlas.json --pages docs"
    )


def test_each_divergence_says_what_the_standard_asks_and_has_a_short_scenario(
    published: Measurement, tmp_path: Path
) -> None:
    found = divergences(published)
    assert sum(one.case.fault for one in found) > 20
    assert [one.case.name for one in found if asked(one.file.name, one.case.name) is None] == []
    ranks = [one.case.fault for one in found]
    assert ranks == sorted(ranks, reverse=True)  # what is let in first
    texts = list(scenarios((DOCS / "divergences.md").read_text("utf-8")))
    assert len(texts) > 20
    for title, text in texts:
        assert text.count("\n") <= 15, title
        (tmp_path / "one.yaml").write_text(text, "utf-8")
        (case,) = load(tmp_path / "one.yaml").cases
        assert case.name == title or case.client is None  # its server does not start
