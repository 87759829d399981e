"""What the replication core asks of the layers around it."""

from typing import Protocol

from latticework.wire import EntryId, LogId


class PayloadCipher(Protocol):
    """Seals entry payloads for the members of a space; the core never sees a key."""

    def seal(self, log: LogId, seq: int, prev: EntryId | None, plaintext: bytes) -> bytes:
        """The payload of the entry that stands there: epoch, nonce and padded ciphertext."""
        ...

    def open(self, log: LogId, seq: int, prev: EntryId | None, payload: bytes) -> bytes:
        """The plaintext.

        Raises:
            MalformedError: not sealed for this place, or the epoch is unknown.
        """
        ...
