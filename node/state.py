"""What a node remembers between starts besides its spaces' entries: roster, spaces and addresses.

One small file, replaced atomically and sealed under a key that only the vault holds, because it carries space secrets.
It is independent of the databases, so that losing one of those loses no key.
"""

import os
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Protocol, final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from latticework.crdt import read_certificate
from latticework.crdt.params import MAX_CERTIFICATE_BYTES, MAX_ROSTER_RECORDS
from latticework.wire import (
    Array,
    Bool,
    Bytes,
    Const,
    DeviceId,
    Label,
    MalformedError,
    Nested,
    Nullable,
    Rng,
    StoreError,
    Text,
    decode,
    encode,
    record,
)

_NONCE_BYTES = 12
_SPACES = 4096
MAX_STATE_BYTES = 64 << 20


@record("known-space")
@dataclass(frozen=True, slots=True)
class KnownSpace:
    """A space of the account; `held` if this node keeps its entries, `folder` is where its files are, if anywhere."""

    genesis: Annotated[bytes, Bytes(maximum=256)]
    name: Annotated[str, Text(255)]
    epoch_secret: Annotated[bytes, Bytes(32)]
    folder: Annotated[bytes | None, Nullable(Bytes(maximum=4096))]
    held: Annotated[bool, Bool()]

    def __repr__(self) -> str:
        return f"KnownSpace({self.name!r})"


@record("known-device")
@dataclass(frozen=True, slots=True)
class KnownDevice:
    """Where a device of the account was last reached."""

    device: Annotated[DeviceId, Bytes(32)]
    addresses: Annotated[tuple[str, ...], Array(Text(512), 16)]


@record("node-state")
@dataclass(frozen=True, slots=True)
class NodeState:
    """Everything in the state file; the roster's first certificate comes first."""

    version: Annotated[int, Const(1)]
    roster: Annotated[tuple[bytes, ...], Array(Bytes(maximum=MAX_CERTIFICATE_BYTES), MAX_ROSTER_RECORDS)]
    spaces: Annotated[tuple[KnownSpace, ...], Array(Nested(KnownSpace), _SPACES)]
    devices: Annotated[tuple[KnownDevice, ...], Array(Nested(KnownDevice), MAX_ROSTER_RECORDS)]

    def with_space(self, space: KnownSpace) -> "NodeState":
        """With `space` in place of what was known of it."""
        others = tuple(known for known in self.spaces if known.genesis != space.genesis)
        return replace(self, spaces=(*others, space))

    def with_device(self, device: KnownDevice) -> "NodeState":
        """With `device` in place of what was known of it."""
        others = tuple(known for known in self.devices if known.device != device.device)
        return replace(self, devices=(*others, device))


def check_new_parts(before: NodeState, after: NodeState) -> None:
    """Raises MalformedError unless `after` can be read again; `before` could, and what it has is not looked at."""
    known = {id(part) for part in (*before.spaces, *before.devices, *before.roster)}
    for part in (*after.spaces, *after.devices):
        if id(part) not in known:
            decode(type(part), encode(part), MAX_STATE_BYTES)
    for part in after.roster:
        if id(part) not in known:
            read_certificate(part)
    counts = (
        (len(after.roster), MAX_ROSTER_RECORDS),
        (len(after.devices), MAX_ROSTER_RECORDS),
        (len(after.spaces), _SPACES),
    )
    if any(count > most for count, most in counts):
        raise MalformedError("more spaces or devices than a state file holds")


class StateStore(Protocol):
    """Where the state is kept: a sealed file, or memory."""

    def load(self) -> NodeState | None:
        """What was saved last; None if nothing ever was; raises StoreError."""
        ...

    def save(self, state: NodeState) -> None:
        """Replace it durably, all or nothing; raises StoreError."""
        ...


@final
class StateFile:
    """The sealed file; `key` is 32 bytes from the vault."""

    def __init__(self, path: Path, key: bytes, rng: Rng) -> None:
        self._path = path
        self._key = key
        self._rng = rng

    def load(self) -> NodeState | None:
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"cannot read {self._path}: {error.strerror}") from error
        try:
            plain = AESGCM(self._key).decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], Label.VAULT.value)
            return decode(NodeState, plain, MAX_STATE_BYTES)
        except (InvalidTag, ValueError, MalformedError) as error:
            raise StoreError(
                f"{self._path} is damaged, and it holds the keys of your spaces: restore it from a backup,"
                " or move the home away, run lattice init and pair again"
            ) from error

    def save(self, state: NodeState) -> None:
        nonce = self._rng.random_bytes(_NONCE_BYTES)
        sealed = nonce + AESGCM(self._key).encrypt(nonce, encode(state), Label.VAULT.value)
        temporary = self._path.with_name(self._path.name + ".new")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(sealed)
                file.flush()
                os.fsync(descriptor)
            temporary.replace(self._path)
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise StoreError(f"cannot write {self._path}: {error.strerror}") from error


@final
class MemoryState:
    """The state of a simulated node."""

    def __init__(self) -> None:
        self._state: NodeState | None = None

    def load(self) -> NodeState | None:
        return self._state

    def save(self, state: NodeState) -> None:
        self._state = state
