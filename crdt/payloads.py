"""What the payloads of a space say, and which device opened which log.

Whether an entry is admitted must not depend on a payload that one replica has and another has not. So a file or
document payload that cannot be read is admitted and changes nothing; an opening or a checkpoint needs its payload.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple, final

from latticework.wire import DeviceId, EntryId, LogId, MalformedError, SignatureProvider, SpaceId, decode

from .checkpoint import SignedCheckpoint, checkpoint_refusal
from .containment import Convictions
from .doc_ops import DocOperations
from .entry import LANE_CHECKPOINT, LANE_DOCUMENTS, LANE_FILES, LANE_LOG, LANE_MERGE, STATE_LANES, Entry
from .opening import LogOpen, opening_refusal
from .params import MAX_PAYLOAD_BYTES
from .ports import PayloadCipher
from .projection import Operations
from .roster import Roster
from .tree_ops import FileOperations

type Payload = Operations | LogOpen | SignedCheckpoint | None
_PAYLOADS: Mapping[int, type[Operations | LogOpen | SignedCheckpoint]] = {
    LANE_LOG: LogOpen,
    LANE_FILES: FileOperations,
    LANE_CHECKPOINT: SignedCheckpoint,
    LANE_DOCUMENTS: DocOperations,
}


class Opening(NamedTuple):
    """Who opened a log, and what the device was called then."""

    log: LogId
    device: DeviceId
    name: str


@final
class Payloads:
    """Reads and judges the payloads of one space.

    `authors` says which device writes a log. A log that was forked at its opening may have several: then it is that of
    the branch that keeps its effect, else of the opening with the smallest id.
    """

    def __init__(self, space: SpaceId, roster: Roster, signatures: SignatureProvider, cipher: PayloadCipher) -> None:
        self._space = space
        self._roster = roster
        self._signatures = signatures
        self._cipher = cipher
        self._read: dict[EntryId, Payload] = {}
        self._openings: dict[EntryId, Opening] = {}
        self._names: dict[LogId, str] = {}
        self.authors: dict[LogId, DeviceId] = {}
        self.unreadable_count = 0
        self.renames = 0
        """Counts the times that a log came to be called otherwise."""

    def refusal(self, entry: Entry, *, restored: bool = False) -> str | None:
        """Why an entry that is otherwise admissible is refused, or None; what it says can be taken then.

        One that is `restored` was admitted before: the certificate of its device may have been lost since, by a disk
        that was full or a node that was killed, and comes again from a peer.
        """
        body = entry.body
        if (body.seq == 0) != (body.lane == LANE_LOG):
            return "a log is opened by its first entry and only there"
        if body.lane != LANE_LOG and body.author not in self.authors:
            return "its log was never opened"
        if entry.envelope.payload is None:
            return "its payload is missing" if body.lane in {LANE_LOG, LANE_CHECKPOINT} else None
        try:
            payload = self._open(entry)
        except MalformedError as error:
            if body.lane not in STATE_LANES:
                return str(error)
            payload = None
            self.unreadable_count += 1
        if (reason := self._refusal_of(entry, payload, restored=restored)) is None:
            self._read[entry.id] = payload
        return reason

    def opens_a_log(self, entry: Entry) -> bool:
        """True if this first entry of a log opens it for a device of the account."""
        if entry.body.lane != LANE_LOG or entry.envelope.payload is None:
            return False
        try:
            payload = self._open(entry)
        except MalformedError:
            return False
        return isinstance(payload, LogOpen) and self._opening_refusal(entry.body.author, payload) is None

    def take_own(self, entry: Entry, payload: Payload) -> None:
        """Note an entry that we wrote."""
        self._read[entry.id] = payload
        if isinstance(payload, LogOpen):
            self._opened(entry.id, Opening(entry.body.author, payload.device, payload.name))

    def take(self, entry: Entry) -> Payload:
        """What an entry that was not refused says; once only."""
        return self._read.pop(entry.id, None)

    def read(self, entry: Entry) -> Payload:
        """What an admitted entry says; None for an unknown lane, and where the payload is pruned or unreadable."""
        try:
            return None if entry.envelope.payload is None else self._open(entry)
        except MalformedError:
            return None

    def read_checkpoint(self, entry: Entry) -> SignedCheckpoint | None:
        """The checkpoint in an admitted entry."""
        payload = self.read(entry)
        return payload if isinstance(payload, SignedCheckpoint) else None

    def name(self, log: LogId) -> str:
        """What the device that writes `log` was called when it opened it."""
        return self._names.get(log, "unknown")

    def device(self, opening: EntryId) -> DeviceId | None:
        """Who opened a log with the entry `opening`."""
        opened = self._openings.get(opening)
        return None if opened is None else opened.device

    def openings(self, convictions: Convictions) -> list[tuple[EntryId, LogId, DeviceId]]:
        """The openings in good standing of devices on the roster."""
        return [
            (entry, log, device)
            for entry, (log, device, _) in self._openings.items()
            if device in self._roster.members and not convictions.contests(log, 0)
        ]

    def prefer(self, log: LogId, kept: Collection[EntryId]) -> None:
        """Of the openings of a log that was forked there, take one that is `kept`, else that with the smallest id."""
        openings = sorted((entry not in kept, entry) for entry, opened in self._openings.items() if opened.log == log)
        if openings:
            before = self._names[log]
            _, self.authors[log], self._names[log] = self._openings[openings[0][1]]
            self.renames += self._names[log] != before

    def _opened(self, entry: EntryId, opening: Opening) -> None:
        self._openings[entry] = opening
        self.authors.setdefault(opening.log, opening.device)
        self._names.setdefault(opening.log, opening.name)

    def _open(self, entry: Entry) -> Payload:
        body, payload = entry.body, entry.envelope.payload
        assert payload is not None
        if body.lane > LANE_MERGE or (payload_type := _PAYLOADS.get(body.lane)) is None:
            return None
        plaintext = self._cipher.open(body.author, body.seq, body.prev, payload)
        return decode(payload_type, plaintext, MAX_PAYLOAD_BYTES)

    def _refusal_of(self, entry: Entry, payload: Payload, *, restored: bool) -> str | None:
        body, members = entry.body, self._roster.members
        match payload:
            case LogOpen():
                known = payload.device in members or not restored
                if known and (reason := self._opening_refusal(body.author, payload)):
                    return reason
                self._opened(entry.id, Opening(body.author, payload.device, payload.name))
                return None
            case SignedCheckpoint():
                member = members.get(self.authors[body.author])
                if member is None:
                    return None if restored else "its device is not on the roster"
                key = member.certificate.signing_key
                return checkpoint_refusal(self._signatures, key, self._space, body.author, body.seq, payload)
            case _:
                return None

    def _opening_refusal(self, log: LogId, opening: LogOpen) -> str | None:
        return opening_refusal(self._space, log, self._roster, self._signatures, opening)
