"""Content-defined cutting: boundaries follow the content and the seed, never the reader."""

import io
from collections.abc import Sequence
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.chunkstore import AVERAGE_CHUNK_BYTES, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Chunker
from latticework.chunkstore.params import READ_BUFFER_BYTES
from latticework.simnet.rng import KeyedRng

MIB: Final = 1 << 20
NOISE: Final = KeyedRng(b"chunks").random_bytes(20 * MIB)
CHUNKER: Final = Chunker(0x1234_5678_9ABC)


class Dribble:
    """A reader that gives as many bytes as it likes at a time."""

    def __init__(self, data: bytes, sizes: Sequence[int]) -> None:
        self._data, self._at, self._sizes, self._turn = data, 0, sizes, 0

    def readinto(self, buffer: memoryview, /) -> int:
        size = self._sizes[self._turn % len(self._sizes)]
        self._turn += 1
        part = self._data[self._at : self._at + min(size, len(buffer))]
        buffer[: len(part)] = part
        self._at += len(part)
        return len(part)


def cut(data: bytes, *, chunker: Chunker = CHUNKER, hint: int | None = None, sizes: Sequence[int] = ()) -> list[bytes]:
    reader = Dribble(data, sizes) if sizes else io.BytesIO(data)
    return [bytes(view) for view in chunker.cut(reader, len(data) if hint is None else hint)]


@pytest.mark.unit
@pytest.mark.parametrize(
    "size",
    [
        0,
        1,
        MIN_CHUNK_BYTES - 1,
        MIN_CHUNK_BYTES,
        MIN_CHUNK_BYTES + 1,
        MAX_CHUNK_BYTES,
        MAX_CHUNK_BYTES + 1,
        READ_BUFFER_BYTES - 1,
        READ_BUFFER_BYTES,
        READ_BUFFER_BYTES + 1,
        20 * MIB,
    ],
)
@pytest.mark.parametrize("content", ["noise", "zeros"])
def test_chunks_join_to_the_input_and_keep_their_bounds(size: int, content: str) -> None:
    data = NOISE[:size] if content == "noise" else bytes(size)
    chunks = cut(data)
    assert b"".join(chunks) == data
    assert all(MIN_CHUNK_BYTES <= len(chunk) <= MAX_CHUNK_BYTES for chunk in chunks[:-1])
    assert all(0 < len(chunk) <= MAX_CHUNK_BYTES for chunk in chunks)
    if size <= MIN_CHUNK_BYTES:
        assert len(chunks) == (size > 0)


@pytest.mark.unit
def test_chunks_have_about_the_average_size() -> None:
    assert AVERAGE_CHUNK_BYTES / 1.6 < len(NOISE) / len(cut(NOISE)) < AVERAGE_CHUNK_BYTES * 1.6


@pytest.mark.unit
@pytest.mark.parametrize("change", ["prepend", "insert", "delete", "append"])
def test_a_small_change_changes_few_chunks(change: str) -> None:
    data = NOISE[: 8 * MIB]
    changed = {
        "prepend": b"x" + data,
        "insert": data[: 4 * MIB] + b"inserted" + data[4 * MIB :],
        "delete": data[: 3 * MIB] + data[3 * MIB + 100 :],
        "append": data + b"x",
    }[change]
    before, after = cut(data), cut(changed)
    assert len(set(after) - set(before)) <= 3
    assert len(before) > 20


@pytest.mark.unit
def test_another_seed_cuts_elsewhere_and_the_same_seed_alike() -> None:
    data = NOISE[: 8 * MIB]
    assert cut(data, chunker=Chunker(0x1234_5678_9ABC)) == cut(data)
    assert len(set(cut(data, chunker=Chunker(77))) & set(cut(data))) <= 1


@pytest.mark.unit
@pytest.mark.parametrize("seed", [0, 1, (1 << 63) - 1])
def test_every_seed_of_63_bits_is_taken(seed: int) -> None:
    assert b"".join(cut(NOISE[:MIB], chunker=Chunker(seed))) == NOISE[:MIB]


@pytest.mark.property
@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 10 * MIB),
    st.lists(st.integers(1, 3 * MIB), min_size=1, max_size=5),
    st.integers(0, 12 * MIB),
    st.integers(0, 1 * MIB),
)
def test_neither_reads_nor_buffers_nor_hints_move_a_boundary(size: int, sizes: list[int], hint: int, at: int) -> None:
    data = NOISE[at : at + size]
    assert cut(data, sizes=[max(size, MIB // 8) for size in sizes], hint=hint) == cut(data)


@pytest.mark.property
@settings(deadline=None, max_examples=20)
@given(st.integers(0, 300_000), st.lists(st.integers(1, 5000), min_size=1, max_size=4), st.integers(0, 400_000))
def test_a_dribbling_reader_gives_the_same_chunks(size: int, sizes: list[int], hint: int) -> None:
    assert cut(NOISE[:size], sizes=sizes, hint=hint) == cut(NOISE[:size])


@pytest.mark.unit
@pytest.mark.parametrize("hint", [0, 1, 100, 9 * MIB, READ_BUFFER_BYTES, 1 << 50])
def test_a_wrong_size_hint_changes_nothing(hint: int) -> None:
    """The file grew or shrank since its size was read."""
    data = NOISE[: 9 * MIB]
    assert cut(data, hint=hint) == cut(data)


@pytest.mark.unit
def test_a_chunk_depends_on_what_follows_its_start_alone() -> None:
    chunks = cut(NOISE)
    start = len(chunks[0]) + len(chunks[1])
    assert cut(NOISE[start:]) == chunks[2:]
