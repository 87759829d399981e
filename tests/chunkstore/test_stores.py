"""One contract for every chunk store, and what packs do when their disk fails them."""

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from blake3 import blake3

from latticework.chunkstore import ChunkStore, MemoryChunks, Packs
from latticework.chunkstore import packs as packs_module
from latticework.wire import ChunkId, StoreError

pytestmark = pytest.mark.unit


def sample(text: bytes) -> tuple[ChunkId, bytes]:
    return ChunkId(blake3(text).digest()), text


ONE, TWO, EMPTY = sample(b"one"), sample(b"two" * 1000), sample(b"")


@pytest.fixture(params=["memory", "packs"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ChunkStore]:
    made: ChunkStore = MemoryChunks() if request.param == "memory" else Packs(tmp_path / "packs")
    yield made
    made.close()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "space" / "packs"


def pack_files(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.pack"))


def test_what_is_put_is_got_and_nothing_else(store: ChunkStore) -> None:
    assert store.get(ONE[0]) is None
    for chunk in (ONE, TWO, EMPTY):
        store.put(*chunk)
    assert [store.get(chunk) for chunk, _ in (ONE, TWO, EMPTY)] == [ONE[1], TWO[1], EMPTY[1]]
    assert store.get(ChunkId(bytes(32))) is None


def test_putting_twice_is_putting_once(store: ChunkStore) -> None:
    store.put(*ONE)
    store.put(*ONE)
    assert store.get(ONE[0]) == ONE[1]


def test_a_buffer_that_is_used_again_afterwards_does_no_harm(store: ChunkStore) -> None:
    buffer = bytearray(ONE[1])
    store.put(ONE[0], buffer)
    buffer[:] = b"xxx"
    got = store.get(ONE[0])
    assert got == ONE[1]
    assert type(got) is bytes


def test_bytes_that_are_not_the_chunk_are_never_given_out(store: ChunkStore) -> None:
    store.put(ONE[0], b"something else")
    assert store.get(ONE[0]) is None
    store.put(*ONE)
    assert store.get(ONE[0]) == ONE[1]


def test_threads_may_put_and_get_at_once(store: ChunkStore) -> None:
    chunks = [sample(b"%d" % (number % 20)) for number in range(60)]

    def keep(chunk: tuple[ChunkId, bytes]) -> bytes | None:
        store.put(*chunk)
        return store.get(chunk[0])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(keep, chunks)) == [text for _, text in chunks]


def test_closing_twice_is_closing_once(store: ChunkStore) -> None:
    store.close()


def test_chunks_survive_a_new_start(directory: Path) -> None:
    first = Packs(directory)
    first.put(*ONE)
    first.close()
    second = Packs(directory)
    second.put(*TWO)
    assert (second.get(ONE[0]), second.get(TWO[0])) == (ONE[1], TWO[1])
    second.close()


def test_nobody_else_may_read_the_packs(directory: Path) -> None:
    packs = Packs(directory)
    packs.put(*ONE)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in directory.iterdir() if path.suffix in {".pack", ".db"}} == {0o600}
    packs.close()


def test_a_full_pack_is_closed_and_the_next_begun(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs_module, "PACK_TARGET_BYTES", 10)
    packs = Packs(directory)
    chunks = [sample(b"%d" % number * 6) for number in range(6)]
    for chunk in chunks:
        packs.put(*chunk)
    assert [path.stat().st_size for path in pack_files(directory)] == [12, 12, 12]
    assert [packs.get(chunk) for chunk, _ in chunks] == [text for _, text in chunks]
    packs.close()


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGE: Final[dict[str, Callable[[Path], None]]] = {
    "flipped bit": lambda path: flip(path, 1),
    "cut": cut_short,
    "emptied": empty,
    "gone": Path.unlink,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_chunk_is_forgotten_and_can_be_put_again(directory: Path, damage: Callable[[Path], None]) -> None:
    packs = Packs(directory)
    packs.put(*ONE)
    damage(pack_files(directory)[0])
    assert packs.get(ONE[0]) is None
    assert packs.get(ONE[0]) is None
    packs.put(*ONE)
    assert packs.get(ONE[0]) == ONE[1]
    packs.close()


def test_a_torn_append_leaves_bytes_that_nobody_reads(directory: Path) -> None:
    packs = Packs(directory)
    packs.put(*ONE)
    with pack_files(directory)[0].open("ab") as file:
        file.write(b"torn by a crash")
    packs.put(*TWO)
    assert (packs.get(ONE[0]), packs.get(TWO[0])) == (ONE[1], TWO[1])
    packs.close()


@pytest.mark.parametrize(
    "garbage",
    [b"this is no database at all, it is a letter to the reader" * 99, b"SQLite format 3\x00" + b"\xff" * 5000],
    ids=["garbage", "damaged header"],
)
def test_a_damaged_index_is_set_aside_and_the_packs_are_kept(directory: Path, garbage: bytes) -> None:
    first = Packs(directory)
    first.put(*ONE)
    first.close()
    (directory / "index.db").write_bytes(garbage)
    second = Packs(directory)
    assert (directory / "index.damaged").read_bytes() == garbage
    assert second.get(ONE[0]) is None
    second.put(*ONE)
    second.put(*TWO)
    assert (second.get(ONE[0]), second.get(TWO[0])) == (ONE[1], TWO[1])
    assert pack_files(directory)[0].read_bytes().startswith(b"oneone")
    second.close()


def test_an_empty_index_is_a_new_one(directory: Path) -> None:
    Packs(directory).close()
    (directory / "index.db").write_bytes(b"")
    packs = Packs(directory)
    packs.put(*ONE)
    assert packs.get(ONE[0]) == ONE[1]
    packs.close()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("length", 1 << 60),
        ("length", 1 << 62),
        ("length", -1),
        ("length", 2),
        ("offset", -1),
        ("offset", 1 << 62),
        ("pack", 99),
        ("pack", -1),
        ("pack", "x"),
        ("offset", "x"),
        ("length", b"\xff"),
    ],
)
def test_an_index_that_points_to_nowhere_gives_nothing(directory: Path, column: str, value: object) -> None:
    """SQLite has no checksums: a flipped bit in a row is believed."""
    packs = Packs(directory)
    packs.put(*ONE)
    packs.close()
    with sqlite3.connect(directory / "index.db") as index:
        index.execute(f"UPDATE chunk SET {column}=?", (value,))
    index.close()
    packs = Packs(directory)
    assert packs.get(ONE[0]) is None
    packs.put(*ONE)
    assert packs.get(ONE[0]) == ONE[1]
    packs.close()


@pytest.mark.parametrize("call", ["open", "write", "fsync"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EIO])
def test_a_failing_disk_is_a_store_error_and_a_later_try_succeeds(
    directory: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    packs = Packs(directory)

    def fail(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(packs_module.os, call, fail)
        with pytest.raises(StoreError, match="cannot store a chunk"):
            packs.put(*ONE)
    assert packs.get(ONE[0]) is None
    packs.put(*ONE)
    assert packs.get(ONE[0]) == ONE[1]
    packs.close()


def test_a_disk_that_fills_up_in_the_middle_of_a_chunk_leaves_nothing_half_written(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packs = Packs(directory)
    real = os.write
    calls: list[int] = []

    def some(descriptor: int, view: memoryview) -> int:
        calls.append(len(view))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "full")
        return real(descriptor, view[:100])

    with monkeypatch.context() as patch:
        patch.setattr(packs_module.os, "write", some)
        with pytest.raises(StoreError):
            packs.put(*TWO)
    assert packs.get(TWO[0]) is None
    packs.put(*TWO)
    assert packs.get(TWO[0]) == TWO[1]
    packs.close()


def test_short_writes_are_continued(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packs = Packs(directory)
    real = os.write

    def seven(descriptor: int, view: memoryview) -> int:
        return real(descriptor, view[:7])

    monkeypatch.setattr(packs_module.os, "write", seven)
    packs.put(*TWO)
    assert packs.get(TWO[0]) == TWO[1]
    packs.close()


def test_the_chunk_is_on_disk_before_the_index_names_it(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packs = Packs(directory)

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "no")

    monkeypatch.setattr(packs_module.os, "fsync", fail)
    with pytest.raises(StoreError):
        packs.put(*ONE)
    packs.close()
    assert Packs(directory).get(ONE[0]) is None


@pytest.mark.parametrize("blocked", ["a file in its place", "an index that is a directory"])
def test_packs_that_cannot_be_opened_are_a_store_error(tmp_path: Path, blocked: str) -> None:
    directory = tmp_path / "packs"
    if blocked == "a file in its place":
        directory.write_bytes(b"")
    else:
        (directory / "index.db").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot open"):
        Packs(directory)


def test_closed_packs_are_a_store_error(directory: Path) -> None:
    packs = Packs(directory)
    packs.close()
    with pytest.raises(StoreError):
        packs.get(ONE[0])
    with pytest.raises(StoreError):
        packs.put(*ONE)


def test_foreign_files_among_the_packs_are_left_alone(directory: Path) -> None:
    directory.mkdir(parents=True)
    for name in ("notes.txt", "x.pack", "\u00b2.pack", "-1.pack"):
        (directory / name).write_bytes(b"mine")
    packs = Packs(directory)
    packs.put(*ONE)
    assert packs.get(ONE[0]) == ONE[1]
    assert (directory / "notes.txt").read_bytes() == b"mine"
    packs.close()
