import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.transport.multistream import (
    HEADER,
    Action,
    Initiator,
    Received,
    Refused,
    Responder,
    Selected,
    Send,
    frame,
)

HELLO = frame(HEADER)


def play(initiator: Initiator, responder: Responder, cuts: list[int]) -> tuple[list[Action], list[Action], int]:
    """Connect both ends over a wire that cuts as told; (outcomes of each, number of flights)."""
    outcomes: tuple[list[Action], list[Action]] = [], []
    machines = (initiator, responder)
    pending = [(1, action.data) for action in initiator.start() if isinstance(action, Send)]
    flights = 0
    while pending:
        to, data = pending.pop(0)
        flights += 1
        while data:
            size = cuts.pop() if cuts else len(data)
            piece, data = data[:size], data[size:]
            for action in machines[to].handle(Received(piece)):
                if isinstance(action, Send):
                    pending.append((1 - to, action.data))
                else:
                    outcomes[to].append(action)
    return outcomes[0], outcomes[1], flights


@pytest.mark.unit
@pytest.mark.parametrize(
    "data",
    [
        b"\x13/multistream/2.0.0\n",
        b"\x13/multistream/1.0.0x",
        b"\x00",
        b"\xff\xff\x03",
        b"\x80\x00",
        b"\x81\x08",
        b"GET / HTTP/1.1\r\n" * 8,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"\x02\xc3\n",
    ],
)
def test_anything_else_than_multistream_is_refused_as_malformed(data: bytes) -> None:
    for machine in (Initiator(["/a"]), Responder(["/a"])):
        action = machine.handle(Received(data))[-1]
        assert isinstance(action, Refused)
        assert action.malformed


@pytest.mark.unit
def test_a_long_message_is_refused_by_its_length_alone() -> None:
    responder = Responder(["/a"])
    assert responder.handle(Received(HELLO)) == [Send(HELLO)]
    (action,) = responder.handle(Received(b"\x81\x08"))  # 1025
    assert action == Refused("multistream message of 1025 bytes", malformed=True)


@pytest.mark.unit
def test_an_endless_list_of_proposals_is_cut_off() -> None:
    actions = Responder(["/a"]).handle(Received(HELLO + frame("/b") * 50))
    assert actions == [Send(HELLO + frame("na") * 16), Refused("16 proposals and none of ours", malformed=False)]


@pytest.mark.unit
def test_an_answer_that_was_not_asked_for_is_refused() -> None:
    (action,) = Initiator(["/a"]).handle(Received(HELLO + frame("/b")))
    assert action == Refused("peer answered '/b'", malformed=True)


@pytest.mark.unit
def test_ls_is_answered_na() -> None:
    assert Responder(["/a"]).handle(Received(HELLO + frame("ls"))) == [Send(HELLO + frame("na"))]


@pytest.mark.unit
def test_agreement_costs_one_round_trip() -> None:
    dialler, listener, flights = play(Initiator(["/a", "/b"]), Responder(["/a"]), [])
    assert (dialler, listener, flights) == ([Selected("/a", b"")], [Selected("/a", b"")], 2)


@pytest.mark.unit
def test_the_second_choice_is_found() -> None:
    dialler, listener, _ = play(Initiator(["/a", "/b"]), Responder(["/b"]), [])
    assert dialler == listener == [Selected("/b", b"")]


@pytest.mark.unit
def test_nothing_in_common_is_a_typed_refusal() -> None:
    dialler, _, _ = play(Initiator(["/a", "/b"]), Responder(["/c"]), [])
    assert dialler == [Refused("peer does not speak /b", malformed=False)]
    assert Initiator([]).start() == [Refused("nothing to propose", malformed=False)]


@pytest.mark.unit
def test_bytes_behind_the_agreement_are_handed_on() -> None:
    actions = Responder(["/a"]).handle(Received(HELLO + frame("/a") + b"\xffdata"))
    assert actions == [Send(HELLO + frame("/a")), Selected("/a", b"\xffdata")]
    assert Initiator(["/a"]).handle(Received(HELLO + frame("/a") + b"\x00")) == [Selected("/a", b"\x00")]


@pytest.mark.property
@given(st.lists(st.integers(1, 30), max_size=40))
def test_cuts_change_nothing(cuts: list[int]) -> None:
    dialler, listener, _ = play(Initiator(["/x/1", "/y/1", "/z/1"]), Responder({"/z/1"}), cuts)
    assert dialler == listener == [Selected("/z/1", b"")]


@pytest.mark.property
@given(data=st.binary(max_size=200), greeted=st.booleans())
def test_random_bytes_never_raise(data: bytes, *, greeted: bool) -> None:
    for machine in (Initiator(["/a"]), Responder(["/a"])):
        machine.handle(Received((HELLO if greeted else b"") + data))
