# pyright: reportPrivateUsage=false
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.transport import BufferPool
from latticework.transport.buffers import LARGE_BUFFER_BYTES, SMALL_BUFFER_BYTES, ReceiveBuffer


@pytest.mark.unit
def test_a_returned_buffer_is_used_again() -> None:
    pool = BufferPool()
    small, large = pool.lease(1), pool.lease(SMALL_BUFFER_BYTES + 1)
    assert (len(small), len(large)) == (SMALL_BUFFER_BYTES, LARGE_BUFFER_BYTES)
    assert pool.leased_bytes == SMALL_BUFFER_BYTES + LARGE_BUFFER_BYTES
    pool.give_back(large)
    assert pool.lease(LARGE_BUFFER_BYTES) is large


@pytest.mark.unit
def test_the_pool_keeps_only_so_many_idle_buffers() -> None:
    pool = BufferPool(idle_buffers=2)
    leases = [pool.lease(1) for _ in range(5)]
    for lease in leases:
        pool.give_back(lease)
    assert pool.leased_bytes == 0
    assert sum(pool.lease(1) in leases for _ in range(5)) >= 2
    assert len(pool._idle[SMALL_BUFFER_BYTES]) == 0


@pytest.mark.unit
def test_one_byte_pieces_are_joined() -> None:
    buffer = ReceiveBuffer()
    for _ in range(10_000):
        buffer.append(b"x")
    assert len(buffer._pieces) <= 4
    assert buffer.take(1 << 20) == b"x"
    assert buffer.count == 9_999


@pytest.mark.property
@given(
    pieces=st.lists(st.binary(min_size=1, max_size=6000), max_size=20),
    takes=st.lists(st.integers(1, 9000)),
    into=st.booleans(),
)
def test_bytes_come_out_as_they_went_in(pieces: list[bytes], takes: list[int], *, into: bool) -> None:
    buffer = ReceiveBuffer()
    for piece in pieces:
        buffer.append(piece)
    out = b""
    for size in [*takes, *[100_000] * 30]:
        if buffer.count and into:
            target = memoryview(bytearray(size))
            out += target[: buffer.take_into(target)]
        elif buffer.count:
            out += buffer.take(size)
    assert out == b"".join(pieces)
    assert buffer.count == 0
