"""The account as this device knows it: its roster, its spaces, where its devices were last reached.

The state in memory is the state on disk: a change is saved first and taken over then, one change at a time.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import final

import trio

from latticework.crdt import Member, Roster, SpaceGenesis, read_certificate
from latticework.handshake import Paired, found_account, load_keys
from latticework.wire import (
    Clock,
    KemProvider,
    LocalError,
    MalformedError,
    PeerError,
    SignatureProvider,
    SpaceId,
    StoreError,
    Threads,
    decode,
)

from .identity import NodeSecrets
from .messages import SpaceOffer
from .params import MAX_OFFERED_SPACES
from .state import KnownDevice, KnownSpace, NodeState, StateStore, check_new_parts

_log = logging.getLogger(__name__)
_MAX_GENESIS_BYTES = 256
_ID_DIGITS = 8
_judged: dict[tuple[bytes, ...], Roster] = {}


def space_of(known: KnownSpace) -> SpaceId:
    """The id of a known space."""
    return decode(SpaceGenesis, known.genesis, _MAX_GENESIS_BYTES).space


def found_state(secrets: NodeSecrets, clock: Clock, kem: KemProvider, signatures: SignatureProvider) -> NodeState:
    """The state of a fresh identity: an account of one device."""
    keys = load_keys(secrets.device_seeds, kem, signatures)
    first = found_account(keys, secrets.name, clock.now_us() // 1_000_000)
    return NodeState(1, (first,), (), ())


@final
class Account:
    """Roster and state of one node; `on_roster` is called after the roster grew or was replaced."""

    def __init__(
        self,
        state: NodeState,
        store: StateStore,
        signatures: SignatureProvider,
        threads: Threads,
        on_roster: Callable[[], None],
    ) -> None:
        self._state = state
        self._store = store
        self._signatures = signatures
        self._threads = threads
        self._on_roster = on_roster
        self._saving = trio.Lock()
        self.roster = _roster(signatures, state.roster)

    @property
    def spaces(self) -> tuple[KnownSpace, ...]:
        """Every space of the account that this node holds or was offered."""
        return self._state.spaces

    @property
    def devices(self) -> tuple[KnownDevice, ...]:
        """Where devices were last reached."""
        return self._state.devices

    def offers(self) -> list[SpaceOffer]:
        """What a device of the account is told of our spaces."""
        return [SpaceOffer(known.genesis, known.name, known.epoch_secret) for known in self.spaces]

    def find(self, name: str) -> KnownSpace | None:
        """The one space of this name, or of an id that begins so; raises LocalError if there are several.

        Of several spaces of one name the only one that is held here is meant.
        """
        matching = [known for known in self.spaces if known.name == name]
        if not matching and len(name) >= _ID_DIGITS:
            matching = [known for known in self.spaces if space_of(known).hex().startswith(name)]
        if len(matching) > 1:
            matching = [known for known in matching if known.held] or matching
        if len(matching) > 1:
            raise LocalError(f"several spaces are named {name!r}; give one's id instead (lattice space list)")
        return matching[0] if matching else None

    def named(self, name: str) -> KnownSpace:
        """As `find`, but there must be one; raises LocalError."""
        found = self.find(name)
        if found is None:
            names = ", ".join(sorted(known.name for known in self.spaces)) or "none yet"
            raise LocalError(f"no device of yours has a space named {name!r}; there is: {names}")
        return found

    async def put_space(self, space: KnownSpace) -> None:
        """Remember a space, in place of what was known of it; raises StoreError."""
        await self._update(lambda state: state.with_space(space))

    async def put_device(self, device: KnownDevice) -> None:
        """Remember where a device is; a full disk only means that it is forgotten at the next start."""
        if device in self.devices:
            return
        try:
            await self._update(lambda state: state.with_device(device))
        except StoreError as error:
            _log.warning("address not saved error=%s", error)

    async def take_offer(self, offer: SpaceOffer) -> bool:
        """Remember an offered space; True if it was news.

        Raises:
            PeerError: not a space of this account.
        """
        try:
            genesis = decode(SpaceGenesis, offer.genesis, _MAX_GENESIS_BYTES)
        except MalformedError as error:
            raise PeerError("space-offer", str(error)) from error
        if genesis.account != self.roster.account:
            raise PeerError("space-offer", "a space of another account was offered")
        if any(known.genesis == offer.genesis for known in self.spaces):
            return False
        if not offer.name or not offer.name.isprintable():
            raise PeerError("space-offer", "a space was offered whose name cannot be shown")
        if len(self.spaces) >= MAX_OFFERED_SPACES:
            _log.warning("an offer of one space more than can be remembered was ignored")
            return False
        await self.put_space(KnownSpace(offer.genesis, offer.name, offer.epoch_secret, None, held=False))
        return True

    async def take_records(self, records: Sequence[bytes]) -> None:
        """Add certificates; raises PeerError for one that is refused, after the good ones were saved."""
        before = len(self.roster.records)
        refused = self.roster.add_all(list(records))
        if len(self.roster.records) != before:
            await self._save_roster()
        if refused:
            raise PeerError("roster", refused[0])

    async def add_certificate(self, signed: bytes) -> None:
        """Add the certificate of a device that we introduced, durably; raises LocalError, StoreError."""
        if refusal := self.roster.add(signed):
            raise LocalError(f"the new device's certificate is refused: {refusal}")
        await self._save_roster()

    async def adopt(self, paired: Paired) -> None:
        """Leave the account that `init` made for the one that took us in; raises PeerError, StoreError."""
        roster = _roster(self._signatures, paired.roster)
        if refused := roster.add_all([paired.certificate]):
            raise PeerError("roster", refused[0])
        records = tuple(roster.records.values())
        await self._update(lambda state: replace(state, roster=records, devices=()))
        self.roster = roster
        self._on_roster()

    def authorize(self, signed: bytes, later: Callable[[Callable[[], Awaitable[None]]], None]) -> Member | str:
        """Judge a certificate shown in a handshake (the port `Authorize`); never raises.

        One that a member introduced since we last heard is taken up; `later` starts the saving.
        """
        try:
            certificate = read_certificate(signed)[1]
        except MalformedError as error:
            return str(error)
        known = self.roster.members.get(certificate.device)
        if known is not None and known.signed == signed:
            return known
        if refusal := self.roster.add(signed):
            return refusal
        later(self._save_roster_if_possible)
        return self.roster.members[certificate.device]

    async def _save_roster(self) -> None:
        records = tuple(self.roster.records.values())
        await self._update(lambda state: replace(state, roster=records))
        self._on_roster()

    async def _save_roster_if_possible(self) -> None:
        try:
            await self._save_roster()
        except StoreError as error:
            _log.warning("roster not saved error=%s", error)

    async def _update(self, change: Callable[[NodeState], NodeState]) -> None:
        async with self._saving:
            state = change(self._state)
            await self._threads.run(lambda: self._save(state))
            self._state = state

    def _save(self, state: NodeState) -> None:
        try:
            check_new_parts(self._state, state)
        except MalformedError as error:
            # Part of it comes from other devices; a file that cannot be read again would be the end of this one.
            raise StoreError(f"the state cannot be saved: {error}") from error
        self._store.save(state)


def _roster(signatures: SignatureProvider, records: Sequence[bytes]) -> Roster:
    """The same records are judged once: many nodes of one process may start from them (`simnet.accounts`)."""
    key = tuple(records)
    known = _judged.get(key)
    if known is None or known.signatures is not signatures:
        known = Roster.found(signatures, key[0])
        known.add_all(list(key[1:]))
        _judged.clear()
        _judged[key] = known
    return known.copy()
