"""What payloads say by themselves: openings, names and authors, and why an entry is refused for what it says."""

from typing import Final

import pytest

from latticework.crdt import (
    LANE_CHECKPOINT,
    LANE_FILES,
    LANE_LOG,
    LANE_MERGE,
    Conviction,
    Entry,
    FileOperations,
    FraudKind,
    LogOpen,
    Make,
    Roster,
    write_entry,
)
from latticework.crdt.checkpoint import Checkpoint, sign_checkpoint
from latticework.crdt.containment import Convictions
from latticework.crdt.opening import open_log
from latticework.crdt.payloads import Payloads
from latticework.wire import EntryId, Label, LogId, SpaceId, encode, encode_plain
from latticework.wire.signing import Ed25519Signer

from .tree_world import text
from .world import SIGNATURES, SPACE, Account, Device, PlainCipher, device

pytestmark = pytest.mark.unit
ACCOUNT: Final = Account("alpha", "beta")
ALPHA, BETA = ACCOUNT.devices
KEY: Final = Ed25519Signer(b"log".ljust(32))
LOG: Final = LogId(KEY.public)
OTHER_KEY: Final = Ed25519Signer(b"other log".ljust(32))
OPERATIONS: Final = FileOperations((Make(None, b"a", text(b"x")),))


def payloads(roster: Roster | None = None) -> Payloads:
    return Payloads(SPACE, roster or ACCOUNT.roster(), SIGNATURES, PlainCipher())


def opening(writer: Device, *, key: Ed25519Signer = KEY, name: str | None = None, hlc: int = 1) -> Entry:
    statement = encode_plain([SPACE, LogId(key.public), writer.id, name or writer.name])
    said = LogOpen(writer.id, name or writer.name, writer.signer.sign(statement, Label.LOG_OPEN))
    return write_entry(SPACE, key, seq=0, prev=None, deps=(), hlc=hlc, lane=LANE_LOG, payload=encode(said))


def after(prev: Entry, lane: int, payload: bytes, *, seq: int | None = None) -> Entry:
    number = prev.body.seq + 1 if seq is None else seq
    return write_entry(SPACE, KEY, seq=number, prev=prev.id, deps=(), hlc=9, lane=lane, payload=payload)


def checkpoint(writer: Device, *, seq: int = 1, space: SpaceId = SPACE) -> bytes:
    said = Checkpoint(1, 0, None, (), bytes(32), 1)
    return encode(sign_checkpoint(space, KEY, writer.signer, seq, said))


def test_an_opening_says_whose_log_it_is() -> None:
    known, first = payloads(), opening(ALPHA)
    assert known.name(LOG) == "unknown"
    assert known.device(first.id) is None
    assert known.refusal(first) is None
    assert known.authors == {LOG: ALPHA.id}
    assert known.name(LOG) == "alpha"
    assert known.device(first.id) == ALPHA.id
    assert known.device(EntryId(bytes(32))) is None
    assert known.openings(Convictions()) == [(first.id, LOG, ALPHA.id)]
    assert isinstance(known.take(first), LogOpen)
    assert known.take(first) is None, "once only"


def test_our_own_opening_counts_as_anothers_does() -> None:
    roster = ACCOUNT.roster()
    known, first = payloads(roster), opening(ALPHA)
    said = open_log(SPACE, LOG, roster, ALPHA.id, ALPHA.signer)
    known.take_own(first, said)
    assert known.authors == {LOG: ALPHA.id}
    assert known.device(first.id) == ALPHA.id
    assert known.name(LOG) == "alpha"
    assert known.take(first) is said
    second = after(first, LANE_FILES, encode(OPERATIONS))
    known.take_own(second, OPERATIONS)
    assert known.take(second) is OPERATIONS
    assert known.device(second.id) is None


def test_only_openings_in_good_standing_of_members_are_openings() -> None:
    account = Account("alpha", "beta")
    roster = account.roster()
    known, first = payloads(roster), opening(account.devices[0])
    second = opening(account.devices[1], key=OTHER_KEY)
    assert known.refusal(first) is None
    assert known.refusal(second) is None
    convictions = Convictions()
    convictions.add(Conviction(LOG, 1, FraudKind.FORK, b""))
    assert {log for _, log, _ in known.openings(convictions)} == {LOG, LogId(OTHER_KEY.public)}
    convictions.add(Conviction(LOG, 0, FraudKind.FORK, b""))
    assert known.openings(convictions) == [(second.id, LogId(OTHER_KEY.public), account.devices[1].id)]
    del roster.members[account.devices[1].id]
    assert known.openings(convictions) == []


def test_a_log_forked_at_its_opening_is_that_of_the_branch_that_is_kept_else_of_the_smallest_id() -> None:
    known = payloads()
    sides = {opening(writer, hlc=hlc).id: (writer, opening(writer, hlc=hlc)) for writer, hlc in ((ALPHA, 1), (BETA, 2))}
    beside = opening(BETA, key=OTHER_KEY)
    for _, entry in sides.values():
        assert known.refusal(entry) is None
    assert known.refusal(beside) is None
    assert known.authors[LOG] == ALPHA.id, "the first that came, until somebody judges"
    assert known.renames == 0
    smallest = sides[min(sides)][0]
    known.prefer(LOG, ())
    assert (known.authors[LOG], known.name(LOG)) == (smallest.id, smallest.name)
    renames = known.renames
    for kept, (writer, _) in sides.items():
        known.prefer(LOG, {kept})
        assert (known.authors[LOG], known.name(LOG)) == (writer.id, writer.name)
    assert known.renames >= renames + 1
    counted = known.renames
    known.prefer(LOG, {list(sides)[-1]})
    assert known.renames == counted, "called as before"
    known.prefer(LogId(bytes(32)), ())
    assert known.authors.keys() == {LOG, LogId(OTHER_KEY.public)}
    assert known.authors[LogId(OTHER_KEY.public)] == BETA.id


def test_only_a_good_opening_opens_a_log() -> None:
    known, good = payloads(), opening(ALPHA)
    assert known.opens_a_log(good)
    assert known.authors == {}, "asking takes nothing"
    assert not known.opens_a_log(good.without_payload())
    assert not known.opens_a_log(opening(device("stranger", 50)))
    for lane, payload in ((LANE_LOG, b"\xff"), (LANE_FILES, good.envelope.payload or b""), (LANE_MERGE, b"")):
        bad = write_entry(SPACE, KEY, seq=0, prev=None, deps=(), hlc=1, lane=lane, payload=payload)
        assert not known.opens_a_log(bad)


FIRST: Final = opening(ALPHA)
OPENED_ONCE: Final = "a log is opened by its first entry and only there"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (after(FIRST, LANE_LOG, FIRST.envelope.payload or b""), OPENED_ONCE),
        (after(FIRST, LANE_FILES, b"", seq=0), OPENED_ONCE),
        (after(FIRST, LANE_CHECKPOINT, checkpoint(ALPHA)).without_payload(), "its payload is missing"),
        (after(FIRST, LANE_CHECKPOINT, checkpoint(BETA)), "the device's signature on its checkpoint does not verify"),
        (
            after(FIRST, LANE_CHECKPOINT, checkpoint(ALPHA, seq=2)),
            "the log's signature on its checkpoint does not verify",
        ),
        (
            after(FIRST, LANE_CHECKPOINT, checkpoint(ALPHA, space=SpaceId(b"other".ljust(32)))),
            "the log's signature on its checkpoint does not verify",
        ),
        (after(FIRST, LANE_CHECKPOINT, checkpoint(ALPHA)), None),
        (after(FIRST, LANE_FILES, encode(OPERATIONS)), None),
        (after(FIRST, LANE_FILES, encode(OPERATIONS)).without_payload(), None),
        (after(FIRST, LANE_MERGE, b""), None),
        (after(FIRST, 77, b"from the future"), None),
    ],
)
def test_what_an_entry_says_is_judged_by_its_lane(entry: Entry, reason: str | None) -> None:
    known = payloads()
    assert known.refusal(entry) == (OPENED_ONCE if reason == OPENED_ONCE else "its log was never opened")
    assert known.refusal(FIRST) is None
    assert known.refusal(entry) == reason
    assert known.unreadable_count == 0
    assert (known.take(entry) is None) == (known.read(entry) is None) or reason is not None


def test_an_opening_without_its_payload_opens_nothing() -> None:
    known = payloads()
    assert known.refusal(FIRST.without_payload()) == "its payload is missing"
    assert known.authors == {}


def test_what_cannot_be_read_is_admitted_and_counted_unless_it_must_be_understood() -> None:
    known = payloads()
    assert known.refusal(FIRST) is None
    files, attested = after(FIRST, LANE_FILES, b"\xff"), after(FIRST, LANE_CHECKPOINT, b"\xff")
    assert known.refusal(files) is None
    assert known.unreadable_count == 1
    assert known.take(files) is None
    assert known.read(files) is None
    assert "CBOR" in (known.refusal(attested) or "")
    assert known.unreadable_count == 1
    assert known.read_checkpoint(attested) is None
    assert known.read_checkpoint(files) is None
    good = after(FIRST, LANE_CHECKPOINT, checkpoint(ALPHA))
    said = known.read_checkpoint(good)
    assert said is not None
    assert said.checkpoint.number == 0
    assert known.read(after(FIRST, LANE_FILES, encode(OPERATIONS))) == OPERATIONS


def test_what_was_admitted_stays_when_the_certificate_of_its_device_is_lost() -> None:
    account = Account("alpha", "beta")
    roster = account.roster()
    writer = account.devices[1]
    known, first = payloads(roster), opening(writer)
    attested = after(first, LANE_CHECKPOINT, checkpoint(writer))
    del roster.members[writer.id]
    assert known.refusal(first) == "its device is not on the roster"
    assert known.refusal(first, restored=True) is None
    assert known.refusal(attested, restored=True) is None
    assert known.refusal(attested) == "its device is not on the roster"
    forged = opening(ALPHA, name="beta", key=OTHER_KEY)
    assert known.refusal(forged, restored=True) is None, "a name is the device's own to choose"
    stolen = write_entry(
        SPACE, OTHER_KEY, seq=0, prev=None, deps=(), hlc=3, lane=LANE_LOG, payload=FIRST.envelope.payload or b""
    )
    assert known.refusal(stolen, restored=True) == "the device's signature on its log does not verify"
