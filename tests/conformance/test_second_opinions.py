"""Where three verifiers of chains agree, what is built on their libraries does as they say, or docs/divergences.md says why not.
Here of some cases; of all in ``whole.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from mtls_runner.conformance.divergences import against_verifiers
from mtls_runner.conformance.measurement import MeasuredCase, Measurement
from mtls_runner.conformance.scope import Side
from mtls_runner.model.observation import Outcome

from .results import Results
from .second_opinions import Against, against, opinions

pytestmark = pytest.mark.timeout(900)

EXPIRED = "the client's certificate has expired"
AGREED = {
    ("trust", "the client's authority is not trusted", Side.SERVER): False,
    ("trust", "both ends trust the other's authority", Side.SERVER): True,
    ("trust", "both ends trust the other's authority", Side.CLIENT): True,
    ("validity", EXPIRED, Side.SERVER): False,
    ("purpose", "the client's certificate is for any purpose", Side.SERVER): None,
    ("names", "by a name that it does not have", Side.CLIENT): False,
    ("names", "no SAN, and the CN is the name", Side.CLIENT): None,
    ("names", "no SAN, and the CN is the address", Side.CLIENT): False,
}
KNOWN: set[Against] = {(case, end, one.takes) for one in against_verifiers() for case in one.cases for end in one.ends}


def test_three_verifiers_are_asked(on_python: Results, published: Measurement, tmp_path: Path) -> None:
    names = {case for _, case, _ in AGREED}
    told = opinions(on_python, tmp_path, names.__contains__)
    assert {key: told[key].agreed for key in AGREED} == AGREED, told
    found, compared = against(told, published)
    assert found == {one for one in KNOWN if one[0] in names}
    assert compared > 200
    # Some end lets in what all of them refuse:
    files = tuple(replace(file, cases=tuple(map(_accepted_at_apache, file.cases))) for file in published.files)
    assert against(told, replace(published, files=files))[0] - found == {(EXPIRED, "apache", True)}


def _accepted_at_apache(case: MeasuredCase) -> MeasuredCase:
    if case.name != EXPIRED:
        return case
    cells = {
        place: replace(cell, seen=replace(cell.seen, outcome=Outcome.ACCEPTED))
        if place.backend == "apache" and cell.seen is not None
        else cell
        for place, cell in case.cells.items()
    }
    return replace(case, cells=cells)


def check_where_all_agree(results: Results, published: Measurement, scratch: Path) -> None:
    told = opinions(results, scratch)
    agreed = [opinion.agreed for opinion in told.values()]
    assert agreed.count(True) > 250
    assert agreed.count(False) > 80
    assert 20 < agreed.count(None) < 80
    found, compared = against(told, published)
    assert found == KNOWN
    assert compared > 5000
