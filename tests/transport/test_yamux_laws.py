# pyright: reportPrivateUsage=false
"""Two yamux machines, whatever is done to them and wherever the bytes are cut."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from latticework.transport import YamuxLimits
from latticework.transport import yamux_frames as y
from latticework.transport.yamux import Yamux

LIMITS = YamuxLimits(max_inbound_streams=3, max_outbound_streams=3, growth_bytes=1 << 20)


class End:
    """One machine and its application: what was written, what was read, what is unread."""

    def __init__(self, *, initiator: bool) -> None:
        self.machine = Yamux(initiator=initiator, limits=LIMITS)
        self.machine.start(0)
        self.wire = b""
        self.open: list[int] = []
        self.written: dict[int, bytes] = {}
        self.finished: set[int] = set()
        self.received: dict[int, bytes] = {}
        self.unread: dict[int, int] = {}
        self.remote_finished: set[int] = set()

    def apply(self, actions: list[y.Action]) -> None:
        for action in actions:
            match action:
                case y.Opened(stream, _):
                    self.open.append(stream)
                    self.written[stream] = b""
                    self.received[stream] = b""
                    self.unread[stream] = 0
                case y.Data(stream, data):
                    assert stream not in self.remote_finished
                    self.received[stream] += data
                    self.unread[stream] += len(data)
                case y.RemoteFinished(stream):
                    self.remote_finished.add(stream)
                case y.CloseSession(_, reason):
                    raise AssertionError(reason)
                case _:
                    pass


class TwoEnds(RuleBasedStateMachine):
    """Rules act on either end; bytes travel in arbitrary pieces."""

    def __init__(self) -> None:
        super().__init__()
        self.ends = (End(initiator=True), End(initiator=False))
        self.now_us = 0
        self.byte = 0

    def step(self, end: End, event: y.Event) -> None:
        self.now_us += 1
        end.apply(end.machine.handle(event, self.now_us))

    @rule(side=st.integers(0, 1))
    def open(self, side: int) -> None:
        self.step(self.ends[side], y.Open())

    @precondition(lambda self: any(end.open for end in self.ends))
    @rule(side=st.integers(0, 1), pick=st.integers(0, 9), size=st.sampled_from([1, 100, 40_000, 300_000, 700_000]))
    def write(self, side: int, pick: int, size: int) -> None:
        end = self.ends[side]
        writable = [stream for stream in end.open if stream not in end.finished]
        if writable:
            stream = writable[pick % len(writable)]
            self.byte = (self.byte + 1) % 251
            data = bytes([self.byte]) * size
            end.written[stream] += data
            self.step(end, y.Write(stream, (memoryview(data),)))

    @rule(side=st.integers(0, 1), pick=st.integers(0, 9))
    def finish(self, side: int, pick: int) -> None:
        end = self.ends[side]
        if end.open:
            stream = end.open[pick % len(end.open)]
            end.finished.add(stream)
            self.step(end, y.Finish(stream))

    @rule(side=st.integers(0, 1), size=st.sampled_from([64, 1000, 16_384, 262_144]))
    def fill(self, side: int, size: int) -> None:
        end = self.ends[side]
        out = memoryview(bytearray(size))
        count, actions = end.machine.fill(out)
        end.apply(actions)
        self.ends[1 - side].wire += out[:count]

    @rule(side=st.integers(0, 1), size=st.integers(1, 400_000))
    def deliver(self, side: int, size: int) -> None:
        end = self.ends[side]
        piece, end.wire = end.wire[:size], end.wire[size:]
        self.step(end, y.Received(memoryview(piece)))

    @rule(side=st.integers(0, 1), pick=st.integers(0, 9), size=st.integers(1, 300_000))
    def read(self, side: int, pick: int, size: int) -> None:
        end = self.ends[side]
        if end.open:
            stream = end.open[pick % len(end.open)]
            count = min(size, end.unread[stream])
            end.unread[stream] -= count
            self.step(end, y.Consumed(stream, count))

    @invariant()
    def every_byte_arrives_in_order(self) -> None:
        for sender, receiver in (self.ends, self.ends[::-1]):
            for stream, received in receiver.received.items():
                assert sender.written.get(stream, b"").startswith(received)

    @invariant()
    def unread_bytes_are_bounded_by_the_window(self) -> None:
        for end in self.ends:
            for stream, state in end.machine._streams.items():
                expected = end.machine._body if end.machine._body_stream is state else 0
                assert state.receivable + expected + state.unread + state.credit == state.target
                assert state.receivable >= 0
                assert end.unread[stream] == state.unread <= state.target <= 4 << 20

    def teardown(self) -> None:
        for _ in range(200):
            for side in (0, 1):
                self.fill(side, 262_144)
                self.deliver(side, 1 << 30)
                for pick in range(len(self.ends[side].open)):
                    self.read(side, pick, 1 << 30)
            if not any(end.machine.has_output or end.wire for end in self.ends):
                break
        for sender, receiver in (self.ends, self.ends[::-1]):
            for stream in receiver.open:
                assert receiver.received[stream] == sender.written[stream]
                assert (stream in receiver.remote_finished) == (stream in sender.finished)


TwoEnds.TestCase.settings = settings(
    max_examples=100, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.property
class TestTwoEnds(TwoEnds.TestCase):
    pass


@pytest.mark.property
@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(st.binary(max_size=60), max_size=10), initiator=st.booleans())
def test_random_bytes_never_raise(pieces: list[bytes], *, initiator: bool) -> None:
    machine = Yamux(initiator=initiator, limits=LIMITS)
    machine.start(0)
    for piece in pieces:
        machine.handle(y.Received(memoryview(piece)), 0)
        machine.fill(memoryview(bytearray(1 << 16)))


FRAMES = st.tuples(
    st.just(0), st.integers(0, 3), st.integers(0, 15), st.integers(0, 8), st.sampled_from([0, 1, 5, 300_000, 2**32 - 1])
)


@pytest.mark.property
@settings(max_examples=300, deadline=None)
@given(st.lists(FRAMES, max_size=20))
def test_any_sequence_of_wellformed_frames_is_survived(frames: list[tuple[int, int, int, int, int]]) -> None:
    machine = Yamux(initiator=False, limits=LIMITS)
    machine.start(0)
    machine.handle(y.Open(), 0)
    for frame in frames:
        payload = bytes(frame[4] % 8) if frame[1] == 0 and frame[4] < 8 else b""
        machine.handle(y.Received(memoryview(y.HEADER.pack(*frame) + payload)), 0)
        machine.fill(memoryview(bytearray(1 << 16)))
    assert machine.stream_count <= 4
