"""Accounts of many devices, made at once: what pairing each with the next would end in, without doing it.

The first device founds the account and introduces every other one, so a roster is a star and its certificates are the
real ones. All devices share the records as objects: a thousand of them hold one roster.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from latticework.crdt import Roster, SpaceGenesis
from latticework.crdt.roster import certificate_hash
from latticework.handshake import DeviceKeys, KeyVault, load_keys
from latticework.handshake.certificates import Subject, accept_introduction, found_account, introduce
from latticework.node.identity import open_identity
from latticework.node.state import KnownSpace, NodeState
from latticework.wire import Clock, DeviceId, KemProvider, Rng, SignatureProvider, SpaceId, encode


@dataclass(frozen=True, slots=True)
class Founded:
    """An account: the state that each of its devices starts from, its one space, and their ids in order."""

    state: NodeState
    space: SpaceId
    devices: tuple[DeviceId, ...]


def found_fleet(
    vaults: Sequence[tuple[str, KeyVault]],
    space_name: str,
    rng: Rng,
    clock: Clock,
    kem: KemProvider,
    signatures: SignatureProvider,
) -> Founded:
    """One account of the devices whose names and vaults are given, all holding the space `space_name`.

    The vaults hold identities (`create_identity`). Raises: LocalError for more devices than a roster takes.
    """
    now_s = clock.now_us() // 1_000_000
    keys = [_keys(vault, rng, clock, kem, signatures) for _, vault in vaults]
    records = [found_account(keys[0], vaults[0][0], now_s)]
    account = Roster.found(signatures, records[0]).account
    parents = (certificate_hash(records[0]),)
    for (name, _), subject in list(zip(vaults, keys, strict=True))[1:]:
        about = Subject(subject.signer.public, subject.exchange.public, name)
        records.append(accept_introduction(subject, introduce(keys[0], account, about, parents, now_s)))
    genesis = SpaceGenesis(1, account, keys[0].device, rng.random_bytes(32))
    space = KnownSpace(encode(genesis), space_name, rng.random_bytes(32), None, held=True)
    return Founded(NodeState(1, tuple(records), (space,), ()), genesis.space, tuple(key.device for key in keys))


def _keys(vault: KeyVault, rng: Rng, clock: Clock, kem: KemProvider, signatures: SignatureProvider) -> DeviceKeys:
    return load_keys(open_identity(vault, rng, clock).device_seeds, kem, signatures)
