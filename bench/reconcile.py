# ruff: noqa: TID251 - seeded worlds
"""Frontier reconciliation against negentropy's parameters on the same entries: bytes, round trips, CPU.

    uv run --all-groups python bench/reconcile.py [--quick]

Each line: name, value, unit, peer, its value, ratio ours/theirs. Two sides hold 1,000,000 entries (--quick: 100,000) of
1,000 authors, who stopped writing at random times; each then lacks half of d entries at the ends of the other's logs:
the newest of all ("recent"), or of authors drawn at random ("random"). Ours reconciles heads and sends real messages;
the peer is `crdt/negentropy.py` (16-way, ids of 32 bytes) over all entries. Neither side's figures contain the entries
or the requests for them. Bytes are of both directions; a round trip is a message there and one back.
"""

import argparse
import hashlib
import secrets
import time
from random import Random

from latticework.crdt.logs import Head
from latticework.crdt.negentropy import Negentropy, record_key
from latticework.crdt.ranges import RangeIndex, salted_digest
from latticework.crdt.reconcile import Reconciler
from latticework.crdt.reconcile_events import Received, Send
from latticework.crdt.reconcile_messages import Compare, Root
from latticework.wire import encode


def line(name, value, unit, peer=None, theirs=None):
    cells = [name, f"{value:.4g}" if isinstance(value, float) else str(value), unit]
    if peer is not None:
        shown = f"{theirs:.4g}" if isinstance(theirs, float) else str(theirs)
        cells += [peer, shown, f"{value / theirs:.3g}"]
    print("\t".join(cells), flush=True)


class Nothing:
    def entry_at(self, _log, _seq):
        return None


class World:
    """All entries: `logs[author]` is a list of (clock, id); both sides' indexes hold the same objects."""

    def __init__(self, entries, authors, seed):
        rng = Random(seed)
        span, length = 1 << 44, entries // authors
        self.logs = {}
        for number in range(authors):
            log = hashlib.sha256(b"log %d" % number).digest()
            stopped = rng.randrange(span // 100, span)
            clocks = sorted(rng.sample(range(stopped), length))
            self.logs[log] = [(clock, hashlib.sha256(log + b"%d" % at).digest()) for at, clock in enumerate(clocks)]
        self.names = list(self.logs)

    def lacking(self, count, kind, rng):
        """Entries at the ends of logs, `count` in all, one side per author: {log: (side, how many)}."""
        if kind == "recent":
            newest = sorted(((c, log) for log, items in self.logs.items() for c, _ in items[-count:]), reverse=True)
            chosen = [log for _, log in newest[:count]]
        else:
            chosen = [rng.choice(self.names) for _ in range(count)]
        counts = {}
        for log in chosen:
            counts[log] = min(counts.get(log, 0) + 1, len(self.logs[log]) - 1)
        return {log: (at % 2, many) for at, (log, many) in enumerate(counts.items())}

    def heads(self, side, lacking):
        heads = {}
        for log, items in self.logs.items():
            short = lacking[log][1] if log in lacking and lacking[log][0] == side else 0
            clock, entry = items[len(items) - 1 - short]
            heads[log] = Head(len(items) - 1 - short, entry, clock)
        return heads

    def index(self):
        items = ((record_key(c, i), int.from_bytes(i, "little")) for log in self.logs.values() for c, i in log)
        return RangeIndex(items)


def ours(world, lacking, rng):
    """(bytes of roots, of rounds, messages in rounds, seconds of CPU) until both know what they lack."""
    machines = []
    for side in (0, 1):
        heads = world.heads(side, lacking)
        machines.append(Reconciler(heads, {}, Nothing(), rng.randbytes(16)))
    roots = rounds = messages = 0
    began = time.process_time()
    queues = [[a.message for a in machine.start(0)] for machine in machines]
    while any(queues):
        for at, queue in enumerate(queues):
            for message in [queue.pop(0) for _ in range(len(queue))]:
                size = len(encode(message))
                roots += size if isinstance(message, Root) else 0
                if isinstance(message, Compare):
                    rounds, messages = rounds + size, messages + 1
                found = machines[1 - at].handle(Received(message))
                queues[1 - at] += [action.message for action in found if isinstance(action, Send)]
    return roots, rounds, messages, time.process_time() - began


def theirs(indexes):
    client, server = (Negentropy(index, initiator=at == 0) for at, index in enumerate(indexes))
    began = time.process_time()
    size = trips = 0
    message = client.initiate()
    while message is not None:
        answer = server.reconcile(message)
        size, trips = size + len(message) + len(answer), trips + 1
        message = client.reconcile(answer)
    return size, trips, time.process_time() - began, len(client.have) + len(client.need)


def compare(world, indexes, authors, differences, kind, seed):
    rng = Random(f"{seed} {authors} {differences} {kind}")
    lacking = world.lacking(differences, kind, rng)
    gone = [
        (side, record_key(*item), int.from_bytes(item[1], "little"))
        for log, (side, many) in lacking.items()
        for item in world.logs[log][-many:]
    ]
    for side, key, _ in gone:
        assert indexes[side].discard(key)
    size, trips, seconds, found = theirs(indexes)
    assert found == len(gone)
    for side, key, digest in gone:
        indexes[side].add(key, digest)
    roots, rounds, messages, cpu = ours(world, lacking, rng)
    label = f"{authors} authors, {differences} {kind}".replace("0 recent", "0" if not differences else "0 recent")
    if not differences:
        line(f"{label}: heartbeats of both sides", 2 * len(encode(Root(bytes(32), 0, None))), "B", "negentropy", size)
        return
    line(f"{label}: bytes", rounds, "B", "negentropy", size)
    line(f"{label}: round trips", messages / 2, "", "negentropy", float(trips))
    line(f"{label}: CPU of both sides", cpu * 1e3, "ms", "negentropy", seconds * 1e3)
    del roots


def index_figures(count):
    items = [(secrets.token_bytes(14), int.from_bytes(secrets.token_bytes(32))) for _ in range(count)]
    bounds = [sorted((secrets.token_bytes(6), secrets.token_bytes(6))) for _ in range(3000)]
    began = time.process_time()
    index = RangeIndex(items)
    line(f"block index of {count}: build", count / (time.process_time() - began), "items/s")
    began = time.process_time()
    for lower, upper in bounds:
        index.span(lower, upper)
    rate = len(bounds) / (time.process_time() - began)
    ordered = sorted(items)
    began = time.process_time()
    for lower, upper in bounds[:3]:
        sum(digest for key, digest in ordered if lower <= key < upper)
    line(f"block index of {count}: range sums", rate, "ranges/s", "linear scan", 3 / (time.process_time() - began))
    extra = [(secrets.token_bytes(14), 1) for _ in range(20_000)]
    began = time.process_time()
    for key, digest in extra:
        index.add(key, digest)
    line(f"block index of {count}: inserts", len(extra) / (time.process_time() - began), "items/s")
    began = time.process_time()
    for (key, _), (lower, upper) in zip(extra, bounds, strict=False):
        index.discard(key)
        index.span(lower, upper)
    line(f"block index of {count}: change and range sum", len(bounds) / (time.process_time() - began), "pairs/s")
    key = secrets.token_bytes(32)
    began = time.process_time()
    for item, _ in items[:100_000]:
        salted_digest(key, item)
    line("salted digests", min(count, 100_000) / (time.process_time() - began), "items/s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a tenth of the entries")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    entries = 100_000 if arguments.quick else 1_000_000
    index_figures(entries)
    for authors in (1000, 100, 10_000):
        world = World(entries, authors, arguments.seed)
        indexes = world.index(), world.index()
        for kind in ("recent", "random"):
            for differences in (0, 10, 100, 1000):
                if differences or kind == "recent":
                    compare(world, indexes, authors, differences, kind, arguments.seed)
        del world, indexes


if __name__ == "__main__":
    main()
