"""What came of the entries that were offered to a replica, by what is to be done about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never, final

from latticework.crdt import Changes, Conviction, Entry, Filled, Refused, SpaceEvent, Stored, Waiting
from latticework.wire import LogId

_MOST_REASONS = 64


@final
@dataclass(slots=True)
class Admission:
    """The events of one offer; of several convictions of one log only the last, which is the lowest."""

    stored: list[Entry] = field(default_factory=list[Entry])
    filled: list[Entry] = field(default_factory=list[Entry])
    changes: Changes = field(default_factory=Changes)
    convictions: dict[LogId, Conviction] = field(default_factory=dict[LogId, Conviction])
    reasons: list[str] = field(default_factory=list[str])

    @classmethod
    def of(cls, events: Sequence[SpaceEvent]) -> "Admission":
        """Sort `events`."""
        found = cls()
        for event in events:
            match event:
                case Stored(entry):
                    found.stored.append(entry)
                case Filled(entry):
                    found.filled.append(entry)
                case Changes():
                    found.changes.add(event)
                case Conviction():
                    found.convictions[event.log] = event
                case Refused(_, reason):
                    found.reasons.append(reason)
                case Waiting():
                    pass
                case _:
                    assert_never(event)
        return found


def count_reasons(counts: dict[str, int], reasons: Sequence[str]) -> None:
    """Count refusals by reason; only so many reasons by name, because some quote what a peer sent."""
    for reason in reasons:
        name = reason if reason in counts or len(counts) < _MOST_REASONS else "other reasons"
        counts[name] = counts.get(name, 0) + 1
