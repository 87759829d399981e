"""mDNS between processes: across a veth pair in two network namespaces, and on the loopback of a namespace of its own.

Everything runs inside namespaces that have no way out, so nothing reaches a real network.
"""

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import cast

import pytest

from latticework.transport import PeerId

pytestmark = pytest.mark.wire

PROGRAM = Path(__file__).parent / "mdns_peer.py"
DEADLINE_S = 20.0
type Line = dict[str, object]


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def namespace() -> Generator[str]:
    name = f"lw-{uuid.uuid4().hex[:8]}"
    try:
        ip("netns", "add", name)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"network namespaces are not permitted here: {error}")
    try:
        ip("-n", name, "link", "set", "lo", "up")
        yield name
    finally:
        ip("netns", "del", name)


class Peer:
    """The program in a namespace; lines it prints are read by a thread."""

    def __init__(self, where: str, interface: str, key_byte: int, *addresses: str) -> None:
        self.peer_id = str(PeerId.of_key(bytes([key_byte]) * 32))
        command = ["ip", "netns", "exec", where, sys.executable, str(PROGRAM), interface, str(key_byte), *addresses]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ}
        )
        self._lines: SimpleQueue[Line] = SimpleQueue()
        self._reader = Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(cast("Line", json.loads(line)))

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def expect(self, wanted: Callable[[Line], bool], *, never: Callable[[Line], bool] | None = None) -> Line:
        end_s = time.monotonic() + DEADLINE_S
        seen: list[Line] = []
        while (left_s := end_s - time.monotonic()) > 0:
            try:
                line = self._lines.get(timeout=left_s)
            except Empty:
                break
            seen.append(line)
            assert never is None or not never(line), line
            if wanted(line):
                return line
        raise AssertionError(f"not heard in {DEADLINE_S} s; heard {seen}")

    def stop(self) -> None:
        self.process.kill()
        self.process.communicate()
        self._reader.join()


@contextmanager
def peers() -> Generator[Callable[..., Peer]]:
    with ExitStack() as stack:

        def start(where: str, interface: str, key_byte: int, *addresses: str) -> Peer:
            peer = Peer(where, interface, key_byte, *addresses)
            stack.callback(peer.stop)
            return peer

        yield start


@pytest.fixture
def pair() -> Iterator[tuple[str, str]]:
    with namespace() as a, namespace() as b:
        ip("-n", a, "link", "add", "lan0", "type", "veth", "peer", "name", "lan0", "netns", b)
        for name, address in ((a, "10.99.0.1/24"), (b, "10.99.0.2/24")):
            ip("-n", name, "address", "add", address, "dev", "lan0")
            ip("-n", name, "link", "set", "lan0", "up")
        yield a, b


def sees(peer: Peer, *addresses: str) -> Callable[[Line], bool]:
    expected = {"peer": peer.peer_id, "addresses": list(addresses), "gone": False}
    return lambda line: line == expected


def misses(peer: Peer) -> Callable[[Line], bool]:
    return lambda line: line == {"peer": peer.peer_id, "addresses": [], "gone": True}


def names(peer: Peer) -> Callable[[Line], bool]:
    return lambda line: line.get("peer") == peer.peer_id


def test_two_nodes_on_one_wire_find_follow_and_forget_each_other(pair: tuple[str, str]) -> None:
    with peers() as start:
        one = ("/ip4/10.99.0.1/tcp/4001", "/ip6/fd00::1/tcp/4001")
        a = start(pair[0], "10.99.0.1", 1, *one, "/ip4/0.0.0.0/tcp/4001", "/ip4/127.0.0.1/tcp/4001")
        a.expect(lambda line: "ready" in line)
        b = start(pair[1], "10.99.0.2", 2, "/ip4/10.99.0.2/tcp/5001")
        a.expect(sees(b, "/ip4/10.99.0.2/tcp/5001"), never=names(a))
        b.expect(sees(a, *one), never=names(b))
        b.tell("announce /ip4/10.99.0.2/tcp/5002 /ip4/10.99.0.2/tcp/5003")
        a.expect(sees(b, "/ip4/10.99.0.2/tcp/5002", "/ip4/10.99.0.2/tcp/5003"))
        b.tell("announce")
        a.expect(misses(b))
        b.tell("announce /ip4/10.99.0.2/tcp/5004")
        a.expect(sees(b, "/ip4/10.99.0.2/tcp/5004"))
        a.tell("quit")
        b.expect(misses(a))
        closed = a.expect(lambda line: "closed_ms" in line)
        assert cast("int", closed["closed_ms"]) < 1_000
        assert cast("int", closed["longest_pause_ms"]) < 400


def test_two_nodes_on_one_machine_find_each_other_over_loopback() -> None:
    with namespace() as alone, peers() as start:
        ip("-n", alone, "link", "set", "lo", "multicast", "on")
        a = start(alone, "127.0.0.1", 1, "/ip4/127.0.0.1/tcp/4001")
        b = start(alone, "127.0.0.1", 2, "/ip4/127.0.0.1/tcp/4002")
        a.expect(sees(b, "/ip4/127.0.0.1/tcp/4002"), never=names(a))
        b.expect(sees(a, "/ip4/127.0.0.1/tcp/4001"), never=names(b))


def test_a_node_on_all_interfaces_is_found(pair: tuple[str, str]) -> None:
    with peers() as start:
        a = start(pair[0], "all", 1, "/ip4/10.99.0.1/tcp/4001")
        b = start(pair[1], "10.99.0.2", 2, "/ip4/10.99.0.2/tcp/5001")
        a.expect(sees(b, "/ip4/10.99.0.2/tcp/5001"), never=names(a))
        b.expect(sees(a, "/ip4/10.99.0.1/tcp/4001"))
        a.tell("announce /ip4/10.99.0.1/tcp/4002")
        b.expect(sees(a, "/ip4/10.99.0.1/tcp/4002"))


def test_leaving_at_once_is_clean_and_quick(pair: tuple[str, str]) -> None:
    with peers() as start:
        a = start(pair[0], "10.99.0.1", 1, "/ip4/10.99.0.1/tcp/4001")
        a.tell("quit")
        closed = a.expect(lambda line: "closed_ms" in line)
        assert cast("int", closed["closed_ms"]) < 1_000
        assert a.process.wait(DEADLINE_S) == 0


def test_a_node_without_multicast_runs_on_and_leaves_cleanly(pair: tuple[str, str]) -> None:
    with peers() as start:
        a = start(pair[0], "10.98.7.6", 1, "/ip4/10.99.0.1/tcp/4001")
        a.expect(lambda line: "ready" in line)
        a.tell("quit")
        a.expect(lambda line: "closed_ms" in line)
        assert a.process.wait(DEADLINE_S) == 0
