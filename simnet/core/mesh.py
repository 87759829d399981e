"""What a scenario says of its mesh, as parameters of the router."""

from dataclasses import replace
from typing import Final

from latticework.transport import GossipParams, ScoreParams
from latticework.transport.gossip_params import MESHSUB_10, MESHSUB_11, MESHSUB_12

from ..scenario import Mesh

_PROTOCOLS: Final = {"1.0": MESHSUB_10, "1.1": MESHSUB_11, "1.2": MESHSUB_12}
_NEVER: Final = 1 << 40


def protocol_of(mesh: Mesh) -> str:
    """The protocol id that all nodes speak."""
    return _PROTOCOLS[mesh.version]


def gossip_params(mesh: Mesh) -> GossipParams:
    """The router's parameters; as version 1.0 it has no scores, no outbound quota, and gossips to `d_lazy` only."""
    params = GossipParams(
        d=mesh.d,
        d_lo=mesh.d_lo,
        d_hi=mesh.d_hi,
        d_lazy=mesh.d_lazy,
        d_out=mesh.d_out,
        d_score=mesh.d_score,
        gossip_factor=mesh.gossip_factor,
        flood_publish=mesh.flood_publish,
        heartbeat_us=mesh.heartbeat_us,
        history_gossip=mesh.history_gossip,
        history_length=mesh.history_length,
    )
    if mesh.version != "1.0":
        return params
    return replace(
        params,
        d_out=0,
        d_score=0,
        gossip_factor=0.0,
        flood_publish=False,
        opportunistic_graft_ticks=_NEVER,
        score=ScoreParams(other_topics=None, behaviour_penalty_weight=0),
    )
