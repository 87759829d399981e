"""A device's keys: seeds as they are stored, and live objects made from them.

Seeds are what the vault keeps (FIPS 203 and 204 seed forms); deriving costs about 0.1 ms each, so objects stay loaded.
Prekeys are replaced every 7 days and kept 30 more (crypto report 2.1). One number names both halves of a prekey, X25519
and ML-KEM, because they are made, signed and dropped together.
"""

from dataclasses import dataclass, replace
from typing import Annotated

from latticework.crdt.roster import device_id
from latticework.wire import (
    Array,
    Bytes,
    Const,
    DeviceId,
    KemProvider,
    KemSecret,
    Nested,
    Rng,
    SignatureProvider,
    Signer,
    StoreError,
    UInt,
    decode,
    encode,
    record,
    short,
)
from latticework.wire.errors import MalformedError

from .exchange import ExchangeSecret
from .params import (
    CLOCK_SKEW_S,
    EXCHANGE_BYTES,
    KEM_SEED_BYTES,
    MAX_PREKEYS,
    PREKEY_KEEP_S,
    PREKEY_ROTATE_S,
    SIGNING_SEED_BYTES,
)

_MAX_PREKEY_ID = (1 << 32) - 1
_MAX_SEEDS_BYTES = 2048


@record("prekey-seeds")
@dataclass(frozen=True, slots=True, repr=False)
class PrekeySeeds:
    """The seeds of one prekey."""

    id: Annotated[int, UInt(_MAX_PREKEY_ID)]
    exchange_seed: Annotated[bytes, Bytes(EXCHANGE_BYTES)]
    kem_seed: Annotated[bytes, Bytes(KEM_SEED_BYTES)]
    created_s: Annotated[int, UInt()]

    def __repr__(self) -> str:
        return f"PrekeySeeds({self.id})"


@record("device-seeds")
@dataclass(frozen=True, slots=True, repr=False)
class DeviceSeeds:
    """Every secret of a device; `prekeys` is in order of their ids, and never empty."""

    version: Annotated[int, Const(1)]
    signing_seed: Annotated[bytes, Bytes(SIGNING_SEED_BYTES)]
    exchange_seed: Annotated[bytes, Bytes(EXCHANGE_BYTES)]
    prekeys: Annotated[tuple[PrekeySeeds, ...], Array(Nested(PrekeySeeds), MAX_PREKEYS)]

    def __repr__(self) -> str:
        return f"DeviceSeeds({len(self.prekeys)} prekeys)"


@dataclass(frozen=True, slots=True)
class Prekey:
    """One live prekey."""

    id: int
    exchange: ExchangeSecret
    kem: KemSecret
    created_s: int


@dataclass(frozen=True, slots=True, repr=False)
class DeviceKeys:
    """The live keys of a device; `prekeys` by id, `prekey` the newest."""

    device: DeviceId
    signer: Signer
    exchange: ExchangeSecret
    prekeys: dict[int, Prekey]
    prekey: Prekey

    def __repr__(self) -> str:
        return f"DeviceKeys({short(self.device)})"


def generate(rng: Rng, now_s: int) -> DeviceSeeds:
    """The seeds of a new device with its first prekey."""
    signing = rng.random_bytes(SIGNING_SEED_BYTES)
    exchange = rng.random_bytes(EXCHANGE_BYTES)
    return DeviceSeeds(1, signing, exchange, (_fresh_prekey(rng, 1, now_s),))


def rotate(seeds: DeviceSeeds, rng: Rng, now_s: int) -> DeviceSeeds:
    """`seeds` with a new prekey if the newest is 7 days old, and without those replaced 30 days ago.

    A newest prekey from the future (the clock was stepped back) is replaced too: others would refuse its bundle.
    Returns the same object when nothing is due.
    """
    newest = seeds.prekeys[-1]
    fresh = newest.created_s - CLOCK_SKEW_S <= now_s < newest.created_s + PREKEY_ROTATE_S
    prekeys = seeds.prekeys if fresh else (*seeds.prekeys, _fresh_prekey(rng, newest.id + 1, now_s))
    latest = prekeys[-1]
    kept = [
        prekey for prekey in prekeys if prekey is latest or now_s <= prekey.created_s + PREKEY_ROTATE_S + PREKEY_KEEP_S
    ]
    if len(kept) == len(seeds.prekeys) and fresh:
        return seeds
    return replace(seeds, prekeys=tuple(kept[-MAX_PREKEYS:]))


def load_keys(seeds: DeviceSeeds, kem: KemProvider, signatures: SignatureProvider) -> DeviceKeys:
    """The live keys of `seeds`."""
    signer = signatures.signer(seeds.signing_seed)
    exchange = ExchangeSecret(seeds.exchange_seed)
    prekeys = {
        prekey.id: Prekey(
            prekey.id, ExchangeSecret(prekey.exchange_seed), kem.secret(prekey.kem_seed), prekey.created_s
        )
        for prekey in seeds.prekeys
    }
    device = device_id(signer.public, exchange.public)
    return DeviceKeys(device, signer, exchange, prekeys, prekeys[seeds.prekeys[-1].id])


def encode_seeds(seeds: DeviceSeeds) -> bytes:
    """What a `KeyVault` saves."""
    return encode(seeds)


def decode_seeds(data: bytes) -> DeviceSeeds:
    """What a `KeyVault` loaded.

    Raises:
        StoreError: the bytes are no device seeds of a version we know.
    """
    try:
        seeds = decode(DeviceSeeds, data, _MAX_SEEDS_BYTES)
    except MalformedError as error:
        raise StoreError(f"the key vault holds no device keys: {error}") from error
    if not seeds.prekeys:
        raise StoreError("the key vault holds no prekey")
    return seeds


def _fresh_prekey(rng: Rng, number: int, now_s: int) -> PrekeySeeds:
    return PrekeySeeds(number, rng.random_bytes(EXCHANGE_BYTES), rng.random_bytes(KEM_SEED_BYTES), now_s)
