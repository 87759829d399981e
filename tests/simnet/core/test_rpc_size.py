import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.simnet.core.rpc_size import frame_bytes
from latticework.transport.gossip_message import Message
from latticework.transport.gossip_rpc import Prune, PxPeer, Rpc

pytestmark = pytest.mark.property

TOPICS = st.sampled_from(["t", "simnet", "straße", "x" * 130])
IDS = st.lists(st.binary(min_size=1, max_size=127), max_size=20).map(tuple)
MESSAGES = st.builds(Message.anonymous, TOPICS, st.integers(0, 20_000).map(bytes))
PRUNES = st.builds(
    Prune,
    TOPICS,
    st.integers(0, 10**10),
    st.lists(st.builds(PxPeer, st.binary(max_size=40), st.binary(max_size=300)), max_size=3).map(tuple),
)
RPCS = st.builds(
    Rpc,
    messages=st.lists(MESSAGES, max_size=2).map(tuple),
    subscriptions=st.lists(st.tuples(TOPICS, st.booleans()), max_size=2).map(tuple),
    ihave=st.lists(st.tuples(TOPICS, IDS), max_size=2).map(tuple),
    iwant=IDS,
    graft=st.lists(TOPICS, max_size=2).map(tuple),
    prune=st.lists(PRUNES, max_size=2).map(tuple),
    idontwant=IDS,
)


@given(RPCS)
def test_the_size_is_that_of_the_encoded_frame(rpc: Rpc) -> None:
    assert frame_bytes(rpc) == len(rpc.frame)
