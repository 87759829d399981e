"""A certified device that writes what no honest node would: straight into its stopped home."""

from collections.abc import Sequence

from latticework.crdt import Operation, Roster
from latticework.handshake import MlKem1024, SealedFileVault, load_keys
from latticework.handshake.epochs import SpaceKeys
from latticework.node.account import space_of
from latticework.node.identity import open_identity
from latticework.node.space import Space, SpaceIdentity
from latticework.node.sqlite_store import SqliteStore
from latticework.node.state import StateFile
from latticework.node.system import SystemClock, SystemRng, WorkerThreads
from latticework.wire.signing import CompositeSignatures

from .devices import Device


def write_as(device: Device, operations: Sequence[Operation]) -> None:
    """Append `operations` to the log of `device`, which must be stopped, as they are."""
    assert not device.alive
    rng, clock, signatures = SystemRng(), SystemClock(), CompositeSignatures()
    secrets = open_identity(SealedFileVault(device.home.keys, rng, None), rng, clock)
    state = StateFile(device.home.state, secrets.state_key, rng).load()
    assert state is not None
    (known,) = state.spaces
    identifier = space_of(known)
    roster = Roster.found(signatures, state.roster[0])
    roster.add_all(list(state.roster[1:]))
    keys = load_keys(secrets.device_seeds, MlKem1024(), signatures)
    store = SqliteStore(device.database, identifier, bytes(16))
    space = Space(
        identifier,
        roster,
        SpaceKeys(identifier, known.epoch_secret, rng),
        store,
        SpaceIdentity(keys.device, keys.signer, secrets.log_secret),
        signatures=signatures,
        clock=clock,
        rng=rng,
        threads=WorkerThreads(),
        on_change=lambda _: None,
    )
    space.load()
    written = space._write(operations)  # pyright: ignore[reportPrivateUsage]  # what no honest caller does
    store.commit([stored.entry for stored in written], [], durable=True)
    store.close()
