"""The catalogue as a text: what it covers, that each fault has its control, that it teaches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from mtls_runner.conformance.case import CatalogueCase, ControlCase, by_file, expected_outcome
from mtls_runner.conformance.catalogue import CATALOGUE, ORDER, plans, scenario_files
from mtls_runner.language import Overrides, load
from mtls_runner.model.case import Case, Plan
from mtls_runner.model.certificate import Defect
from mtls_runner.model.observation import Outcome
from mtls_runner.tls import REASONS

#: A leaf that issues lacks both what makes an authority (RFC 5280 §4.2.1.3, §4.2.1.9): there is no half of it.
TWO_CHANGES = {"a leaf issued the client's certificate", "a leaf issued the server's certificate"}

#: Reasons that only OCSP, responses or the lab's surroundings bring about; other scenarios show them.
ELSEWHERE = {
    *("ocsp-unavailable", "ocsp-invalid", "ocsp-unknown", "ocsp-expired", "ocsp-not-yet-valid"),
    *("policy", "not-authorized", "other", "missing-file", "malformed"),
}


@pytest.fixture(scope="module")
def catalogue() -> tuple[Plan, ...]:
    return tuple(plans(("python",), ("python", "curl")))


def entries(catalogue: tuple[Plan, ...]) -> Iterator[tuple[Plan, CatalogueCase]]:
    for plan in catalogue:
        for group in by_file([plan]):
            for entry in group.entries:
                yield plan, entry


def expected_reason(case: Case) -> str:
    return next((str(check.alternatives[0].value) for check in case.expect.checks if check.path == "reason"), "")


def test_every_file_is_in_the_order_and_has_a_name_a_description_and_its_schema() -> None:
    assert [path.stem for path in scenario_files()] == list(ORDER)
    for path in scenario_files():
        text = path.read_text("utf-8")
        scenario = yaml.safe_load(text)
        assert scenario["name"] == path.stem
        assert len(scenario["description"]) > 50
        assert scenario["tags"] == ["conformance", path.stem]
        schema = text.splitlines()[0].rpartition("=")[2]
        assert (path.parent / schema).resolve() == CATALOGUE.parents[2] / "schema" / "scenario.schema.json"
        assert sum("#" in line for line in text.splitlines()[1:]) >= 1  # it teaches


def test_it_says_nothing_in_vain(catalogue: tuple[Plan, ...]) -> None:
    for plan in catalogue:
        assert plan.warnings == (), plan.path


def test_there_are_at_least_sixty_faults_each_by_its_own_name(catalogue: tuple[Plan, ...]) -> None:
    faults = [entry.name for _, entry in entries(catalogue) if entry.is_fault]
    assert len(faults) >= 60
    assert len(faults) == len(set(faults))


def test_both_ends_refuse(catalogue: tuple[Plan, ...]) -> None:
    outcomes = [expected_outcome(case) for plan in catalogue for case in plan.cases]
    assert outcomes.count(Outcome.SERVER_REFUSED) > 200
    assert outcomes.count(Outcome.CLIENT_REFUSED) > 150


def test_each_fault_differs_from_its_control_in_one_thing(catalogue: tuple[Plan, ...]) -> None:
    compared = 0
    for plan, entry in entries(catalogue):
        if not entry.is_fault or any(case.client is None for case in entry.places.values()):
            continue
        assert isinstance(entry.control, ControlCase), (plan.name, entry.name)
        changes = 2 if entry.name in TWO_CHANGES else 1
        assert len(entry.control.changes) == changes, (plan.name, entry.name, [str(c) for c in entry.control.changes])
        compared += 1
    assert compared >= 60


def test_a_server_that_cannot_start_stands_beside_one_that_does(catalogue: tuple[Plan, ...]) -> None:
    own = {
        case.server.certificate: expected_outcome(case)
        for plan in catalogue
        for case in plan.cases
        if case.client is None and case.server.id in ("server", "with-the-passphrase")
    }
    assert own == {"good": Outcome.SERVER_STARTED, "encrypted": Outcome.SERVER_STARTED}


def test_every_reason_that_certificates_and_settings_can_cause_is_there(catalogue: tuple[Plan, ...]) -> None:
    shown = {expected_reason(case) for plan in catalogue for case in plan.cases}
    verdicts = {
        reason.value
        for outcome in (Outcome.SERVER_REFUSED, Outcome.CLIENT_REFUSED, Outcome.CLIENT_UNUSABLE)
        for reason in REASONS[outcome]
    }
    assert verdicts - shown - ELSEWHERE == set()


def test_every_defect_is_there(catalogue: tuple[Plan, ...]) -> None:
    used = {defect for plan in catalogue for spec in plan.certificates.values() for defect in spec.defects}
    # Two have an extension's absence or criticality as their other spelling, which the catalogue writes.
    assert set(Defect) - used == {Defect.NO_BASIC_CONSTRAINTS, Defect.BASIC_CONSTRAINTS_NOT_CRITICAL}


def test_name_constraints_of_every_type_are_there(catalogue: tuple[Plan, ...]) -> None:
    names = [
        name
        for plan in catalogue
        for spec in plan.certificates.values()
        if spec.name_constraints is not None
        for name in (*spec.name_constraints.permitted, *spec.name_constraints.excluded)
    ]
    assert {name.partition(":")[0] for name in names} == {"DNS", "IP", "email", "URI", "dirName", "RID"}


def test_names_are_without_their_parameters(catalogue: tuple[Plan, ...]) -> None:
    for plan in catalogue:
        for case in plan.cases:
            assert case.client is None or case.written == case.name.partition("[client.tls=")[0]


def test_a_lab_file_above_changes_nothing(tmp_path: Path, catalogue: tuple[Plan, ...]) -> None:
    copy = tmp_path / "deep" / "catalogue"
    copy.mkdir(parents=True)
    for path in CATALOGUE.glob("*.yaml"):
        (copy / path.name).write_bytes(path.read_bytes())
    (tmp_path / "lab.yaml").write_text("defaults: {server: {security_level: 0}}\n")
    trust = load(copy / "trust.yaml", Overrides(backend="python"))
    assert [case.server for case in trust.cases] == [case.server for case in catalogue[0].cases]
    (copy / "lab.yaml").unlink()
    assert load(copy / "trust.yaml", Overrides(backend="python")).cases[0].server.security_level == 0


def test_the_files_come_with_the_package() -> None:
    configuration = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert 'packages = ["mtls_runner"]' in configuration  # hatch takes every file of it, YAML too
    assert CATALOGUE.is_relative_to(Path(__file__).parents[2] / "mtls_runner")
