"""Devices that write what no honest node would: straight into a stopped home, or as a process that knows no shame."""

import shutil
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from latticework.crdt import Changes, Conviction, Entry, Operation, Roster
from latticework.crdt.statements import FraudKind, prove_fork
from latticework.handshake import MlKem1024, SealedFileVault, load_keys
from latticework.handshake.epochs import SpaceKeys
from latticework.node.account import space_of
from latticework.node.identity import open_identity
from latticework.node.space import Space
from latticework.node.space_ports import Origin, SpaceIdentity
from latticework.node.sqlite_store import SqliteStore
from latticework.node.state import NodeState, StateFile
from latticework.node.store import Incoming
from latticework.node.system import SystemClock, SystemRng, WorkerThreads
from latticework.wire import EntryId, SpaceId, encode
from latticework.wire.signing import CompositeSignatures

from ..crdt.world import write_checkpoint
from .devices import Device

SHAMELESS = [sys.executable, str(Path(__file__).with_name("shameless.py"))]
"""Before the command of a node: it takes no proof against anybody, itself included."""
SLANDEROUS = [sys.executable, str(Path(__file__).with_name("slanderous.py"))]
"""Before the command of a node: it sends proofs against others that prove nothing."""


class _Nobody:
    """A listener that hears nothing."""

    def changed(self, changes: Changes) -> None: ...
    def admitted(self, entries: Sequence[Entry], origin: Origin) -> None: ...
    def convicted(self, conviction: Conviction) -> None: ...
    def missing(self, ids: Sequence[EntryId], sender: bytes) -> None: ...


@contextmanager
def opened(device: Device) -> Generator[Space]:
    """The only space of `device`, which must be stopped."""
    assert not device.alive
    rng, clock, signatures = SystemRng(), SystemClock(), CompositeSignatures()
    secrets = open_identity(SealedFileVault(device.home.keys, rng, None), rng, clock)
    state = _state_file(device).load()
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
        listener=_Nobody(),
    )
    try:
        space.load()
        yield space
    finally:
        store.close()


def keep(space: Space, written: Sequence[Entry]) -> None:
    """Make entries durable, as the owner of a space does."""
    space.store.commit([Incoming(entry, checked=True) for entry in written], [], durable=True)
    space.replica.logs.committed()


def write_as(device: Device, operations: Sequence[Operation]) -> None:
    """Append `operations` to the log of `device`, which must be stopped, as they are."""
    with opened(device) as space:
        written, _ = space._write(operations)  # pyright: ignore[reportPrivateUsage]  # what no honest caller does
        keep(space, written)


def say_checkpoint_as(device: Device, *, twice: bool = False) -> None:
    """Say a checkpoint, as the node does after ten quiet minutes; `twice` says another under the same number."""
    with opened(device) as space:
        last = space.replica.attestations.last
        before = last.get(space.own_log)
        for _ in range(1 + twice):
            written, _ = write_checkpoint(space.replica, space.writer(), SystemClock().now_us())
            keep(space, written)
            if before is None:
                last.pop(space.own_log, None)
            else:
                last[space.own_log] = before


def copy_of(device: Device, name: str, port: int) -> Device:
    """A copy of a whole disk: home and folder of `device`, which must be stopped, elsewhere."""
    assert not device.alive
    base = device.base.parent / name
    shutil.copytree(device.base, base, symlinks=True, ignore=shutil.ignore_patterns("control.sock", "lock", "log"))
    copy = Device(name, base, port, [*device.options])
    state = _state(copy)
    moved = [replace(known, folder=bytes(copy.folder)) for known in state.spaces if known.folder is not None]
    _state_file(copy).save(replace(state, spaces=tuple(moved)))
    return copy


def deny_copying(device: Device) -> None:
    """Have a copied database pass for the one that it was copied from, as after the rollback of a whole machine."""
    (database,) = device.home.root.glob("spaces/*/space.db")
    store = SqliteStore(database, _space(device), bytes(16))
    store.new_log(store.log_nonce)
    store.close()


def begin_anew(device: Device) -> None:
    """Forget every entry and keep the log: the next write is another first entry of it."""
    database = device.database
    store = SqliteStore(database, _space(device), bytes(16))
    nonce = store.log_nonce
    store.close()
    for suffix in ("", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    SqliteStore(database, _space(device), nonce).close()


def acquaint(device: Device, *others: Device) -> None:
    """Have a stopped device know where these others are, and nobody else."""
    _state_file(device).save(replace(_state(device), devices=()))
    device.options = [word for other in others for word in ("--peer", other.address)]


def accuse(device: Device, other: Device) -> None:
    """Give `device` the proof that the first entry of its log is another one in the home `other`; both are stopped."""
    with opened(other) as there:
        log = there.own_log
        (branch,) = [entry for entry in there.store.entries_from(log, 0) if entry.body.seq == 0]
    with opened(device) as space:
        assert space.own_log == log
        (mine,) = [entry for entry in space.store.entries_from(log, 0) if entry.body.seq == 0]
        proof = encode(prove_fork(space.id, mine, branch))
        space.store.keep_proof(Conviction(log, 0, FraudKind.FORK, proof))


@dataclass(frozen=True)
class Twins:
    """Two processes of one device that write one log and take no proof."""

    left: Device
    right: Device

    @classmethod
    def of(cls, device: Device, port: int) -> "Twins":
        """Make them of a device, which must be stopped."""
        twin = copy_of(device, f"{device.name}-twin", port)
        deny_copying(twin)
        for one in (device, twin):
            one.wrapper = SHAMELESS
        return cls(device, twin)


def _space(device: Device) -> SpaceId:
    (known,) = _state(device).spaces
    return space_of(known)


def _state(device: Device) -> NodeState:
    state = _state_file(device).load()
    assert state is not None
    return state


def _state_file(device: Device) -> StateFile:
    rng = SystemRng()
    secrets = open_identity(SealedFileVault(device.home.keys, rng, None), rng, SystemClock())
    return StateFile(device.home.state, secrets.state_key, rng)
