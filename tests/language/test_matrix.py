"""Every combination a case of its own, and what the command line sets."""

from __future__ import annotations

import pytest

from mtls_runner.language import Overrides
from mtls_runner.model.case import Case
from mtls_runner.model.endpoint import TlsVersion
from tests.language.conftest import MINIMAL, Broken, Load, summary

V2, V3 = TlsVersion.V1_2, TlsVersion.V1_3


def cases(load_text: Load, matrix: str, overrides: Overrides | None = None) -> list[Case]:
    return list(load_text(f"{MINIMAL}matrix:\n{matrix}", overrides or Overrides()).cases)


def ids(found: list[Case]) -> list[str]:
    return [case.id.removeprefix("scenario.yaml::good") for case in found]


def test_ids_name_the_cell(load_text: Load) -> None:
    found = cases(load_text, "  client.tls: [TLSv1.2, TLSv1.3]\n  client.tool: [python, curl]\n")
    assert [case.id for case in found] == [
        "scenario.yaml::good[client.tls=TLSv1.2,client.tool=python]",
        "scenario.yaml::good[client.tls=TLSv1.2,client.tool=curl]",
        "scenario.yaml::good[client.tls=TLSv1.3,client.tool=python]",
        "scenario.yaml::good[client.tls=TLSv1.3,client.tool=curl]",
    ]
    assert found[0].name == "good[client.tls=TLSv1.2,client.tool=python]"
    assert [(case.client.tls, case.client.tool.name, case.tls) for case in found if case.client] == [
        ((V2,), "python", V2),
        ((V2,), "curl", V2),
        ((V3,), "python", V3),
        ((V3,), "curl", V3),
    ]
    assert len({id(case.server) for case in found}) == 1


def test_without_a_matrix_an_id_is_the_name(load_text: Load) -> None:
    assert [case.id for case in load_text(MINIMAL).cases] == ["scenario.yaml::good"]
    assert load_text(MINIMAL).cases[0].tls is None  # both 1.2 and 1.3 are possible


def test_a_value_may_be_a_list_or_nothing(load_text: Load) -> None:
    found = cases(load_text, "  client.tls: [[TLSv1.2, TLSv1.3], TLSv1.2]\n  client.certificate: [client, null]\n")
    assert ids(found) == [
        "[client.tls=TLSv1.2+TLSv1.3,client.certificate=client]",
        "[client.tls=TLSv1.2+TLSv1.3,client.certificate=null]",
        "[client.tls=TLSv1.2,client.certificate=client]",
        "[client.tls=TLSv1.2,client.certificate=null]",
    ]
    assert [case.client.certificate for case in found if case.client] == ["client", None, "client", None]


def test_one_value_makes_one_case(load_text: Load) -> None:
    assert ids(cases(load_text, "  client.tool: curl\n")) == ["[client.tool=curl]"]


def test_a_deeper_path_leaves_its_neighbours_alone(load_text: Load) -> None:
    text = MINIMAL.replace("{certificate: server}", "{response: {status: 201, body: kept}}")
    found = load_text(text + "matrix: {server.response.status: [200, 404], client.request.path: [/a]}\n").cases
    assert [(case.server.responses[0].status, case.server.responses[0].body) for case in found] == [
        (200, b"kept"),
        (404, b"kept"),
    ]
    assert [case.server.id for case in found] == ["server", "server.2"]
    assert {case.client.request.path for case in found if case.client} == {"/a"}


def test_a_case_s_own_matrix_takes_the_file_s_place(load_text: Load) -> None:
    text = (
        MINIMAL + "    matrix: {client.repeat: [1, 2]}\n  - {name: b, client: client, expect: accepted, matrix: {}}\n"
    )
    found = load_text(
        text + "  - {name: c, client: client, expect: accepted}\nmatrix: {client.tool: [python, curl]}\n"
    ).cases
    assert [case.name for case in found] == [
        "good[client.repeat=1]",
        "good[client.repeat=2]",
        "b",
        "c[client.tool=python]",
        "c[client.tool=curl]",
    ]


def test_the_command_line_sets_a_value_and_collapses_its_axis(load_text: Load) -> None:
    matrix = "  server.backend: [python, nginx]\n  client.tool: [python, curl]\n  client.tls: [TLSv1.2, TLSv1.3]\n"
    assert len(cases(load_text, matrix)) == 8
    found = cases(load_text, matrix, Overrides(backend="nginx", tool="curl"))
    assert ids(found) == ["[client.tls=TLSv1.2]", "[client.tls=TLSv1.3]"]
    assert {(case.server.backend.name, case.client.tool.name) for case in found if case.client} == {("nginx", "curl")}


def test_the_command_line_sets_what_no_axis_has(load_text: Load) -> None:
    (case,) = load_text(MINIMAL, Overrides(backend="nginx", tool="curl", image="x/y")).cases
    assert case.client is not None
    assert (case.server.backend.name, case.client.tool.name, case.server.option("image")) == ("nginx", "curl", "x/y")
    assert case.id == "scenario.yaml::good"


def test_no_secret_is_in_an_id(load_text: Load) -> None:
    found = cases(load_text, "  client.passphrase: [hunter2, {env: HOME}, null]\n")
    assert ids(found) == ["[client.passphrase=#1]", "[client.passphrase=#2]", "[client.passphrase=null]"]
    assert [case.client.passphrase is None for case in found if case.client] == [False, False, True]


def test_a_server_s_own_expectation_is_a_case_for_each_of_its_cells(load_text: Load) -> None:
    text = MINIMAL.replace("{certificate: server}", "{expect: {starts: true}}")
    found = load_text(text + "matrix: {server.tls: [TLSv1.2, TLSv1.3], client.tool: curl}\n").cases
    assert [case.id for case in found] == [
        "scenario.yaml::server[server.tls=TLSv1.2]",
        "scenario.yaml::server[server.tls=TLSv1.3]",
        "scenario.yaml::good[server.tls=TLSv1.2,client.tool=curl]",
        "scenario.yaml::good[server.tls=TLSv1.3,client.tool=curl]",
    ]
    assert [case.client is None for case in found] == [True, True, False, False]
    assert found[0].server is found[2].server


def test_servers_by_id_have_ids_of_their_own(load_text: Load) -> None:
    text = MINIMAL.replace("server: {certificate: server}", "servers: {a: {expect: {starts: true}}}")
    assert [case.id for case in load_text(text).cases] == ["scenario.yaml::server.a", "scenario.yaml::good"]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ("tls: [TLSv1.2]", "10:10 this is not a path into the server or the client"),
        ("client: [TLSv1.2]", "10:10 this is not a path into the server or the client"),
        ("client.tls: []", "10:10 an axis without values makes no case"),
        ("client.tls: [TLSv1.2, TLSv1.2]", "10:32 this value is already on this axis"),
        ("client.tls: [TLSv1.2, TLSv9]", "10:32 this is not a TLS version"),
        ("client.tls: [[TLSv1.2, TLSv9]]", "10:33 this is not a TLS version"),
        ("client.tsl: x", "10:10 there is no key 'tsl' here"),
        ("client.request.pth: x", "10:10 there is no key 'pth' here"),
        ("server.expect: x", "10:10 server.expect can't be varied"),
        ("server.like: server", "10:10 server.like can't be varied"),
        ("client.certificate: [client, gone]", "10:39 there is no authority or leaf 'gone'"),
        ("client.repeat: [0]", "10:26 this number is out of range"),
    ],
)
def test_what_an_axis_can_not_be(broken: Broken, matrix: str, message: str) -> None:
    assert summary(broken(f"{MINIMAL}matrix: {{{matrix}}}\n")) == [message]


def test_a_matrix_is_bounded(broken: Broken) -> None:
    values = ", ".join(str(number) for number in range(1, 102))
    text = f"{MINIMAL}matrix:\n  client.repeat: [{values}]\n  client.timeout: [{values}]\n"
    assert summary(broken(text)) == ["10:1 this matrix makes 10201 cases of one"]


def test_the_certificate_of_any_cell_is_presented_by_a_server(load_text: Load) -> None:
    plan = load_text(MINIMAL + "matrix: {server.certificate: [server, client]}\n")
    assert plan.certificates["client"].san == ("DNS:localhost", "IP:127.0.0.1")


def test_what_a_case_and_the_file_s_matrix_both_say(load_text: Load) -> None:
    """The matrix counts, which nobody reads in the case."""
    text = MINIMAL.replace("client: client\n", "client: {certificate: client, tls: TLSv1.2}\n")
    matrix = "matrix: {client.tls: [TLSv1.2, TLSv1.3]}\n"
    told = [one.message for one in load_text(text + matrix).warnings]
    assert told == ["the file's matrix says client.tls, too, and that counts"]
    assert load_text(text + matrix.replace("client.tls: [TLSv1.2, TLSv1.3]", "client.tool: [python]")).warnings == ()
    own = load_text(text.replace("    expect:", "    matrix: {}\n    expect:") + matrix)
    assert (own.warnings, len(own.cases)) == ((), 1)
