"""Each part of the score by itself, through what peers do."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.transport.gossip_events import (
    AppScore,
    GossipReason,
    PeerDisconnected,
    Validate,
    ValidationResult,
    Verdict,
)
from latticework.transport.gossip_params import GossipParams, ScoreParams, TopicScoreParams, decay
from latticework.transport.gossip_rpc import Prune, Rpc
from latticework.transport.gossip_score import PeerStats, Scores
from latticework.wire import LocalError

from .gossip_kit import (
    SECOND,
    TOPIC,
    Solo,
    ids,
    message_of,
    names,
    peer_of,
    prunes,
    reasons,
    receivers,
    scored,
    sent,
)

pytestmark = pytest.mark.unit

OFF = {"time_in_mesh_weight": 0, "first_message_deliveries_weight": 0, "invalid_message_deliveries_weight": 0}


def only(**changes: float) -> Solo:
    return Solo(GossipParams(score=scored(**{**OFF, **changes})))


def test_time_in_the_mesh_is_worth_something_up_to_a_cap() -> None:
    solo = only(time_in_mesh_weight=2, time_in_mesh_quantum_us=10 * SECOND, time_in_mesh_cap=3)
    solo.connect("member")
    solo.subscribe()
    solo.connect("other")
    solo.beat(22)
    assert (solo.score("member"), solo.score("other")) == (4, 4), "both are in the mesh of a small network"
    solo.beat(60)
    assert solo.score("member") == 6
    solo.hear("member", Rpc(prune=(Prune(TOPIC),)))
    assert solo.score("member") == 0


def test_first_deliveries_count_up_to_a_cap_and_fade() -> None:
    solo = only(first_message_deliveries_weight=1, first_message_deliveries_cap=3, first_message_deliveries_decay=0.5)
    solo.connect("first", "second")
    solo.subscribe()
    for number in range(5):
        solo.deliver("first", message_of("author", number))
        solo.deliver("second", message_of("author", number))
    assert (solo.score("first"), solo.score("second")) == (3, 0)
    solo.beat(2)
    assert 0.7 < solo.score("first") < 1.6
    solo.beat(20)
    assert solo.score("first") == 0, "below decay_to_zero it is zero"


def test_a_pause_fades_counters_as_much_as_the_heartbeats_it_swallowed() -> None:
    solo = only(first_message_deliveries_weight=1, first_message_deliveries_decay=0.9)
    solo.connect("peer")
    solo.subscribe()
    for number in range(10):
        solo.deliver("peer", message_of("author", number))
    solo.timers = dict.fromkeys(solo.timers, solo.now_us + 20 * SECOND)
    solo.beat()
    assert 10 * 0.9**21 < solo.score("peer") < 10 * 0.9**19


def test_messages_that_are_not_accepted_earn_nothing() -> None:
    solo = only(first_message_deliveries_weight=1)
    solo.connect("peer")
    solo.subscribe()
    solo.deliver("peer", message_of("author", 1), Verdict.IGNORE)
    assert solo.score("peer") == 0


def silent_solo() -> Solo:
    return only(
        mesh_message_deliveries_weight=-1,
        mesh_message_deliveries_threshold=4,
        mesh_message_deliveries_cap=10,
        mesh_message_deliveries_decay=0.999,
        mesh_message_deliveries_activation_us=5 * SECOND,
        mesh_message_deliveries_window_us=10_000,
        mesh_failure_penalty_weight=-1,
        mesh_failure_penalty_decay=0.999,
    )


def test_a_silent_member_of_the_mesh_is_penalised_after_the_activation_time_and_pruned() -> None:
    solo = silent_solo()
    solo.connect("silent")
    solo.subscribe()
    solo.beat(4)
    assert solo.score("silent") == 0
    actions = solo.beat(3)
    assert peer_of("silent") in prunes(actions)
    assert -16 <= solo.score("silent") < -15, "what it owed stays on its account (P3b)"
    assert solo.beat(70) == []
    assert solo.mesh() == set(), "and keeps it out when the back-off is over"


def test_nearly_first_copies_keep_a_member_in_the_mesh_and_late_ones_do_not() -> None:
    solo = silent_solo()
    solo.connect("first", "near", "late")
    solo.subscribe()
    for number in range(6):
        message = message_of("author", number)
        solo.hear("near", Rpc((message,)))
        solo.deliver("first", message)
        assert solo.deliver("near", message) == [], "the same again"
    for number in range(6, 12):
        message = message_of("author", number)
        solo.deliver("first", message)
        solo.now_us += 9_000
        solo.deliver("near", message)
        solo.now_us += 2_000
        solo.deliver("late", message)
    solo.beat(8)
    assert solo.score("first") == 0
    assert solo.score("near") == 0
    assert solo.mesh() == ids(["first", "near"])


def test_copies_that_come_while_a_message_is_validated_count_as_nearly_first() -> None:
    solo = silent_solo()
    solo.connect("first", "near")
    solo.subscribe()
    for number in range(6):
        message = message_of("author", number)
        actions = solo.hear("first", Rpc((message,)))
        solo.now_us += SECOND // 2
        solo.hear("near", Rpc((message,)))
        (question,) = [action for action in actions if isinstance(action, Validate)]
        solo.handle(ValidationResult(question.message_id, Verdict.ACCEPT))
    solo.timers = dict.fromkeys(solo.timers, solo.now_us)
    solo.beat(8)
    assert solo.score("near") == 0


def test_invalid_messages_are_penalised_by_the_square() -> None:
    solo = only(invalid_message_deliveries_weight=-1)
    solo.connect("bad", "worse")
    solo.subscribe()
    for number in range(3):
        solo.deliver("bad", message_of("author", number), Verdict.REJECT)
    assert solo.score("bad") == -9
    solo.deliver("worse", message_of("author", 0))
    assert solo.score("worse") == -1, "a copy of what was refused counts too"


def test_everybody_who_sent_a_message_that_is_refused_is_penalised() -> None:
    solo = only(invalid_message_deliveries_weight=-1)
    solo.connect("first", "second", "third")
    solo.subscribe()
    message = message_of("author", 1)
    solo.hear("first", Rpc((message,)))
    solo.hear("second", Rpc((message,)))
    solo.handle(ValidationResult(message.author + message.seqno, Verdict.REJECT))
    assert [solo.score(name) for name in ("first", "second", "third")] == [-1, -1, 0]


def test_topics_are_weighted_and_capped_together() -> None:
    topics = {
        "dear": TopicScoreParams(topic_weight=10, time_in_mesh_weight=0, first_message_deliveries_weight=1),
        "cheap": TopicScoreParams(topic_weight=0.5, time_in_mesh_weight=0, first_message_deliveries_weight=1),
    }
    solo = Solo(GossipParams(score=ScoreParams(topics=topics, other_topics=None, topic_score_cap=12)))
    solo.connect("peer")
    for topic in ("dear", "cheap", "unscored"):
        solo.subscribe(topic)
        solo.deliver("peer", message_of("author", len(topic), topic=topic))
    assert solo.score("peer") == 10.5
    solo.deliver("peer", message_of("author", 99, topic="dear"))
    assert solo.score("peer") == 12


def test_the_application_can_praise_and_blame() -> None:
    solo = Solo(GossipParams(score=ScoreParams(app_specific_weight=2)))
    solo.handle(AppScore(peer_of("peer"), 7))
    solo.connect("peer")
    assert solo.score("peer") == 14, "also before the peer arrives"
    solo.handle(AppScore(peer_of("peer"), -7))
    assert solo.score("peer") == -14
    solo.handle(PeerDisconnected(peer_of("peer")))
    solo.handle(AppScore(peer_of("peer"), 0))
    solo.connect("peer")
    assert solo.score("peer") == 0


@pytest.mark.parametrize(
    ("ips", "expected"),
    [
        (["10.0.0.1"] * 4, -4),
        (["10.0.0.1"] * 2, 0),
        (["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8::4"], -4),
        (["2001:db8::1"] * 4, -8),
        (["127.0.0.1"] * 4, 0),
        ([""] * 4, 0),
        (["not an address"] * 4, 0),
    ],
    ids=["four on one", "two on one", "one /64", "one of version 6", "loopback", "unknown", "no address"],
)
def test_many_peers_behind_one_address_are_penalised(ips: list[str], expected: float) -> None:
    solo = Solo(GossipParams(score=ScoreParams(ip_colocation_factor_threshold=2, ip_colocation_factor_weight=-1)))
    for number, ip in enumerate(ips):
        solo.connect(f"peer-{number}", ip=ip)
    assert [solo.score(f"peer-{number}") for number in range(len(ips))] == [expected] * len(ips)


def test_a_peer_that_leaves_well_makes_room_behind_its_address() -> None:
    params = ScoreParams(ip_colocation_factor_threshold=1, ip_colocation_factor_weight=-1)
    solo = Solo(GossipParams(score=params))
    solo.connect("one", "two", ip="10.0.0.1")
    solo.handle(AppScore(peer_of("one"), 5))
    solo.handle(PeerDisconnected(peer_of("one")))
    assert solo.score("two") == 0


def connected(scores: Scores, name: str, ip: str = "") -> PeerStats:
    stats = PeerStats(peer_of(name))
    scores.connect(stats, ip)
    return stats


def test_misbehaviour_beyond_the_threshold_counts_by_the_square_and_fades() -> None:
    params = ScoreParams(
        behaviour_penalty_threshold=2, behaviour_penalty_weight=-10, behaviour_penalty_decay=decay(60 * SECOND)
    )
    scores = Scores(params)
    stats = connected(scores, "peer")
    scores.penalise(stats, 2)
    assert scores.score(stats) == 0
    scores.penalise(stats)
    assert scores.score(stats) == -10
    scores.decay([stats], 0, 10)
    assert scores.score(stats) == 0


def test_what_a_peer_does_counts_in_its_topic_alone_and_adds_up() -> None:
    weights = {"first_message_deliveries_weight": 1, "first_message_deliveries_cap": 100, "topic_weight": 1}
    topics = {name: TopicScoreParams(**{**OFF, **weights, "time_in_mesh_weight": 1}) for name in ("a", "b", "c")}
    scores = Scores(ScoreParams(topics=topics, other_topics=None))
    stats = connected(scores, "peer")
    for topic in ("a", "b", "c"):
        scores.graft(stats, topic, 0)
    for _ in range(3):
        scores.first_delivery(stats, "b")
    scores.first_delivery(stats, "unknown")
    assert scores.score(stats) == 3
    scores.prune(stats, "a")
    scores.decay([stats], 5 * SECOND)
    assert scores.score(stats) == pytest.approx(2 * 5 + 3, abs=0.1), "five seconds in b and c, none in a"
    scores.disconnect(stats, 6 * SECOND)
    assert scores.score(connected(scores, "peer")) == 0


def test_a_bad_score_survives_a_reconnection_and_a_good_one_does_not() -> None:
    solo = Solo(GossipParams(score=scored(invalid_message_deliveries_weight=-1)))
    solo.connect("bad", "good")
    solo.subscribe()
    solo.deliver("bad", message_of("author", 1), Verdict.REJECT)
    solo.deliver("good", message_of("author", 2))
    for name in ("bad", "good"):
        solo.handle(PeerDisconnected(peer_of(name)))
    solo.beat(100)
    solo.connect("bad", "good")
    assert (solo.score("bad"), solo.score("good")) == (-1, 0), "nor does it fade while the peer is away"


def test_of_a_mixed_record_the_bad_part_survives_a_reconnection() -> None:
    weights = {"invalid_message_deliveries_weight": -1, "first_message_deliveries_weight": 1}
    solo = Solo(GossipParams(score=scored(**{**OFF, **weights})))
    solo.connect("peer")
    solo.subscribe()
    for number in range(5):
        verdict = Verdict.REJECT if number % 2 else Verdict.ACCEPT
        solo.deliver("peer", message_of("author", number), verdict)
    assert solo.score("peer") == -1
    solo.handle(PeerDisconnected(peer_of("peer")))
    solo.connect("peer")
    assert solo.score("peer") == -4


def test_a_bad_score_is_forgotten_in_the_end_and_only_so_many_are_kept() -> None:
    scores = Scores(ScoreParams(retain_score_us=10, max_retained=2, behaviour_penalty_threshold=0))
    for name in names("peer", 3):
        stats = connected(scores, name, "10.0.0.1")
        scores.penalise(stats)
        scores.disconnect(stats, 0)
    assert scores.score(connected(scores, "peer-0")) == 0
    assert scores.score(connected(scores, "peer-1")) == -10
    scores.decay([], 11)
    assert scores.score(connected(scores, "peer-2")) == 0


# Thresholds


def threshold_solo(score: float) -> Solo:
    solo = Solo()
    solo.connect("peer", "source")
    solo.subscribe()
    solo.handle(AppScore(peer_of("peer"), score))
    return solo


@pytest.mark.parametrize(("score", "heard"), [(-500, True), (-501, False)])
def test_below_the_gossip_threshold_neither_ihave_nor_iwant_is_heard(score: float, heard: bool) -> None:  # noqa: FBT001
    solo = threshold_solo(score)
    assert bool(solo.hear("peer", Rpc(ihave=((TOPIC, (b"id",)),)))) is heard
    message = message_of("author", 1)
    solo.deliver("source", message)
    assert bool(solo.hear("peer", Rpc(iwant=(message.author + message.seqno,)))) is heard


@pytest.mark.parametrize(("score", "told"), [(-500, True), (-501, False)])
def test_below_the_gossip_threshold_nothing_is_gossiped_to_a_peer(score: float, told: bool) -> None:  # noqa: FBT001
    solo = threshold_solo(score)
    solo.deliver("source", message_of("author", 1))
    assert any(rpc.ihave for _, rpc in sent(solo.beat())) is told


@pytest.mark.parametrize(("score", "told"), [(-1000, True), (-1001, False)])
@pytest.mark.parametrize("flood", [True, False])
def test_below_the_publish_threshold_a_peer_gets_nothing_of_ours(score: float, told: bool, flood: bool) -> None:  # noqa: FBT001
    solo = Solo(GossipParams(flood_publish=flood))
    solo.connect("peer")
    solo.handle(AppScore(peer_of("peer"), score))
    actions = solo.publish()
    assert bool([peer for peer, rpc in sent(actions) if rpc.messages]) is told


@pytest.mark.parametrize(("score", "heard"), [(-2500, True), (-2501, False)])
def test_below_the_graylist_threshold_nothing_is_heard_and_that_is_said_once(score: float, heard: bool) -> None:  # noqa: FBT001
    solo = threshold_solo(score)
    message = message_of("author", 1)
    actions = solo.deliver("peer", message)
    assert (GossipReason.GRAYLISTED in reasons(actions)) is not heard
    assert bool(receivers(actions, message.author + message.seqno)) is heard
    assert solo.deliver("peer", message_of("author", 2)) == [] or heard


@pytest.mark.parametrize(
    "wrong",
    [
        {"gossip_threshold": 1},
        {"publish_threshold": -1},
        {"graylist_threshold": -1000},
        {"accept_px_threshold": -1},
        {"behaviour_penalty_weight": 1},
        {"ip_colocation_factor_weight": 1},
        {"decay_interval_us": 0},
    ],
)
def test_scores_that_would_reward_abuse_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(LocalError):
        ScoreParams(**wrong)  # type: ignore[arg-type]  # the table has numbers only


@pytest.mark.parametrize(
    "wrong",
    [
        {"topic_weight": -1},
        {"time_in_mesh_quantum_us": 0},
        {"mesh_message_deliveries_weight": 1},
        {"mesh_message_deliveries_cap": 0},
        {"invalid_message_deliveries_weight": 1},
        {"first_message_deliveries_decay": 1},
    ],
)
def test_topic_scores_that_would_reward_abuse_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(LocalError):
        TopicScoreParams(**wrong)  # type: ignore[arg-type]  # the table has numbers only


def test_who_was_bad_is_bad_again_after_a_reconnection_and_whom_the_application_blames_from_the_start() -> None:
    scores = Scores(scored())
    known, again, blamed = PeerStats(peer_of("known")), PeerStats(peer_of("known")), PeerStats(peer_of("blamed"))
    scores.connect(known, "")
    scores.invalid_delivery(known, TOPIC)
    assert scores.is_bad(known)
    scores.disconnect(known, 0)
    scores.connect(again, "")
    assert scores.is_bad(again)
    scores.set_app_score(blamed.id, -1, None)
    scores.connect(blamed, "")
    assert scores.is_bad(blamed)


def test_a_penalty_does_not_fade_for_the_time_before_it() -> None:
    params = ScoreParams(
        other_topics=TopicScoreParams(first_message_deliveries_decay=0.01),
        behaviour_penalty_decay=0.5,
        behaviour_penalty_threshold=1,
    )
    scores, stats = Scores(params), PeerStats(peer_of("a"))
    scores.connect(stats, "")
    scores.first_delivery(stats, TOPIC)
    scores.decay([stats], 30 * SECOND, 30)
    scores.penalise(stats, 3)
    assert scores.is_bad(stats), "what is put off happens before, and has no part in it"
    assert stats.penalty == 3


class Twice:
    """The same peers twice: in `eager` every score is computed at every step, in `lazy` only when asked for."""

    def __init__(self, watches: bool) -> None:  # noqa: FBT001  # drawn
        params = scored(
            first_message_deliveries_decay=0.5,
            mesh_message_deliveries_weight=-1 if watches else 0,
            mesh_message_deliveries_activation_us=2 * SECOND,
        )
        self.eager, self.lazy = Scores(params), Scores(params)
        self.now_us = 0
        self.peers: dict[str, tuple[PeerStats, PeerStats]] = {}

    def both(self, do: Callable[[Scores, PeerStats], object], name: str) -> None:
        for scores, stats in zip((self.eager, self.lazy), self.peers[name], strict=True):
            do(scores, stats)

    def step(self, what: str, name: str, count: int) -> None:
        if what == "beat":
            self.now_us += count * SECOND
            for scores, at in ((self.eager, 0), (self.lazy, 1)):
                scores.decay([pair[at] for pair in self.peers.values()], self.now_us, count)
        elif name not in self.peers:
            self.peers[name] = PeerStats(peer_of(name)), PeerStats(peer_of(name))
            self.both(lambda scores, stats: scores.connect(stats, "10.0.0.1" if count > 1 else ""), name)
        elif what == "leave":
            self.both(lambda scores, stats: scores.disconnect(stats, self.now_us), name)
            del self.peers[name]
        else:
            self.both(self.deeds(what, count), name)

    def deeds(self, what: str, count: int) -> Callable[[Scores, PeerStats], object]:
        deeds: dict[str, Callable[[Scores, PeerStats], object]] = {
            "graft": lambda scores, stats: scores.graft(stats, TOPIC, self.now_us),
            "prune": lambda scores, stats: scores.prune(stats, TOPIC),
            "first": lambda scores, stats: scores.first_delivery(stats, TOPIC),
            "near": lambda scores, stats: scores.near_first_delivery(stats, TOPIC, 0),
            "invalid": lambda scores, stats: scores.invalid_delivery(stats, TOPIC),
            "penalise": lambda scores, stats: scores.penalise(stats, count),
            "app": lambda scores, stats: scores.set_app_score(stats.id, count - 2, stats),
        }
        return deeds[what]


DEEDS = ("beat", "leave", "graft", "prune", "first", "near", "invalid", "penalise", "app")


@pytest.mark.property
@given(st.booleans(), st.lists(st.tuples(st.sampled_from(DEEDS), st.sampled_from("abcdefgh"), st.integers(1, 3))))
def test_scores_that_are_put_off_are_those_that_were_not_and_the_blameless_are_never_bad(
    watches: bool,  # noqa: FBT001  # drawn
    steps: list[tuple[str, str, int]],
) -> None:
    twice = Twice(watches)
    for step in steps:
        twice.step(*step)
        for eager, lazy in twice.peers.values():
            score = twice.eager.score(eager)
            assert score >= 0 or not lazy.blameless
            assert twice.lazy.is_bad(lazy) == (score < 0)
    for eager, lazy in twice.peers.values():
        assert twice.lazy.score(lazy) == pytest.approx(twice.eager.score(eager))
