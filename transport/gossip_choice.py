"""Which peers of a mesh stay when there are too many (v1.1 "Heartbeat Maintenance", "Outbound Mesh Quotas")."""

from collections.abc import Iterable

from .gossip_peer import GossipState, Peer


def survivors(state: GossipState, members: Iterable[Peer]) -> list[Peer]:
    """`d` members: the `d_score` best, the rest by chance, with `d_out` outbound among them if there are so many."""
    params = state.params
    ranked = state.chance.shuffled(list(members))
    ranked.sort(key=state.score, reverse=True)
    ranked = ranked[: params.d_score] + state.chance.shuffled(ranked[params.d_score :])
    kept, rest = ranked[: params.d], ranked[params.d :]
    missing = params.d_out - sum(peer.outbound for peer in kept)
    for peer in [peer for peer in rest if peer.outbound][: max(0, missing)]:
        # From the end: those kept by chance go before those kept for their score.
        worst = next((other for other in reversed(kept) if not other.outbound), None)
        if worst is not None:
            kept[kept.index(worst)] = peer
    return kept


def better_than_median(state: GossipState, members: Iterable[Peer]) -> float | None:
    """The median score of a mesh that has fallen below the opportunistic threshold, None of one that has not."""
    scores = sorted(map(state.score, members))
    if len(scores) < 2:
        return None
    median = scores[len(scores) // 2]
    return median if median < state.params.score.opportunistic_graft_threshold else None
