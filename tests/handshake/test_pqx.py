"""`/lattice/pqx/1` end to end: who may meet whom, and what a middleman can do about it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt.roster import Member, SignedCertificate
from latticework.handshake import PQX_PROTOCOL
from latticework.handshake.params import (
    MAX_BUNDLE_BODY_BYTES,
    MAX_SIGNED_BUNDLE_BYTES,
    MAX_SIGNED_CERTIFICATE_BYTES,
    OFFERED_MUXERS,
    PREKEY_CHOICE_BYTES,
    PROOF_BYTES,
    RESPONDER_PROOF_BYTES,
)
from latticework.handshake.pqx_initiator import PqxInitiator
from latticework.handshake.pqx_messages import (
    Answer,
    Confirmation,
    Finish,
    Hello,
    PrekeyChoice,
    Proof,
    ResponderProof,
    decode_padded,
    encode_padded,
)
from latticework.handshake.pqx_responder import PqxResponder
from latticework.handshake.prekeys import SignedBundle, sign_bundle
from latticework.handshake.proofs import LocalDevice
from latticework.transport.ports import (
    Algorithms,
    HandshakeAction,
    HandshakeMachine,
    Refuse,
    SecureChannel,
    SendMessage,
)
from latticework.wire import Label, Signer, decode, encode

from .world import (
    DAY_S,
    LOW_ORDER,
    MODEL,
    NOW_US,
    REAL,
    Meddle,
    Providers,
    World,
    flip,
    shake_hands,
    with_bundle,
)

pytestmark = pytest.mark.unit

WORLD = World()
REAL_WORLD = World(b"real", REAL)
LIMIT = 1 << 20


@pytest.mark.parametrize("providers", [MODEL, REAL], ids=["model", "real"])
def test_two_devices_of_an_account_agree_on_keys_and_know_each_other(providers: Providers) -> None:
    world = World(b"happy", providers)
    run = shake_hands(*world.pair())
    initiator, responder = run.both()
    assert (initiator.remote, responder.remote) == (world.beta.keys.device, world.alpha.keys.device)
    assert initiator.transport_key == world.beta.transport.public
    assert responder.transport_key == world.alpha.transport.public
    assert initiator.muxer == responder.muxer == "/yamux/1.0.0"
    names = Algorithms(PQX_PROTOCOL, f"X25519+{providers.kem.name}", providers.signatures.name, "AES-256-GCM")
    assert initiator.algorithms == responder.algorithms == names
    assert len(run.messages) == 4
    assert initiator.records.export(b"x", 32) == responder.records.export(b"x", 32)


def test_records_flow_both_ways_after_the_handshake() -> None:
    initiator, responder = shake_hands(*WORLD.pair()).both()
    for sender, receiver in ((initiator, responder), (responder, initiator)):
        out, room = memoryview(bytearray(100)), memoryview(bytearray(100))
        size = sender.records.seal_into(b"hello", out, NOW_US)
        assert receiver.records.open_into(out[:size], room) == 5
        assert bytes(room[:5]) == b"hello"


def test_every_flight_has_one_size_whatever_the_devices_are_called() -> None:
    there = shake_hands(*WORLD.pair()).messages
    back = shake_hands(WORLD.channel(WORLD.beta).initiate(), WORLD.channel(WORLD.alpha).respond()).messages
    assert [len(m) for m in there] == [len(m) for m in back]


def test_nothing_but_key_shares_is_in_clear() -> None:
    messages = b"".join(shake_hands(*WORLD.pair()).messages)
    for device in (WORLD.alpha, WORLD.beta):
        secrets = [device.keys.device, device.keys.exchange.public, device.keys.signer.public[:32]]
        secrets += [device.transport.public, device.keys.prekey.kem.public[:32], b"alpha", b"beta"]
        assert not [secret for secret in secrets if secret in messages]


def test_two_runs_share_neither_keys_nor_messages() -> None:
    one, other = shake_hands(*WORLD.pair()), shake_hands(*WORLD.pair())
    assert not set(one.messages) & set(other.messages)
    assert one.both()[0].records.export(b"x", 32) != other.both()[0].records.export(b"x", 32)


def _edit_hello(edit: Callable[[Hello], Hello]) -> Meddle:
    return lambda flight, m: encode(edit(decode(Hello, m, LIMIT))) if flight == 1 else m


def _edit_answer(edit: Callable[[Answer], Answer]) -> Meddle:
    return lambda flight, m: encode(edit(decode(Answer, m, LIMIT))) if flight == 2 else m


def _edit_finish(edit: Callable[[Finish], Finish]) -> Meddle:
    return lambda flight, m: encode(edit(decode(Finish, m, LIMIT))) if flight == 3 else m


OTHER_SHARE = WORLD.gamma.keys.exchange.public
OTHER_KEM = WORLD.gamma.keys.prekey.kem.public
OTHER_CIPHERTEXT = WORLD.providers.kem.encapsulate(OTHER_KEM, WORLD.rng)[1]

MEDDLING = {
    "f1 offers a version more": (_edit_hello(lambda h: replace(h, versions=(1, 2))), "seal"),
    "f1 offers versions in another order": (_edit_hello(lambda h: replace(h, versions=(0, 1))), "seal"),
    "f1 offers no common version": (_edit_hello(lambda h: replace(h, versions=(9,))), "version"),
    "f1 offers no version": (_edit_hello(lambda h: replace(h, versions=())), "version"),
    "f1 offers a muxer more": (_edit_hello(lambda h: replace(h, muxers=(*OFFERED_MUXERS, "/x"))), "seal"),
    "f1 offers no common muxer": (_edit_hello(lambda h: replace(h, muxers=("/mplex/6.7.0",))), "muxer"),
    "f1 has another share": (_edit_hello(lambda h: replace(h, share=OTHER_SHARE)), "seal"),
    "f1 has another KEM key": (_edit_hello(lambda h: replace(h, kem_key=OTHER_KEM)), "seal"),
    "f1 has an invalid KEM key": (_edit_hello(lambda h: replace(h, kem_key=flip(h.kem_key))), "malformed"),
    "f2 chose another version": (_edit_answer(lambda a: replace(a, head=replace(a.head, version=2))), "downgrade"),
    "f2 chose another muxer": (_edit_answer(lambda a: replace(a, head=replace(a.head, muxer="/x"))), "downgrade"),
    "f2 has another share": (_edit_answer(lambda a: replace(a, head=replace(a.head, share=OTHER_SHARE))), "seal"),
    "f2 has another ciphertext": (
        _edit_answer(lambda a: replace(a, head=replace(a.head, ciphertext=OTHER_CIPHERTEXT))),
        "seal",
    ),
    "f2 has a flipped proof": (_edit_answer(lambda a: replace(a, sealed=flip(a.sealed, 0))), "seal"),
    "f2 has a flipped tag": (_edit_answer(lambda a: replace(a, sealed=flip(a.sealed))), "seal"),
    "f3 has a flipped prekey choice": (_edit_finish(lambda f: replace(f, choice=flip(f.choice, 0))), "seal"),
    "f3 has a flipped proof": (_edit_finish(lambda f: replace(f, proof=flip(f.proof, 0))), "seal"),
}


@pytest.mark.parametrize(("meddle", "code"), MEDDLING.values(), ids=MEDDLING.keys())
def test_a_changed_field_is_refused_and_nobody_has_a_session(meddle: Meddle, code: str) -> None:
    run = shake_hands(*WORLD.pair(), meddle)
    assert run.refusals == [code]
    assert None in {run.initiator, run.responder}


def test_a_changed_confirmation_is_refused_by_the_initiator() -> None:
    def meddle(flight: int, message: bytes) -> bytes:
        return encode(Confirmation(flip(decode(Confirmation, message, LIMIT).sealed))) if flight == 4 else message

    assert shake_hands(*WORLD.pair(), meddle).refusals == ["seal"]


@pytest.mark.parametrize("flight", [1, 2, 3, 4])
@pytest.mark.parametrize("cut", [1, 17, 1000])
def test_a_truncated_message_is_refused(flight: int, cut: int) -> None:
    run = shake_hands(*WORLD.pair(), lambda number, m: m[:-cut] if number == flight else m)
    assert run.refusals == ["malformed"]


@pytest.mark.parametrize("flight", [1, 2, 3, 4])
def test_a_longer_message_than_announced_is_refused(flight: int) -> None:
    run = shake_hands(*WORLD.pair(), lambda number, m: m + bytes(30_000) if number == flight else m)
    assert run.refusals == ["malformed"]


def test_the_longest_message_is_announced_closely() -> None:
    initiator, responder = WORLD.pair()
    (hello,) = initiator.start()
    assert isinstance(hello, SendMessage)
    assert 0 <= responder.max_message_bytes - len(hello.message) < 150
    (answer,) = responder.handle(hello.message, NOW_US)
    assert isinstance(answer, SendMessage)
    assert 0 <= initiator.max_message_bytes - len(answer.message) < 40
    (finish,) = initiator.handle(answer.message, NOW_US)
    assert isinstance(finish, SendMessage)
    assert responder.max_message_bytes == len(finish.message)
    confirmation, _ = responder.handle(finish.message, NOW_US)
    assert isinstance(confirmation, SendMessage)
    assert initiator.max_message_bytes == len(confirmation.message)
    initiator.handle(confirmation.message, NOW_US)
    assert (initiator.max_message_bytes, responder.max_message_bytes) == (0, 0)


def test_the_largest_certificate_and_bundle_fit_the_padding() -> None:
    certificate = encode(SignedCertificate(bytes(3072), bytes(3373), bytes(3373)))
    bundle = encode(SignedBundle(bytes(MAX_BUNDLE_BODY_BYTES), bytes(3373)))
    assert len(certificate) <= MAX_SIGNED_CERTIFICATE_BYTES
    assert len(bundle) <= MAX_SIGNED_BUNDLE_BYTES
    proof = Proof(bytes(MAX_SIGNED_CERTIFICATE_BYTES), bytes(32), bytes(3373), bytes(64))
    theirs = ResponderProof(proof, bytes(MAX_SIGNED_BUNDLE_BYTES))
    choice = PrekeyChoice((1 << 32) - 1, bytes(1568))
    for record, size in ((proof, PROOF_BYTES), (theirs, RESPONDER_PROOF_BYTES), (choice, PREKEY_CHOICE_BYTES)):
        padded = encode_padded(record, size)
        assert len(padded) == size
        assert decode_padded(type(record), padded, size) == record


def test_a_replayed_f3_opens_nothing_at_another_run_of_the_responder() -> None:
    recorded = shake_hands(*WORLD.pair()).messages[2]
    run = shake_hands(*WORLD.pair(), lambda flight, m: recorded if flight == 3 else m)
    assert run.refusals == ["seal"]
    assert run.initiator is None


def test_a_replayed_f1_gives_the_replayer_no_session() -> None:
    recorded = shake_hands(*WORLD.pair()).messages
    responder = WORLD.channel(WORLD.beta).respond()
    responder.handle(recorded[0], NOW_US)
    assert _code(responder.handle(recorded[2], NOW_US)) == "seal"


def test_a_replayed_f2_is_refused_by_another_run_of_the_initiator() -> None:
    recorded = shake_hands(*WORLD.pair()).messages[1]
    assert shake_hands(*WORLD.pair(), lambda flight, m: recorded if flight == 2 else m).refusals == ["seal"]


@pytest.mark.parametrize(("place", "instead"), [(1, 3), (2, 4), (3, 1), (4, 2), (2, 1), (3, 2), (1, 2)])
def test_flights_out_of_order_are_refused(place: int, instead: int) -> None:
    recorded = shake_hands(*WORLD.pair()).messages
    run = shake_hands(*WORLD.pair(), lambda flight, m: recorded[instead - 1] if flight == place else m)
    assert run.refusals == ["malformed"]


def test_two_initiators_cannot_shake_hands() -> None:
    one, other = WORLD.channel(WORLD.alpha).initiate(), WORLD.channel(WORLD.beta).initiate()
    (hello,) = one.start()
    assert isinstance(hello, SendMessage)
    other.start()
    assert _code(other.handle(hello.message, NOW_US)) == "malformed"


def test_a_reflected_f2_is_refused() -> None:
    initiator, responder = WORLD.pair()
    (hello,) = initiator.start()
    assert isinstance(hello, SendMessage)
    (answer,) = responder.handle(hello.message, NOW_US)
    assert isinstance(answer, SendMessage)
    assert _code(responder.handle(answer.message, NOW_US)) == "malformed"


def test_a_message_after_the_end_is_refused() -> None:
    initiator, responder = WORLD.pair()
    run = shake_hands(initiator, responder)
    assert _code(initiator.handle(run.messages[3], NOW_US)) == "order"
    assert _code(responder.handle(run.messages[2], NOW_US)) == "order"


def test_a_machine_that_refused_stays_refused() -> None:
    initiator, responder = WORLD.pair()
    (hello,) = initiator.start()
    assert isinstance(hello, SendMessage)
    responder.handle(b"", NOW_US)
    assert _code(responder.handle(hello.message, NOW_US)) == "order"


def test_a_device_does_not_talk_to_itself() -> None:
    channel = WORLD.channel(WORLD.alpha)
    run = shake_hands(channel.initiate(), channel.respond())
    assert run.refusals == ["self"]
    assert len(run.messages) == 2


def test_a_device_of_another_account_is_refused_by_the_initiator() -> None:
    run = shake_hands(WORLD.channel(WORLD.alpha).initiate(), WORLD.channel(WORLD.gamma).respond())
    assert run.refusals == ["certificate"]
    assert len(run.messages) == 2


def _accept_beta(_signed: bytes) -> Member | str:
    return WORLD.roster.members[WORLD.beta.keys.device]


def test_a_device_of_another_account_is_refused_by_the_responder() -> None:
    trusting = replace(WORLD.terms(WORLD.gamma.local), authorize=_accept_beta)
    run = shake_hands(PqxInitiator(trusting, None), WORLD.channel(WORLD.beta).respond())
    assert run.refusals == ["certificate"]
    assert run.initiator is None


def test_an_unexpected_device_is_refused_before_it_sees_the_initiators_certificate() -> None:
    channel = WORLD.channel(WORLD.alpha).expecting(WORLD.gamma.keys.device)
    run = shake_hands(channel.initiate(), WORLD.channel(WORLD.beta).respond())
    assert run.refusals == ["unexpected"]
    assert len(run.messages) == 2


def test_the_expected_device_is_welcome() -> None:
    channel: SecureChannel = WORLD.channel(WORLD.alpha).expecting(WORLD.beta.keys.device)
    shake_hands(channel.initiate(), channel.respond())
    shake_hands(channel.initiate(), WORLD.channel(WORLD.beta).respond()).both()


@pytest.mark.parametrize("point", LOW_ORDER, ids=range(len(LOW_ORDER)))
def test_points_of_low_order_are_refused_in_both_shares(point: bytes) -> None:
    hello = _edit_hello(lambda h: replace(h, share=point))
    answer = _edit_answer(lambda a: replace(a, head=replace(a.head, share=point)))
    assert shake_hands(*WORLD.pair(), hello).refusals == ["malformed"]
    assert shake_hands(*WORLD.pair(), answer).refusals == ["malformed"]


@pytest.mark.parametrize("point", LOW_ORDER, ids=range(len(LOW_ORDER)))
def test_a_certified_exchange_key_of_low_order_is_refused(point: bytes) -> None:
    def authorize(signed: bytes) -> Member | str:
        member = WORLD.authorize(signed)
        assert isinstance(member, Member)
        return replace(member, certificate=replace(member.certificate, exchange_key=point))

    gullible = replace(WORLD.terms(WORLD.alpha.local), authorize=authorize)
    assert shake_hands(PqxInitiator(gullible, None), WORLD.pair()[1]).refusals == ["malformed"]
    gullible = replace(WORLD.terms(WORLD.beta.local), authorize=authorize)
    assert shake_hands(WORLD.pair()[0], PqxResponder(gullible)).refusals == ["malformed"]


def test_an_unreduced_ml_kem_key_is_refused() -> None:
    run = shake_hands(*REAL_WORLD.pair(), _edit_hello(lambda h: replace(h, kem_key=b"\xff" * 1568)))
    assert run.refusals == ["malformed"]


def test_a_flipped_ml_kem_ciphertext_is_refused() -> None:
    meddle = _edit_answer(lambda a: replace(a, head=replace(a.head, ciphertext=flip(a.head.ciphertext))))
    assert shake_hands(*REAL_WORLD.pair(), meddle).refusals == ["seal"]


def _responder_with(world: World, local: LocalDevice) -> HandshakeMachine:
    return PqxResponder(world.terms(local))


def _refused_by_initiator(world: World, local: LocalDevice, now_us: int = NOW_US) -> str:
    run = shake_hands(world.channel(world.alpha).initiate(), _responder_with(world, local), now_us=now_us)
    assert run.responder is None
    assert len(run.messages) == 2
    (code,) = run.refusals
    return code


def test_a_substituted_pq_prekey_is_refused() -> None:
    honest = decode(SignedBundle, WORLD.beta.local.bundle, LIMIT)
    theirs = WORLD.beta.keys.prekey.kem.public
    assert theirs in honest.body
    forged = encode(SignedBundle(honest.body.replace(theirs, OTHER_KEM), honest.signature))
    assert _refused_by_initiator(WORLD, with_bundle(WORLD.beta.local, forged)) == "bundle"


def test_a_bundle_of_another_account_is_refused() -> None:
    local = with_bundle(WORLD.beta.local, WORLD.gamma.local.bundle)
    assert _refused_by_initiator(WORLD, local) == "bundle"


def test_a_bundle_that_another_device_signed_for_ours_is_refused() -> None:
    keys = replace(WORLD.beta.keys, signer=WORLD.gamma.keys.signer)
    bundle = sign_bundle(keys, WORLD.beta.local.certificate_hash, WORLD.terms(WORLD.beta.local).suite)
    assert _refused_by_initiator(WORLD, with_bundle(WORLD.beta.local, bundle)) == "bundle"


def test_a_bundle_for_another_certificate_is_refused() -> None:
    bundle = sign_bundle(WORLD.beta.keys, bytes(32), WORLD.terms(WORLD.beta.local).suite)
    assert _refused_by_initiator(WORLD, with_bundle(WORLD.beta.local, bundle)) == "bundle"


def test_a_bundle_for_another_suite_is_refused() -> None:
    bundle = sign_bundle(WORLD.beta.keys, WORLD.beta.local.certificate_hash, "X25519")
    assert _refused_by_initiator(WORLD, with_bundle(WORLD.beta.local, bundle)) == "bundle"


@pytest.mark.parametrize(
    ("days", "outcome"), [(0, None), (14, None), (14.9, None), (15.1, "expired"), (-0.9, None), (-1.1, "not-yet-valid")]
)
def test_validity_is_judged_with_one_day_of_tolerance(days: float, outcome: str | None) -> None:
    run = shake_hands(*WORLD.pair(), now_us=NOW_US + round(days * DAY_S * 1_000_000))
    assert run.refusals == ([] if outcome is None else [outcome])


def test_an_expired_certificate_is_refused_by_either_side() -> None:
    old = replace(WORLD.terms(WORLD.alpha.local), authorize=_aged)
    assert shake_hands(PqxInitiator(old, None), WORLD.pair()[1]).refusals == ["expired"]
    old = replace(WORLD.terms(WORLD.beta.local), authorize=_aged)
    assert shake_hands(WORLD.pair()[0], PqxResponder(old)).refusals == ["expired"]


def _aged(signed: bytes) -> Member | str:
    member = WORLD.authorize(signed)
    assert isinstance(member, Member)
    return replace(member, certificate=replace(member.certificate, not_after_s=1))


def test_a_prekey_that_was_not_offered_is_refused() -> None:
    """An initiator that names another prekey: its bundle is swapped for one with the same keys under another id."""
    keys = replace(WORLD.beta.keys, prekey=replace(WORLD.beta.keys.prekey, id=77))
    responder = PqxResponder(WORLD.terms(replace(WORLD.beta.local, keys=keys)))
    run = shake_hands(WORLD.pair()[0], responder)
    assert run.refusals == ["prekey"]


@dataclass(frozen=True)
class TwistedSigner:
    """Signs handshakes wrongly, everything else rightly."""

    real: Signer
    twist: Callable[[Signer, bytes, Label], bytes]

    @property
    def public(self) -> bytes:
        return self.real.public

    def sign(self, message: bytes, label: Label) -> bytes:
        if label in {Label.PQX_RESPONDER, Label.PQX_INITIATOR}:
            return self.twist(self.real, message, label)
        return self.real.sign(message, label)


def _halves(signer: Signer, message: bytes, label: Label) -> bytes:
    one, other = signer.sign(message, label), signer.sign(message + b"x", label)
    return one[:3309] + other[3309:]


TWISTS: dict[str, Callable[[Signer, bytes, Label], bytes]] = {
    "ML-DSA half flipped": lambda s, m, label: flip(s.sign(m, label), 0),
    "Ed25519 half flipped": lambda s, m, label: flip(s.sign(m, label)),
    "ML-DSA half of another message": lambda s, m, label: s.sign(m + b"x", label)[:3309] + s.sign(m, label)[3309:],
    "Ed25519 half of another message": _halves,
    "another label": lambda s, m, _: s.sign(m, Label.PREKEY_BUNDLE),
    "the other role's label": lambda s, m, label: s.sign(
        m, Label.PQX_INITIATOR if label is Label.PQX_RESPONDER else Label.PQX_RESPONDER
    ),
    "another transcript": lambda s, m, label: s.sign(flip(m), label),
}


@pytest.mark.parametrize("twist", TWISTS.values(), ids=TWISTS.keys())
def test_a_composite_signature_with_either_half_wrong_is_refused(
    twist: Callable[[Signer, bytes, Label], bytes],
) -> None:
    world = REAL_WORLD
    keys = replace(world.beta.keys, signer=TwistedSigner(world.beta.keys.signer, twist))
    assert _refused_by_initiator(world, replace(world.beta.local, keys=keys)) == "signature"
    keys = replace(world.alpha.keys, signer=TwistedSigner(world.alpha.keys.signer, twist))
    initiator = PqxInitiator(world.terms(replace(world.alpha.local, keys=keys)), None)
    run = shake_hands(initiator, world.channel(world.beta).respond())
    assert run.refusals == ["signature"]
    assert run.initiator is None


@dataclass(frozen=True)
class StolenTransport:
    """Claims a transport key without holding it."""

    public: bytes

    def sign_raw(self, _message: bytes) -> bytes:
        return bytes(64)


def test_a_device_cannot_claim_anothers_transport_key() -> None:
    local = replace(WORLD.beta.local, transport=StolenTransport(WORLD.gamma.transport.public))
    assert _refused_by_initiator(WORLD, local) == "signature"
    local = replace(WORLD.alpha.local, transport=StolenTransport(WORLD.gamma.transport.public))
    run = shake_hands(PqxInitiator(WORLD.terms(local), None), WORLD.pair()[1])
    assert run.refusals == ["signature"]


def test_different_suites_do_not_meet() -> None:
    other = World(b"world", Providers(WORLD.providers.kem, REAL.signatures))
    run = shake_hands(WORLD.pair()[0], other.channel(other.beta).respond())
    assert run.refusals == ["seal"]


def test_a_stolen_identity_without_the_prekeys_cannot_answer() -> None:
    """The responder's signing key alone is not enough: f3 is sealed to its exchange key and prekeys."""
    fresh = World(b"thief").beta.keys
    keys = replace(WORLD.beta.keys, exchange=fresh.exchange, prekey=replace(fresh.prekey, id=1))
    run = shake_hands(WORLD.pair()[0], PqxResponder(WORLD.terms(replace(WORLD.beta.local, keys=keys))))
    assert run.refusals == ["seal"]
    assert run.initiator is None


def test_a_stolen_signing_key_without_the_exchange_key_gets_no_confirmation() -> None:
    fresh = World(b"thief").alpha.keys
    keys = replace(WORLD.alpha.keys, exchange=fresh.exchange)
    run = shake_hands(PqxInitiator(WORLD.terms(replace(WORLD.alpha.local, keys=keys)), None), WORLD.pair()[1])
    assert run.refusals == ["seal"]


def _code(actions: list[HandshakeAction]) -> str:
    (action,) = actions
    assert isinstance(action, Refuse)
    return action.code


FLIGHTS = shake_hands(*WORLD.pair()).messages


@pytest.mark.property
@settings(deadline=None)
@given(flight=st.integers(1, 4), data=st.binary(max_size=3000))
def test_random_bytes_never_raise_and_never_establish(flight: int, data: bytes) -> None:
    run = shake_hands(*WORLD.pair(), lambda number, m: data if number == flight else m)
    assert run.refusals == ["malformed"]


@pytest.mark.property
@settings(deadline=None)
@given(flight=st.integers(1, 4), position=st.integers(0, 30_000), bit=st.integers(0, 7))
def test_any_flipped_bit_ends_in_exactly_one_refusal(flight: int, position: int, bit: int) -> None:
    def meddle(number: int, message: bytes) -> bytes:
        if number != flight:
            return message
        place = position % len(message)
        return message[:place] + bytes([message[place] ^ 1 << bit]) + message[place + 1 :]

    run = shake_hands(*WORLD.pair(), meddle)
    assert len(run.refusals) == 1
    assert flight == 4 or None in {run.initiator, run.responder}


@pytest.mark.property
@settings(deadline=None)
@given(initiator=st.booleans(), messages=st.lists(st.sampled_from(FLIGHTS) | st.binary(max_size=50), max_size=5))
def test_any_sequence_of_messages_is_survived(*, initiator: bool, messages: list[bytes]) -> None:
    machine = WORLD.pair()[0 if initiator else 1]
    machine.start()
    refused = False
    for message in messages:
        actions = machine.handle(message, NOW_US)
        assert not refused or _code(actions) == "order"
        refused = refused or any(isinstance(action, Refuse) for action in actions)
