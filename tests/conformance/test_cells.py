"""Every cell is as the catalogue says, beside a control that was accepted in the same place.

Of some files here; of all, and with curl, too, in ``whole.py``.
"""

from __future__ import annotations

import pytest

from mtls_runner.conformance.case import expected_outcome
from mtls_runner.conformance.catalogue import Combination
from mtls_runner.model.observation import Outcome
from mtls_runner.model.verdict import Status

from .results import Results

pytestmark = pytest.mark.timeout(900)

#: Faults whose control hangs on a setting that not every end has: the place where the control can't be run.
CONTROLS_ELSEWHERE = {
    # nginx has no partial chain; its control there is the case that trusts the root.
    "the server trusts the intermediate, not the root": "nginx",
    "the server trusts the client's certificate alone": "nginx",
}


def check_passed(results: Results) -> int:
    for cell in results.all:
        assert cell.verdict.status in (Status.PASS, Status.SKIP), (
            str(cell),
            cell.verdict.mismatches,
            cell.verdict.error,
        )
    return sum(1 for _ in results.ran)


def check_controls(results: Results) -> int:
    checked = 0
    for group in results.groups:
        outcomes: dict[tuple[str, Combination], Outcome | None] = {
            (cell.entry.name, cell.place): cell.verdict.observation.outcome
            for cell in results.all
            if cell.group is group and cell.verdict.observation is not None
        }
        for entry in group.entries:
            for place, case in entry.places.items():
                verdict = results.verdicts[case.id]
                refused = expected_outcome(case) not in (Outcome.ACCEPTED, None)
                if case.client is None:
                    continue  # a server's start; test_catalogue.py holds those against each other
                if verdict.status is Status.SKIP or not refused or CONTROLS_ELSEWHERE.get(entry.name) == place.backend:
                    continue
                assert entry.control is not None, entry.name
                assert outcomes.get((entry.control.name, place)) is Outcome.ACCEPTED, (entry.name, place)
                checked += 1
    return checked


def test_every_cell_on_the_embedded_server(on_python: Results) -> None:
    assert check_passed(on_python) > 0.7 * on_python.possible


def test_every_cell_on_nginx(on_nginx: Results) -> None:
    assert check_passed(on_nginx) > 0.7 * on_nginx.possible


def test_every_refusal_by_the_embedded_server_has_an_accepted_control(on_python: Results) -> None:
    assert check_controls(on_python) > 0.3 * on_python.possible


def test_every_refusal_by_nginx_has_an_accepted_control(on_nginx: Results) -> None:
    assert check_controls(on_nginx) > 0.3 * on_nginx.possible


def test_no_alert_is_shown_where_none_ended_the_handshake(on_python: Results) -> None:
    """OpenSSL answers a connection's end without close_notify by decode_error, by luck in time: that ended nothing."""
    sound = [cell for cell in on_python.ran if cell.seen.outcome in (Outcome.ACCEPTED, Outcome.CLIENT_UNUSABLE)]
    assert len(sound) > 0.25 * on_python.possible
    assert {cell.seen.alert for cell in sound} == {None}
