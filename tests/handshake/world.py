"""One account with two devices, a stranger with another, and loops that carry messages between machines."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from latticework.crdt.roster import Member, Roster, read_certificate
from latticework.handshake import DeviceKeys, MlKem1024, PqxChannel, found_account, generate, introduce, load_keys
from latticework.handshake.certificates import Subject, accept_introduction
from latticework.handshake.proofs import LocalDevice, Terms, local_device
from latticework.simnet.providers import ModelKem, ModelSignatures
from latticework.simnet.rng import KeyedRng
from latticework.transport.ports import Established, HandshakeAction, HandshakeMachine, Refuse, SendMessage
from latticework.wire import KemProvider, MalformedError, SignatureProvider
from latticework.wire.signing import CompositeSignatures, Ed25519Signer

NOW_S: Final = 1_800_000_000
NOW_US: Final = NOW_S * 1_000_000
DAY_S: Final = 86_400

LOW_ORDER: Final = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
    bytes.fromhex("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]
"""Points of low order on Curve25519 (RFC 7748, section 6.1; Bernstein's list)."""


@dataclass(frozen=True)
class Providers:
    kem: KemProvider
    signatures: SignatureProvider


MODEL: Final = Providers(ModelKem(), ModelSignatures())
REAL: Final = Providers(MlKem1024(), CompositeSignatures())


@dataclass(frozen=True)
class Device:
    keys: DeviceKeys
    certificate: bytes
    transport: Ed25519Signer
    local: LocalDevice


class World:
    """`alpha` founded the account and introduced `beta`; `gamma` has an account of its own."""

    def __init__(self, seed: bytes = b"world", providers: Providers = MODEL) -> None:
        self.providers = providers
        self.rng = KeyedRng(seed)
        alpha, beta, gamma = (self._keys(name) for name in ("alpha", "beta", "gamma"))
        first = found_account(alpha, "alpha", NOW_S)
        self.roster = Roster.found(providers.signatures, first)
        subject = Subject(beta.signer.public, beta.exchange.public, "beta")
        introduction = introduce(alpha, self.roster.account, subject, self.roster.heads(), NOW_S)
        second = accept_introduction(beta, introduction)
        assert self.roster.add(second) is None
        self.alpha = self._device("alpha", alpha, first)
        self.beta = self._device("beta", beta, second)
        self.gamma = self._device("gamma", gamma, found_account(gamma, "gamma", NOW_S))

    def authorize(self, signed: bytes) -> Member | str:
        """As the node does, over a roster that never grows."""
        try:
            device = read_certificate(signed)[1].device
        except MalformedError as error:
            return str(error)
        member = self.roster.members.get(device)
        return member if member is not None and member.signed == signed else "not on the roster"

    def terms(self, local: LocalDevice) -> Terms:
        return Terms(local, self.rng, self.providers.kem, self.providers.signatures, self.authorize)

    def channel(self, device: Device) -> PqxChannel:
        return PqxChannel(
            device.keys,
            device.certificate,
            device.transport,
            self.rng,
            self.providers.kem,
            self.providers.signatures,
            self.authorize,
        )

    def pair(self) -> tuple[HandshakeMachine, HandshakeMachine]:
        """Alpha dials beta."""
        return self.channel(self.alpha).initiate(), self.channel(self.beta).respond()

    def _keys(self, name: str) -> DeviceKeys:
        seeds = generate(self.rng.child(name), NOW_S)
        return load_keys(seeds, self.providers.kem, self.providers.signatures)

    def _device(self, name: str, keys: DeviceKeys, certificate: bytes) -> Device:
        transport = Ed25519Signer(self.rng.child(name + " transport").random_bytes(32))
        local = local_device(keys, certificate, transport, self.providers.kem, self.providers.signatures)
        return Device(keys, certificate, transport, local)


@dataclass(frozen=True)
class Run:
    """What went over the wire, f1 first, and how each side ended."""

    messages: list[bytes]
    initiator: Established | Refuse | None
    responder: Established | Refuse | None

    @property
    def refusals(self) -> list[str]:
        return [end.code for end in (self.initiator, self.responder) if isinstance(end, Refuse)]

    def both(self) -> tuple[Established, Established]:
        assert isinstance(self.initiator, Established), self.initiator
        assert isinstance(self.responder, Established), self.responder
        return self.initiator, self.responder


type Meddle = Callable[[int, bytes], bytes]
"""Given the flight's number (1 to 4) and its bytes, what is delivered instead."""


def unchanged(_flight: int, message: bytes) -> bytes:
    return message


def shake_hands(
    initiator: HandshakeMachine, responder: HandshakeMachine, meddle: Meddle = unchanged, now_us: int = NOW_US
) -> Run:
    """Carry messages until nobody has one to send."""
    messages: list[bytes] = []
    ends: list[Established | Refuse | None] = [None, None]
    machines = [initiator, responder]
    actions: list[HandshakeAction] = initiator.start() + responder.start()
    turn = 0
    while actions:
        outgoing = _settle(actions, ends, turn)
        if outgoing is None:
            break
        messages.append(outgoing)
        delivered = meddle(len(messages), outgoing)
        turn = 1 - turn
        if ends[turn] is not None:
            break
        actions = machines[turn].handle(delivered, now_us)
    return Run(messages, ends[0], ends[1])


def _settle(actions: list[HandshakeAction], ends: list[Established | Refuse | None], turn: int) -> bytes | None:
    outgoing = None
    for action in actions:
        if isinstance(action, SendMessage):
            outgoing = action.message
        else:
            ends[turn] = action
    return outgoing


def flip(data: bytes, position: int = -1) -> bytes:
    """One bit of one byte changed."""
    position %= len(data)
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def with_bundle(local: LocalDevice, bundle: bytes) -> LocalDevice:
    return replace(local, bundle=bundle)
