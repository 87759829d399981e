"""Two whole nodes in one simulation: they pair, share a folder, edit both sides, and every byte they send is recorded.

Run as a program it prints the digest of one run, so that runs under different hash seeds can be compared.
"""

import os
import sys
import tempfile
from pathlib import Path

import trio

from latticework.handshake import Paired
from latticework.node import report
from latticework.node.app import Node
from latticework.node.pairing import Outcome, Question
from latticework.simnet import KeyedRng, SimDevice, SimNetwork, Transcript, VirtualClock, play

_MTIME_NS = 1_700_000_000_000_000_000


class Yes:
    async def confirm(self, question: Question) -> bool:
        del question
        return True


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, ns=(_MTIME_NS, _MTIME_NS))


def rescan(*nodes: Node) -> None:
    for node in nodes:
        for runner in node.runners.values():
            assert runner.engine is not None
            runner.engine.ledger.disk_changed(None)


async def in_step(*nodes: Node) -> None:
    """Wait until all nodes say that they are in step with each other."""
    while True:
        shared = all(
            all((state := link.state(key)) is not None and state.in_step for link in node.peers.links.values())
            for node in nodes
            for key in node.runners
        )
        if shared and all(node.peers.links and node.runners and report.in_step(node) for node in nodes):
            return
        await trio.sleep(0.05)


def tree(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file() and ".lattice" not in path.parts)
    return {str(path.relative_to(root)): path.read_text() for path in files}


async def pair(sponsor: Node, joiner: Node) -> None:
    outcomes: list[Outcome] = []
    typed, _ = sponsor.desk.offer(Yes(), outcomes.append)
    outcome = await joiner.desk.join(typed, sponsor.peers.listening, Yes())
    assert isinstance(outcome, Paired), outcome


def story(seed: bytes, root: Path) -> tuple[Transcript, dict[str, str], dict[str, str]]:
    """One whole run; the transcript and both folders at its end."""
    clock, transcript = VirtualClock(), Transcript(keep=True)
    rng = KeyedRng(seed, "run")
    network = SimNetwork(clock, rng.child("network"), hook=transcript)
    one, two = root / "one", root / "two"
    for number in range(20):
        write(one / f"dir-{number % 3}" / f"file-{number}.txt", f"text {number}\n" * (number * 50 + 1))

    async def main() -> None:
        laptop = SimDevice("laptop", network, clock, rng.child("laptop"))
        desktop = SimDevice("desktop", network, clock, rng.child("desktop"))
        async with laptop.up() as a, desktop.up() as b:
            await pair(a, b)
            await a.holdings.create("notes", one)
            while not b.account.spaces:
                await b.changed()
            await b.holdings.join("notes", two)
            await in_step(a, b)
            assert tree(one) == tree(two)
            write(one / "both.txt", "from one")
            write(two / "both.txt", "from two")
            (one / "dir-0" / "file-0.txt").unlink()
            rescan(a, b)
            await in_step(a, b)

    play(main, seed, clock)
    return transcript, tree(one), tree(two)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        sys.stdout.write(story(sys.argv[1].encode(), Path(scratch))[0].digest.hex() + "\n")
