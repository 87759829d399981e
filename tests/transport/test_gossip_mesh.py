"""GRAFT, PRUNE, back-off, quotas, fanout and peer exchange, rule by rule of gossipsub v1.0 and v1.1."""

import dataclasses

import pytest

from latticework.transport import Multiaddr
from latticework.transport.gossip_events import (
    AppScore,
    ConnectTo,
    GossipReason,
    PeerConnected,
    PeerDisconnected,
    PeerRecordLearned,
)
from latticework.transport.gossip_params import MESHSUB_10, MESHSUB_11, GossipParams, ScoreParams
from latticework.transport.gossip_rpc import Prune, PxPeer, Rpc
from latticework.transport.signed_envelope import PeerRecord, seal_peer_record
from latticework.wire import LocalError

from .gossip_kit import (
    SECOND,
    TOPIC,
    Solo,
    grafts,
    ids,
    message_of,
    names,
    peer_of,
    prunes,
    reasons,
    receivers,
    scored,
    sent,
    signer_of,
)

pytestmark = pytest.mark.unit

MINUTE_BEATS = 66
"""More than a minute of heartbeats, whatever their jitter."""


def envelope(name: str, signer: str = "", *, addresses: int = 1) -> bytes:
    record = PeerRecord(peer_of(name), 1, tuple(Multiaddr.tcp("10.0.0.1", 4001 + n) for n in range(addresses)))
    sealed = seal_peer_record(signer_of(name), record)
    return sealed if not signer else sealed.replace(signer_of(name).public, signer_of(signer).public)


def test_subscribing_announces_the_topic_and_grafts_d_subscribers() -> None:
    solo = Solo()
    solo.connect(*names("peer", 20))
    solo.connect("elsewhere", topic="other")
    actions = solo.subscribe()
    assert {peer for peer, rpc in sent(actions) if rpc.subscriptions == ((TOPIC, True),)} == ids(
        [*names("peer", 20), "elsewhere"]
    )
    assert grafts(actions) == solo.mesh()
    assert len(solo.mesh()) == solo.params.d
    assert peer_of("elsewhere") not in solo.mesh()


def test_a_new_peer_is_told_our_topics() -> None:
    solo = Solo()
    solo.subscribe()
    solo.subscribe("other")
    actions = solo.handle(PeerConnected(peer_of("peer"), MESHSUB_11, outbound=False))
    assert [rpc.subscriptions for _, rpc in sent(actions)] == [((TOPIC, True), ("other", True))]


def test_leaving_prunes_the_mesh_with_the_short_backoff_and_announces_it() -> None:
    solo = Solo()
    solo.connect(*names("peer", 4))
    solo.subscribe()
    actions = solo.unsubscribe()
    assert {peer: prune.backoff_us for peer, prune in prunes(actions).items()} == dict.fromkeys(
        ids(names("peer", 4)), 10 * SECOND
    )
    assert all(rpc.subscriptions == ((TOPIC, False),) for _, rpc in sent(actions) if rpc.subscriptions)
    assert solo.router.subscriptions == ()
    assert grafts(solo.subscribe()) == set(), "the back-off holds for ourselves"


def test_a_graft_is_accepted_and_one_for_an_unknown_topic_is_not_even_answered() -> None:
    solo = Solo()
    solo.connect("peer")
    assert solo.graft("peer") == []
    assert solo.mesh() == set()
    solo.subscribe("other")
    assert solo.hear("peer", Rpc(graft=("other",))) == []
    assert solo.mesh("other") == ids(["peer"])


def test_a_thin_mesh_is_filled_to_d_and_a_fat_one_cut_to_d() -> None:
    solo = Solo()
    solo.subscribe()
    solo.connect(*names("peer", 20))
    solo.beat()
    assert len(solo.mesh()) == solo.params.d
    solo.graft(*names("peer", 20))
    assert len(solo.mesh()) == solo.params.d_hi, "beyond d_hi inbound peers are refused"
    solo.connect(*names("dialled", 3), outbound=True)
    solo.graft(*names("dialled", 3))
    assert len(solo.mesh()) == solo.params.d_hi + 3, "outbound ones are not"
    actions = solo.beat()
    assert len(solo.mesh()) == solo.params.d
    assert len(prunes(actions)) == solo.params.d_hi + 3 - solo.params.d


@pytest.mark.parametrize(("members", "expected"), [(4, 6), (5, 5), (12, 12), (13, 6)])
def test_a_mesh_is_tended_only_outside_of_its_bounds(members: int, expected: int) -> None:
    solo = Solo(GossipParams(d_out=0))
    solo.subscribe()
    solo.connect(*names("peer", 20), outbound=True)
    solo.graft(*names("peer", members))
    solo.beat()
    assert len(solo.mesh()) == expected


def test_a_refused_graft_is_answered_with_prune_and_backoff() -> None:
    solo = Solo()
    solo.subscribe()
    solo.connect(*names("peer", 13))
    solo.graft(*names("peer", 12))
    actions = solo.graft("peer-12")
    assert prunes(actions) == {peer_of("peer-12"): Prune(TOPIC, 60 * SECOND)}


def test_a_peer_of_the_first_version_gets_a_prune_without_backoff() -> None:
    solo = Solo()
    solo.connect("old", protocol=MESHSUB_10)
    solo.subscribe()
    assert prunes(solo.unsubscribe()) == {peer_of("old"): Prune(TOPIC)}


def test_a_pruned_peer_is_not_grafted_before_its_backoff_has_passed() -> None:
    solo = Solo()
    solo.connect("peer")
    solo.subscribe()
    solo.hear("peer", Rpc(prune=(Prune(TOPIC, 30 * SECOND),)))
    assert solo.mesh() == set()
    assert grafts(solo.beat(28)) == set()
    assert grafts(solo.beat(6)) == ids(["peer"])


def test_without_a_backoff_in_the_prune_our_own_counts() -> None:
    solo = Solo()
    solo.connect("peer")
    solo.subscribe()
    solo.hear("peer", Rpc(prune=(Prune(TOPIC),)))
    assert grafts(solo.beat(56)) == set()
    assert grafts(solo.beat(12)) == ids(["peer"])


def test_a_peer_cannot_keep_us_away_for_ever() -> None:
    solo = Solo()
    solo.connect("peer")
    solo.subscribe()
    solo.hear("peer", Rpc(prune=(Prune(TOPIC, (1 << 63) * SECOND),)))
    solo.timers = dict.fromkeys(solo.timers, solo.now_us + 3500 * SECOND)
    assert grafts(solo.beat()) == set()
    solo.timers = dict.fromkeys(solo.timers, solo.now_us + 200 * SECOND)
    assert grafts(solo.beat(2)) == ids(["peer"])


def test_grafting_within_the_backoff_is_refused_and_penalised_twice_if_at_once() -> None:
    params = GossipParams(score=ScoreParams(behaviour_penalty_threshold=0, behaviour_penalty_weight=-1))
    solo = Solo(params)
    solo.connect("hasty")
    solo.subscribe()
    solo.hear("hasty", Rpc(prune=(Prune(TOPIC, 60 * SECOND),)))
    solo.now_us += 5 * SECOND
    actions = solo.graft("hasty")
    assert GossipReason.GRAFT_IN_BACKOFF in reasons(actions)
    assert prunes(actions) == {peer_of("hasty"): Prune(TOPIC, 60 * SECOND)}
    assert solo.score("hasty") == -4, "two penalties, squared"
    solo.now_us += 20 * SECOND
    solo.graft("hasty")
    assert solo.score("hasty") == -9, "one more: it was not so soon"


def test_each_attempt_begins_the_backoff_anew_and_waiting_it_out_helps() -> None:
    solo = Solo()
    solo.connect("hasty")
    solo.subscribe()
    solo.hear("hasty", Rpc(prune=(Prune(TOPIC, 60 * SECOND),)))
    for _ in range(3):
        solo.now_us += 50 * SECOND
        solo.graft("hasty")
        assert solo.mesh() == set()
    solo.now_us += 61 * SECOND
    solo.graft("hasty")
    assert solo.mesh() == ids(["hasty"])


def test_backoff_outlives_a_reconnection() -> None:
    solo = Solo()
    solo.connect("peer")
    solo.subscribe()
    solo.hear("peer", Rpc(prune=(Prune(TOPIC, 60 * SECOND),)))
    solo.handle(PeerDisconnected(peer_of("peer")))
    solo.connect("peer")
    assert solo.mesh() == set()
    assert GossipReason.GRAFT_IN_BACKOFF in reasons(solo.graft("peer"))


def test_a_peer_that_leaves_the_topic_or_us_leaves_the_mesh() -> None:
    solo = Solo()
    solo.connect("leaver", "goner")
    solo.subscribe()
    solo.hear("leaver", Rpc(subscriptions=((TOPIC, False),)))
    assert solo.mesh() == ids(["goner"])
    solo.handle(PeerDisconnected(peer_of("goner")))
    assert solo.mesh() == set()
    assert solo.router.subscribers(TOPIC) == ()


def test_outbound_members_survive_the_cut_up_to_the_quota() -> None:
    solo = Solo(GossipParams(d_score=4))
    solo.subscribe()
    solo.connect(*names("inbound", 12))
    solo.graft(*names("inbound", 12))
    solo.connect("dialled-0", "dialled-1", outbound=True)
    solo.graft("dialled-0", "dialled-1")
    for name in names("inbound", 12):
        solo.handle(AppScore(peer_of(name), 10))
    solo.beat()
    assert ids(["dialled-0", "dialled-1"]) <= solo.mesh()
    assert len(solo.mesh()) == solo.params.d


def test_a_mesh_without_outbound_members_grafts_some_beyond_d() -> None:
    solo = Solo()
    solo.subscribe()
    solo.connect(*names("inbound", 6))
    solo.graft(*names("inbound", 6))
    solo.connect(*names("dialled", 4), outbound=True)
    solo.beat()
    assert len(solo.mesh() & ids(names("dialled", 4))) == solo.params.d_out
    assert len(solo.mesh()) == 8


def test_the_best_scores_survive_the_cut() -> None:
    solo = Solo()
    solo.subscribe()
    solo.connect(*names("peer", 12))
    solo.graft(*names("peer", 12))
    solo.connect("dialled", outbound=True)
    solo.graft("dialled")
    best = names("peer", 4)
    for number, name in enumerate(best):
        solo.handle(AppScore(peer_of(name), 5 + number))
    solo.beat()
    assert ids(best) <= solo.mesh()


def test_negative_scores_leave_the_mesh_and_are_not_grafted() -> None:
    solo = Solo(GossipParams(do_px=True))
    solo.connect("bad", "good")
    solo.subscribe()
    solo.handle(AppScore(peer_of("bad"), -1))
    solo.handle(PeerRecordLearned(peer_of("good"), envelope("good")))
    assert prunes(solo.beat()) == {peer_of("bad"): Prune(TOPIC, 60 * SECOND)}, "and get no peer exchange"
    solo.beat(MINUTE_BEATS + 2)
    assert solo.mesh() == ids(["good"])
    assert prunes(solo.graft("bad")) == {peer_of("bad"): Prune(TOPIC, 60 * SECOND)}


def test_opportunistic_grafting_brings_in_peers_above_a_poor_median() -> None:
    solo = Solo(GossipParams(opportunistic_graft_ticks=5, score=scored()))
    solo.subscribe()
    solo.connect(*names("dull", 6), outbound=True)
    solo.graft(*names("dull", 6))
    solo.connect(*names("keen", 3))
    for name in names("keen", 3):
        solo.handle(AppScore(peer_of(name), 20))
    assert grafts(solo.beat(4)) == set()
    assert len(grafts(solo.beat()) & ids(names("keen", 3))) == solo.params.opportunistic_graft_peers
    for name in names("dull", 6):
        solo.handle(AppScore(peer_of(name), 30))
    assert grafts(solo.beat(5)) == set(), "a good mesh is left alone"


def test_direct_peers_stay_outside_the_mesh_and_get_every_message() -> None:
    solo = Solo(direct=("friend",))
    solo.connect("friend", "peer")
    solo.subscribe()
    assert solo.mesh() == ids(["peer"])
    assert peer_of("friend") in prunes(solo.graft("friend"))
    message = message_of("author", 1)
    assert receivers(solo.deliver("peer", message), message.author + message.seqno) == ids(["friend"])
    solo.handle(AppScore(peer_of("friend"), -10_000))
    other = message_of("author", 2)
    assert receivers(solo.deliver("friend", other), other.author + other.seqno) == ids(["peer"]), "whatever its score"


# Fanout


def test_without_flood_publishing_a_fanout_is_kept_for_topics_we_are_not_in() -> None:
    solo = Solo(GossipParams(flood_publish=False))
    solo.connect(*names("peer", 20))
    first = {peer for peer, rpc in sent(solo.publish()) if rpc.messages}
    assert len(first) == solo.params.d
    solo.beat(10)
    assert {peer for peer, rpc in sent(solo.publish(b"again")) if rpc.messages} == first
    solo.beat(MINUTE_BEATS)
    solo.beat(MINUTE_BEATS)
    assert {peer for peer, rpc in sent(solo.publish(b"later")) if rpc.messages} != first, "it expired"


def test_a_fanout_becomes_the_mesh() -> None:
    solo = Solo(GossipParams(flood_publish=False))
    solo.connect(*names("peer", 20))
    fanout = {peer for peer, rpc in sent(solo.publish()) if rpc.messages}
    assert grafts(solo.subscribe()) == fanout == solo.mesh()


def test_a_fanout_replaces_peers_that_leave() -> None:
    solo = Solo(GossipParams(flood_publish=False))
    solo.connect(*names("peer", 7))
    first = {peer for peer, rpc in sent(solo.publish()) if rpc.messages}
    gone = next(iter(sorted(first, key=str)))
    solo.handle(PeerDisconnected(gone))
    solo.beat()
    second = {peer for peer, rpc in sent(solo.publish(b"again")) if rpc.messages}
    assert second == ids(names("peer", 7)) - {gone}


# Peer exchange


def test_a_peer_that_is_cut_hears_of_others_who_signed_where_they_are() -> None:
    solo = Solo(GossipParams(do_px=True, prune_peers=3))
    solo.subscribe()
    solo.connect(*names("peer", 13), outbound=True)
    solo.graft(*names("peer", 13))
    for name in names("peer", 8):
        solo.handle(PeerRecordLearned(peer_of(name), envelope(name)))
    cut = prunes(solo.beat())
    assert len(cut) == 7
    for peer, prune in cut.items():
        assert len(prune.peers) == 3
        assert peer.multihash not in {entry.peer_id for entry in prune.peers}
        assert all(entry.record for entry in prune.peers)


def test_a_record_of_somebody_else_is_not_kept() -> None:
    solo = Solo(GossipParams(do_px=True))
    solo.connect("peer")
    assert solo.handle(PeerRecordLearned(peer_of("peer"), envelope("other"))) == []
    assert reasons(solo.handle(PeerRecordLearned(peer_of("peer"), b"junk"))) == [GossipReason.PX_REFUSED]


def pruned_with(solo: Solo, *offered: PxPeer) -> tuple[list[PeerRecord], list[GossipReason]]:
    actions = solo.hear("peer", Rpc(prune=(Prune(TOPIC, 60 * SECOND, offered),)))
    return [action.record for action in actions if isinstance(action, ConnectTo)], reasons(actions)


def px_solo(score: float) -> Solo:
    solo = Solo()
    solo.connect("peer")
    solo.subscribe()
    solo.handle(AppScore(peer_of("peer"), score))
    return solo


def test_recommended_peers_are_dialled_if_the_recommender_is_trusted_and_they_signed() -> None:
    good = PxPeer(peer_of("far").multihash, envelope("far"))
    assert [record.peer for record in pruned_with(px_solo(1000), good)[0]] == [peer_of("far")]


@pytest.mark.parametrize("score", [0, 999])
def test_recommendations_of_those_below_the_threshold_are_refused(score: float) -> None:
    good = PxPeer(peer_of("far").multihash, envelope("far"))
    assert pruned_with(px_solo(score), good) == ([], [GossipReason.PX_REFUSED])


@pytest.mark.parametrize(
    "offered",
    [
        PxPeer(peer_of("far").multihash, b""),
        PxPeer(peer_of("far").multihash, b"junk"),
        PxPeer(peer_of("far").multihash, envelope("far", "near")),
        PxPeer(peer_of("near").multihash, envelope("far")),
        PxPeer(peer_of("far").multihash, envelope("far")[:-1]),
        PxPeer(peer_of("far").multihash, envelope("far", addresses=0)),
    ],
    ids=["no record", "junk", "key of another", "about another", "truncated", "no address"],
)
def test_recommendations_without_a_valid_record_are_refused(offered: PxPeer) -> None:
    assert pruned_with(px_solo(1000), offered) == ([], [GossipReason.PX_REFUSED])


def test_of_many_recommendations_a_few_are_taken_and_none_whom_we_know() -> None:
    solo = px_solo(1000)
    solo.connect("known")
    offered = [PxPeer(peer_of(name).multihash, envelope(name)) for name in ("known", "us", *names("far", 30))]
    records, _ = pruned_with(solo, *offered)
    assert 10 <= len(records) <= solo.params.prune_peers
    assert not {record.peer for record in records} & {peer_of("known"), peer_of("us")}


@pytest.mark.parametrize(
    "changes",
    [{"d": 13}, {"d_lo": 7}, {"d_out": 5}, {"d_out": 4, "d_lo": 6}, {"history_gossip": 6}, {"gossip_factor": 2}],
)
def test_parameters_that_contradict_each_other_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(LocalError):
        dataclasses.replace(GossipParams(), **changes)  # type: ignore[arg-type]  # the table has counts only
