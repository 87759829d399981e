"""The replication core: ingest, storage, text and tree, each beside its reference in one run.

    uv run --all-groups python bench/crdt.py [--quick] [--only ingest|store|text|tree ...]

Each line: name, value, unit, and where something ran beside it its name, its value and the ratio ours/theirs. `ingest`
checks and admits in memory; `store` does the same into a SQLite database with durable batches, as a node does; `text`
replays an editing trace beside loro, pycrdt, yjs and automerge (made in environments of their own on the first run);
`tree` merges late moves beside the algorithm that undoes and redoes one at a time.
"""

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import crdt_ingest

from latticework.crdt import SpaceReplica, read_batch
from latticework.node.sqlite_store import SqliteStore
from latticework.node.store import Incoming

PARTS = ("ingest", "store", "text", "tree")
HERE = Path(__file__).parent


def stored(entries: int, *, chain: bool) -> tuple[float, float]:
    """Entries per second of one core from batch bytes to a durable commit, and bytes of database per entry."""
    roster, opening = crdt_ingest.found()
    history = crdt_ingest.history(entries, opening)
    batches = crdt_ingest.batches(history)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "space.db")
        store = SqliteStore(path, crdt_ingest.SPACE, bytes(16))
        replica = SpaceReplica(crdt_ingest.SPACE, roster, crdt_ingest.SIGNATURES, crdt_ingest.Plain(), store)
        begin = time.process_time()
        for batch in batches:
            run = read_batch(crdt_ingest.SPACE, batch, chain=chain)
            replica.receive([(entry, b"peer") for entry in run.entries], 1 << 60)
            store.commit([Incoming(e, e.id not in run.unchecked) for e in run.entries], (), durable=True)
            replica.logs.committed()
        rate = len(history) / (time.process_time() - begin)
        store.close()
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        size = path.stat().st_size
        assert replica.entry_count == len(history)
    return rate, size / len(history)


def store_lines(*, quick: bool) -> Iterator[str]:
    count = 4_000 if quick else 40_000
    full, size = stored(count, chain=False)
    fast, _ = stored(count, chain=True)
    entry = crdt_ingest.PAYLOAD_BYTES
    yield f"ingest with durable batches, every signature\t{full:.0f}\tentries/s/core"
    beside = f"every signature\t{full:.0f}\t{fast / full:.2f}"
    yield f"ingest with durable batches, chain mode\t{fast:.0f}\tentries/s/core\t{beside}"
    yield f"bytes stored per entry of {entry} B payload\t{size:.0f}\tB\tits payload\t{entry}\t{size / entry:.2f}"


def run(part: str, *, quick: bool) -> None:
    if part == "store":
        for line in store_lines(quick=quick):
            print(line, flush=True)
        return
    subprocess.run([sys.executable, str(HERE / f"crdt_{part}.py"), *(["--quick"] if quick else [])], check=True)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="ends within a minute or so")
    parser.add_argument("--only", action="append", choices=PARTS)
    options = parser.parse_args(arguments)
    for part in options.only or PARTS:
        run(part, quick=options.quick)


if __name__ == "__main__":
    main()
