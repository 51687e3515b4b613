"""What an author may write about revocation, and what is wrong with it is said with its place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mtls_runner import Lab, Plan, ScenarioError, Status, load
from mtls_runner.model.certificate import Defect, Moment
from mtls_runner.model.revocation import OcspAnswer, Revocation, RevocationCheck, RevocationReason

SMALL = """\
ca: {}
leaves:
  server: {}
  good: {}
  bad: {like: good, revoked: keyCompromise}
server: {crl: ca}
cases:
  - {name: good, client: good, expect: accepted}
  - {name: bad, client: bad, expect: {server-refused: revoked}}
"""

Read = Callable[[str], Plan]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def reader(text: str) -> Plan:
        path = tmp_path / "scenario.yaml"
        path.write_text(text)
        return load(path)

    return reader


def broken(read: Read, text: str) -> list[tuple[int, str]]:
    with pytest.raises(ScenarioError) as caught:
        read(text)
    return [(one.span.line if one.span is not None else 0, one.message) for one in caught.value.diagnostics]


def warned(plan: Plan) -> list[str]:
    return [warning.message for warning in plan.warnings]


def test_the_short_form_is_a_whole_scenario(read: Read) -> None:
    plan = read(SMALL)
    assert warned(plan) == []
    (crl,) = plan.crls.values()
    assert (crl.id, crl.issuer, crl.revoked) == ("ca", "ca", ("bad",))
    server = plan.cases[0].server
    assert (server.crl, server.crl_check) == (("ca",), RevocationCheck.CHAIN)
    with Lab(plan) as lab:
        assert [lab.run(case).status for case in plan.cases] == [Status.PASS, Status.PASS]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("true", Revocation()),
        ("superseded", Revocation(RevocationReason.SUPERSEDED)),
        ("{date: -2d}", Revocation(date=Moment(timedelta(days=-2)))),
        ("{reason: cACompromise, date: +1h}", Revocation(RevocationReason.CA_COMPROMISE, Moment(timedelta(hours=1)))),
        ("false", None),
        ("null", None),
    ],
)
def test_revoked_in_all_its_forms(read: Read, written: str, meant: Revocation | None) -> None:
    plan = read(SMALL.replace("revoked: keyCompromise", f"revoked: {written}"))
    assert plan.certificates["bad"].revoked == meant
    assert plan.crls["ca"].revoked == (("bad",) if meant is not None else ())


def test_like_takes_a_revocation_over_and_null_takes_it_back(read: Read) -> None:
    more = "  again: {like: bad}\n  not: {like: bad, revoked: null}\nserver:"
    plan = read(SMALL.replace("server: {crl", more + " {crl").replace("client: good,", "client: again,"))
    assert plan.crls["ca"].revoked == ("bad", "again")


def test_dates_keep_a_week_between_them(read: Read) -> None:
    plan = read(
        SMALL.replace(
            "server: {crl: ca}", "crls: {old: {next_update: -1d}, new: {this_update: +1d}}\nserver: {crl: [old, new]}"
        )
    )
    old, new = plan.crls["old"], plan.crls["new"]
    assert old.next_update.offset - old.this_update.offset == timedelta(days=7)
    assert new.next_update.offset == timedelta(days=8)


def test_a_week_from_the_first_date_and_the_last_that_there_are(read: Read) -> None:
    plan = read(
        SMALL.replace(
            "server: {crl: ca}",
            "crls: {old: {next_update: 1950-01-03}, new: {this_update: 9999-12-30}}\nserver: {crl: [old, new]}",
        )
    )
    assert plan.crls["old"].this_update.absolute == datetime(1950, 1, 1, tzinfo=UTC)
    assert plan.crls["new"].next_update.absolute == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_an_authority_s_own_crl_can_be_described_under_its_id(read: Read) -> None:
    text = SMALL.replace(
        "server: {crl: ca}", "crls: {ca: {next_update: -1h, defects: corrupted-signature}}\nserver: {crl: ca}"
    )
    plan = read(text)
    assert plan.crls["ca"].issuer == "ca"
    assert plan.crls["ca"].defects == (Defect.CORRUPTED_SIGNATURE,)


def test_an_own_crl_is_loaded_as_it_is(read: Read, tmp_path: Path) -> None:
    (tmp_path / "own.crl").write_text("no CRL")
    plan = read(SMALL.replace("server: {crl: ca}", "crls: {own: {file: own.crl}}\nserver: {crl: own}"))
    assert plan.crls["own"].file == tmp_path / "own.crl"
    with Lab(plan) as lab:
        assert "no usable CRL" in lab.run(plan.cases[0]).error


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("revoked: keyCompromise", "revoked: keycompromise", 5, "this is not a reason to revoke"),
        ("crl: ca", "crl: sales", 6, "there is no CRL or authority 'sales'"),
        ("crl: ca", "crl: good", 6, "there is no CRL or authority 'good'"),
        ("crl: ca", "crl: ca, crl_check: all", 6, "this is not a part of a chain"),
        ("crl: ca", "ocsp_responder: nobody", 6, "there is no responder 'nobody'"),
        ("crl: ca", "stapling: nobody", 6, "there is no responder 'nobody'"),
        ("revoked: keyCompromise", "ocsp: nobody", 5, "there is no responder 'nobody'"),
        ("ca: {}", "ca: {}\ncrls: {x: {issuer: good}}", 2, "there is no authority 'good'"),
        ("ca: {}", "ca: {}\ncrls: {x: {revoked: nobody}}", 2, "there is no authority or leaf 'nobody'"),
        (
            *("ca: {}", "ca: {}\ncrls: {x: {this_update: +1d, next_update: -1d}}", 2),
            "the next one would be due before this one is made",
        ),
        ("ca: {}", "ca: {}\ncrls: {x: {file: nowhere.crl}}", 2, "there is no such file"),
        ("ca: {}", "ca: {}\ncrls: {x: {defects: version-1}}", 2, "this is not a defect of a CRL"),
        ("ca: {}", "ca: {}\nresponders: {x: {answer: maybe}}", 2, "this is not an answer of a responder"),
        ("ca: {}", "ca: {}\nresponders: {x: {signer: nobody}}", 2, "there is no authority or leaf 'nobody'"),
    ],
)
def test_mistakes_are_said_where_they_are(read: Read, old: str, new: str, line: int, message: str) -> None:
    assert (line, message) in broken(read, SMALL.replace(old, new, 1))


def test_what_nothing_uses_is_a_warning(read: Read) -> None:
    plan = read(SMALL.replace("server: {crl", "crls: {old: {next_update: -1h}}\nresponders: {idle: {}}\nserver: {crl"))
    assert "nothing loads the CRL 'old'" in warned(plan)
    assert "nothing asks the responder 'idle'" in warned(plan)


def test_a_revocation_that_nobody_looks_at_is_a_warning(read: Read) -> None:
    message = "'bad' is revoked, and nothing in this file looks whether it is"
    assert message in warned(read(SMALL.replace("{crl: ca}", "{}")))
    assert message not in warned(read(SMALL))
    responder = "responders: {r: {}}\nserver: {ocsp: leaf, ocsp_responder: r}"
    assert message not in warned(read(SMALL.replace("server: {crl: ca}", responder)))


def test_an_expired_certificate_that_is_revoked_has_two_faults_where_somebody_looks(read: Read) -> None:
    text = SMALL.replace("revoked: keyCompromise", "revoked: keyCompromise, not_before: -2d, not_after: -1d")
    assert any("(expired, revoked)" in message for message in warned(read(text)))
    assert not any("independent faults" in message for message in warned(read(text.replace("{crl: ca}", "{}"))))


def test_a_responder_has_its_place_before_anything_runs(read: Read) -> None:
    more = (
        "responders: {r: {answer: [good, revoked]}, gone: {answer: nobody}}\nserver: {ocsp: leaf, ocsp_responder: gone}"
    )
    plan = read(
        SMALL.replace("server: {crl: ca}", more).replace("good: {}", "good: {ocsp: [r, 'http://elsewhere.test/']}")
    )
    assert plan.certificates["good"].ocsp == ("http://127.0.67.1:8888/r", "http://elsewhere.test/")
    server = plan.cases[0].server
    assert server.ocsp_responder == "http://127.0.67.2:8888/gone"
    assert server.responders[0].answers == (OcspAnswer.GOOD, OcspAnswer.REVOKED)
    with Lab(plan) as lab:
        assert lab.cannot(plan.cases[0]) == "Python's ssl can't ask OCSP responders about client certificates"


@pytest.mark.parametrize("written", ["false", "null"])
def test_stapling_can_be_taken_back(read: Read, written: str) -> None:
    text = SMALL.replace(
        "server: {crl: ca}", f"servers: {{a: {{stapling: true}}, b: {{like: a, stapling: {written}}}}}"
    )
    text = text.replace("client: good,", "client: good, server: a,").replace("client: bad,", "client: bad, server: b,")
    plan = read(text)
    assert [case.server.stapling is None for case in plan.cases] == [False, True]
