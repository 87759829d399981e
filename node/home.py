"""A node's home on disk: where things are, and the lock that gives a home to one node.

`LATTICE_HOME` overrides everything; otherwise a home is the XDG state directory. The control socket is in the home too,
unless its path would be too long for a socket: then it is in the runtime directory.
"""

import fcntl
import hashlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Self, final

import platformdirs

from latticework.wire import LocalError, SpaceId

_SOCKET_PATH_BYTES = 100
"""Unix socket addresses end at 107 bytes on Linux."""


class HomeLockedError(LocalError):
    """Another node runs in this home."""


@dataclass(frozen=True, slots=True)
class Home:
    """The paths of one home."""

    root: Path

    @classmethod
    def find(cls, override: str | None) -> Self:
        """The home of `override`, of `LATTICE_HOME`, or of this user."""
        chosen = override or os.environ.get("LATTICE_HOME")
        return cls(Path(chosen).expanduser() if chosen else platformdirs.user_state_path("latticework"))

    @property
    def keys(self) -> Path:
        """The key vault."""
        return self.root / "keys"

    @property
    def state(self) -> Path:
        """Roster, spaces and known addresses, sealed under a key of the vault."""
        return self.root / "state"

    @property
    def socket(self) -> Path:
        """The control socket, 0600."""
        path = self.root / "control.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES:
            return path
        # A deep home: the socket moves to a short name that only its home leads to.
        digest = hashlib.sha256(os.fsencode(self.root.absolute())).hexdigest()[:16]
        return _runtime_directory() / f"{digest}.sock"

    def space(self, space: SpaceId) -> Path:
        """The directory of one space's store."""
        return self.root / "spaces" / space.hex()[:32]

    @property
    def exists(self) -> bool:
        """True when `lattice init` was run here."""
        return self.keys.exists()

    def create(self) -> None:
        """Make the directory, for its owner only; raises LocalError."""
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.root.chmod(0o700)
        except OSError as error:
            raise LocalError(f"cannot use {self.root} as a home: {error.strerror}") from error


def _runtime_directory() -> Path:
    with warnings.catch_warnings():
        # Where the session has no such directory, platformdirs takes one of this user only, and would say so each time.
        warnings.simplefilter("ignore", platformdirs.RuntimeDirWarning)
        try:
            return platformdirs.user_runtime_path("latticework")
        except PermissionError as error:
            raise LocalError(f"no private directory for the control socket: {error}") from error


@final
class HomeLock:
    """Held for as long as a node runs; the kernel releases it with the process."""

    def __init__(self, home: Home) -> None:
        self._path = home.root / "lock"
        self._descriptor = -1

    def __enter__(self) -> Self:
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._descriptor)
            raise HomeLockedError(f"a node already runs in {self._path.parent}") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        return self

    def __exit__(self, *exception: object) -> None:
        os.close(self._descriptor)


def wait_until_free(home: Home) -> None:
    """Block until no node holds the lock of `home`."""
    descriptor = os.open(home.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    finally:
        os.close(descriptor)
