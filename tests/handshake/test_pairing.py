"""Pairing: how a device joins an account, and everything that must stop it."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt.roster import Roster, certificate_hash
from latticework.handshake import (
    AddCertificate,
    AskConfirmation,
    Confirmed,
    ConnectionLost,
    Paired,
    PairingCode,
    PairingFailed,
    QrCode,
    Received,
    Send,
    SetTimer,
    TimerFired,
    TypedCode,
    accept_introduction,
    introduce,
    load_keys,
)
from latticework.handshake.certificates import Subject
from latticework.handshake.keys import generate
from latticework.handshake.pairing_messages import PairHello
from latticework.handshake.params import OFFER_VALID_US, PAIRING_PERSON_US, PAIRING_STEP_US
from latticework.handshake.spake import Role, Spake
from latticework.simnet.rng import KeyedRng
from latticework.wire import LocalError, MalformedError, decode, encode

from .pairing_world import JOINER_ADDRESSES, SPONSOR_ADDRESSES, PairingWorld, Side
from .world import NOW_S, NOW_US

pytestmark = pytest.mark.unit


def typed(world: PairingWorld) -> TypedCode:
    return world.offers.offer_typed(world.world.rng, NOW_US)


def qr(world: PairingWorld) -> QrCode:
    digest = certificate_hash(world.world.alpha.certificate)
    return world.offers.offer_qr(world.world.rng, digest, SPONSOR_ADDRESSES, NOW_US)


def wrong(code: TypedCode) -> TypedCode:
    return replace(code, secret=f"{(int(code.secret) + 1) % 10**8:08}")


@pytest.mark.parametrize("make", [typed, qr])
def test_a_device_joins_the_account_when_both_people_say_yes(make: Callable[[PairingWorld], PairingCode]) -> None:
    world = PairingWorld()
    code = make(world)
    before = tuple(world.world.roster.records.values())
    sponsor, joiner = world.sponsor(), world.joiner(code)
    world.run(sponsor, joiner)
    account, alpha = world.world.roster.account, world.world.alpha.keys.device
    certificate = joiner.paired.certificate
    assert joiner.outcome == Paired(account, certificate, before, alpha, "alpha", SPONSOR_ADDRESSES)
    assert sponsor.outcome == Paired(account, certificate, before, world.delta.device, "delta", JOINER_ADDRESSES)
    assert world.delta.device in world.world.roster.members
    replica = Roster.found(world.world.providers.signatures, before[0])
    assert replica.add_all([*before[1:], certificate]) == []
    assert replica.root() == world.world.roster.root()


def test_each_person_is_asked_about_the_other_device() -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))
    world.run(sponsor, joiner)
    assert sponsor.asked == [AskConfirmation("delta", world.delta.device)]
    assert joiner.asked == [AskConfirmation("alpha", world.world.alpha.keys.device)]


def test_the_certificate_is_added_before_it_is_acknowledged() -> None:
    world = PairingWorld()
    sponsor = world.sponsor()
    world.run(sponsor, world.joiner(typed(world)))
    assert [type(action) for action in sponsor.actions[-3:]] == [AddCertificate, Send, Paired]


@pytest.mark.parametrize(("sponsor_says", "joiner_says"), [(None, True), (True, None), (None, None)])
def test_nothing_happens_until_both_people_have_spoken(*, sponsor_says: bool | None, joiner_says: bool | None) -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(sponsor_says), world.joiner(typed(world), joiner_says)
    world.run(sponsor, joiner)
    assert sponsor.outcome is joiner.outcome is None
    assert world.delta.device not in world.world.roster.members


@pytest.mark.parametrize(("sponsor_says", "joiner_says"), [(False, None), (None, False), (False, True)])
def test_either_persons_no_ends_it_for_both(*, sponsor_says: bool | None, joiner_says: bool | None) -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(sponsor_says), world.joiner(typed(world), joiner_says)
    world.run(sponsor, joiner)
    assert sponsor.failure == joiner.failure == "person"
    here, there = (sponsor, joiner) if sponsor_says is False else (joiner, sponsor)
    assert here.message == "pairing was declined here"
    assert there.message == "pairing was declined at the other device"
    assert world.delta.device not in world.world.roster.members


def failed(world: PairingWorld, sponsor: Side, joiner: Side) -> tuple[str, str]:
    world.run(sponsor, joiner)
    assert world.delta.device not in world.world.roster.members
    assert not sponsor.asked
    assert not joiner.asked
    return sponsor.failure, joiner.failure


def test_a_wrong_code_is_refused() -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(), world.joiner(wrong(typed(world)))
    assert failed(world, sponsor, joiner) == ("wrong-code", "wrong-code")
    assert joiner.message == sponsor.message == "the code is wrong or someone is in between; make a new code"


def test_an_unknown_nameplate_is_a_wrong_code() -> None:
    world = PairingWorld()
    assert failed(world, world.sponsor(), world.joiner(TypedCode("1234", "56785678"))) == ("wrong-code", "wrong-code")


def test_there_is_no_second_guess() -> None:
    world = PairingWorld()
    code = typed(world)
    failed(world, world.sponsor(), world.joiner(wrong(code)))
    sponsor, joiner = world.sponsor(), world.joiner(code)
    assert failed(world, sponsor, joiner) == ("used", "used")
    assert joiner.message == "the code was already used; make a new code on the other device"


def test_a_guess_is_spent_even_if_the_guesser_never_confirms() -> None:
    world = PairingWorld()
    code = typed(world)
    joiner = world.joiner(wrong(code))
    (hello, _) = joiner.machine.start()
    assert isinstance(hello, Send)
    world.sponsor().machine.handle(Received(hello.message), NOW_US)
    assert failed(world, world.sponsor(), world.joiner(code)) == ("used", "used")


def test_nonsense_instead_of_a_guess_does_not_spend_the_code() -> None:
    world = PairingWorld()
    code = typed(world)
    for share in (bytes(33), b"A" + bytes(32), b"B" + b"\x01" + bytes(31), b"A" + b"\xff" * 32):
        message = encode(PairHello(1, 1, code.nameplate, share))
        (refusal, end) = world.sponsor().machine.handle(Received(message), NOW_US)
        assert isinstance(refusal, Send)
        assert isinstance(end, PairingFailed)
        assert end.code == "protocol"
    world.run(sponsor := world.sponsor(), world.joiner(code))
    assert isinstance(sponsor.outcome, Paired)


def test_a_used_code_pairs_nobody_else() -> None:
    world = PairingWorld()
    code = typed(world)
    world.run(world.sponsor(), world.joiner(code))
    sponsor, joiner = world.sponsor(), world.joiner(code)
    world.run(sponsor, joiner)
    assert (sponsor.failure, joiner.failure) == ("used", "used")


def test_an_expired_code_is_refused() -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))
    world.run(sponsor, joiner, now_us=NOW_US + OFFER_VALID_US)
    assert (sponsor.failure, joiner.failure) == ("expired", "expired")
    assert joiner.message == "the code has expired; make a new code on the other device"


def test_a_typed_code_does_not_open_a_qr_offer() -> None:
    world = PairingWorld()
    code = TypedCode(qr(world).nameplate, "00000000")
    assert failed(world, world.sponsor(), world.joiner(code)) == ("wrong-code", "wrong-code")


@pytest.mark.parametrize("make", [typed, qr])
def test_a_middleman_between_two_channels_is_noticed(make: Callable[[PairingWorld], PairingCode]) -> None:
    """The messages arrive unchanged and the code is right, but the channels differ."""
    world = PairingWorld()
    sponsor, joiner = world.sponsor(), world.joiner(make(world), binding=bytes(32))
    assert failed(world, sponsor, joiner) == ("wrong-code", "wrong-code")
    assert "someone is in between" in joiner.message


def test_a_qr_code_of_another_device_is_noticed_even_with_the_right_secret() -> None:
    world = PairingWorld()
    code = replace(qr(world), certificate_hash=certificate_hash(world.world.beta.certificate))
    sponsor, joiner = world.sponsor(None), world.joiner(code)
    world.run(sponsor, joiner)
    assert (sponsor.failure, joiner.failure) == ("wrong-device", "wrong-device")
    assert not joiner.asked


def test_a_joiner_with_devices_or_spaces_of_its_own_is_refused() -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(), world.joiner(typed(world), has_devices=True)
    assert failed(world, sponsor, joiner) == ("has-devices", "has-devices")
    assert "this device already belongs to an account" in joiner.message
    sponsor, joiner = world.sponsor(), world.joiner(typed(world), has_spaces=True)
    assert failed(world, sponsor, joiner) == ("has-spaces", "has-spaces")
    assert "this device already has folders" in joiner.message
    assert "the other device already has folders" in sponsor.message


def test_unprintable_names_are_refused() -> None:
    world = PairingWorld()
    for name in ("", " ", "a\x1b[2J", "a\u202eb"):
        with pytest.raises(LocalError):
            world.joiner(typed(PairingWorld()), name=name)
    joiner = world.joiner(typed(world))
    joiner.machine._device = replace(joiner.machine._device, name="\x1b[2J")  # type: ignore[union-attr]  # a hostile joiner
    assert failed(world, world.sponsor(), joiner) == ("protocol", "protocol")


def test_a_joiner_with_the_sponsors_keys_is_refused() -> None:
    world = PairingWorld()
    world.delta = world.world.alpha.keys
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))
    world.run(sponsor, joiner)
    assert (sponsor.failure, joiner.failure) == ("protocol", "protocol")


SENDERS = [("sponsor", number) for number in range(1, 7)] + [("joiner", number) for number in range(1, 6)]


@pytest.mark.parametrize(("sender", "number"), SENDERS)
def test_a_replayed_message_ends_the_pairing(sender: str, number: int) -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))
    world.run(sponsor, joiner, lambda side, n, m: [m, m] if (side, n) == (sender, number) else [m])
    victim, other = (joiner, sponsor) if sender == "sponsor" else (sponsor, joiner)
    if (sender, number) in {("sponsor", 6), ("joiner", 5)}:
        assert isinstance(victim.outcome, Paired)  # it was done when the second copy came
        return
    assert victim.failure in {"protocol", "wrong-code"}
    if (sender, number) != ("sponsor", 5):  # the sponsor had the signed certificate before the joiner gave up
        assert isinstance(other.outcome, PairingFailed)
        assert world.delta.device not in world.world.roster.members


@pytest.mark.parametrize(("sender", "number"), SENDERS)
def test_a_changed_message_ends_the_pairing(sender: str, number: int) -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))

    def meddle(side: str, n: int, message: bytes) -> list[bytes]:
        return [message[:-1] + bytes([message[-1] ^ 1])] if (side, n) == (sender, number) else [message]

    world.run(sponsor, joiner, meddle)
    victim = joiner if sender == "sponsor" else sponsor
    assert victim.failure in {"protocol", "wrong-code"}
    assert (sender, number) == ("sponsor", 6) or world.delta.device not in world.world.roster.members


@pytest.mark.parametrize(("sender", "number"), SENDERS)
def test_a_reordered_message_ends_the_pairing(sender: str, number: int) -> None:
    """The message is held back until the sender's next one has gone."""
    world = PairingWorld()
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))
    held: list[bytes] = []

    def meddle(side: str, n: int, message: bytes) -> list[bytes]:
        if (side, n) == (sender, number):
            held.append(message)
            return []
        late = [message, *held] if side == sender and held else [message]
        held.clear()
        return late

    world.run(sponsor, joiner, meddle)
    victim = joiner if sender == "sponsor" else sponsor
    assert not isinstance(victim.outcome, Paired)


def test_a_reflected_spake2_message_is_refused() -> None:
    world = PairingWorld()
    joiner = world.joiner(typed(world))
    (hello, _) = joiner.machine.start()
    assert isinstance(hello, Send)
    (_, end) = joiner.machine.handle(Received(hello.message), NOW_US)
    assert isinstance(end, PairingFailed)
    assert end.code == "protocol"


def test_spake2_refuses_points_outside_the_group() -> None:
    for point in (bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f", b"\x02" + bytes(31)):
        with pytest.raises(MalformedError):
            Spake(Role.JOINER, b"password", KeyedRng(b"x")).finish(b"B" + point)


def test_every_wait_has_a_time_limit() -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(None), world.joiner(typed(world), None)
    world.run(sponsor, joiner)
    for side in (sponsor, joiner):
        timers = [action.after_us for action in side.actions if isinstance(action, SetTimer)]
        assert set(timers) == {PAIRING_STEP_US, PAIRING_PERSON_US}
        assert timers[-1] == PAIRING_PERSON_US


@pytest.mark.parametrize("first", ["sponsor", "joiner"])
def test_running_out_of_time_ends_it_and_tells_the_other(first: str) -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(None), world.joiner(typed(world), None)
    world.run(sponsor, joiner)
    early, late = (sponsor, joiner) if first == "sponsor" else (joiner, sponsor)
    (refusal, end) = early.machine.handle(TimerFired(), NOW_US)
    assert isinstance(refusal, Send)
    assert end == PairingFailed("timeout", "the other device or its person took too long; make a new code")
    (end,) = late.machine.handle(Received(refusal.message), NOW_US)
    assert end == PairingFailed("timeout", "the other device gave up waiting; make a new code")


def test_a_lost_connection_ends_it_without_a_word() -> None:
    world = PairingWorld()
    for side in (world.sponsor(), world.joiner(typed(world))):
        side.machine.start()
        (end,) = side.machine.handle(ConnectionLost(), NOW_US)
        assert isinstance(end, PairingFailed)
        assert end.code == "lost"


def test_a_connection_lost_before_the_acknowledgement_says_so_and_pairing_again_works() -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))
    world.run(sponsor, joiner, lambda side, n, m: [] if (side, n) == ("sponsor", 6) else [m])
    assert isinstance(sponsor.outcome, Paired)
    (end,) = joiner.machine.handle(ConnectionLost(), NOW_US)
    assert isinstance(end, PairingFailed)
    assert "may list this one already" in end.message
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))
    world.run(sponsor, joiner)
    assert isinstance(joiner.outcome, Paired)
    assert len(world.world.roster.members) == 3


def test_answers_nobody_asked_for_change_nothing() -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))
    assert sponsor.machine.handle(Confirmed(True), NOW_US) == []
    assert joiner.machine.handle(Confirmed(False), NOW_US) == []
    world.run(sponsor, joiner)
    for side in (sponsor, joiner):
        assert isinstance(side.outcome, Paired)
        assert side.machine.handle(Confirmed(False), NOW_US) == []
        assert side.machine.handle(Received(b"x"), NOW_US) == []
        assert side.machine.handle(TimerFired(), NOW_US) == []


def test_a_roster_of_forty_devices_arrives_in_parts() -> None:
    world = PairingWorld()
    account = world.world
    for number in range(40):
        keys = load_keys(generate(account.rng, NOW_S), account.providers.kem, account.providers.signatures)
        subject = Subject(keys.signer.public, keys.exchange.public, f"device {number}")
        offer = introduce(account.alpha.keys, account.roster.account, subject, account.roster.heads(), NOW_S)
        assert account.roster.add(accept_introduction(keys, offer)) is None
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))
    world.run(sponsor, joiner)
    assert len(joiner.paired.roster) == 42


def test_a_certificate_that_joined_the_roster_meanwhile_does_not_disturb() -> None:
    world = PairingWorld()
    account = world.world
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))

    def meddle(side: str, number: int, message: bytes) -> list[bytes]:
        if (side, number) == ("joiner", 4):
            keys = account.gamma.keys
            subject = Subject(keys.signer.public, keys.exchange.public, "gamma")
            offer = introduce(account.beta.keys, account.roster.account, subject, account.roster.heads(), NOW_S)
            assert account.roster.add(accept_introduction(keys, offer)) is None
        return [message]

    world.run(sponsor, joiner, meddle)
    assert len(account.roster.members) == 4
    assert joiner.paired.certificate == sponsor.paired.certificate


def test_the_nameplate_travels_and_the_secret_does_not() -> None:
    world = PairingWorld()
    code = typed(world)
    (hello, _) = world.joiner(code).machine.start()
    assert isinstance(hello, Send)
    assert decode(PairHello, hello.message, 100).nameplate == code.nameplate
    assert code.secret.encode() not in hello.message


@pytest.mark.property
@settings(deadline=None, max_examples=60)
@given(place=st.sampled_from(SENDERS), data=st.binary(max_size=100))
def test_random_bytes_in_any_state_end_the_pairing(place: tuple[str, int], data: bytes) -> None:
    world = PairingWorld()
    sponsor, joiner = world.sponsor(), world.joiner(typed(world))
    world.run(sponsor, joiner, lambda side, n, m: [data] if (side, n) == place else [m])
    victim = joiner if place[0] == "sponsor" else sponsor
    assert victim.failure in {"protocol", "wrong-code"}
