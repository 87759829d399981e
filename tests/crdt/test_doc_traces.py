"""Published editing histories (josephg/editing-traces) replay to the character, sequential and concurrent."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Final, NotRequired, TypedDict

import pytest

from latticework.crdt.doc_edit import DocumentEditor
from latticework.crdt.documents import Documents

from .doc_world import NAME, Device, Made

pytestmark = pytest.mark.property

TRACES: Final = Path(__file__).parents[3] / "shared" / "data" / "editing-traces"


class Transaction(TypedDict):
    """Edits at one version: position, characters deleted, text inserted."""

    patches: list[tuple[int, int, str]]
    parents: NotRequired[list[int]]
    agent: NotRequired[int]


class Trace(TypedDict):
    """One history."""

    startContent: NotRequired[str]
    endContent: str
    txns: list[Transaction]


def trace(name: str) -> Trace:
    path = TRACES / f"{name}.json.gz"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    loaded: Trace = json.loads(gzip.decompress(path.read_bytes()))
    return loaded


def text_of(device: Device) -> str:
    return device.documents.document(NAME).text(("t",))


def typed(transactions: list[Transaction]) -> Callable[[DocumentEditor], None]:
    def act(edit: DocumentEditor) -> None:
        for transaction in transactions:
            for at, gone, text in transaction["patches"]:
                edit.splice(("t",), at, gone, text)

    return act


def replay(name: str, limit: int | None, batch: int) -> None:
    history = trace(name)
    transactions = history["txns"][:limit]
    expected = history.get("startContent", "")
    for transaction in transactions:
        for at, gone, text in transaction["patches"]:
            expected = expected[:at] + text + expected[at + gone :]
    assert limit is not None or expected == history["endContent"]
    device, reader = Device("writer"), Device("reader")
    device.edit(lambda e: e.put(("t",), history.get("startContent", "")))
    for at in range(0, len(transactions), batch):
        device.edit(typed(transactions[at : at + batch]))
    assert text_of(device) == expected
    reader.receive(*device.entries.values())
    assert text_of(reader) == expected
    assert reader.documents.snapshot() == device.documents.snapshot()
    assert Documents.load(device.documents.snapshot()).document(NAME).text(("t",)) == expected


@pytest.mark.parametrize(("name", "limit", "batch"), [("sveltecomponent", 6000, 40), ("automerge-paper", 1500, 1)])
def test_the_beginning_of_a_sequential_history_replays(name: str, limit: int, batch: int) -> None:
    replay(name, limit, batch)


@pytest.mark.long
@pytest.mark.parametrize("name", ["sveltecomponent", "automerge-paper"])
def test_a_sequential_history_replays(name: str) -> None:
    replay(name, None, 500)


def merge(limit: int | None) -> None:
    """Each transaction is written by a device that holds its parents and what they follow from, and nothing else.

    Every agent has a device; as an agent sees its own transactions, what its device holds only grows.
    """
    history = trace("friendsforever-concurrent")
    transactions = history["txns"][:limit]
    devices = {agent: Device(f"agent {agent}") for agent in {t.get("agent", 0) for t in transactions}}
    first = Device("start").edit(lambda e: e.put(("t",), history.get("startContent", "")))
    for device in devices.values():
        device.receive(first)
    made: list[Made] = []
    held: dict[int, set[int]] = {agent: set() for agent in devices}
    for number, transaction in enumerate(transactions):
        agent = transaction.get("agent", 0)
        device, known = devices[agent], held[agent]
        missing, stack = list[int](), list(transaction.get("parents", []))
        while stack:
            parent = stack.pop()
            if parent not in known:
                known.add(parent)
                missing.append(parent)
                stack.extend(transactions[parent].get("parents", []))
        device.receive(*[made[at] for at in sorted(missing)])
        assert len(known) + 1 == len(device.entries)
        made.append(device.edit(typed([transaction])))
        known.add(number)
    for device in devices.values():
        device.receive(*[entry for entry in made if entry.id not in device.entries])
    results = {text_of(device) for device in devices.values()}
    snapshots = {device.documents.snapshot() for device in devices.values()}
    assert (len(results), len(snapshots)) == (1, 1)
    assert limit is not None or results == {history["endContent"]}


def test_the_beginning_of_a_concurrent_history_merges_at_its_exact_parents() -> None:
    merge(2500)


@pytest.mark.long
def test_a_concurrent_history_merges_to_the_published_text() -> None:
    merge(None)
