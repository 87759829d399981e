"""When a device says its next checkpoint in a space (decision 7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from latticework.crdt import LANE_CHECKPOINT, Entry
from latticework.crdt.params import CHECKPOINT_EVERY_ENTRIES, CHECKPOINT_IDLE_US


@final
@dataclass(slots=True)
class CheckpointDue:
    """Counts what is new since our last checkpoint.

    Checkpoints of others are nothing new, or two devices would never rest.
    """

    own: int = 0
    new: int = 0
    last_us: int = 0

    def note(self, entries: Sequence[Entry], *, own: bool, now_us: int) -> None:
        """Entries were committed."""
        for entry in entries:
            if entry.body.lane != LANE_CHECKPOINT:
                self.new += 1
                self.own += own
                self.last_us = now_us
            elif own:
                self.own = self.new = 0

    def is_due(self, now_us: int) -> bool:
        """True after enough entries of our own, or when it has been quiet after anything new."""
        return self.own >= CHECKPOINT_EVERY_ENTRIES or (self.new > 0 and now_us - self.last_us >= CHECKPOINT_IDLE_US)
