"""The whole catalogue, with both clients: what the suite asks of some files with one, how the clients agree, what verifiers say
of its chains, and whether its page is current.

CI runs it by its name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import pytest

from mtls_runner.conformance.case import CatalogueFile, by_file
from mtls_runner.conformance.catalogue import Combination
from mtls_runner.conformance.from_verdicts import measured, measured_cell
from mtls_runner.conformance.markdown import markdown, same
from mtls_runner.conformance.measurement import MeasuredCell, Measurement
from mtls_runner.conformance.table import outcome_table
from mtls_runner.model.observation import Outcome
from mtls_runner.model.verdict import Status

from .results import Cell, Results, catalogue_results
from .test_cells import (
    test_every_cell_on_nginx,
    test_every_cell_on_the_embedded_server,
    test_every_refusal_by_nginx_has_an_accepted_control,
    test_every_refusal_by_the_embedded_server_has_an_accepted_control,
    test_no_alert_is_shown_where_none_ended_the_handshake,
)
from .test_oracles import (
    test_nginx_logs_the_reason,
    test_openssl_agrees_on_every_chain_that_nginx_sent,
    test_openssl_agrees_on_every_client_chain,
    test_openssl_agrees_on_every_client_chain_that_nginx_judged,
    test_openssl_agrees_on_every_server_chain,
)
from .test_second_opinions import check_where_all_agree

__all__ = [
    "test_every_cell_on_nginx",
    "test_every_cell_on_the_embedded_server",
    "test_every_refusal_by_nginx_has_an_accepted_control",
    "test_every_refusal_by_the_embedded_server_has_an_accepted_control",
    "test_nginx_logs_the_reason",
    "test_no_alert_is_shown_where_none_ended_the_handshake",
    "test_openssl_agrees_on_every_chain_that_nginx_sent",
    "test_openssl_agrees_on_every_client_chain",
    "test_openssl_agrees_on_every_client_chain_that_nginx_judged",
    "test_openssl_agrees_on_every_server_chain",
]

pytestmark = pytest.mark.timeout(900)

PAGE = Path(__file__).parents[2] / "docs" / "outcomes.md"


@pytest.fixture(scope="session")
def on_python(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The embedded server's."""
    return catalogue_results("python", ("python", "curl"), tmp_path_factory)


@pytest.fixture(scope="session")
def on_nginx(nginx_engine: None, tmp_path_factory: pytest.TempPathFactory) -> Results:  # noqa: ARG001
    """nginx's."""
    return catalogue_results("nginx", ("python", "curl"), tmp_path_factory)


def test_a_skip_says_why(on_python: Results, on_nginx: Results) -> None:
    skipped = [cell for results in (on_python, on_nginx) for cell in results.all if cell.verdict.status is Status.SKIP]
    assert skipped
    assert all(cell.verdict.skip_reason for cell in skipped)


def pairs(results: Results) -> Iterable[tuple[Cell, Cell]]:
    """The Python client's cell and curl's of one case and version."""
    cells: dict[tuple[str, str, str], dict[str, Cell]] = {}
    for cell in results.ran:
        cells.setdefault((cell.group.plan.name, cell.entry.name, cell.place.tls), {})[cell.place.tool] = cell
    return ((by_tool["python"], by_tool["curl"]) for by_tool in cells.values() if len(by_tool) == 2)


def check_curl(results: Results) -> tuple[int, int]:
    exits = verify_results = 0
    for python, curl in pairs(results):
        if python.seen.outcome is not curl.seen.outcome:
            continue  # a true difference between the clients, which the scenario names; the exits differ with it
        exits += 1
        assert python.seen.curl_exit == curl.seen.curl_exit, python
        if curl.seen.outcome is Outcome.CLIENT_REFUSED:
            verify_results += 1
            # each gives its own: curl 1 where it checks by itself, or an error of OpenSSL's came before the verdict
            assert curl.seen.ssl_verify_result in (1, python.seen.ssl_verify_result), python
            assert python.seen.ssl_verify_result not in (None, 0, 1), python
    return exits, verify_results


def test_curl_exits_as_the_python_client_says(on_python: Results) -> None:
    exits, verify_results = check_curl(on_python)
    assert exits > 400
    assert verify_results > 80


def test_curl_exits_as_the_python_client_says_before_nginx(on_nginx: Results) -> None:
    exits, verify_results = check_curl(on_nginx)
    assert exits > 400
    assert verify_results > 80


def test_the_clients_differ_only_where_the_catalogue_says_so(on_python: Results, on_nginx: Results) -> None:
    differing = {
        python.entry.name
        for results in (on_python, on_nginx)
        for python, curl in pairs(results)
        if python.seen.outcome is not curl.seen.outcome
    }
    assert differing == {
        "no SAN, and the CN is the address",
        "the client's certificate has 100 kB",
        "the client trusts the server's intermediate, not the root",
        "the server's intermediate has no name",
    }


def test_ends_do_what_three_verifiers_agree_on(on_python: Results, published: Measurement, tmp_path: Path) -> None:
    check_where_all_agree(on_python, published, tmp_path)


def test_the_page_of_outcomes_is_current(on_python: Results, on_nginx: Results) -> None:
    versions = {**on_python.versions, **on_nginx.versions}
    made = markdown(outcome_table(measured(joined(on_python, on_nginx), versions, cells(on_python, on_nginx))))
    assert same(made, PAGE.read_text("utf-8")), (
        "make docs/outcomes.md again: mtls-run conformance --markdown docs/outcomes.md"
    )


def joined(*several: Results) -> tuple[CatalogueFile, ...]:
    plans = [group.plan for groups in zip(*(results.groups for results in several), strict=True) for group in groups]
    return by_file(plans)


def cells(*several: Results) -> Mapping[tuple[str, str], Mapping[Combination, MeasuredCell]]:
    found: dict[tuple[str, str], dict[Combination, MeasuredCell]] = {}
    for results in several:
        for cell in results.all:
            of_case = found.setdefault((cell.group.plan.name, cell.entry.name), {})
            of_case[cell.place] = measured_cell(cell.verdict)
    return found
