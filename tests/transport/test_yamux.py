# pyright: reportPrivateUsage=false
"""The yamux machine: what a peer may not do, and what happens then."""

import pytest

from latticework.transport import YamuxLimits
from latticework.transport import yamux_frames as y
from latticework.transport.yamux import Yamux
from latticework.transport.yamux_frames import ACK, DATA, FIN, GO_AWAY, HEADER, PING, RST, SYN, WINDOW_UPDATE

pytestmark = pytest.mark.unit

WINDOW = 256 * 1024
SECOND = 1_000_000


def listener(limits: YamuxLimits | None = None) -> Yamux:
    machine = Yamux(initiator=False, limits=limits or YamuxLimits())
    machine.start(0)
    return machine


def feed(machine: Yamux, data: bytes, now_us: int = 0) -> list[y.Action]:
    return machine.handle(y.Received(memoryview(data)), now_us)


def frame(kind: int, flags: int, stream: int, value: int, payload: bytes = b"") -> bytes:
    return HEADER.pack(0, kind, flags, stream, value) + payload


def data(stream: int, payload: bytes, flags: int = 0) -> bytes:
    return frame(DATA, flags, stream, len(payload), payload)


def drain(machine: Yamux, size: int = 1 << 20) -> list[tuple[int, int, int, int, bytes]]:
    """Everything the machine wants to send except pings: (kind, flags, stream, value, payload)."""
    return [frame for frame in drain_all(machine, size) if frame[:2] != (PING, SYN)]


def drain_all(machine: Yamux, size: int = 1 << 20) -> list[tuple[int, int, int, int, bytes]]:
    found: list[tuple[int, int, int, int, bytes]] = []
    out = memoryview(bytearray(size))
    while machine.has_output:
        count, _ = machine.fill(out)
        offset = 0
        while offset < count:
            _, kind, flags, stream, value = HEADER.unpack_from(out, offset)
            offset += 12
            length = value if kind == DATA else 0
            found.append((kind, flags, stream, value, bytes(out[offset : offset + length])))
            offset += length
        if not count:
            break
    return found


def closes(actions: list[y.Action]) -> bool:
    return bool(actions) and isinstance(actions[-1], y.CloseSession)


@pytest.mark.parametrize(
    "bad",
    [
        HEADER.pack(1, DATA, SYN, 1, 0),
        frame(4, 0, 0, 0),
        frame(255, 0, 0, 0),
        frame(DATA, 0x10, 1, 0),
        frame(DATA, 0x8000, 1, 0),
        frame(DATA, SYN, 0, 0),
        frame(WINDOW_UPDATE, 0, 0, 1),
        frame(DATA, 0, 1, 0),
        frame(DATA, 0, 2, 0),
        frame(WINDOW_UPDATE, 0, 7, 1),
        frame(DATA, SYN, 2, 0),
        frame(DATA, SYN, 5, 0) + frame(DATA, SYN, 3, 0),
        frame(DATA, SYN, 5, 0) + frame(DATA, SYN, 5, 0),
        frame(DATA, SYN, 1, WINDOW + 1),
        frame(DATA, SYN, 1, 0xFFFFFFFF),
        frame(DATA, SYN | FIN, 1, 0) + data(1, b"x"),
        data(1, b"x", SYN | FIN) + data(1, b"x"),
        frame(WINDOW_UPDATE, SYN, 1, 0xFFFFFFFF),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_a_broken_rule_closes_the_session_with_a_protocol_error(bad: bytes) -> None:
    machine = listener()
    actions = feed(machine, bad)
    assert closes(actions)
    assert drain(machine) == [(GO_AWAY, 0, 0, y.GoAwayCode.PROTOCOL_ERROR, b"")]
    assert feed(machine, frame(DATA, SYN, 11, 0)) == []


def test_a_broken_rule_is_found_wherever_the_bytes_are_cut() -> None:
    bad = data(1, b"hello", SYN) + frame(9, 0, 0, 0)
    for cut in range(1, len(bad)):
        machine = listener()
        assert closes(feed(machine, bad[:cut]) + feed(machine, bad[cut:]))


def test_data_beyond_the_window_closes_the_session() -> None:
    machine = listener()
    assert not closes(feed(machine, data(1, bytes(WINDOW), SYN)))
    assert closes(feed(machine, data(1, b"x")))


def test_consumed_bytes_may_be_sent_again_and_not_one_more() -> None:
    machine = listener()
    feed(machine, data(1, bytes(WINDOW), SYN))
    machine.handle(y.Consumed(1, WINDOW // 2), SECOND)
    machine.handle(y.Consumed(1, 1), SECOND)
    assert drain(machine) == [(WINDOW_UPDATE, ACK, 1, WINDOW // 2 + 1, b"")]
    assert not closes(feed(machine, data(1, bytes(WINDOW // 2 + 1))))
    assert closes(feed(machine, data(1, b"x")))


def test_credit_that_was_not_announced_is_not_the_peers_yet() -> None:
    machine = listener()
    feed(machine, data(1, bytes(WINDOW), SYN))
    machine.handle(y.Consumed(1, WINDOW), SECOND)
    assert closes(feed(machine, data(1, b"x")))


def test_a_flood_of_3000_streams_is_capped_and_refused() -> None:
    machine = listener()
    for number in range(1, 6001, 2):
        actions = feed(machine, frame(WINDOW_UPDATE, SYN, number, 0))
        assert not closes(actions)
        drain(machine)
    assert machine.stream_count == 64


def test_a_flood_of_streams_that_is_not_read_ends_the_session() -> None:
    machine = listener()
    flood = b"".join(frame(WINDOW_UPDATE, SYN, number, 0) for number in range(1, 6001, 2))
    assert closes(feed(machine, flood))
    assert machine.stream_count == 64


def test_data_of_a_refused_stream_is_skipped() -> None:
    machine = listener(YamuxLimits(max_inbound_streams=1))
    feed(machine, frame(DATA, SYN, 1, 0))
    assert feed(machine, data(3, b"for nobody", SYN) + data(3, b"more")) == []
    assert feed(machine, data(1, b"x")) == [y.Data(1, memoryview(b"x"))]
    assert drain(machine) == [(DATA, RST, 3, 0, b"")]


def test_a_finished_stream_makes_room_for_another() -> None:
    machine = listener(YamuxLimits(max_inbound_streams=1))
    feed(machine, frame(DATA, SYN | FIN, 1, 0))
    machine.handle(y.Finish(1), 0)
    drain(machine)
    assert machine.stream_count == 0
    assert feed(machine, frame(DATA, SYN, 3, 0)) == [y.Opened(3, inbound=True)]


def test_pings_are_answered_and_a_flood_of_them_is_not() -> None:
    machine = listener()
    assert feed(machine, frame(PING, SYN, 0, 77)) == []
    assert drain(machine) == [(PING, ACK, 0, 77, b"")]
    feed(machine, frame(PING, SYN, 0, 1) * 1000)
    assert len(drain(machine)) == 31
    feed(machine, frame(PING, SYN, 0, 1) * 1000, SECOND)
    assert len(drain(machine)) == 10


def test_answers_to_pings_that_were_never_sent_are_ignored() -> None:
    assert feed(listener(), frame(PING, ACK, 0, 5) * 100) == []


def test_a_quiet_peer_is_asked_and_then_declared_dead() -> None:
    machine = listener()
    ask = machine.handle(y.TimerFired(y.TimerKey.KEEP_ALIVE), 15 * SECOND)
    assert ask == [y.SetTimer(y.TimerKey.KEEP_ALIVE, 15 * SECOND), y.SetTimer(y.TimerKey.DEAD, 10 * SECOND)]
    assert drain_all(machine) == [(PING, SYN, 0, 1, b"")]
    assert machine.handle(y.TimerFired(y.TimerKey.DEAD), 25 * SECOND) == [y.DeclareDead(25 * SECOND)]


@pytest.mark.parametrize("sign", [frame(PING, ACK, 0, 1), frame(DATA, SYN, 1, 0)])
def test_any_sign_of_life_is_enough(sign: bytes) -> None:
    machine = listener()
    machine.handle(y.TimerFired(y.TimerKey.KEEP_ALIVE), 15 * SECOND)
    feed(machine, sign, 16 * SECOND)
    assert machine.handle(y.TimerFired(y.TimerKey.DEAD), 25 * SECOND) == []


def test_an_active_peer_is_not_asked() -> None:
    machine = listener()
    feed(machine, frame(PING, SYN, 0, 1), 10 * SECOND)
    drain_all(machine)
    machine.handle(y.TimerFired(y.TimerKey.KEEP_ALIVE), 15 * SECOND)
    assert drain_all(machine) == []


def test_a_goodbye_with_an_error_is_told_and_no_stream_opens_after_one() -> None:
    machine = listener()
    assert feed(machine, frame(GO_AWAY, 0, 0, 2)) == [y.PeerLeft(2)]
    assert isinstance(machine.handle(y.Open(), 0)[0], y.OpenRefused)
    assert feed(machine, frame(DATA, SYN, 1, 0)) == []


def test_opening_and_first_bytes_share_a_frame() -> None:
    machine = Yamux(initiator=True, limits=YamuxLimits())
    assert machine.handle(y.Open(), 0) == [y.Opened(1, inbound=False)]
    machine.handle(y.Write(1, (memoryview(b"ab"), memoryview(b"cd"))), 0)
    machine.handle(y.Finish(1), 0)
    assert drain(machine) == [(DATA, SYN, 1, 4, b"abcd"), (WINDOW_UPDATE, FIN, 1, 0, b"")]


@pytest.mark.parametrize("room", range(28, 40))
def test_the_end_of_a_stream_never_rides_on_its_data(room: int) -> None:
    """js-libp2p 3.3 forgets bytes that arrive in one frame with the end."""
    machine = Yamux(initiator=True, limits=YamuxLimits())
    machine.handle(y.Open(), 0)
    machine.handle(y.Write(1, (memoryview(b"abcd"),)), 0)
    machine.handle(y.Finish(1), 0)
    sent = [(kind, flags) for kind, flags, *_ in drain(machine, room)]
    assert sent == [(DATA, SYN), (WINDOW_UPDATE, FIN)]


def test_a_record_is_filled_to_its_last_bytes() -> None:
    machine = Yamux(initiator=True, limits=YamuxLimits())
    machine.handle(y.Open(), 0)
    machine.handle(y.Write(1, (memoryview(bytes(1 << 20)),)), 0)
    count, _ = machine.fill(memoryview(bytearray(16384)))
    assert count == 16384


def test_a_write_waits_for_credit_and_goes_on_with_it() -> None:
    machine = Yamux(initiator=True, limits=YamuxLimits())
    machine.handle(y.Open(), 0)
    machine.handle(y.Write(1, (memoryview(bytes(WINDOW + 10)),)), 0)
    assert sum(value for kind, _, _, value, _ in drain(machine) if kind == DATA) == WINDOW
    feed(machine, frame(WINDOW_UPDATE, ACK, 1, 4))
    assert drain(machine) == [(DATA, 0, 1, 4, bytes(4))]
    feed(machine, frame(WINDOW_UPDATE, 0, 1, 100))
    assert drain(machine) == [(DATA, 0, 1, 6, bytes(6))]


def test_streams_take_turns() -> None:
    machine = Yamux(initiator=True, limits=YamuxLimits())
    for number in (1, 3):
        machine.handle(y.Open(), 0)
        machine.handle(y.Write(number, (memoryview(bytes(200_000)),)), 0)
    order = [stream for _, _, stream, _, _ in drain(machine)]
    assert order == [1, 3, 1, 3, 1, 3, 1, 3]


def test_a_reset_of_a_stream_the_peer_never_saw_says_nothing() -> None:
    machine = Yamux(initiator=True, limits=YamuxLimits())
    machine.handle(y.Open(), 0)
    machine.handle(y.Reset(1), 0)
    assert drain(machine) == []


def test_a_reset_forgets_what_was_queued() -> None:
    machine = Yamux(initiator=True, limits=YamuxLimits())
    machine.handle(y.Open(), 0)
    drain(machine)
    machine.handle(y.Write(1, (memoryview(b"x" * 100),)), 0)
    machine.handle(y.Reset(1), 0)
    assert drain(machine) == [(DATA, RST, 1, 0, b"")]


def test_data_on_an_abandoned_stream_is_answered_with_a_reset() -> None:
    machine = listener()
    feed(machine, frame(DATA, SYN, 1, 0))
    machine.handle(y.Abandon(1), 0)
    assert drain(machine) == [(WINDOW_UPDATE, ACK | FIN, 1, 0, b"")]
    assert feed(machine, data(1, b"still talking")) == []
    assert drain(machine) == [(DATA, RST, 1, 0, b"")]
    assert machine.stream_count == 0


def test_an_abandoned_stream_does_not_linger_for_ever() -> None:
    machine = listener()
    feed(machine, frame(DATA, SYN, 1, 0))
    machine.handle(y.Abandon(1), 0)
    machine.handle(y.TimerFired(y.TimerKey.KEEP_ALIVE), 15 * SECOND)
    assert machine.stream_count == 1
    machine.handle(y.TimerFired(y.TimerKey.KEEP_ALIVE), 30 * SECOND)
    assert machine.stream_count == 0


def window_of(machine: Yamux, stream: int) -> int:
    return machine._streams[stream].target


def transfer(machine: Yamux, now_us: int) -> None:
    """The peer uses half the window and the application reads it."""
    half = window_of(machine, 1) // 2
    feed(machine, data(1, bytes(half)), now_us)
    machine.handle(y.Consumed(1, half), now_us)
    drain(machine, 1 << 23)
    state = machine._streams[1]
    assert state.receivable + state.unread + state.credit == state.target


def test_a_window_grows_only_while_it_is_used_up_within_a_few_round_trips() -> None:
    machine = listener()
    feed(machine, frame(DATA, SYN, 1, 0))
    transfer(machine, 1000)
    assert window_of(machine, 1) == WINDOW
    feed(machine, frame(PING, ACK, 0, 1), 10_000)
    transfer(machine, 12_000)
    assert window_of(machine, 1) == 2 * WINDOW
    transfer(machine, 12_000 + 41_000)
    assert window_of(machine, 1) == 2 * WINDOW
    for step in range(10):
        transfer(machine, 60_000 + step)
    assert window_of(machine, 1) == 16 * WINDOW


def test_little_data_never_makes_a_window_grow() -> None:
    machine = listener()
    feed(machine, frame(DATA, SYN, 1, 0))
    for now_us in range(100):
        feed(machine, data(1, bytes(1000)), now_us)
        machine.handle(y.Consumed(1, 1000), now_us)
        feed(machine, frame(PING, ACK, 0, 1), now_us)
    assert window_of(machine, 1) == WINDOW
    assert drain(machine) == []


def test_the_round_trip_time_is_asked_with_the_first_stream_and_no_later_one() -> None:
    machine = listener()
    feed(machine, frame(DATA, SYN, 1, 0) + frame(DATA, SYN, 3, 0))
    assert drain_all(machine) == [(PING, SYN, 0, 1, b"")]
    feed(machine, frame(PING, ACK, 0, 1) + frame(DATA, SYN, 5, 0))
    assert drain_all(machine) == []


def test_growth_is_bounded_per_connection() -> None:
    machine = listener(YamuxLimits(growth_bytes=WINDOW))
    feed(machine, frame(DATA, SYN, 1, 0))
    transfer(machine, 0)
    feed(machine, frame(PING, ACK, 0, 1), 100)
    for now_us in range(100, 120):
        transfer(machine, now_us)
    assert window_of(machine, 1) == 2 * WINDOW


def test_a_withdrawn_write_is_not_sent_and_earlier_ones_are() -> None:
    machine = Yamux(initiator=True, limits=YamuxLimits())
    machine.handle(y.Open(), 0)
    machine.handle(y.Write(1, (memoryview(b"early"),)), 0)
    machine.handle(y.Write(1, (memoryview(b"la"), memoryview(b"te"))), 0)
    machine.handle(y.Withdraw(1, 4), 0)
    assert drain(machine) == [(DATA, SYN, 1, 5, b"early")]
