"""What a running space needs to know of its device, and whom it tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from latticework.crdt import Changes, Conviction, Entry
from latticework.wire import DeviceId, EntryId, Signer


@dataclass(frozen=True, slots=True)
class SpaceIdentity:
    """Who writes in this space on this device."""

    device: DeviceId
    signer: Signer
    log_secret: bytes


class Origin(Enum):
    """How entries came to this device."""

    OWN = "written here"
    GOSSIP = "by gossip, which carries them on"
    SYNC = "fetched from a peer"


class SpaceListener(Protocol):
    """Who hears what happens in a space; called by its owner between awaits."""

    def changed(self, changes: Changes) -> None:
        """Visible paths or documents changed."""
        ...

    def admitted(self, entries: Sequence[Entry], origin: Origin) -> None:
        """Entries were committed."""
        ...

    def convicted(self, conviction: Conviction) -> None:
        """A log is proven to have equivocated; the proof is stored."""
        ...

    def missing(self, ids: Sequence[EntryId], sender: bytes) -> None:
        """Entries of `sender` wait for these."""
        ...
