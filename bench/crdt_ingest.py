# ruff: noqa: ARG002 - what a cipher is told, this one does not need
"""Ingest of entries: bytes on the wire, and entries per second and core from batch bytes to admitted state.

    uv run --all-groups python bench/crdt_ingest.py [--quick]

Each line: name, value, unit; the chain mode's lines also name the full mode, its value, and the ratio. Entries are
document operations with payloads of about 300 bytes in the logs of four devices, every tenth with a dependency. No
disk: what a durable commit costs is the node's matter (bench/sync.py). Figures are medians, one process, one core.
"""

import argparse
import hashlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

from latticework.crdt import (
    LANE_DOCUMENTS,
    Atom,
    DocumentEditor,
    Documents,
    Entry,
    Position,
    Roster,
    SpaceReplica,
    read_batch,
    read_entry,
    write_batch,
    write_entry,
)
from latticework.crdt.opening import open_log
from latticework.crdt.params import MAX_BATCH_BYTES, MAX_BATCH_ENTRIES
from latticework.crdt.roster import DeviceCertificate, SignedCertificate
from latticework.wire import EntryId, Label, LogId, SpaceId, encode
from latticework.wire.signing import CompositeSignatures, Ed25519Signer

SPACE = SpaceId(hashlib.sha256(b"bench").digest())
SIGNATURES = CompositeSignatures()
DEVICES = 4
PAYLOAD_BYTES = 300


class Plain:
    """A cipher that hides nothing: sealing is measured elsewhere."""

    def seal(self, log: LogId, seq: int, prev: EntryId | None, plaintext: bytes) -> bytes:
        return plaintext

    def open(self, log: LogId, seq: int, prev: EntryId | None, payload: bytes) -> bytes:
        return payload


class Store:
    def __init__(self) -> None:
        self.known: dict[EntryId, Entry] = {}

    def position(self, entry: EntryId) -> Position | None:
        found = self.known.get(entry)
        return None if found is None else Position(found.body.author, found.body.seq, found.body.hlc)

    def entry(self, entry: EntryId) -> Entry | None:
        return self.known.get(entry)

    def entries_from(self, log: LogId, seq: int, last: int = 1 << 48) -> Sequence[Entry]:
        return [e for e in self.known.values() if e.body.author == log and seq <= e.body.seq <= last]


def payload(number: int) -> bytes:
    """One document operation in about 300 bytes: a key gets a string."""
    editor = DocumentEditor(Documents(), f"document {number % 100}")
    words = hashlib.sha512(b"%d" % number).hexdigest() * 3
    editor.put((f"key {number % 1000}",), Atom(words[: PAYLOAD_BYTES - 31]))
    return encode(editor.operations())


def found() -> tuple[Roster, Callable[[Ed25519Signer], bytes]]:
    """An account of one device, and what opens a log of it."""
    device = SIGNATURES.signer(bytes(64))
    certificate = DeviceCertificate(1, None, None, device.public, bytes(32), "bench", 1, 0, 1, ())
    body = encode(certificate)
    signatures = device.sign(body, Label.CERTIFICATE), device.sign(body, Label.CERTIFICATE_ACCEPT)
    roster = Roster.found(SIGNATURES, encode(SignedCertificate(body, *signatures)))
    own = certificate.device
    return roster, lambda log: encode(open_log(SPACE, LogId(log.public), roster, own, device))


def history(count: int, opening: Callable[[Ed25519Signer], bytes]) -> list[Entry]:
    """Entries of all logs in causal order; each log comes in runs of 64, as a peer that catches up gets them."""
    logs = [Ed25519Signer(bytes([number + 1]) * 32) for number in range(DEVICES)]
    heads: list[Entry] = []
    for number, log in enumerate(logs):
        heads.append(write_entry(SPACE, log, seq=0, prev=None, deps=(), hlc=number + 1, lane=0, payload=opening(log)))
    entries = list(heads)
    for number in range(count):
        at = number // 64 % DEVICES
        prev, other = heads[at], heads[(at + 1) % DEVICES]
        entry = write_entry(
            SPACE,
            logs[at],
            seq=prev.body.seq + 1,
            prev=prev.id,
            deps=(other.id,) if number % 10 == 0 else (),
            hlc=DEVICES + 1 + number + (1 << 56),
            lane=LANE_DOCUMENTS,
            payload=payload(number),
        )
        heads[at] = entry
        entries.append(entry)
    return entries


def batches(entries: Sequence[Entry]) -> list[bytes]:
    made: list[bytes] = []
    start, size = 0, 0
    for index, entry in enumerate(entries):
        size += PAYLOAD_BYTES + 150 if entry.body.seq else 4096
        if size > MAX_BATCH_BYTES // 4 or index - start == MAX_BATCH_ENTRIES:
            made.append(write_batch(entries[start:index]))
            start, size = index, 0
    return [*made, write_batch(entries[start:])]


def rate(count: int, runs: int, work: Callable[[], object]) -> float:
    took: list[float] = []
    for _ in range(runs):
        begin = time.process_time()
        work()
        took.append(time.process_time() - begin)
    return count / statistics.median(took)


def measure(*, quick: bool) -> Iterator[tuple[str, float, str] | tuple[str, float, str, str, float]]:
    """Name, value, unit; for the chain mode also the peer's name and value."""
    count, runs = (4_000, 3) if quick else (20_000, 5)
    roster, opening = found()
    entries = history(count, opening)
    alone = next(e for e in entries if e.body.deps)
    chain = [e for e in entries if e.body.author == alone.body.author][1:400]
    payloads = sum(len(e.envelope.payload or b"") for e in chain)
    yield "entry header alone, one dependency", len(encode(alone.envelope)) - len(alone.envelope.payload or b""), "B"
    yield "entry header in a batch", (len(write_batch(chain)) - payloads) / len(chain), "B"
    one_dep = sum(len(e.body.deps) for e in chain) / len(chain)
    yield (
        "entry header in a batch, one dependency",
        (len(write_batch(chain)) - payloads) / len(chain) + 34 * (1 - one_dep),
        "B",
    )
    raw = [encode(e.envelope) for e in entries]
    data = batches(entries)
    yield "read one by one", rate(len(raw), runs, lambda: [read_entry(SPACE, one) for one in raw]), "entries/s/core"
    full = rate(len(entries), runs, lambda: [read_batch(SPACE, one) for one in data])
    yield "read batch, every signature", full, "entries/s/core"
    fast = rate(len(entries), runs, lambda: [read_batch(SPACE, one, chain=True) for one in data])
    yield "read batch, chain mode", fast, "entries/s/core", "every signature", full

    def ingest(*, chain: bool) -> None:
        store = Store()
        replica = SpaceReplica(SPACE, roster, SIGNATURES, Plain(), store)
        for one in data:
            run = read_batch(SPACE, one, chain=chain)
            replica.receive([(entry, b"peer") for entry in run.entries], 1 << 60)
            store.known |= {entry.id: entry for entry in run.entries}
            replica.logs.committed()
        assert replica.entry_count == len(entries)

    full = rate(len(entries), runs, lambda: ingest(chain=False))
    yield "read and admit, every signature", full, "entries/s/core"
    fast = rate(len(entries), runs, lambda: ingest(chain=True))
    yield "read and admit, chain mode", fast, "entries/s/core", "every signature", full


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer entries and runs")
    for name, value, unit, *peer in measure(quick=parser.parse_args().quick):
        line = [name, f"{value:.4g}", unit]
        if peer:
            line += [str(peer[0]), f"{peer[1]:.4g}", f"{value / float(peer[1]):.2f}"]
        print("\t".join(line), flush=True)


if __name__ == "__main__":
    main()
