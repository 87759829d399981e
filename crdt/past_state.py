"""The state of another time: of any frontier, or of any moment."""

from collections.abc import Callable, Sequence

from latticework.wire import EntryId, LocalError

from .entry import STATE_LANES, Entry
from .projection import Projection
from .space import Base, SpaceReplica


def state_at(replica: SpaceReplica, entries: Sequence[Entry], base: Base | None) -> Projection:
    """The state that some admitted entries add up to, with the past of each among them; `base` is that kept last.

    Raises:
        LocalError: what one of them did is pruned.
    """
    projection = Projection(replica.author_name)
    if base is not None and any(entry.id == base.checkpoint for entry in entries):
        projection = Projection.load(base.snapshot, replica.author_name)
        entries = [entry for entry in entries if not replica.logs.is_below(base.checkpoint, entry.id)]
    if any(entry.envelope.payload is None and entry.body.lane in STATE_LANES for entry in entries):
        raise LocalError("what was written then is pruned; the state before the last checkpoint is gone")
    projection.apply(list(replica.applied(entries)))
    void = (entry for judgement in replica.attestations.judgements.values() for entry in judgement.void)
    projection.set_void(dict.fromkeys(void, True))
    return projection


def past_of(replica: SpaceReplica, entry: EntryId) -> Callable[[Entry], bool]:
    """A question: is an admitted entry in the past of `entry`, or that entry itself?"""
    spot, causality = replica.logs.spot(entry), replica.logs.causality
    reach = {} if spot is None else causality.reach(spot)

    def covers(other: Entry) -> bool:
        chain, seq = causality.spot(other.id, other.body.author, other.body.seq)
        return reach.get(chain, -1) >= seq

    return covers
