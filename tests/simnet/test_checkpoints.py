"""Checkpoints, pruning and the state below them, in whole nodes on virtual time."""

import pytest
import trio

from latticework.crdt.params import CHECKPOINT_EVERY_ENTRIES, CHECKPOINT_IDLE_US
from latticework.node.app import Node
from latticework.node.handles import Space
from latticework.node.params import CHECKPOINT_LOOK_S
from latticework.node.runner import SpaceRunner
from latticework.node.upkeep import check_state, prune
from latticework.simnet import KeyedRng, SimDevice, SimNetwork, VirtualClock, play
from latticework.wire import LocalError

from .two_nodes import pair

pytestmark = pytest.mark.sim
_IDLE_S = CHECKPOINT_IDLE_US / 1e6 + 2 * CHECKPOINT_LOOK_S


class World:
    """Devices of one simulated network."""

    def __init__(self, seed: bytes) -> None:
        self.seed = seed
        self.clock = VirtualClock()
        self.rng = KeyedRng(seed, "run")
        self.network = SimNetwork(self.clock, self.rng.child("network"))

    def device(self, name: str) -> SimDevice:
        return SimDevice(name, self.network, self.clock, self.rng.child(name))


def home(node: Node) -> Space:
    return Space(node, "home")


def runner(node: Node) -> SpaceRunner:
    found = home(node).runner
    assert found is not None
    return found


def checkpoints(node: Node) -> int:
    space = runner(node).space
    assert space is not None
    return sum(last.checkpoint.number + 1 for last in space.replica.attestations.last.values())


def pruned(node: Node) -> int:
    space = runner(node).space
    assert space is not None
    return sum(entry.envelope.payload is None for entry in space.store.entries())


async def prune_all(*nodes: Node) -> list[int]:
    counts: list[int] = []
    for node in nodes:
        space = runner(node).space
        assert space is not None
        counts.append(await prune(space, node.threads))
        assert await check_state(space, node.threads) == []
    return counts


async def first_notes(a: Node, b: Node) -> None:
    await pair(a, b)
    notes = home(a).doc("notes")
    await notes.put(("title",), "Groceries")
    await notes.put(("items",), ["milk"])
    there = home(b).doc("notes")
    await home(b).hold()
    with trio.fail_after(60):
        await there.until(lambda view: view.json().get("items") == ["milk"])
        await there.list("items").append("bread")
        await notes.until(lambda view: view.json()["items"] == ["milk", "bread"])


def test_an_idle_space_says_a_checkpoint_on_every_device_and_then_rests() -> None:
    world = World(b"checkpoint 1")

    async def main() -> None:
        async with world.device("laptop").up() as a, world.device("desktop").up() as b:
            await first_notes(a, b)
            assert checkpoints(a) == 0
            await trio.sleep(_IDLE_S)
            assert checkpoints(a) == checkpoints(b) == 2
            await trio.sleep(5 * _IDLE_S)
            assert checkpoints(a) == checkpoints(b) == 2

    play(main, world.seed, world.clock)


def test_many_entries_are_followed_by_a_checkpoint_without_any_rest() -> None:
    world = World(b"checkpoint 2")

    async def main() -> None:
        device = world.device("laptop")
        async with device.up() as a:
            for number in range(CHECKPOINT_EVERY_ENTRIES // 2):
                await home(a).doc("notes").put(("n",), number)
        async with device.up() as a:
            # What was written before the restart counts.
            for number in range(CHECKPOINT_EVERY_ENTRIES // 2):
                await home(a).doc("notes").put(("n",), number)
            await trio.sleep(2 * CHECKPOINT_LOOK_S)
            assert checkpoints(a) == 1

    play(main, world.seed, world.clock)


def test_nothing_is_pruned_before_every_device_has_said_a_checkpoint() -> None:
    world = World(b"checkpoint 3")

    async def main() -> None:
        async with world.device("laptop").up() as a, world.device("desktop").up() as b:
            await first_notes(a, b)
            with pytest.raises(LocalError, match="checkpoint"):
                await prune_all(a)

    play(main, world.seed, world.clock)


def test_a_pruned_space_keeps_its_state_through_a_restart_and_merges_what_a_device_wrote_while_away() -> None:
    world = World(b"checkpoint 4")

    async def main() -> None:
        laptop, desktop = world.device("laptop"), world.device("desktop")
        async with laptop.up() as a:
            async with desktop.up() as b:
                await first_notes(a, b)
                await trio.sleep(_IDLE_S)
            async with desktop.up() as b:
                # Nobody is where it looks for the other.
                await home(b).doc("notes").put(("away",), "yes")
            assert await prune_all(a) == [pruned(a)]
            assert pruned(a) > 0
            root = runner(a).space.replica.state_root()  # type: ignore[union-attr]
        async with laptop.up() as a:
            await home(a).hold()
            assert runner(a).space.replica.state_root() == root  # type: ignore[union-attr]
            await home(a).doc("notes").put(("here",), "too")
            async with desktop.up(a.peers.listening) as b:
                with trio.fail_after(60):
                    for node in (a, b):
                        await home(node).doc("notes").until(lambda v: {"away", "here"} <= v.json().keys())
                assert home(a).doc("notes").json() == home(b).doc("notes").json()
                assert home(a).doc("notes").json()["items"] == ["milk", "bread"]

    play(main, world.seed, world.clock)


def test_a_new_device_that_gets_pruned_entries_takes_the_state_below_the_checkpoint() -> None:
    world = World(b"checkpoint 5")

    async def main() -> None:
        async with world.device("laptop").up() as a, world.device("desktop").up() as b:
            await first_notes(a, b)
            await trio.sleep(_IDLE_S)
            counts = await prune_all(a, b)
            assert all(counts)
            tablet = world.device("tablet")
            async with tablet.up() as c:
                await pair(a, c)
                await home(c).hold()
                with trio.fail_after(60):
                    await home(c).doc("notes").until(lambda v: v.json().get("items") == ["milk", "bread"])
                assert pruned(c) > 0
                await home(c).doc("notes").put(("third",), "device")
                with trio.fail_after(60):
                    await home(a).doc("notes").until(lambda v: "third" in v.json())
                roots = {runner(node).space.replica.state_root() for node in (a, c)}  # type: ignore[union-attr]
                assert len(roots) == 1
            async with tablet.up() as c:
                await home(c).hold()
                assert home(c).doc("notes").json()["third"] == "device"

    play(main, world.seed, world.clock)
