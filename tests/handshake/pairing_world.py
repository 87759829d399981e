"""Two pairing machines, the channel between them and the people in front of them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from latticework.handshake import (
    AddCertificate,
    AskConfirmation,
    Confirmed,
    DeviceKeys,
    JoinerPairing,
    JoiningDevice,
    Offers,
    Paired,
    PairingAction,
    PairingCode,
    PairingFailed,
    Received,
    Send,
    SetTimer,
    SponsorPairing,
    generate,
    load_keys,
)

from .world import NOW_S, NOW_US, World

BINDING = bytes(range(32))
SPONSOR_ADDRESSES = ("/ip4/10.0.0.1/tcp/1",)
JOINER_ADDRESSES = ("/ip4/10.0.0.2/tcp/2",)

type Meddle = Callable[[str, int, bytes], list[bytes]]
"""Given the sender, its message's number (from 1) and its bytes: what is delivered."""


def faithful(_sender: str, _number: int, message: bytes) -> list[bytes]:
    return [message]


@dataclass
class Side:
    """One machine, everything it asked for, and how its person answers."""

    name: str
    machine: SponsorPairing | JoinerPairing
    says: bool | None
    actions: list[PairingAction] = field(default_factory=list[PairingAction])
    sent: int = 0

    @property
    def outcome(self) -> Paired | PairingFailed | None:
        ends = [action for action in self.actions if isinstance(action, Paired | PairingFailed)]
        assert len(ends) <= 1
        return ends[0] if ends else None

    @property
    def paired(self) -> Paired:
        assert isinstance(self.outcome, Paired), self.outcome
        return self.outcome

    @property
    def failure(self) -> str:
        assert isinstance(self.outcome, PairingFailed), self.outcome
        return self.outcome.code

    @property
    def message(self) -> str:
        assert isinstance(self.outcome, PairingFailed), self.outcome
        return self.outcome.message

    @property
    def asked(self) -> list[AskConfirmation]:
        return [action for action in self.actions if isinstance(action, AskConfirmation)]


class PairingWorld:
    """The account of `World`, with `alpha` as sponsor, and `delta`, which is nobody's yet."""

    def __init__(self, seed: bytes = b"pairing") -> None:
        self.world = World(seed)
        self.offers = Offers()
        self.delta: DeviceKeys = load_keys(
            generate(self.world.rng.child("delta"), NOW_S), self.world.providers.kem, self.world.providers.signatures
        )

    def sponsor(self, says: bool | None = True, binding: bytes = BINDING) -> Side:  # noqa: FBT001, FBT002  # a person
        world = self.world
        machine = SponsorPairing(
            world.alpha.keys,
            world.roster,
            self.offers,
            world.providers.signatures,
            world.rng,
            binding,
            SPONSOR_ADDRESSES,
        )
        return Side("sponsor", machine, says)

    def joiner(
        self,
        code: PairingCode,
        says: bool | None = True,  # noqa: FBT001, FBT002  # a person
        *,
        binding: bytes = BINDING,
        has_devices: bool = False,
        has_spaces: bool = False,
        name: str = "delta",
    ) -> Side:
        device = JoiningDevice(self.delta, name, has_devices, has_spaces, JOINER_ADDRESSES)
        machine = JoinerPairing(device, code, self.world.providers.signatures, self.world.rng, binding)
        return Side("joiner", machine, says)

    def run(self, sponsor: Side, joiner: Side, meddle: Meddle = faithful, now_us: int = NOW_US) -> None:
        """Carry messages and answers until nothing moves; the sponsor's roster grows as it asks."""
        pending: list[tuple[Side, PairingAction]] = []

        def take(side: Side, actions: list[PairingAction]) -> None:
            side.actions += actions
            pending.extend((side, action) for action in actions)

        take(sponsor, sponsor.machine.start())
        take(joiner, joiner.machine.start())
        while pending:
            side, action = pending.pop(0)
            other = joiner if side is sponsor else sponsor
            match action:
                case Send(message):
                    side.sent += 1
                    for delivered in meddle(side.name, side.sent, message):
                        assert len(delivered) <= other.machine.max_message_bytes or delivered != message
                        take(other, other.machine.handle(Received(delivered), now_us))
                case AskConfirmation():
                    if side.says is not None:
                        take(side, side.machine.handle(Confirmed(side.says), now_us))
                case AddCertificate(signed):
                    assert self.world.roster.add(signed) is None
                case SetTimer() | Paired() | PairingFailed():
                    pass
