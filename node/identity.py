"""A device's identity at rest: what `lattice init` makes and every start opens."""

from dataclasses import dataclass
from typing import Annotated

from latticework.handshake import DeviceSeeds, KeyVault, decode_seeds, encode_seeds, generate, rotate
from latticework.wire import (
    Bytes,
    Clock,
    Const,
    LocalError,
    MalformedError,
    Rng,
    StoreError,
    Text,
    decode,
    encode,
    record,
)

_MAX_SECRETS_BYTES = 8192


class NoIdentityError(LocalError):
    """`lattice init` was never run in this home."""


@record("node-secrets")
@dataclass(frozen=True, slots=True, repr=False)
class NodeSecrets:
    """What the vault holds: device seeds, the key of the state file, the secret of log keys, the device's name."""

    version: Annotated[int, Const(1)]
    seeds: Annotated[bytes, Bytes(maximum=2048)]
    state_key: Annotated[bytes, Bytes(32)]
    log_secret: Annotated[bytes, Bytes(32)]
    name: Annotated[str, Text(64)]

    def __repr__(self) -> str:
        return f"NodeSecrets({self.name!r})"

    @property
    def device_seeds(self) -> DeviceSeeds:
        """The seeds, parsed."""
        return decode_seeds(self.seeds)


def create_identity(vault: KeyVault, name: str, rng: Rng, clock: Clock) -> NodeSecrets:
    """Make and save a new identity; blocking.

    Raises:
        LocalError: there is one already.
    """
    if vault.load() is not None:
        raise LocalError("this home already has an identity; use another LATTICE_HOME for a second device")
    seeds = encode_seeds(generate(rng, clock.now_us() // 1_000_000))
    secrets = NodeSecrets(1, seeds, rng.random_bytes(32), rng.random_bytes(32), name)
    vault.save(encode(secrets))
    return secrets


def open_identity(vault: KeyVault, rng: Rng, clock: Clock) -> NodeSecrets:
    """Load the identity and replace prekeys that are due; blocking.

    Raises:
        NoIdentityError: there is none.
        BadPassphraseError, PassphraseNeededError, StoreError: from the vault.
    """
    data = vault.load()
    if data is None:
        raise NoIdentityError("this home has no identity yet; run lattice init")
    try:
        secrets = decode(NodeSecrets, data, _MAX_SECRETS_BYTES)
    except MalformedError as error:
        raise StoreError(f"the key vault was written by another version of Latticework: {error}") from error
    return renew_prekeys(secrets, vault, rng, clock) or secrets


def renew_prekeys(secrets: NodeSecrets, vault: KeyVault, rng: Rng, clock: Clock) -> NodeSecrets | None:
    """Replace the prekey if it is due, and save; None when nothing is due. Blocking; raises StoreError."""
    seeds = secrets.device_seeds
    rotated = rotate(seeds, rng, clock.now_us() // 1_000_000)
    if rotated is seeds:
        return None
    renewed = NodeSecrets(1, encode_seeds(rotated), secrets.state_key, secrets.log_secret, secrets.name)
    vault.save(encode(renewed))
    return renewed
