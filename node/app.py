"""The one place where a node is wired: keys, stores, network, secure channel, discovery, spaces, folders.

`open_node` reads top to bottom like the architecture. Everything is a constructor argument; the real world and the
simulated one differ in the `Surroundings` alone.
"""

import logging
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import trio

from latticework.crdt import Member, Roster, SpaceGenesis, read_certificate
from latticework.discovery import Discovery
from latticework.handshake import (
    AnonymousChannel,
    JoinerPairing,
    JoiningDevice,
    Offers,
    Paired,
    PairingCode,
    PairingFailed,
    PqxChannel,
    QrCode,
    SponsorPairing,
    TypedCode,
    channel_binding,
    found_account,
    load_keys,
)
from latticework.transport import (
    Connection,
    Limits,
    Multiaddr,
    Network,
    Stream,
)
from latticework.wire import (
    Clock,
    DeviceId,
    KemProvider,
    LocalError,
    MalformedError,
    PeerError,
    Rng,
    SignatureProvider,
    SpaceId,
    StoreError,
    Threads,
    decode,
    encode,
    short,
)
from latticework.wire.signing import Ed25519Signer

from .fetch import LinkFetcher
from .folders.ports import Watcher
from .folders.root import FolderRoot
from .folders.serve import ChunkSource
from .groups import first_error
from .identity import NodeSecrets
from .messages import PAIR_PROTOCOL, SpaceOffer
from .pairing import Outcome, PairingDrive, Person
from .params import DIAL_TIMEOUT_S
from .peers import Peers
from .runner import Shelves, SpaceRunner, World
from .space import Space, SpaceIdentity
from .state import KnownDevice, KnownSpace, NodeState, StateStore

_log = logging.getLogger(__name__)
AGENT = "latticework/0.0.1"
_MAX_GENESIS_BYTES = 256


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything a node meets the world by."""

    network: Network
    clock: Clock
    rng: Rng
    threads: Threads
    kem: KemProvider
    signatures: SignatureProvider
    shelves: Shelves
    state: StateStore
    watcher: Callable[[Path], Watcher]
    limits: Limits


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """What one start of a node is told."""

    listen: tuple[Multiaddr, ...]
    peers: tuple[Multiaddr, ...] = ()


@final
class Node:
    """A running node. Made by `open_node`; every method is for tasks of this process, remote callers use `control`."""

    def __init__(
        self, secrets: NodeSecrets, around: Surroundings, state: NodeState, roster: Roster, transport_seed: bytes
    ) -> None:
        self.around = around
        self._secrets = secrets
        self._state = state
        self._roster = roster
        self.keys = load_keys(secrets.device_seeds, around.kem, around.signatures)
        self._transport = Ed25519Signer(transport_seed)
        self._offers = Offers()
        self._person: Person | None = None
        self._pairing_done: Callable[[Outcome], None] = lambda _: None
        self._changed = trio.Event()
        self.runners: dict[SpaceId, SpaceRunner] = {}
        self.peers = Peers(
            self,
            around.network,
            around.clock,
            around.threads,
            anonymous=AnonymousChannel(around.rng, around.kem),
            limits=around.limits,
            agent=AGENT,
        )
        self._nursery: trio.Nursery | None = None

    # --- what links and peers ask (Hub, PeersHub) ---

    @property
    def device(self) -> DeviceId:
        """The id of the device we are."""
        return self.keys.device

    @property
    def name(self) -> str:
        """What other devices call us."""
        return self._secrets.name

    @property
    def transport_key(self) -> bytes:
        """The Ed25519 key behind the PeerId of this run."""
        return self._transport.public

    @property
    def roster(self) -> Roster:
        """The devices of the account."""
        return self._roster

    @property
    def spaces(self) -> Mapping[SpaceId, Space]:
        """Spaces whose store is open."""
        return {key: runner.space for key, runner in self.runners.items() if runner.space is not None}

    def offers(self) -> Sequence[SpaceOffer]:
        """Every space that we hold or know of."""
        return [SpaceOffer(known.genesis, known.name, known.epoch_secret) for known in self._state.spaces]

    def pending(self, space: SpaceId) -> int:
        """Paths not in step in this space's folder."""
        runner = self.runners.get(space)
        return 0 if runner is None else runner.pending

    def chunk_source(self, space: SpaceId) -> ChunkSource | None:
        """Where chunks of `space` are served from."""
        runner = self.runners.get(space)
        return None if runner is None else runner.source

    async def offered(self, offer: SpaceOffer, device: DeviceId) -> None:
        """Remember a space of the account; a person joins it with `folder join`."""
        try:
            genesis = decode(SpaceGenesis, offer.genesis, _MAX_GENESIS_BYTES)
        except MalformedError as error:
            raise PeerError("space-offer", str(error)) from error
        if genesis.account != self._roster.account:
            raise PeerError("space-offer", "a space of another account was offered")
        if any(known.genesis == offer.genesis for known in self._state.spaces):
            return
        _log.info("space offered name=%r peer=%s", offer.name, short(device))
        await self._save(self._state.with_space(KnownSpace(offer.genesis, offer.name, offer.epoch_secret, None)))
        for link in self.peers.links.values():
            if link.device != device:
                link.spaces_changed()

    async def take_roster(self, records: Sequence[bytes]) -> None:
        """Add certificates that a device of the account sent."""
        before = len(self._roster.records)
        refused = self._roster.add_all(list(records))
        if len(self._roster.records) != before:
            await self._roster_grew()
        if refused:
            raise PeerError("roster", refused[0])

    def link_changed(self, device: DeviceId) -> None:
        """A link came, went or told something: content that was missing may have a source now."""
        link = self.peers.links.get(device)
        for key, runner in self.runners.items():
            state = None if link is None else link.state(key)
            if runner.engine is not None and state is not None:
                runner.engine.retry_without_source()
        self._wake()

    def learned_addresses(self, device: DeviceId, addresses: tuple[Multiaddr, ...]) -> None:
        """Remember where a device listens, and keep it connected."""
        self.peers.retire(device, addresses)
        for address in addresses:
            self.peers.keep(address, "learned", device)
        known = KnownDevice(device, tuple(str(address) for address in addresses[:16]))
        if known not in self._state.devices and self._nursery is not None:
            self._nursery.start_soon(self._save_soon, self._state.with_device(known))

    def sighted(self) -> None:
        """Discovery told of a peer: whoever waits to pair looks again."""
        self._wake()

    async def pair_inbound(self, connection: Connection, stream: Stream) -> None:
        """Somebody connected to pair; without a live code the machine refuses."""
        machine = SponsorPairing(
            self.keys,
            self._roster,
            self._offers,
            self.around.signatures,
            self.around.rng,
            channel_binding(connection),
            self._own_addresses(),
        )
        person = self._person or _Nobody()
        outcome = await PairingDrive(machine, stream, person, self.around.clock, self._add_certificate).run()
        if isinstance(outcome, Paired):
            await self._paired(outcome)
        await stream.close_write()
        self._pairing_done(outcome)

    # --- what spaces tell (SpaceHub) ---

    def space_changed(self, space: SpaceId) -> None:
        """Tell everyone connected."""
        for link in self.peers.links.values():
            link.space_changed(space)
        self._wake()

    def space_opened(self, space: SpaceId) -> None:
        """A store opened: announce its frontier."""
        del space
        for link in self.peers.links.values():
            link.spaces_changed()
        self._wake()

    async def heard_of(self, space: SpaceId) -> None:
        """Wait until some device has told all its entries of `space`."""
        while not any(
            state.same_frontier and state.remote_pending is not None
            for link in self.peers.links.values()
            if (state := link.state(space)) is not None
        ):
            await self.changed()

    async def changed(self) -> None:
        """Wait for the next change of anything that `status` shows."""
        await self._changed.wait()

    # --- what people do ---

    def offer_pairing(self, person: Person, done: Callable[[Outcome], None]) -> tuple[TypedCode, QrCode]:
        """Make a code; `person` is asked when someone uses it, `done` hears how each attempt ended."""
        now_us = self.around.clock.now_us()
        typed = self._offers.offer_typed(self.around.rng, now_us)
        certificate_hash = self._roster.members[self.device].hash
        scanned = self._offers.offer_qr(self.around.rng, certificate_hash, self._own_addresses(), now_us)
        self._person, self._pairing_done = person, done
        return typed, scanned

    def withdraw_pairing(self, codes: Sequence[PairingCode]) -> None:
        """Burn codes that nobody waits for any more."""
        for code in codes:
            self._offers.burn(code.nameplate)
        self._person, self._pairing_done = None, lambda _: None

    async def join_account(self, code: PairingCode, addresses: Sequence[Multiaddr], person: Person) -> Outcome:
        """Enter a code at the devices behind `addresses`, one after the other; the first success or the last failure.

        Raises:
            LocalError: this device has devices or folders of its own, so no account can take it in.
        """
        if len(self._roster.members) > 1:
            raise LocalError("this device already belongs to an account with other devices")
        if self._state.spaces:
            raise LocalError("this device already has folders of its own; it cannot join another account")
        outcome = PairingFailed("unreachable", "no device that could have made this code was found")
        for address in addresses:
            try:
                attempt = await self._join_at(code, address, person)
            except (PeerError, trio.TooSlowError) as error:
                if outcome.code == "unreachable":
                    outcome = PairingFailed("unreachable", f"{address} does not answer: {error}")
                continue
            if isinstance(attempt, Paired):
                return attempt
            outcome = attempt
            if attempt.code != "wrong-code":
                break
        return outcome

    async def add_folder(self, path: Path, name: str) -> SpaceId:
        """Make a space of `path` and start keeping it."""
        self._check_folder(path)
        if any(known.name == name for known in self._state.spaces):
            raise LocalError(f"there is a folder named {name!r} already; choose another with --name")
        genesis = SpaceGenesis(1, self._roster.account, self.device, self.around.rng.random_bytes(32))
        await self.around.threads.run(lambda: FolderRoot.create(path, genesis.space))
        secret = self.around.rng.random_bytes(32)
        known = KnownSpace(encode(genesis), name, secret, os.fsencode(path))
        await self._save(self._state.with_space(known))
        self._start_space(known, own=True)
        return genesis.space

    async def join_folder(self, name: str, path: Path) -> SpaceId:
        """Keep the space `name` of the account in `path`; what is there already is merged, never deleted."""
        matching = [known for known in self._state.spaces if known.name == name or space_of(known).hex() == name]
        if not matching:
            names = ", ".join(sorted(known.name for known in self._state.spaces)) or "none yet"
            raise LocalError(f"no device of yours offers a folder named {name!r}; there is: {names}")
        if len(matching) > 1:
            raise LocalError(f"several folders are named {name!r}; give the id instead (lattice folder list)")
        known = matching[0]
        if known.folder is not None:
            raise LocalError(f"{name!r} is already kept in {os.fsdecode(known.folder)}")
        self._check_folder(path)
        space = space_of(known)
        await self.around.threads.run(lambda: FolderRoot.create(path, space))
        known = replace(known, folder=os.fsencode(path))
        await self._save(self._state.with_space(known))
        self._start_space(known, own=False)
        return space

    def known_spaces(self) -> tuple[KnownSpace, ...]:
        """Every space of the account that this node knows."""
        return self._state.spaces

    # --- inside ---

    def start(self, nursery: trio.Nursery, options: NodeOptions) -> None:
        """Begin: dial what is known, open the spaces."""
        self._nursery = nursery
        for address in options.peers:
            self.peers.keep(address, "static")
        for device in self._state.devices:
            for text in device.addresses:
                self.peers.keep(Multiaddr.parse(text), "known", device.device)
        for known in self._state.spaces:
            if known.folder is not None:
                self._start_space(known, own=False)

    def use_certificate(self) -> None:
        """Speak with the certificate that the roster has for us."""
        around = self.around
        member = self._roster.members[self.device]
        channel = PqxChannel(
            self.keys, member.signed, self._transport, around.rng, around.kem, around.signatures, self._authorize
        )
        self.peers.use_channel(channel)

    def _start_space(self, known: KnownSpace, *, own: bool) -> None:
        assert self._nursery is not None
        around = self.around
        identifier = space_of(known)
        runner = SpaceRunner(
            identifier,
            known.name,
            known.epoch_secret,
            None if known.folder is None else Path(os.fsdecode(known.folder)),
            own=own,
            roster=self._roster,
            identity=SpaceIdentity(self.device, self.keys.signer, self._secrets.log_secret),
            world=World(around.clock, around.rng, around.threads, around.signatures, around.shelves, around.watcher),
            hub=self,
            fetcher=LinkFetcher(identifier, lambda: self.peers.links),
        )
        self.runners[identifier] = runner
        self._nursery.start_soon(runner.run)

    def _check_folder(self, path: Path) -> None:
        for known in self._state.spaces:
            if known.folder is None:
                continue
            other = Path(os.fsdecode(known.folder))
            if path == other or path.is_relative_to(other) or other.is_relative_to(path):
                raise LocalError(f"{path} overlaps the folder {known.name!r} in {other}")

    def _authorize(self, signed: bytes) -> Member | str:
        try:
            certificate = read_certificate(signed)[1]
        except MalformedError as error:
            return str(error)
        known = self._roster.members.get(certificate.device)
        if known is not None and known.signed == signed:
            return known
        if refusal := self._roster.add(signed):
            return refusal
        # Introduced by a member since we last heard: the handshake proves the rest, the link brings the whole roster.
        if self._nursery is not None:
            self._nursery.start_soon(self._tell_roster)
        return self._roster.members[certificate.device]

    async def _roster_grew(self) -> None:
        await self._save(replace(self._state, roster=tuple(self._roster.records.values())))
        for link in self.peers.links.values():
            link.roster_changed()
        self.peers.redial()
        self._wake()

    async def _add_certificate(self, signed: bytes) -> None:
        if refusal := self._roster.add(signed):
            raise LocalError(f"the new device's certificate is refused: {refusal}")
        await self._roster_grew()

    async def _join_at(self, code: PairingCode, address: Multiaddr, person: Person) -> Outcome:
        connection = await self.peers.dial_anonymous(address)
        outcome: Outcome | None = None

        async def attempt() -> None:
            nonlocal outcome
            with trio.fail_after(DIAL_TIMEOUT_S):
                stream = await connection.open_stream([PAIR_PROTOCOL])
            async with stream:
                outcome = await self._join_over(connection, stream, code, person)
            await connection.aclose()

        async def no_streams(protocol: str, stream: Stream) -> None:
            del protocol
            stream.reset()

        with first_error():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(attempt)
                await connection.run(no_streams, ())
        if outcome is None:
            raise PeerError("pairing", "the connection ended before pairing was over")
        return outcome

    async def _join_over(self, connection: Connection, stream: Stream, code: PairingCode, person: Person) -> Outcome:
        joining = JoiningDevice(
            self.keys,
            self.name,
            has_devices=len(self._roster.members) > 1,
            has_spaces=bool(self._state.spaces),
            addresses=self._own_addresses(),
        )
        machine = JoinerPairing(joining, code, self.around.signatures, self.around.rng, channel_binding(connection))
        outcome = await PairingDrive(machine, stream, person, self.around.clock, self._add_certificate).run()
        if isinstance(outcome, Paired):
            await self._adopt(outcome)
            await self._paired(outcome)
        return outcome

    async def _adopt(self, paired: Paired) -> None:
        """Leave the account of one that `init` made for the one that took us in."""
        roster = Roster.found(self.around.signatures, paired.roster[0])
        refused = roster.add_all([*paired.roster[1:], paired.certificate])
        if refused:
            raise PeerError("roster", refused[0])
        await self._save(replace(self._state, roster=tuple(roster.records.values()), devices=()))
        self._roster = roster
        self.use_certificate()

    async def _paired(self, paired: Paired) -> None:
        addresses = [*paired.addresses]
        for text in addresses:
            try:
                self.peers.keep(Multiaddr.parse(text), "paired", paired.remote)
            except MalformedError:
                _log.info("ignoring an address that is none peer=%s", short(paired.remote))
        await self._save(self._state.with_device(KnownDevice(paired.remote, tuple(addresses[:16]))))
        self.peers.redial()

    def _own_addresses(self) -> tuple[str, ...]:
        return tuple(str(address) for address in self.peers.listening[:8])

    async def _save(self, state: NodeState) -> None:
        self._state = state
        await self.around.threads.run(lambda: self.around.state.save(state))
        self._wake()

    async def _save_soon(self, state: NodeState) -> None:
        """Save what could be learned again: a full disk must not end the node."""
        try:
            await self._save(state)
        except StoreError as error:
            _log.warning("state not saved error=%s", error)

    async def _tell_roster(self) -> None:
        try:
            await self._roster_grew()
        except StoreError as error:
            _log.warning("roster not saved error=%s", error)

    def _wake(self) -> None:
        event, self._changed = self._changed, trio.Event()
        event.set()


@final
class _Nobody:
    async def confirm(self, question: object) -> bool:
        del question
        return False


def space_of(known: KnownSpace) -> SpaceId:
    """The id of a known space."""
    return decode(SpaceGenesis, known.genesis, _MAX_GENESIS_BYTES).space


def found_node_state(secrets: NodeSecrets, around: Surroundings) -> NodeState:
    """The state of a fresh identity: an account of one device."""
    keys = load_keys(secrets.device_seeds, around.kem, around.signatures)
    first = found_account(keys, secrets.name, around.clock.now_us() // 1_000_000)
    return NodeState(1, (first,), (), ())


@asynccontextmanager
async def open_node(
    secrets: NodeSecrets,
    around: Surroundings,
    options: NodeOptions,
    discoveries: Sequence[Discovery],
    transport_seed: bytes,
) -> AsyncGenerator[Node]:
    """A running node for as long as the block runs.

    `transport_seed` (32 bytes) is the Ed25519 transport key behind the PeerId, fresh at each start (decision 14).

    Raises:
        LocalError: an address cannot be bound.
        StoreError: the state file is damaged.
    """
    state = await around.threads.run(around.state.load)
    if state is None:
        state = found_node_state(secrets, around)
        await around.threads.run(lambda: around.state.save(state))
    roster = Roster.found(around.signatures, state.roster[0])
    roster.add_all(list(state.roster[1:]))
    node = Node(secrets, around, state, roster, transport_seed)
    node.use_certificate()
    listeners = [await around.network.listen(address) for address in options.listen]
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(node.peers.run, listeners, list(discoveries))
            await trio.lowlevel.checkpoint()
            node.start(nursery, options)
            yield node
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            for listener in listeners:
                await listener.aclose()
