"""What the handshakes and the vault need from outside."""

from collections.abc import Callable
from typing import Protocol

from latticework.crdt.roster import Member

type Authorize = Callable[[bytes], Member | str]
"""Judge the exact bytes of a signed certificate: the roster's member, or why it is none.

The node answers from its roster, and accepts a certificate introduced by a member that it did not know yet. It verifies
both signatures of the certificate; validity times are judged here. It must not raise.
"""


class TransportSigner(Protocol):
    """The Ed25519 transport key of this run of the node (decision 14)."""

    @property
    def public(self) -> bytes:
        """32 bytes."""
        ...

    def sign_raw(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`, in which the caller has put a label."""
        ...


class KeyVault(Protocol):
    """Where a device's seeds live; both calls may block on the disk and on a slow key derivation."""

    def load(self) -> bytes | None:
        """What was saved last, or None if nothing ever was.

        Raises:
            BadPassphraseError: the passphrase is wrong.
            PassphraseNeededError: none was given, and the vault has one.
            VaultDamagedError: truncated or corrupted.
            StoreError: unreadable, readable by others, or with parameters out of bounds.
        """
        ...

    def save(self, data: bytes) -> None:
        """Replace what is saved, durably and all or nothing.

        Raises:
            StoreError: the disk failed; what was saved before is still there.
        """
        ...
