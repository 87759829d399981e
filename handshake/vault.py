"""The key vault: a device's seeds in one file, sealed under a passphrase or readable by its owner alone.

Passphrase (NFKC, UTF-8) -> Argon2id (RFC 9106) with a fresh salt -> HKDF-SHA-512 -> a key for XChaCha20-Poly1305 and a
32-byte commitment. The commitment tells a wrong passphrase from damage and lets no ciphertext open under two
passphrases; a checksum over everything tells damage from both. The parameters stand in the file, are part of the
associated data, and are bounded before they cost anything.
"""

import hashlib
import hmac
import os
import stat
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, final

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
)
from nacl.exceptions import CryptoError

from latticework.wire import (
    Bytes,
    Const,
    Label,
    LocalError,
    MalformedError,
    Rng,
    StoreError,
    UInt,
    decode,
    decode_one_of,
    derive,
    encode,
    record,
)

from .params import (
    ARGON2_ITERATIONS,
    ARGON2_LANES,
    ARGON2_MAX_ITERATIONS,
    ARGON2_MAX_LANES,
    ARGON2_MAX_MEMORY_KIB,
    ARGON2_MEMORY_KIB,
    ARGON2_MIN_ITERATIONS,
    ARGON2_MIN_MEMORY_KIB,
    ARGON2_SALT_BYTES,
    MAX_VAULT_BYTES,
    SECRET_BYTES,
    TAG_BYTES,
    VAULT_NONCE_BYTES,
)

_WIDER_THAN_FILE: Final = 0o177
_WIDER_THAN_DIRECTORY: Final = 0o077
_EMPTY: Final = b""


class BadPassphraseError(LocalError):
    """The passphrase is not the vault's."""


class PassphraseNeededError(LocalError):
    """The vault is sealed and no passphrase was given."""


class VaultDamagedError(StoreError):
    """The vault file is truncated or corrupted; only a copy can help."""


@record("vault-cost")
@dataclass(frozen=True, slots=True)
class Cost:
    """Argon2id parameters."""

    iterations: Annotated[int, UInt()] = ARGON2_ITERATIONS
    memory_kib: Annotated[int, UInt()] = ARGON2_MEMORY_KIB
    lanes: Annotated[int, UInt()] = ARGON2_LANES

    def check(self) -> None:
        """Raise StoreError for parameters below the floor or beyond the cap."""
        if not ARGON2_MIN_ITERATIONS <= self.iterations <= ARGON2_MAX_ITERATIONS:
            raise StoreError(f"the key vault asks for {self.iterations} Argon2id passes")
        if not ARGON2_MIN_MEMORY_KIB <= self.memory_kib <= ARGON2_MAX_MEMORY_KIB:
            raise StoreError(f"the key vault asks for {self.memory_kib} KiB of Argon2id memory")
        if not 1 <= self.lanes <= ARGON2_MAX_LANES:
            raise StoreError(f"the key vault asks for {self.lanes} Argon2id lanes")


@record("vault-plain", tag=0)
@dataclass(frozen=True, slots=True, repr=False)
class PlainVault:
    """Seeds that only the file's mode protects."""

    version: Annotated[int, Const(1)]
    data: Annotated[bytes, Bytes(maximum=MAX_VAULT_BYTES)]


@record("vault-sealed", tag=1)
@dataclass(frozen=True, slots=True, repr=False)
class SealedVault:
    """Seeds under a passphrase; everything before `sealed` is associated data."""

    version: Annotated[int, Const(1)]
    iterations: Annotated[int, UInt()]
    memory_kib: Annotated[int, UInt()]
    lanes: Annotated[int, UInt()]
    salt: Annotated[bytes, Bytes(ARGON2_SALT_BYTES)]
    commitment: Annotated[bytes, Bytes(SECRET_BYTES)]
    nonce: Annotated[bytes, Bytes(VAULT_NONCE_BYTES)]
    sealed: Annotated[bytes, Bytes(maximum=MAX_VAULT_BYTES, minimum=TAG_BYTES)]


@record("vault-file")
@dataclass(frozen=True, slots=True, repr=False)
class VaultFile:
    """The whole file: one of the two, and its checksum."""

    body: Annotated[bytes, Bytes(maximum=MAX_VAULT_BYTES)]
    checksum: Annotated[bytes, Bytes(SECRET_BYTES)]


_BODIES: tuple[type[PlainVault | SealedVault], ...] = (PlainVault, SealedVault)
DEFAULT_COST: Final = Cost()


@final
class SealedFileVault:
    """A `KeyVault` in one file of mode 0600, in a directory of mode 0700 of its own.

    Without a passphrase the file is of kind "plain": the mode is all that protects it. Reading and writing block.
    """

    def __init__(self, path: Path, rng: Rng, passphrase: str | None, cost: Cost = DEFAULT_COST) -> None:
        self._path = path
        self._rng = rng
        self._passphrase = None if passphrase is None else unicodedata.normalize("NFKC", passphrase).encode()
        self._cost = cost

    def __repr__(self) -> str:
        return f"SealedFileVault({self._path})"

    def load(self) -> bytes | None:
        """See `KeyVault.load`."""
        raw = _read_private(self._path)
        if raw is None:
            return None
        try:
            file = decode(VaultFile, raw, MAX_VAULT_BYTES)
            if not hmac.compare_digest(file.checksum, checksum_of(file.body)):
                raise VaultDamagedError(f"{self._path} is corrupted: its checksum does not match")
            body = decode_one_of(_BODIES, file.body, MAX_VAULT_BYTES)
        except MalformedError as error:
            raise VaultDamagedError(f"{self._path} is truncated or corrupted: {error}") from error
        if isinstance(body, SealedVault):
            return self._open(body)
        if self._passphrase is not None:
            raise LocalError(f"{self._path} has no passphrase; start without one")
        return body.data

    def save(self, data: bytes) -> None:
        """See `KeyVault.save`; a passphrase costs about half a second."""
        body = encode(PlainVault(1, data) if self._passphrase is None else self._seal(self._passphrase, data))
        _write_private(self._path, encode(VaultFile(body, checksum_of(body))))

    def _seal(self, passphrase: bytes, data: bytes) -> SealedVault:
        self._cost.check()
        salt = self._rng.random_bytes(ARGON2_SALT_BYTES)
        nonce = self._rng.random_bytes(VAULT_NONCE_BYTES)
        key, commitment = _keys(passphrase, salt, self._cost)
        cost = self._cost
        empty = SealedVault(1, cost.iterations, cost.memory_kib, cost.lanes, salt, commitment, nonce, _EMPTY)
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(data, _context(empty), nonce, key)
        return replace(empty, sealed=sealed)

    def _open(self, body: SealedVault) -> bytes:
        cost = Cost(body.iterations, body.memory_kib, body.lanes)
        cost.check()
        if self._passphrase is None:
            raise PassphraseNeededError(f"{self._path} is sealed with a passphrase")
        key, commitment = _keys(self._passphrase, body.salt, cost)
        if not hmac.compare_digest(commitment, body.commitment):
            raise BadPassphraseError("the passphrase is wrong")
        try:
            context = _context(replace(body, sealed=_EMPTY))
            return crypto_aead_xchacha20poly1305_ietf_decrypt(body.sealed, context, body.nonce, key)
        except CryptoError as error:
            raise VaultDamagedError(f"{self._path} was tampered with") from error


@final
class MemoryVault:
    """A `KeyVault` for tests and simulations."""

    def __init__(self, data: bytes | None = None) -> None:
        self._data = data

    def __repr__(self) -> str:
        return "MemoryVault(...)"

    def load(self) -> bytes | None:
        """What was saved last."""
        return self._data

    def save(self, data: bytes) -> None:
        """Keep `data`."""
        self._data = data


def checksum_of(body: bytes) -> bytes:
    """SHA-256 over label and body: finds accidents, not attackers."""
    return hashlib.sha256(Label.VAULT.value + b"\x00checksum" + body).digest()


def _context(header: SealedVault) -> bytes:
    return Label.VAULT.value + b"\x00" + encode(header)


def _keys(passphrase: bytes, salt: bytes, cost: Cost) -> tuple[bytes, bytes]:
    argon2 = Argon2id(
        salt=salt, length=SECRET_BYTES, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
    )
    material = derive(argon2.derive(passphrase), salt, Label.VAULT, encode(cost), 2 * SECRET_BYTES)
    return material[:SECRET_BYTES], material[SECRET_BYTES:]


def _read_private(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"cannot open the key vault {path}: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise StoreError(f"{path} is not a file")
        if status.st_mode & _WIDER_THAN_FILE:
            raise StoreError(f"others may read the key vault; run: chmod 600 {path}")
        _check_directory(path.parent)
        if status.st_size > MAX_VAULT_BYTES:
            raise VaultDamagedError(f"{path} is too large for a key vault")
        return os.read(descriptor, MAX_VAULT_BYTES)
    except OSError as error:
        raise StoreError(f"cannot read the key vault {path}: {error.strerror}") from error
    finally:
        os.close(descriptor)


def _check_directory(directory: Path) -> None:
    if directory.stat().st_mode & _WIDER_THAN_DIRECTORY:
        raise StoreError(f"others may enter the key vault's directory; run: chmod 700 {directory}")


def _write_private(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_directory(path.parent)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        temporary.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write the key vault {path}: {error.strerror}") from error


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
