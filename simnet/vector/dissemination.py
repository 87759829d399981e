"""When every node of a mesh first hears of a message that everybody passes on, for many messages at once: tier V.

Where links do not queue, a flood is a shortest-path problem: a node's first copy comes by the shortest path from the
source (`buckets`), and who sends how many copies follows from who was reached. Every number is an integer, and the same
as an event queue's. Lost copies, nodes that keep messages to themselves, and uplinks that send one copy after the other
change the paths only. What depends on what else a node has heard (lazy push, scores, queues) is not in this tier.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from latticework.wire import LocalError

from .buckets import UNREACHED, Ways, first_arrivals
from .chance import Seed, generator
from .graphs import Mesh

DEFAULT_BLOCK_STATES: Final = 1 << 18
"""(message, node) pairs that spread at once; their arrivals take 1 MiB. Measured at 10,000 nodes: flat from here on,
half as fast at 2^14, where messages go alone."""
_MAX_STATES: Final = 2**31 - 1
_DRAWN_ROWS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Loss:
    """Every copy is lost with probability `rate` (0 to 1, in steps of 2^-24), keyed by message, sender and slot.

    Raises: LocalError for a rate outside 0..1.
    """

    rate: float
    seed: Seed

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise LocalError(f"a loss rate of {self.rate}: a share of 1")

    def arrives(self, message: int, mesh: Mesh) -> NDArray[np.bool_]:
        """Which copies of the message numbered `message` arrive if sent: bool[node_count, slot_count]."""
        rng = generator(self.seed, "loss", str(message))
        arrives = np.empty(mesh.neighbours.shape, np.bool_)
        for start in range(0, mesh.node_count, _DRAWN_ROWS):  # the draws of a whole million would be 32 MB more
            rows = arrives[start : start + _DRAWN_ROWS]
            np.greater_equal(rng.random(rows.shape, dtype=np.float32), np.float32(self.rate), out=rows)
        return arrives


@dataclass(frozen=True, slots=True, eq=False)
class Uplink:
    """Copies leave one after the other: the copy in slot i is out after `i + 1` times `size_bytes / bytes_per_s`.

    Each copy's time is rounded up to microseconds, as `simnet.link` does. `bytes_per_s` is one rate for all, or
    int64[node_count]. The slot of the neighbour that a node heard from keeps its time although nothing is sent to it.

    Raises: LocalError for a negative size or a rate below 1.
    """

    size_bytes: int
    bytes_per_s: int | NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.size_bytes < 0 or np.min(self.bytes_per_s) < 1:
            raise LocalError(f"{self.size_bytes} bytes at {self.bytes_per_s} bytes/s")

    def copy_us(self, node_count: int) -> NDArray[np.int64]:
        """How long each node takes for one copy: int64[node_count]. Raises: LocalError if the rates are not as many."""
        rate = np.asarray(self.bytes_per_s, np.int64)
        if rate.shape not in {(), (node_count,)}:
            raise LocalError(f"uplinks of shape {list(rate.shape)} for {node_count} nodes")
        return np.broadcast_to(-(-self.size_bytes * 1_000_000 // rate), (node_count,))


@dataclass(frozen=True, slots=True, eq=False)
class Dissemination:
    """What became of some messages, one row each.

    `first_us` is int32[message_count, node_count]: microseconds from publication to the first copy, 0 at the source,
    `UNREACHED` where none came. `sent` and `received` are int64[message_count]: copies that left a node and copies that
    reached one. A node sends to all its neighbours but the one whose copy came first; of copies that come in the same
    microsecond, that is the one from the lowest-numbered node.
    """

    first_us: NDArray[np.int32]
    sent: NDArray[np.int64]
    received: NDArray[np.int64]

    def reached(self) -> NDArray[np.int64]:
        """How many nodes heard of each message, its source among them: int64[message_count]."""
        heard: NDArray[np.bool_] = self.first_us != UNREACHED
        return heard.sum(axis=1, dtype=np.int64)


def disseminate(
    mesh: Mesh,
    sources: Sequence[int] | NDArray[np.int64],
    *,
    forwards: NDArray[np.bool_] | None = None,
    loss: Loss | None = None,
    uplink: Uplink | None = None,
    block_states: int = DEFAULT_BLOCK_STATES,
) -> Dissemination:
    """The spread of one message from each of `sources`, each alone in the network.

    `forwards`, bool[node_count], says who passes messages on; all do by default, and a source always sends its own.
    The result takes `4 * len(sources) * node_count` bytes; `disseminate_in_blocks` hands it out in parts.

    Raises: LocalError for a source that is no node, arrays that do not fit the mesh, or arrivals near 2^31 us.
    """
    blocks = list(
        disseminate_in_blocks(mesh, sources, forwards=forwards, loss=loss, uplink=uplink, block_states=block_states),
    )
    if len(blocks) == 1:
        return blocks[0]
    first_us = [block.first_us for block in blocks] or [np.empty((0, mesh.node_count), np.int32)]
    none = np.empty(0, np.int64)
    return Dissemination(
        np.concatenate(first_us),
        np.concatenate([none, *(block.sent for block in blocks)]),
        np.concatenate([none, *(block.received for block in blocks)]),
    )


def disseminate_in_blocks(
    mesh: Mesh,
    sources: Sequence[int] | NDArray[np.int64],
    *,
    forwards: NDArray[np.bool_] | None = None,
    loss: Loss | None = None,
    uplink: Uplink | None = None,
    block_states: int = DEFAULT_BLOCK_STATES,
) -> Iterator[Dissemination]:
    """As `disseminate`, some messages at a time, in order: as many as make `block_states` with all nodes, at least one.

    At work: 4 bytes per state, with loss 2 per slot of each state more; 1 byte per slot of each node, with an uplink 4
    more; and some MiB. Errors come with the first part.
    """
    starts = np.asarray(sources, np.int64).reshape(-1)
    if starts.size and not 0 <= starts.min() <= starts.max() < mesh.node_count:
        raise LocalError(f"sources from {starts.min()} to {starts.max()} in a mesh of {mesh.node_count} nodes")
    if forwards is not None and (forwards.shape != (mesh.node_count,) or forwards.dtype != np.bool_):
        raise LocalError(f"forwards is {forwards.dtype}{list(forwards.shape)}, not bool[{mesh.node_count}]")
    per_block = max(1, min(block_states, _MAX_STATES) // mesh.node_count)
    used = mesh.used()
    delay_us = mesh.latency_us if uplink is None else _with_uplink(mesh, uplink, used)
    degrees = used.sum(axis=1, dtype=np.int64)
    mean_us = int(delay_us.sum(dtype=np.int64)) // max(1, int(degrees.sum()))
    for start in range(0, starts.size, per_block):
        block = starts[start : start + per_block]
        arrives = None
        if loss is not None:
            numbers = range(start, start + block.size)
            arrives = np.concatenate([loss.arrives(number, mesh) for number in numbers])
            arrives &= np.tile(used, (block.size, 1))
        ways = Ways(mesh.neighbours, delay_us, forwards, arrives)
        yield _counted(ways, block, first_arrivals(ways, block, mean_us), degrees)


def _with_uplink(mesh: Mesh, uplink: Uplink, used: NDArray[np.bool_]) -> NDArray[np.int32]:
    """The latency of each slot and the wait for its turn; still 0 in slots that are not used."""
    copy_us = uplink.copy_us(mesh.node_count)
    if int(copy_us.max()) * mesh.slot_count + int(mesh.latency_us.max()) >= UNREACHED:
        raise LocalError(f"{uplink.size_bytes} bytes take {copy_us.max()} us to each of {mesh.slot_count} neighbours")
    delay_us = mesh.latency_us.copy()
    for slot in range(mesh.slot_count):
        delay_us[:, slot] += copy_us * (slot + 1) * used[:, slot]
    return delay_us


def _counted(
    ways: Ways,
    sources: NDArray[np.int64],
    first_us: NDArray[np.int32],
    degrees: NDArray[np.int64],
) -> Dissemination:
    """The arrivals with the copies that go with them. A node sends one copy less than it has links, a source all."""
    sent = np.zeros(sources.size, np.int64)
    received = np.zeros(sources.size, np.int64)
    for message, source in enumerate(sources.tolist()):
        sends = first_us[message] != UNREACHED
        if ways.forwards is not None:
            sends &= ways.forwards
        sends[source] = True
        sent[message] = degrees.sum(where=sends) - np.count_nonzero(sends) + 1
        received[message] = sent[message]
        if ways.arrives is not None:
            rows = slice(message * len(sends), (message + 1) * len(sends))
            copies = ways.arrives[rows] & sends[:, None]
            back = ways.neighbours == _heard_from(ways, copies, first_us[message], source)[:, None]
            received[message] = np.count_nonzero(copies) - np.count_nonzero(copies & back)
    return Dissemination(first_us, sent, received)


def _heard_from(
    ways: Ways,
    copies: NDArray[np.bool_],
    first_us: NDArray[np.int32],
    source: int,
) -> NDArray[np.int64]:
    """The lowest-numbered sender of each node's first copy, -1 for the source and nodes without: int64[node_count].

    `copies` are those that arrive, at a node that has heard or not.
    """
    nobody = first_us.size
    sender = np.full(nobody, nobody, np.int64)
    for slot in range(ways.neighbours.shape[1]):
        target = ways.neighbours[:, slot]
        first = copies[:, slot] & (first_us + ways.delay_us[:, slot] == first_us[target])
        np.minimum.at(sender, target[first], np.flatnonzero(first))
    sender[source] = nobody
    sender[sender == nobody] = -1
    return sender
