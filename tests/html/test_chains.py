"""Where a chain broke, by what the plan says of its certificates."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from mtls_runner.model.case import Case, Plan
from mtls_runner.model.certificate import (
    BasicConstraints,
    CertificateSpec,
    Defect,
    Extension,
    KeyAlgorithm,
    KeySpec,
    Moment,
    NameConstraints,
    SignatureSpec,
)
from mtls_runner.model.endpoint import ClientSpec, ServerSpec
from mtls_runner.model.observation import Observation, Outcome, Reason
from mtls_runner.model.revocation import Revocation
from mtls_runner.reporters.html.chains import Break, Chain, chains
from mtls_runner.reporters.html.tree import Node, forest
from tests.named import backend, tool
from tests.reporters import samples

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def spec(name: str, issuer: str | None, *, authority: bool = False) -> CertificateSpec:
    return CertificateSpec(
        name,
        authority,
        f"CN={name}",
        issuer,
        KeySpec(),
        None,
        Moment(-DAY),
        Moment(100 * DAY),
        extended_key_usage=None if authority else ("clientAuth",),
        basic_constraints=BasicConstraints(authority),
        key_usage=("keyCertSign",) if authority else ("digitalSignature",),
    )


ROOT, MIDDLE, LEAF, SERVER = (
    spec("root", None, authority=True),
    spec("middle", "root", authority=True),
    spec("leaf", "middle"),
    replace(spec("server", "root"), extended_key_usage=("serverAuth",)),
)
OTHER = spec("other", None, authority=True)


def plan_of(*specs: CertificateSpec) -> Plan:
    """With these in the place of the good ones of their names."""
    certificates = {each.id: each for each in (ROOT, OTHER, MIDDLE, LEAF, SERVER)} | {each.id: each for each in specs}
    return replace(samples.plan(CASE), certificates=certificates)


CASE: Case = replace(
    samples.case().by(ClientSpec(tool("python"), certificate="leaf", trust=("root",))),
    server=ServerSpec("server", backend("python"), "server", None, trust=("root",)),
)


def chain(
    *specs: CertificateSpec,
    outcome: Outcome = Outcome.SERVER_REFUSED,
    reason: Reason | None,
    case: Case = CASE,
    sent: tuple[str, ...] = ("leaf", "middle"),
) -> Chain:
    """The client's, refused for a reason."""
    found, _ = chains(
        plan_of(*specs), case, Observation(outcome, (reason,) if reason is not None else (), client_chain=sent), NOW
    )
    assert found.holder == "client"
    return found


@pytest.mark.parametrize(
    ("wrong", "reason", "expected"),
    [
        (replace(LEAF, not_after=Moment(-5 * DAY)), Reason.EXPIRED, Break("leaf", False, "expired 2026-11-19")),
        (replace(MIDDLE, not_after=Moment(-5 * DAY)), Reason.EXPIRED, Break("middle", False, "expired 2026-11-19")),
        (
            replace(LEAF, not_before=Moment(absolute=NOW + DAY)),
            Reason.NOT_YET_VALID,
            Break("leaf", False, "not valid before 2026-11-25 12:00Z"),
        ),
        (
            replace(LEAF, extended_key_usage=("serverAuth",)),
            Reason.WRONG_PURPOSE,
            Break("leaf", False, "its usage is serverAuth, not clientAuth"),
        ),
        (
            replace(LEAF, defects=(Defect.CORRUPTED_SIGNATURE,)),
            Reason.BAD_SIGNATURE,
            Break("leaf", True, "its signature does not verify"),
        ),
        (
            replace(MIDDLE, defects=(Defect.WRONG_SIGNATURE_KEY,)),
            Reason.BAD_SIGNATURE,
            Break("middle", True, "its signature does not verify"),
        ),
        (
            replace(ROOT, basic_constraints=BasicConstraints(True, path_length=0)),
            Reason.PATH_LENGTH,
            Break("root", False, "it allows 0 authorities below it, there are 1"),
        ),
        (
            replace(MIDDLE, basic_constraints=BasicConstraints(False)),
            Reason.INVALID_CA,
            Break("middle", False, "it may not issue certificates"),
        ),
        (
            replace(MIDDLE, key_usage=("cRLSign",)),
            Reason.INVALID_CA,
            Break("middle", False, "it may not issue certificates"),
        ),
        (
            replace(MIDDLE, name_constraints=NameConstraints(("DNS:example",))),
            Reason.NAME_CONSTRAINTS,
            Break("leaf", True, "middle may not certify its names"),
        ),
        (
            replace(LEAF, extensions=(Extension("1.2.3", b"", critical=True),)),
            Reason.UNHANDLED_EXTENSION,
            Break("leaf", False, "critical extension 1.2.3"),
        ),
        (
            replace(MIDDLE, key=KeySpec(KeyAlgorithm.RSA_1024)),
            Reason.WEAK_KEY,
            Break("middle", False, "its key is rsa-1024"),
        ),
        (replace(LEAF, signature=SignatureSpec("sha1")), Reason.WEAK_DIGEST, Break("leaf", True, "signed with sha1")),
        (replace(MIDDLE, revoked=Revocation()), Reason.REVOKED, Break("middle", False, "revoked: unspecified")),
        (
            replace(LEAF, issuer="other"),
            Reason.UNKNOWN_CA,
            Break("other", True, "other is not among what the server trusts"),
        ),
        (
            replace(LEAF, issuer=None),
            Reason.SELF_SIGNED,
            Break("leaf", True, "leaf is not among what the server trusts"),
        ),
        (
            replace(LEAF, defects=(Defect.WRONG_ISSUER_NAME,)),
            Reason.UNKNOWN_CA,
            Break("leaf", True, "it names another issuer"),
        ),
    ],
)
def test_the_certificate_to_blame(wrong: CertificateSpec, reason: Reason, expected: Break) -> None:
    assert chain(wrong, reason=reason).broken == expected


@pytest.mark.parametrize(
    "reason",
    [
        Reason.EXPIRED,
        Reason.NOT_YET_VALID,
        Reason.PATH_LENGTH,
        Reason.INVALID_CA,
        Reason.NAME_CONSTRAINTS,
        Reason.UNHANDLED_EXTENSION,
        Reason.WEAK_KEY,
        Reason.WEAK_DIGEST,
    ],
)
def test_nothing_is_blamed_that_is_not_at_fault(reason: Reason) -> None:
    assert chain(reason=reason).broken is None


def test_an_intermediate_that_was_not_sent() -> None:
    missing = chain(reason=Reason.UNKNOWN_CA, sent=("leaf",)).broken
    assert missing == Break("leaf", True, "middle was not sent")
    complete = chain(reason=Reason.UNKNOWN_CA).broken
    assert complete == Break("leaf", True, "the server found no way to what it trusts")


def test_only_the_chain_that_was_refused_is_broken() -> None:
    observation = Observation(Outcome.CLIENT_REFUSED, (Reason.EXPIRED,))
    wrong = replace(SERVER, not_after=Moment(-5 * DAY))
    client, server = chains(plan_of(wrong, replace(LEAF, not_after=Moment(-5 * DAY))), CASE, observation, NOW)
    assert client.broken is None
    assert server.broken == Break("server", False, "expired 2026-11-19")
    assert server.path == ("server", "root")


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.NO_AGREEMENT, Outcome.NO_CONNECTION])
def test_what_concerns_no_certificate_breaks_no_chain(outcome: Outcome) -> None:
    assert chain(replace(LEAF, not_after=Moment(-5 * DAY)), outcome=outcome, reason=Reason.EXPIRED).broken is None


def test_what_makes_a_client_unusable_may_be_another_file() -> None:
    own = chain(outcome=Outcome.CLIENT_UNUSABLE, reason=Reason.WRONG_PASSPHRASE).broken
    assert own == Break("leaf", False, "the passphrase does not open the private key")
    assert chain(outcome=Outcome.CLIENT_UNUSABLE, reason=Reason.MISSING_FILE).broken is None


def test_a_chain_is_verified_only_when_the_verifier_says_so() -> None:
    accepted = Observation(Outcome.ACCEPTED, server_verify_code=0, client_chain=("leaf",), server_chain=("server",))
    client, server = chains(plan_of(), CASE, accepted, NOW)
    assert client.judged
    assert not server.judged
    assert not chains(plan_of(), CASE, replace(accepted, client_chain=()), NOW)[0].judged


def test_no_certificate_is_a_chain_too() -> None:
    assert CASE.client is not None
    case = CASE.by(replace(CASE.client, certificate=None))
    demanded, _ = chains(plan_of(), case, Observation(Outcome.SERVER_REFUSED, (Reason.NO_CERTIFICATE,)), NOW)
    assert (demanded.path, demanded.missed) == ((), "the server demands one")
    allowed, _ = chains(plan_of(), case, Observation(Outcome.ACCEPTED), NOW)
    assert (allowed.path, allowed.missed) == ((), "")


def test_a_circle_of_issuers_ends() -> None:
    first, second = replace(LEAF, issuer="middle"), replace(MIDDLE, issuer="leaf")
    assert chain(first, second, reason=None).path == ("leaf", "middle")


# --- the tree ----------------------------------------------------------------------------------------------------------


def outline(nodes: tuple[Node, ...]) -> list[object]:
    return [(node.id, outline(node.issued)) if node.issued else node.id for node in nodes]


def test_issuers_stand_above_what_they_issued() -> None:
    assert outline(forest(plan_of(), {}, NOW)) == [("root", [("middle", ["leaf"]), "server"]), "other"]


def test_a_circle_of_issuers_is_planted_once() -> None:
    first, second = replace(LEAF, issuer="middle"), replace(MIDDLE, issuer="leaf")
    assert outline(forest(plan_of(first, second), {}, NOW)) == [
        ("root", ["server"]),
        "other",
        ("middle", ["leaf"]),
    ]


def test_a_node_tells_what_is_wrong_with_it() -> None:
    broken = Break("leaf", False, "expired 2026-11-19")
    wrong = replace(LEAF, issuer=None, not_after=Moment(-5 * DAY), defects=(Defect.NEGATIVE_SERIAL,))
    nodes = {node.id: node for node in forest(plan_of(wrong), {broken: 3}, NOW)}
    assert nodes["leaf"].oddities == ("negative-serial",)
    assert [(blame.broken, blame.cases) for blame in nodes["leaf"].blames] == [(broken, 3)]
    assert nodes["leaf"].role == "self-signed leaf"
    assert nodes["root"].trusted_by == ("servers", "clients")
    assert nodes["other"].trusted_by == ()
    assert not nodes["root"].blames
    assert not nodes["root"].oddities


def test_a_validity_that_no_case_shows_is_told_all_the_same() -> None:
    wrong = replace(LEAF, issuer=None, not_after=Moment(-5 * DAY))
    assert {node.id: node.ill for node in forest(plan_of(wrong), {}, NOW)} == {
        "root": "",
        "other": "",
        "leaf": "expired",
    }
