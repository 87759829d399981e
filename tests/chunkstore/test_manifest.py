import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.chunkstore import check_sizes, read_manifest, write_manifest
from latticework.chunkstore.manifest import Manifest
from latticework.crdt import ChunkRef
from latticework.wire import ChunkId, MalformedError, encode, encode_plain

REFS = st.lists(
    st.builds(
        ChunkRef,
        st.binary(min_size=32, max_size=32).map(ChunkId),
        st.binary(min_size=32, max_size=32),
        st.integers(1, 1 << 26),
    ),
    max_size=20,
)
ONE = ChunkRef(ChunkId(bytes(32)), bytes(32), 5)


@pytest.mark.property
@given(REFS)
def test_what_is_written_is_read(refs: list[ChunkRef]) -> None:
    size = sum(ref.length for ref in refs)
    plaintext = write_manifest(refs)
    assert read_manifest(plaintext, size) == tuple(refs)
    for wrong in (size + 1, size - 1):
        with pytest.raises(MalformedError):
            read_manifest(plaintext, wrong)


@pytest.mark.property
@given(REFS.filter(bool), st.data())
def test_a_manifest_cut_anywhere_is_refused(refs: list[ChunkRef], data: st.DataObject) -> None:
    plaintext = write_manifest(refs)
    length = data.draw(st.integers(0, len(plaintext) - 1))
    with pytest.raises(MalformedError):
        read_manifest(plaintext[:length], sum(ref.length for ref in refs))


@pytest.mark.unit
@pytest.mark.parametrize(
    "plaintext",
    [
        b"",
        b"\xff",
        encode_plain([2, bytes(68)]),
        encode_plain([1]),
        encode_plain([1, b"", 0]),
        encode_plain([1, "x" * 68]),
        encode(Manifest(1, bytes(67))),
        encode(Manifest(1, bytes(69))),
    ],
    ids=["nothing", "break", "version", "short", "long", "text", "cut reference", "half a reference"],
)
def test_what_is_no_manifest_is_refused(plaintext: bytes) -> None:
    with pytest.raises(MalformedError):
        read_manifest(plaintext, 0)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("lengths", "size"),
    [([0], 0), ([5, 0], 5), ([5], 4), ([], 1), ([1 << 27], 1 << 27), ([(1 << 32) - 1], (1 << 32) - 1), ([6, -1], 5)],
)
def test_sizes_that_cannot_be_are_refused(lengths: list[int], size: int) -> None:
    with pytest.raises(MalformedError):
        check_sizes([ChunkRef(ONE.id, ONE.key, length) for length in lengths], size)


@pytest.mark.unit
@pytest.mark.parametrize(("count", "size"), [(0, 0), (1, 5), (3, 15)])
def test_sizes_that_add_up_are_taken(count: int, size: int) -> None:
    check_sizes([ONE] * count, size)


@pytest.mark.unit
def test_a_reference_takes_sixty_eight_bytes() -> None:
    assert len(write_manifest([ONE] * 1000)) == 68_000 + len(write_manifest([])) + 4
