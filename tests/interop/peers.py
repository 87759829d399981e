"""The other implementations as processes: started on loopback, told what to do, ended by their process id."""

import json
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast, final

import pytest
import trio

from latticework.transport import Multiaddr, PeerId

from .places import HERE, JS, PY, js_missing, node, py_missing

START_S: Final = 30
ANSWER_S: Final = 60
STOP_S: Final = 5

type Answer = dict[str, object]


class PeerProcessError(Exception):
    """The other side failed at what it was told, died, or did not answer in time."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One implementation: how it is started, and why it cannot be, if it cannot."""

    name: str
    command: tuple[str, ...]
    missing: str


def _js() -> Kind:
    missing = js_missing()
    if missing:
        return Kind("js-libp2p", (), missing)
    # Beside their node_modules, which is where Node looks for packages.
    scripts = {name: JS / name for name in ("peer.mjs", "node20.mjs")}
    for name, place in scripts.items():
        place.write_bytes((HERE / "js" / name).read_bytes())
    return Kind("js-libp2p", (node(), "--import", scripts["node20.mjs"].as_uri(), str(scripts["peer.mjs"])), "")


def _py() -> Kind:
    return Kind("py-libp2p", (str(PY / "bin" / "python"), str(HERE / "py" / "peer.py")), py_missing())


def kind(name: str) -> Kind:
    """The implementation `js` or `py`; skips the test where it is absent."""
    found = _js() if name == "js" else _py()
    if found.missing:
        pytest.skip(found.missing)
    return found


@final
class PeerProcess:
    """A running peer; one command at a time."""

    def __init__(self, kind: Kind, process: trio.Process) -> None:
        self._kind = kind
        self._process = process
        self._held = b""
        self.address = Multiaddr.tcp("127.0.0.1", 0)
        self.peer = PeerId.of_key(bytes(32))

    def __repr__(self) -> str:
        return f"{self._kind.name} (process {self._process.pid})"

    async def introduce(self) -> None:
        """Learn its address."""
        said = await self._answer(START_S)
        text, _, peer = cast("str", said["address"]).rpartition("/p2p/")
        self.address = Multiaddr.parse(text)
        self.peer = PeerId.parse(peer)

    async def ask(self, do: str, **arguments: object) -> Answer:
        """Have it do something; what it says of it."""
        stdin = self._process.stdin
        assert stdin is not None
        await stdin.send_all(json.dumps({"do": do, **arguments}).encode() + b"\n")
        answer = await self._answer(ANSWER_S)
        if "error" in answer:
            raise PeerProcessError(f"{self!r}: {do}: {answer['error']}")
        return answer

    async def _answer(self, seconds: float) -> Answer:
        stdout = self._process.stdout
        assert stdout is not None
        with trio.move_on_after(seconds):
            while b"\n" not in self._held:
                piece = await stdout.receive_some()
                if not piece:
                    raise PeerProcessError(f"{self!r} died")
                self._held += piece
            line, _, self._held = self._held.partition(b"\n")
            return cast("Answer", json.loads(line))
        raise PeerProcessError(f"{self!r} said nothing for {seconds} s")


@asynccontextmanager
async def running(kind: Kind, *arguments: str) -> AsyncGenerator[PeerProcess]:
    """A peer for the time of the block; its complaints go to our stderr, which pytest shows where a test fails."""
    process = await trio.lowlevel.open_process(
        [*kind.command, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr.fileno()
    )
    try:
        peer = PeerProcess(kind, process)
        await peer.introduce()
        yield peer
    finally:
        with trio.CancelScope(shield=True):
            await _stop(process)


async def _stop(process: trio.Process) -> None:
    """Its stdin ends, which is the signal to leave; then by process id."""
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            await pipe.aclose()
    for end in (None, process.terminate, process.kill):
        if end is not None:
            end()
        with trio.move_on_after(STOP_S):
            await process.wait()
            return
