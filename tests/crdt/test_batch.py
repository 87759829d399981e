"""Batches: the same entries in fewer bytes, and nothing in them can be changed unnoticed (I5, I14)."""

import hashlib
from copy import deepcopy
from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latticework.crdt import (
    LANE_DOCUMENTS,
    Body,
    Entry,
    Envelope,
    entry_id,
    read_batch,
    read_entry,
    write_batch,
    write_entry,
)
from latticework.crdt.batch import Batch, Item, Missing, Place
from latticework.crdt.entry import check_body, signature_verifies
from latticework.crdt.params import MAX_BATCH_BYTES, MAX_PAYLOAD_BYTES, MIN_CHAIN_RUN
from latticework.wire import EntryId, LogId, MalformedError, Plain, SpaceId, decode, encode, encode_plain, to_plain
from latticework.wire.signing import Ed25519Signer

from .world import SPACE

KEYS: Final = [Ed25519Signer(bytes([number + 1]) * 32) for number in range(3)]


LAST_HLC: Final = (1 << 64) - 1


def entry(key: Ed25519Signer, prev: Entry | None, *deps: Entry, payload: bytes = b"", hlc: int = 0) -> Entry:
    return write_entry(
        SPACE,
        key,
        seq=0 if prev is None else prev.body.seq + 1,
        prev=None if prev is None else prev.id,
        deps=tuple(dep.id for dep in deps),
        hlc=hlc or min(LAST_HLC, 1 + max((e.body.hlc for e in (*deps, *([] if prev is None else [prev]))), default=0)),
        lane=LANE_DOCUMENTS,
        payload=payload,
    )


def chain(length: int, key: Ed25519Signer = KEYS[0], start: Entry | None = None) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(length):
        entries.append(entry(key, entries[-1] if entries else start, payload=b"%d" % number))
    return entries


@st.composite
def histories(draw: st.DrawFn) -> list[Entry]:
    """Entries in causal order, with forks, gaps and payloads left out."""
    entries: list[Entry] = []
    for _ in range(draw(st.integers(0, 12))):
        key = draw(st.sampled_from(KEYS))
        own = [e for e in entries if e.body.author == key.public]
        prev = draw(st.sampled_from([None, *own[-1:], *own[-1:], *own])) if own else None
        others = [e for e in entries if e.body.author != key.public]
        deps = draw(st.lists(st.sampled_from(others), max_size=2)) if others else []
        made = entry(key, prev, *deps, payload=draw(st.binary(max_size=40)), hlc=draw(st.integers(0, (1 << 64) - 1)))
        entries.append(draw(st.sampled_from([made, made, made.without_payload()])))
    kept = draw(st.sets(st.integers(0, 11)))
    return [e for number, e in enumerate(entries) if number not in kept]


@pytest.mark.property
@settings(max_examples=40)
@given(entries=histories(), chained=st.booleans())
def test_a_batch_gives_back_what_each_entry_gives_alone(entries: list[Entry], *, chained: bool) -> None:
    run = read_batch(SPACE, write_batch(entries), chain=chained)
    assert run.entries == entries == [read_entry(SPACE, encode(e.envelope)) for e in entries]
    assert chained or run.unchecked == frozenset()


@pytest.mark.property
@settings(max_examples=40)
@given(histories())
def test_headers_alone_are_the_same_entries_without_payloads(entries: list[Entry]) -> None:
    run = read_batch(SPACE, write_batch(entries, payloads=False))
    assert run.entries == [e.without_payload() for e in entries]


def generic(space: SpaceId, data: bytes) -> list[Entry]:
    """`read_batch` in full mode through the generic records: slow, and plainly right."""
    batch = decode(Batch, data, MAX_BATCH_BYTES)
    if len(set(batch.authors)) != len(batch.authors):
        raise MalformedError("twice")
    entries: list[Entry] = []
    last: dict[int, Entry] = {}
    for item in batch.items:
        if item.author >= len(batch.authors) or (item.payload is None) == (item.missing is None):
            raise MalformedError("no such author, or payload twice or never")
        if item.place is None and item.author not in last:
            raise MalformedError("no place")
        before = last.get(item.author)
        place = item.place
        if place is None:
            assert before is not None
            place = Place(before.body.seq + 1, before.id)
        absent = item.missing or Missing(len(item.payload or b""), hashlib.sha256(item.payload or b"").digest())
        body = Body(
            1,
            batch.authors[item.author],
            place.seq,
            place.prev,
            item.deps,
            item.hlc,
            item.lane,
            absent.length,
            absent.hash,
        )
        check_body(body)
        raw = encode(body)
        decode(Body, raw, 10_000)
        last[item.author] = Entry(entry_id(space, raw), body, Envelope(raw, item.signature, item.payload))
        entries.append(last[item.author])
        if not signature_verifies(last[item.author]):
            raise MalformedError("signature")
    return entries


MANY: Final[list[Plain]] = [[0, None, [], 0, 0, b"", b"", None] for _ in range(4097)]
ODD: Final[st.SearchStrategy[Plain]] = st.sampled_from(
    [None, True, -1, 0, 1, 1 << 16, (1 << 64) - 1, b"", b"x" * 32, b"x" * 64, "text", [], [0], {0: 1}]
)


@pytest.mark.property
@settings(max_examples=40)
@given(histories().filter(bool), st.data())
def test_a_batch_with_any_field_replaced_is_read_as_the_generic_records_read_it(
    entries: list[Entry], data: st.DataObject
) -> None:
    plain = to_plain(decode(Batch, write_batch(entries), MAX_BATCH_BYTES))
    assert isinstance(plain, list)
    for _ in range(data.draw(st.integers(1, 2))):
        where: Plain = plain
        while isinstance(where, list) and where:
            at = data.draw(st.integers(0, len(where) - 1))
            if not (isinstance(where[at], list) and where[at]) or data.draw(st.integers(0, 4)) == 0:
                where[at] = deepcopy(data.draw(ODD))
                break
            where = where[at]
    changed = encode_plain(plain)
    try:
        expected = generic(SPACE, changed)
    except (MalformedError, OverflowError):
        with pytest.raises(MalformedError):
            read_batch(SPACE, changed)
    else:
        assert read_batch(SPACE, changed).entries == expected


SMALL: Final = [*chain(4), entry(KEYS[1], None, chain(2)[1], payload=b"y"), entry(KEYS[2], None).without_payload()]
DATA: Final = write_batch(SMALL)


@pytest.mark.unit
def test_a_batch_with_a_bit_flipped_in_any_byte_is_refused() -> None:
    for position in range(len(DATA)):
        damaged = bytearray(DATA)
        damaged[position] ^= 1 << position % 8
        with pytest.raises(MalformedError):
            read_batch(SPACE, bytes(damaged))


@pytest.mark.unit
def test_in_chain_mode_a_flipped_bit_is_refused_or_stands_in_a_signature_that_is_reported() -> None:
    reported = 0
    for position in range(len(DATA)):
        damaged = bytearray(DATA)
        damaged[position] ^= 1 << position % 8
        try:
            run = read_batch(SPACE, bytes(damaged), chain=True)
        except MalformedError:
            continue
        assert [e.id for e in run.entries] == [e.id for e in SMALL]
        (changed,) = [e for e, was in zip(run.entries, SMALL, strict=True) if e != was]
        assert changed.id in run.unchecked
        assert not signature_verifies(changed)
        reported += 1
    assert reported == 3 * 64, "three signatures below the head of a run of four"


@pytest.mark.unit
@pytest.mark.parametrize("surplus", [b"\0", b"\xf6", DATA])
def test_a_batch_cut_anywhere_or_with_anything_behind_it_is_refused(surplus: bytes) -> None:
    with pytest.raises(MalformedError):
        read_batch(SPACE, DATA + surplus)
    for length in range(len(DATA)):
        with pytest.raises(MalformedError):
            read_batch(SPACE, DATA[:length], chain=True)


@pytest.mark.unit
@pytest.mark.parametrize("length", [1, MIN_CHAIN_RUN - 1, MIN_CHAIN_RUN, 10])
def test_only_runs_that_are_long_enough_are_checked_by_their_head(length: int) -> None:
    entries = chain(length)
    unchecked = read_batch(SPACE, write_batch(entries), chain=True).unchecked
    assert unchecked == ({e.id for e in entries[:-1]} if length >= MIN_CHAIN_RUN else set())


@pytest.mark.unit
def test_a_run_whose_head_does_not_verify_is_refused_whatever_is_inside() -> None:
    entries = chain(6)
    broken = replace(entries[-1], envelope=replace(entries[-1].envelope, signature=bytes(64)))
    with pytest.raises(MalformedError):
        read_batch(SPACE, write_batch([*entries[:-1], broken]), chain=True)


@pytest.mark.unit
def test_a_fork_ends_a_run_and_both_branches_have_heads_of_their_own() -> None:
    trunk = chain(5)
    fork = chain(4, start=trunk[1])
    run = read_batch(SPACE, write_batch([*trunk, *fork]), chain=True)
    assert run.unchecked == {e.id for e in (*trunk[:-1], *fork[:-1])}
    lone = entry(KEYS[0], trunk[0], payload=b"forged")
    forged = replace(lone, envelope=replace(lone.envelope, signature=bytes(64)))
    with pytest.raises(MalformedError):
        read_batch(SPACE, write_batch([*trunk, forged, *fork]), chain=True)


@pytest.mark.unit
def test_runs_of_several_logs_may_be_mixed() -> None:
    a, b = chain(5), chain(5, KEYS[1])
    mixed = [e for pair in zip(a, b, strict=True) for e in pair]
    assert read_batch(SPACE, write_batch(mixed), chain=True).unchecked == {e.id for e in (*a[:-1], *b[:-1])}


def item(**changed: object) -> bytes:
    """A batch of one entry, made by hand."""
    good = SMALL[0]
    fields = {
        "author": 0,
        "place": Place(0, None),
        "deps": (),
        "hlc": good.body.hlc,
        "lane": good.body.lane,
        "signature": good.envelope.signature,
        "payload": good.envelope.payload,
        "missing": None,
    }
    return encode(Batch(1, (good.body.author,), (Item(**{**fields, **changed}),)))  # type: ignore[arg-type]  # wrong on purpose


@pytest.mark.unit
@pytest.mark.parametrize(
    "data",
    [
        item(place=None),
        item(author=1),
        item(payload=None),
        item(missing=Missing(0, bytes(32))),
        item(place=Place(1, None)),
        item(place=Place(0, EntryId(bytes(32)))),
        item(deps=(EntryId(b"b" * 32), EntryId(b"a" * 32))),
        item(deps=tuple(EntryId(bytes([n]) * 32) for n in range(17))),
        item(payload=None, missing=Missing(MAX_PAYLOAD_BYTES + 1, bytes(32))),
        item(payload=bytes(MAX_PAYLOAD_BYTES + 1)),
        item(lane=1 << 16),
        encode(Batch(1, (LogId(bytes(32)), LogId(bytes(32))), ())),
        encode_plain([2, [], []]),
        encode_plain([1, []]),
        encode_plain([1, [], [0]]),
        encode_plain([1, [], [[]]]),
        encode_plain([1, [], None]),
        encode_plain([1, [], MANY]),
        bytes(MAX_BATCH_BYTES + 1),
    ],
)
def test_a_batch_that_its_sender_made_wrong_is_refused(data: bytes) -> None:
    assert read_batch(SPACE, item()).entries == SMALL[:1]
    for chained in (True, False):
        with pytest.raises(MalformedError):
            read_batch(SPACE, data, chain=chained)


@pytest.mark.unit
def test_nothing_follows_the_last_number_there_is() -> None:
    last = write_entry(SPACE, KEYS[0], seq=(1 << 64) - 1, prev=EntryId(bytes(32)), deps=(), hlc=1, lane=0, payload=b"")
    plain = to_plain(decode(Batch, write_batch([last]), MAX_BATCH_BYTES))
    assert isinstance(plain, list)
    items = plain[2]
    assert isinstance(items, list)
    assert isinstance(items[0], list)
    items.append([items[0][0], None, *items[0][2:]])
    with pytest.raises(MalformedError):
        read_batch(SPACE, encode_plain(plain))


@pytest.mark.unit
def test_a_header_with_one_dependency_is_as_small_as_the_report_says() -> None:
    hlc, other = 1_800_000_000_000 << 16, entry(KEYS[1], None)
    prev = write_entry(SPACE, KEYS[0], seq=16, prev=EntryId(bytes(32)), deps=(), hlc=hlc, lane=3, payload=b"")
    entries = [prev]
    for number in range(100):
        entries.append(entry(KEYS[0], entries[-1], other, payload=bytes(300), hlc=hlc + 1 + number))
    alone = len(encode(entries[1].envelope)) - 300
    batched = (len(write_batch(entries)) - len(write_batch(entries[:1])) - 100 * 300) / 100
    assert alone - 3 == 222, "without the three bytes that say how long the payload is"
    assert batched <= 122, batched


@pytest.mark.property
@settings(max_examples=40)
@given(data=st.binary(max_size=300), chained=st.booleans())
def test_noise_is_refused_and_raises_nothing_else(data: bytes, *, chained: bool) -> None:
    with pytest.raises(MalformedError):
        read_batch(SPACE, data, chain=chained)


def altered(field: int, value: Plain) -> bytes:
    """A batch of one entry with one field of its item replaced."""
    return encode_plain([1, [KEYS[0].public], [item_with(field, value)]])


def item_with(field: int, value: Plain) -> list[Plain]:
    plain = to_plain(decode(Batch, write_batch(chain(1)), MAX_BATCH_BYTES))
    assert isinstance(plain, list)
    items = plain[2]
    assert isinstance(items, list)
    item = items[0]
    assert isinstance(item, list)
    item[field] = value
    return item


ID: Final = bytes(32)
NO_AUTHOR: Final = "^an entry has an author that is not in the table$"
NO_PLACE: Final = "^the first entry of an author has no place, or a last one has a follower$"
NO_IDS: Final = "^the dependencies of an entry are no ids$"
NO_CLOCK: Final = "^an entry has a clock or a lane that cannot be$"
NO_SIGNATURE: Final = "^an entry has no signature$"
NO_PAYLOAD: Final = "^an entry needs its payload, or the payload's length and hash$"


@pytest.mark.unit
@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (0, 1, NO_AUTHOR),
        (0, -1, NO_AUTHOR),
        (0, False, NO_AUTHOR),
        (1, None, NO_PLACE),
        (1, [1, None], "^only the first entry of a log has no predecessor$"),
        (1, [0, ID], "^only the first entry of a log has no predecessor$"),
        (2, None, NO_IDS),
        (2, [b"short"], NO_IDS),
        (2, [7], NO_IDS),
        (2, [ID[:-1] + bytes((n,)) for n in range(17)], NO_IDS),
        (3, -1, NO_CLOCK),
        (3, True, NO_CLOCK),
        (4, -1, NO_CLOCK),
        (4, 0x10000, NO_CLOCK),
        (4, False, NO_CLOCK),
        (5, b"x" * 63, NO_SIGNATURE),
        (5, None, NO_SIGNATURE),
        (6, None, NO_PAYLOAD),
        (6, 0, NO_PAYLOAD),
        (6, bytes(MAX_PAYLOAD_BYTES + 1), NO_PAYLOAD),
        (7, [0, hashlib.sha256().digest()], NO_PAYLOAD),
        (5, bytes(64), "^the signature does not verify$"),
    ],
)
def test_what_is_wrong_with_an_entry_is_said(field: int, value: Plain, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        read_batch(SPACE, altered(field, value))


def _of_fields(count: int) -> Plain:
    return [1, [KEYS[0].public], [[0 for _ in range(count)]]]


NO_BATCHES: Final[list[tuple[Plain, str]]] = [
    ({}, "^batch: expected an array of 3 items$"),
    ([1, []], "^batch: expected an array of 3 items$"),
    ([1, [], [], []], "^batch: expected an array of 3 items$"),
    ([1, [], None], "^batch: expected an array of 3 items$"),
    ([1, [ID, ID], []], "^an author stands in the table twice$"),
    ([1, [KEYS[0].public], MANY], "^batch: expected at most 4096 entries$"),
    ([1, [KEYS[0].public], [None]], "^an entry has eight fields$"),
    (_of_fields(7), "^an entry has eight fields$"),
    (_of_fields(9), "^an entry has eight fields$"),
]


@pytest.mark.unit
@pytest.mark.parametrize(("plain", "message"), NO_BATCHES)
def test_what_is_wrong_with_a_batch_is_said(plain: Plain, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        read_batch(SPACE, encode_plain(plain))


EDGES: Final = [at + step for at in (24, 1 << 8, 1 << 16, 1 << 32) for step in (-1, 0, 1)]


@pytest.mark.unit
@pytest.mark.parametrize("value", [0, *EDGES, (1 << 64) - 1])
def test_numbers_of_every_length_are_written_as_their_entry_writes_them(value: int) -> None:
    made = [
        write_entry(SPACE, KEYS[0], seq=0, prev=None, deps=(), hlc=value, lane=min(value, 0xFFFF), payload=b""),
        write_entry(SPACE, KEYS[0], seq=min(value, 1 << 47) + 1, prev=EntryId(ID), deps=(), hlc=1, lane=0, payload=b""),
        entry(KEYS[0], None, payload=bytes(min(value, 1 << 17))),
    ]
    for one in made:
        assert read_batch(SPACE, write_batch([one])).entries == [one]
        assert one.envelope.body == encode(one.body)


@pytest.mark.unit
def test_the_largest_payload_and_the_most_dependencies_fit() -> None:
    deps = tuple(EntryId(ID[:-1] + bytes((n,))) for n in range(16))
    whole = write_entry(SPACE, KEYS[0], seq=0, prev=None, deps=deps, hlc=1, lane=1, payload=bytes(MAX_PAYLOAD_BYTES))
    assert read_batch(SPACE, write_batch([whole])).entries == [whole]
