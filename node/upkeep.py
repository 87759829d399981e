"""Checkpoints, pruning, rebuilding: what is done to a space beside writing and receiving.

Every function runs in the task that owns the space.
"""

from functools import partial

from latticework.crdt import (
    LANE_CHECKPOINT,
    LANE_DOCUMENTS,
    LANE_FILES,
    LANE_MERGE,
    Base,
    Changes,
    stable_frontier,
)
from latticework.wire import DeviceId, LocalError, LogId, MalformedError, StoreError, Threads

from .checkpoints import CheckpointDue
from .space import Space
from .store import Incoming


async def say_checkpoint(space: Space, threads: Threads, now_us: int) -> None:
    """Say a checkpoint of everything that is here, and keep the state that it speaks of."""

    async def work() -> None:
        await space.check_signatures()
        replica, writer = space.replica, space.writer()
        written = replica.begin_checkpoint(writer, now_us)
        # Reading beside the event loop's readers: nobody changes the replica while its owner waits here.
        snapshot = await threads.run(replica.projection.snapshot)
        written.append(replica.write_checkpoint(writer, snapshot, now_us))
        await space.commit([Incoming(entry, checked=True) for entry in written], (), durable=True)
        space.announce(written, Changes())
        await threads.run(partial(space.store.keep_base, Base(written[-1].id, snapshot)))

    await space.work(work)


async def uncovered(space: Space, threads: Threads, now_us: int) -> CheckpointDue:
    """What our last checkpoint does not cover, for a node that starts."""

    async def work() -> CheckpointDue:
        due = CheckpointDue()
        last = space.replica.attestations.last.get(space.own_log)
        covered = {} if last is None else {head.log: head.seq for head in last.checkpoint.heads}
        for log, head in space.replica.frontier.items():
            if head.seq > (below := covered.get(log, -1)):
                entries = await threads.run(partial(space.store.entries_from, log, below + 1))
                due.note(
                    [e for e in entries if e.body.lane != LANE_CHECKPOINT], own=log == space.own_log, now_us=now_us
                )
        return due

    return await space.work(work)


async def adopt_base(space: Space, threads: Threads, base: Base) -> None:
    """Begin from the state below a checkpoint that stands among our entries.

    Raises:
        PeerError: it is not that state, or the checkpoint speaks of what is no state.
    """

    async def work() -> None:
        await space.check_signatures()
        space.replica.check_base(base)
        fresh, store = space.fresh_replica(), space.store
        # Whoever signs a checkpoint chooses its root: what cannot be loaded must not be kept.
        await threads.run(lambda: fresh.load(store.entries(), store.proofs(), base))
        await threads.run(partial(space.store.keep_base, base))
        await space.reload()

    await space.work(work)


async def check_state(space: Space, threads: Threads) -> list[str]:
    """Compute the whole state anew beside the present one; what differs, for people."""

    async def work() -> list[str]:
        fresh, store, present = space.fresh_replica(), space.store, space.replica
        try:
            await threads.run(lambda: fresh.load(store.entries(), store.proofs(), store.base()))
            if (base := store.base()) is not None:
                fresh.check_base(base)
        except (MalformedError, StoreError) as error:
            return [str(error)]
        if fresh.state_root() == present.state_root() and fresh.frontier == present.frontier:
            return []
        return ["the state differs from what the log adds up to; lattice rebuild computes it anew"]

    return await space.work(work)


async def rebuild(space: Space) -> tuple[bytes, bytes]:
    """Compute the whole state anew from the log and go on with it; the state roots before and after."""

    async def work() -> tuple[bytes, bytes]:
        before = space.replica.state_root()
        await space.reload()
        return before, space.replica.state_root()

    return await space.work(work)


def stable(space: Space) -> dict[LogId, int]:
    """Up to where every device that writes here has said, in its newest checkpoint, that it has everything."""
    replica = space.replica
    newest: dict[DeviceId, tuple[int, dict[LogId, int]]] = {}
    for log, last in replica.attestations.last.items():
        heads = {head.log: head.seq for head in last.checkpoint.heads}
        heads[log] = last.seq
        device = replica.authors[log]
        newest[device] = max(newest.get(device, (-1, heads)), (last.hlc, heads), key=lambda known: known[0])
    if set(newest) != set(replica.authors.values()):
        return {}
    return stable_frontier([heads for _, heads in newest.values()])


async def prune(space: Space, threads: Threads) -> int:
    """Erase the payloads that every device has and that our own kept state holds; how many.

    What they did stays; what they said is gone, and with it the way back to states before the last checkpoint.

    Raises:
        LocalError: no checkpoint of ours is there yet, or some device has said none.
    """

    async def work() -> int:
        base = await threads.run(space.store.base)
        upto = stable(space)
        if base is None or not upto:
            raise LocalError("not every device has said a checkpoint yet; nothing can be pruned")
        covered = space.replica.heads_below(base.checkpoint)
        limit = {log: min(seq, covered[log]) for log, seq in upto.items() if log in covered}
        return await threads.run(partial(space.store.erase, limit, {LANE_FILES, LANE_DOCUMENTS, LANE_MERGE}))

    return await space.work(work)
