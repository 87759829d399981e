# ruff: noqa: TID251 - figures in real time
"""Moves in a replicated tree: our replay, the naive one that undoes and redoes for every operation, and a rename.

    uv run --no-sync python bench/crdt_tree.py [--quick]

Each line: name, value, unit, and where both ran: peer, its value, ratio ours/theirs. Values are medians of the runs,
ours and the naive one's in turn. `late_by_d`: of every 2d operations the later half comes first; ours takes the late
half as one batch, the naive machine one by one, as the paper's pseudocode does. Both must end in the same tree.
"""

import argparse
import hashlib
import random
import statistics
import time
from collections.abc import Callable, Iterator

from latticework.crdt import (
    ChunkRef,
    Directory,
    File,
    FileOperations,
    FileTree,
    Inline,
    Make,
    Move,
    Ref,
    Shown,
    Write,
)
from latticework.crdt.moves import Moves, Placing
from latticework.wire import ChunkId, EntryId, LogId

type Plain = Placing[int]

NODES = 1000


class Naive:
    """Kleppmann et al., figure 3, one operation at a time, in plain Python."""

    def __init__(self) -> None:
        self.tree: dict[int, tuple[int, bytes]] = {}
        self.log: list[tuple[Plain, tuple[int, bytes] | None]] = []

    def apply(self, move: Plain) -> None:
        undone: list[Plain] = []
        while self.log and self.log[-1][0].order > move.order:
            later, old = self.log.pop()
            if old is None:
                self.tree.pop(later.node, None)
            else:
                self.tree[later.node] = old
            undone.append(later)
        self._do(move)
        while undone:
            self._do(undone.pop())

    def _do(self, move: Plain) -> None:
        tree = self.tree
        self.log.append((move, tree.get(move.node)))
        above: int | None = move.parent
        while above is not None:
            if above == move.node:
                return
            found = tree.get(above)
            above = None if found is None else found[0]
        tree[move.node] = (move.parent, move.name)


def history(count: int) -> list[Plain]:
    rng = random.Random(count)
    names = [b"name %d" % number for number in range(100)]
    entry = bytes(32)
    return [
        Placing((number, entry, 0), rng.randrange(1, NODES), rng.randrange(NODES), rng.choice(names))
        for number in range(count)
    ]


def late(moves: list[Plain], distance: int) -> Iterator[list[Plain]]:
    for start in range(0, len(moves), 2 * distance):
        yield moves[start + distance : start + 2 * distance]
        yield moves[start : start + distance]


def in_order(moves: list[Plain]) -> Iterator[list[Plain]]:
    for move in moves:
        yield [move]


def run_ours(batches: list[list[Plain]]) -> tuple[float, dict[int, tuple[int, bytes]]]:
    machine: Moves[int] = Moves()
    started = time.perf_counter()
    for batch in batches:
        machine.merge(batch)
    seconds = time.perf_counter() - started
    return seconds, {node: (position.parent, position.name) for node, position in machine.positions.items()}


def run_naive(batches: list[list[Plain]]) -> tuple[float, dict[int, tuple[int, bytes]]]:
    machine = Naive()
    started = time.perf_counter()
    for batch in batches:
        for move in batch:
            machine.apply(move)
    return time.perf_counter() - started, machine.tree


def compare(name: str, moves: list[Plain], batched: Callable[[], Iterator[list[Plain]]], runs: int) -> None:
    rates: dict[str, list[float]] = {"ours": [], "naive": []}
    for _ in range(runs):
        batches = list(batched())
        ours, tree = run_ours(batches)
        naive, other = run_naive(batches)
        assert tree == other, f"{name}: two trees"
        rates["ours"].append(len(moves) / ours)
        rates["naive"].append(len(moves) / naive)
    ours_rate, naive_rate = statistics.median(rates["ours"]), statistics.median(rates["naive"])
    print(f"{name}\t{ours_rate:.0f}\tops/s\tnaive\t{naive_rate:.0f}\t{ours_rate / naive_rate:.2f}", flush=True)


def entry_id(number: int) -> EntryId:
    return EntryId(hashlib.sha256(b"%d" % number).digest())


def file(number: int) -> File:
    return File(5, 0, executable=False, content=Inline((ChunkRef(ChunkId(b"%032d" % number), bytes(32), 5),)))


def folder(files: int) -> list[tuple[EntryId, int, LogId, FileOperations]]:
    """A directory of `files` files in a hundred directories, beside another of as many."""
    log = LogId(bytes(32))
    tops = [Make(None, b"d", Directory()), Make(None, b"other", Directory())]
    tops += [Make(Ref(None, top), b"sub%d" % number, Directory()) for top in (0, 1) for number in range(100)]
    entries = [(entry_id(0), 1, log, FileOperations(tuple(tops)))]
    for number in range(2 * files // 100):
        parent = Ref(entry_id(0), 2 + number % 200)
        makes = [Make(parent, b"file %d" % (number * 100 + index), file(number * 100 + index)) for index in range(100)]
        entries.append((entry_id(number + 1), number + 2, log, FileOperations(tuple(makes))))
    return entries


def whole_tree(files: int, runs: int) -> None:
    """Figures of the whole tree with its visible paths."""
    figures: dict[str, list[float]] = {}
    log = LogId(bytes(32))
    for _ in range(runs):
        entries = folder(files)
        tree = FileTree(lambda _: "device")
        started = time.perf_counter()
        tree.apply_all(entries)
        figures.setdefault("crdt_tree_load\tops/s", []).append(2 * files / (time.perf_counter() - started))
        before: dict[bytes, Shown] = dict(tree.shown)
        rename = FileOperations((Move(Ref(entry_id(0), 0), None, b"renamed", ()),))
        started = time.perf_counter()
        changed = tree.apply_all([(entry_id(10**6), 10**6, log, rename)])
        figures.setdefault(f"crdt_tree_rename_of_{files}\tms", []).append((time.perf_counter() - started) * 1000)
        assert len(changed) == 2 * (files + 101), len(changed)
        assert len(tree.shown) == len(before)
        target = Ref(entry_id(1), 0)
        edit = FileOperations((Write(target, file(0), ()),))
        started = time.perf_counter()
        tree.apply_all([(entry_id(10**6 + 1), 10**6 + 1, log, edit)])
        figures.setdefault("crdt_tree_one_edit\tus", []).append((time.perf_counter() - started) * 1e6)
        started = time.perf_counter()
        data = tree.snapshot()
        again = FileTree.load(data, lambda _: "device")
        figures.setdefault("crdt_tree_snapshot_and_load\tops/s", []).append(2 * files / (time.perf_counter() - started))
        assert again.shown == tree.shown
    for name, values in figures.items():
        figure, _, unit = name.partition("\t")
        print(f"{figure}\t{statistics.median(values):.0f}\t{unit}", flush=True)


def run(*, quick: bool) -> None:
    """Print every figure."""
    count, runs = (20_000, 1) if quick else (100_000, 3)
    moves = history(count)
    compare("crdt_moves_in_order", moves, lambda: in_order(moves), runs)
    for distance in (10, 100, 1000):
        compare(f"crdt_moves_late_by_{distance}", moves, lambda d=distance: late(moves, d), runs)
    whole_tree(10_000, runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="20,000 operations and one run, instead of 100,000 and three"
    )
    run(quick=parser.parse_args().quick)


if __name__ == "__main__":
    main()
