"""`/lattice/pqx-anonymous/1`: keys without names."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.handshake import ANONYMOUS_PROTOCOL, AnonymousChannel, channel_binding
from latticework.handshake.pqx_messages import Confirmation, Head, Hello
from latticework.simnet.rng import KeyedRng
from latticework.transport.ports import Algorithms, Established, Refuse
from latticework.wire import decode, encode

from .world import LOW_ORDER, MODEL, NOW_US, REAL, Meddle, Providers, Run, World, flip, shake_hands, unchanged

pytestmark = pytest.mark.unit

LIMIT = 1 << 16


def run(meddle: Meddle = unchanged, providers: Providers = MODEL) -> Run:
    channel = AnonymousChannel(KeyedRng(b"anonymous"), providers.kem)
    return shake_hands(channel.initiate(), channel.respond(), meddle)


@pytest.mark.parametrize("providers", [MODEL, REAL], ids=["model", "real"])
def test_both_ends_agree_and_nobody_is_named(providers: Providers) -> None:
    initiator, responder = run(providers=providers).both()
    names = Algorithms(ANONYMOUS_PROTOCOL, f"X25519+{providers.kem.name}", "none", "AES-256-GCM")
    for end in (initiator, responder):
        assert (end.remote, end.transport_key, end.muxer, end.algorithms) == (b"", b"", "/yamux/1.0.0", names)
    assert channel_binding(initiator.records) == channel_binding(responder.records)


def test_a_middlemans_two_channels_have_different_bindings() -> None:
    channel = AnonymousChannel(KeyedRng(b"anonymous"), MODEL.kem)
    ends = [shake_hands(channel.initiate(), channel.respond()).both()[0] for _ in range(2)]
    assert len({channel_binding(end.records) for end in ends}) == 2


type Edit = Callable[[bytes], bytes]


def hello(edit: Callable[[Hello], Hello]) -> Edit:
    return lambda message: encode(edit(decode(Hello, message, LIMIT)))


def head(edit: Callable[[Head], Head]) -> Edit:
    return lambda message: encode(edit(decode(Head, message, LIMIT)))


def confirmation(message: bytes) -> bytes:
    return encode(Confirmation(flip(decode(Confirmation, message, LIMIT).sealed)))


def shorter(message: bytes) -> bytes:
    return message[:-1]


def longer(message: bytes) -> bytes:
    return message + b"x"


MEDDLING: list[tuple[int, Edit, str]] = [
    (1, hello(lambda h: replace(h, versions=(1, 2))), "seal"),
    (1, hello(lambda h: replace(h, muxers=("/x",))), "muxer"),
    (1, hello(lambda h: replace(h, share=LOW_ORDER[0])), "malformed"),
    (2, head(lambda h: replace(h, version=2)), "downgrade"),
    (2, head(lambda h: replace(h, share=bytes(range(32)))), "seal"),
    (2, head(lambda h: replace(h, ciphertext=bytes(1568))), "seal"),
    (3, confirmation, "seal"),
    (4, confirmation, "seal"),
    (1, shorter, "malformed"),
    (2, longer, "malformed"),
    (3, shorter, "malformed"),
]


@pytest.mark.parametrize(("flight", "edit", "code"), MEDDLING, ids=range(len(MEDDLING)))
def test_meddling_is_refused(flight: int, edit: Edit, code: str) -> None:
    assert run(lambda number, m: edit(m) if number == flight else m).refusals == [code]


def test_a_named_and_an_anonymous_channel_do_not_meet() -> None:
    world = World()
    anonymous = AnonymousChannel(world.rng, MODEL.kem)
    assert shake_hands(world.channel(world.alpha).initiate(), anonymous.respond()).refusals == ["malformed"]
    assert shake_hands(anonymous.initiate(), world.channel(world.beta).respond()).refusals == ["malformed"]


def test_a_message_after_the_end_is_refused() -> None:
    channel = AnonymousChannel(KeyedRng(b"anonymous"), MODEL.kem)
    initiator, responder = channel.initiate(), channel.respond()
    messages = shake_hands(initiator, responder).messages
    for machine in (initiator, responder):
        (action,) = machine.handle(messages[2], NOW_US)
        assert isinstance(action, Refuse)
        assert action.code == "order"


@pytest.mark.property
@settings(deadline=None)
@given(flight=st.integers(1, 4), data=st.binary(max_size=2000))
def test_random_bytes_never_raise_and_never_establish(flight: int, data: bytes) -> None:
    result = run(lambda number, m: data if number == flight else m)
    assert result.refusals == ["malformed"]
    assert flight == 4 or not isinstance(result.initiator, Established)
