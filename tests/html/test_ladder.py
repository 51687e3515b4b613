from __future__ import annotations

from msgspec.structs import replace

from mtls_runner.model.observation import (
    Alert,
    ClientView,
    Direction,
    HttpRequest,
    HttpResponse,
    Message,
    Observation,
    Outcome,
    Phase,
    Reason,
    ServerView,
)
from mtls_runner.reporters.html.drawing import Drawings
from mtls_runner.reporters.html.ladder import LadderStep, LadderStepKind, Toward, steps
from tests.reporters import samples

SENT, RECEIVED = Direction.SENT, Direction.RECEIVED
CASE = samples.case()


def messages(*texts: str) -> tuple[Message, ...]:
    """``>`` sent, ``<`` received, ``!`` an alert."""
    return tuple(
        Message(SENT if text[0] == ">" else RECEIVED, text[1:].removeprefix("!"), 10, alert=text[1] == "!")
        for text in texts
    )


def seen(
    client: tuple[Message, ...],
    server: tuple[Message, ...] = (),
    *,
    outcome: Outcome = Outcome.SERVER_REFUSED,
    phase: Phase = Phase.HANDSHAKE,
    alert: str | None = None,
    status: int | None = None,
) -> Observation:
    response = HttpResponse(status) if status is not None else None
    view = ClientView("python", "3", phase, messages=client, response=response)
    return Observation(outcome, (Reason.UNKNOWN_CA,), alert=alert, client=view, server=ServerView("x", messages=server))


def drawn(observation: Observation) -> list[str]:
    """Each step in short: direction, ``?`` for what only the server saw, label, kind."""
    arrows = {Toward.SERVER: ">", Toward.CLIENT: "<", Toward.NOBODY: "-"}
    return [
        f"{arrows[step.toward]}{'?' if step.server_only else ''}{step.label}"
        + (f" ({step.kind})" if step.kind is not LadderStepKind.HANDSHAKE else "")
        for step in steps(CASE, observation)
    ]


def test_messages_in_order_and_the_alert_where_it_fell() -> None:
    told = messages(">ClientHello", "<ServerHello", "<Certificate", ">!unknown_ca")
    heard = messages("<ClientHello", ">ServerHello", ">Certificate", "<!unknown_ca")
    observation = seen(told, heard, outcome=Outcome.CLIENT_REFUSED, alert="unknown_ca")
    assert drawn(observation) == [">ClientHello", "<ServerHello", "<Certificate", ">unknown_ca (alert)"]


def test_what_only_the_server_saw_stands_in_its_place() -> None:
    told = messages(">ClientHello", "<ServerHello", ">Finished")
    heard = messages("<ClientHello", ">ServerHello", ">NewSessionTicket", "<Finished", ">!unknown_ca")
    assert drawn(seen(told, heard, alert="unknown_ca")) == [
        ">ClientHello",
        "<ServerHello",
        "<?NewSessionTicket",
        ">Finished",
        "<?unknown_ca (alert)",
    ]


def test_what_both_saw_is_not_told_twice_even_when_the_ends_disagree_about_the_order() -> None:
    told = messages(">ClientHello", ">Finished", "<Finished")
    heard = messages("<ClientHello", ">Finished", "<Finished")
    assert drawn(seen(told, heard)) == [">ClientHello", ">Finished", "<Finished"]


def test_a_compatibility_change_cipher_spec_that_clients_drop_is_no_finding() -> None:
    told = messages(">ClientHello", "<ServerHello")
    heard = messages("<ClientHello", ">ServerHello", ">ChangeCipherSpec", ">EncryptedExtensions")
    assert drawn(seen(told, heard)) == [">ClientHello", "<ServerHello", "<?EncryptedExtensions"]


def test_the_request_follows_the_handshake_and_the_answer_precedes_the_goodbye() -> None:
    told = messages(">ClientHello", "<Finished", ">Finished", "<NewSessionTicket", "<!close_notify")
    observation = seen(told, outcome=Outcome.ACCEPTED, phase=Phase.DONE, status=200)
    assert drawn(observation) == [
        ">ClientHello",
        "<Finished",
        ">Finished",
        ">GET / (http)",
        "<NewSessionTicket",
        "<HTTP 200 (http)",
        "<close_notify (notice)",
    ]


def test_no_request_is_drawn_before_the_client_is_done_with_its_handshake() -> None:
    told = messages(">ClientHello", "<ServerHello")
    assert "GET" not in "".join(drawn(seen(told, phase=Phase.HANDSHAKE)))
    assert ">GET / (http)" in drawn(seen(told, phase=Phase.REQUEST))


def test_the_request_that_the_server_saw_counts_more_than_the_planned_one() -> None:
    observation = seen(messages(">ClientHello"), phase=Phase.DONE, status=200, outcome=Outcome.ACCEPTED)
    assert observation.server is not None
    server = replace(observation.server, request=HttpRequest("POST", "/seen"))
    assert ">POST /seen (http)" in drawn(replace(observation, server=server))


def test_an_answer_that_refuses_is_where_it_fell() -> None:
    told = messages(">ClientHello", "<ServerHello")
    assert drawn(seen(told, phase=Phase.DONE, status=400))[-1] == "<HTTP 400 (end)"
    assert drawn(seen(told, phase=Phase.DONE, status=400, outcome=Outcome.ACCEPTED))[-1] == "<HTTP 400 (http)"


def test_an_alert_that_did_not_end_it_is_a_notice() -> None:
    told = messages(">ClientHello", "<!decode_error")
    assert drawn(seen(told, outcome=Outcome.ACCEPTED))[-1] == "<decode_error (notice)"
    assert drawn(seen(told, alert="unknown_ca"))[-1] == "<decode_error (notice)"
    assert drawn(seen(told, alert="decode_error"))[-1] == "<decode_error (alert)"


def test_alerts_stand_in_for_messages_that_an_end_does_not_tell() -> None:
    view = ClientView("curl", "8", Phase.HANDSHAKE, alerts=(Alert(RECEIVED, "unknown_ca", 48),))
    observation = Observation(Outcome.SERVER_REFUSED, (Reason.UNKNOWN_CA,), alert="unknown_ca", client=view)
    assert drawn(observation) == ["<unknown_ca (alert)"]


def test_an_end_without_a_word() -> None:
    told = messages(">ClientHello")
    assert drawn(replace(seen(told, outcome=Outcome.NO_CONNECTION), reasons=(Reason.RESET,)))[-1] == (
        "-connection ended: reset (end)"
    )
    view = ClientView("python", "3", Phase.CONNECT, timed_out=True)
    assert drawn(Observation(Outcome.TIMED_OUT, (Reason.CONNECT,), client=view)) == [
        "-time limit passed: connect (end)"
    ]
    unusable = ClientView("python", "3", Phase.PREPARE, problem=Reason.WRONG_PASSPHRASE)
    assert drawn(Observation(Outcome.CLIENT_UNUSABLE, (Reason.WRONG_PASSPHRASE,), client=unusable)) == [
        "-no handshake was tried (end)"
    ]


def test_long_and_hostile_labels_are_cut_and_made_visible() -> None:
    observation = seen(messages(">ClientHello"), phase=Phase.DONE, status=200, outcome=Outcome.ACCEPTED)
    assert observation.server is not None
    server = replace(observation.server, request=HttpRequest("GET", "/\x1b" + "long" * 40))
    [request] = [text for text in drawn(replace(observation, server=server)) if "GET" in text]
    assert "\\x1b" in request
    assert len(request) < 50
    assert "…" in request


def test_equal_ladders_are_drawn_once() -> None:
    drawings = Drawings()
    hello = LadderStep(Toward.SERVER, LadderStepKind.HANDSHAKE, "ClientHello")
    alert = LadderStep(Toward.CLIENT, LadderStepKind.ALERT, "unknown_ca")
    first, again, other = drawings.of((hello,)), drawings.of((hello,)), drawings.of((hello, alert))
    assert first is again
    assert first.name != other.name
    assert drawings.all() == (first, other)
    assert other.height > first.height


def test_the_mark_of_a_refusal_stands_at_the_end_that_refused() -> None:
    by_server = Drawings().of((LadderStep(Toward.CLIENT, LadderStepKind.ALERT, "unknown_ca"),))
    by_client = Drawings().of((LadderStep(Toward.SERVER, LadderStepKind.ALERT, "unknown_ca"),))
    harmless = Drawings().of((LadderStep(Toward.SERVER, LadderStepKind.NOTICE, "close_notify"),))
    server_x, client_x = by_server.lines[0].from_x, by_client.lines[0].from_x
    assert server_x is not None
    assert client_x is not None
    assert client_x < 180 < server_x
    assert harmless.lines[0].from_x is None
    assert "the server refuses with alert unknown_ca" in by_server.spoken
    assert "refuses" not in harmless.spoken
