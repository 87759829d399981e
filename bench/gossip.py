# ruff: noqa: PLC0415 - each process imports only the stack that it measures
"""Gossipsub: deliveries per second of one core, ours against py-libp2p's; and a thousand of our routers by themselves.

    uv run --all-groups python bench/gossip.py [--quick] [--ours-only]

Each line: name, value, unit, and where there is a peer its name, its value and the ratio ours/theirs. Both stacks run
the same graph of nodes in one process: in-memory byte streams, Noise, yamux, /meshsub/1.1.0, signed messages of 300
bytes, one heartbeat a second; CPU is that of the process from the first message to the last delivery, heartbeats and
copies included. The rate is one at which py-libp2p keeps up. py-libp2p runs in the environment of bench/transport.py,
which is made on the first run and needs Debian's libgmp-dev.
"""

import argparse
import gc
import heapq
import json
import os
import subprocess
import sys
import time
from collections import deque
from functools import partial
from pathlib import Path

import trio

TOPIC = "bench"
MESHSUB = "/meshsub/1.1.0"
HEADER_BYTES = 8


def payload(number: int, size: int) -> bytes:
    return number.to_bytes(HEADER_BYTES, "big").ljust(size, b".")


async def measure_deliveries(plan, publish, count) -> dict[str, float]:
    """Publish as planned and wait until everything has arrived; `count` says how much has."""
    wanted = plan["messages"] * (plan["nodes"] - 1)
    cpu, wall = time.process_time(), time.perf_counter()
    for number in range(plan["messages"]):
        await publish(number % plan["nodes"], payload(number, plan["size"]))
        await trio.sleep(1 / plan["rate"])
    with trio.move_on_after(plan["drain"]):
        while count() < wanted:  # noqa: ASYNC110 - py-libp2p's subscribers have no event for it
            await trio.sleep(0.02)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {"delivered": count(), "wanted": wanted, "per core-s": count() / cpu, "cpu": cpu, "wall": wall}


# ours


class Clock:
    def now_us(self) -> int:
        return time.time_ns() // 1000

    def monotonic_us(self) -> int:
        return time.monotonic_ns() // 1000


class MemoryStream:
    """One end of a pipe without delay or bound."""

    def __init__(self, number: int) -> None:
        from latticework.transport import Multiaddr

        self.remote = Multiaddr.memory(number)
        self.far: MemoryStream | None = None
        self.pieces: deque[memoryview] = deque()
        self.over = False
        self.arrived = trio.Event()

    async def send_all(self, data) -> None:
        self.far.pieces.append(memoryview(bytes(data)))
        self.far.arrived.set()
        await trio.lowlevel.checkpoint()

    async def receive_into(self, buffer: memoryview) -> int:
        while not self.pieces:
            if self.over:
                return 0
            self.arrived = trio.Event()
            await self.arrived.wait()
        piece = self.pieces.popleft()
        size = min(len(piece), len(buffer))
        buffer[:size] = piece[:size]
        if size < len(piece):
            self.pieces.appendleft(piece[size:])
        return size

    async def aclose(self) -> None:
        for end in (self, self.far):
            end.over = True
            end.arrived.set()
        await trio.lowlevel.checkpoint()


class Node:
    def __init__(self, number: int, rng) -> None:
        from latticework.transport import (
            BufferPool,
            Gossip,
            GossipBounds,
            GossipParams,
            GossipRouter,
            Limits,
            NoiseChannel,
            PeerId,
            Upgrader,
        )
        from latticework.wire.signing import Ed25519Signer

        signer = Ed25519Signer(rng.random_bytes(32))
        self.number = number
        router = GossipRouter(PeerId.of_key(signer.public), GossipParams(), rng, signer, first_seqno=0)
        self.gossip = Gossip(router, Clock(), GossipBounds(), protocols=[MESHSUB])
        self.channel = NoiseChannel(signer, rng, [MESHSUB])
        self.upgrader = Upgrader([self.channel], Clock(), BufferPool(), Limits())
        self.heard = 0

    async def listen(self) -> None:
        async with self.gossip.subscribe(TOPIC) as messages:
            async for _ in messages:
                self.heard += 1

    async def serve(self, connection, *, outbound: bool) -> None:
        async def handle(_protocol, stream) -> None:
            await self.gossip.receive(connection, stream)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(self.gossip.attend, connection, outbound=outbound))
            await connection.run(handle, [MESHSUB])


async def run_ours(plan) -> dict[str, float]:
    from latticework.simnet import KeyedRng

    nodes = [Node(number, KeyedRng(b"bench", str(number))) for number in range(plan["nodes"])]
    async with trio.open_nursery() as nursery:

        async def accept(node, stream) -> None:
            await node.serve(await node.upgrader.inbound(stream), outbound=False)

        for node in nodes:
            nursery.start_soon(node.gossip.run)
        for near, far in plan["edges"]:
            one, two = MemoryStream(far), MemoryStream(near)
            one.far, two.far = two, one
            nursery.start_soon(accept, nodes[far], two)
            connection = await nodes[near].upgrader.outbound(one, nodes[near].channel)
            nursery.start_soon(partial(nodes[near].serve, connection, outbound=True))
        for node in nodes:
            nursery.start_soon(node.listen)
        await trio.sleep(plan["settle"])

        async def publish(number: int, data: bytes) -> None:
            await nodes[number].gossip.publish(TOPIC, data)

        result = await measure_deliveries(plan, publish, lambda: sum(node.heard for node in nodes))
        nursery.cancel_scope.cancel()
    return result


# py-libp2p


def libp2p_transport(number: int, listeners: dict, nursery: trio.Nursery):
    """An in-memory `ITransport` for `/memory/<number>`."""
    import multiaddr
    from libp2p.abc import IListener, ITransport
    from libp2p.io.abc import ReadWriteCloser
    from libp2p.network.connection.raw_connection import RawConnection

    class Pipe(ReadWriteCloser):
        def __init__(self, place: int) -> None:
            self.place = place
            self.far = None
            self.data = bytearray()
            self.over = False
            self.arrived = trio.Event()

        async def write(self, data) -> None:
            self.far.data += data
            self.far.arrived.set()
            await trio.lowlevel.checkpoint()

        async def read(self, n=None):
            while not self.data:
                if self.over:
                    return b""
                self.arrived = trio.Event()
                await self.arrived.wait()
            size = len(self.data) if n is None else n
            data = bytes(self.data[:size])
            del self.data[:size]
            return data

        async def close(self) -> None:
            for end in (self, self.far):
                end.over = True
                end.arrived.set()

        def get_remote_address(self):
            return (f"10.0.{self.place >> 8}.{self.place & 255}", 1)

    class Listener(IListener):
        def __init__(self, handler) -> None:
            self.handler = handler
            self.place = None

        async def listen(self, maddr) -> None:
            self.place = int(maddr.value_for_protocol("memory"))
            listeners[self.place] = self

        def get_addrs(self):
            return () if self.place is None else (multiaddr.Multiaddr(f"/memory/{self.place}"),)

        async def close(self) -> None:
            listeners.pop(self.place, None)

    class Memory(ITransport):
        async def dial(self, maddr, source=None):  # noqa: ARG002 - its interface
            listener = listeners[int(maddr.value_for_protocol("memory"))]
            near, far = Pipe(listener.place), Pipe(number)
            near.far, far.far = far, near
            nursery.start_soon(listener.handler, far)
            return RawConnection(near, initiator=True)

        def create_listener(self, handler):
            return Listener(handler)

        def can_dial(self, maddr) -> bool:
            return "memory" in {protocol.name for protocol in maddr.protocols()}

        can_listen = can_dial

        def protocols(self):
            return ["memory"]

    return Memory()


async def run_libp2p(plan) -> None:
    from contextlib import AsyncExitStack

    import multiaddr
    from libp2p import generate_new_ed25519_identity, new_host
    from libp2p.crypto.x25519 import create_new_key_pair
    from libp2p.custom_types import TProtocol
    from libp2p.network.config import ConnectionConfig
    from libp2p.peer.peerinfo import info_from_p2p_addr
    from libp2p.pubsub.gossipsub import GossipSub
    from libp2p.pubsub.pubsub import Pubsub
    from libp2p.security.noise.transport import PROTOCOL_ID, Transport
    from libp2p.tools.anyio_service import background_trio_service

    listeners: dict[int, object] = {}
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        hosts, pubsubs = [], []
        for number in range(plan["nodes"]):
            keys = generate_new_ed25519_identity()
            noise = Transport(keys, noise_privkey=create_new_key_pair().private_key)
            listen = [multiaddr.Multiaddr(f"/memory/{number + 1}")]
            host = new_host(
                key_pair=keys,
                sec_opt={PROTOCOL_ID: noise},
                muxer_preference="YAMUX",
                transports=[libp2p_transport(number + 1, listeners, nursery)],
                connection_config=ConnectionConfig(max_connections_per_peer=1),
            )
            await stack.enter_async_context(host.run(listen_addrs=listen))
            # Its defaults are a heartbeat of two minutes and a limit of ten messages a second from one forwarder.
            gossip = GossipSub(
                protocols=[TProtocol(MESHSUB)],
                degree=6,
                degree_low=5,
                degree_high=12,
                heartbeat_interval=1,
                spam_protection_enabled=False,
            )
            pubsub = Pubsub(host, gossip, strict_signing=True)
            await stack.enter_async_context(background_trio_service(pubsub))
            await stack.enter_async_context(background_trio_service(gossip))
            await pubsub.wait_until_ready()
            hosts.append(host)
            pubsubs.append(pubsub)
        for near, far in plan["edges"]:
            await hosts[near].connect(info_from_p2p_addr(hosts[far].get_addrs()[0]))
        subscriptions = [await pubsub.subscribe(TOPIC) for pubsub in pubsubs]
        heard = [0] * plan["nodes"]

        async def listen_to(number: int) -> None:
            own = hosts[number].get_id().to_bytes()
            while True:
                message = await subscriptions[number].get()
                heard[number] += message.from_id != own

        for number in range(plan["nodes"]):
            nursery.start_soon(listen_to, number)
        await trio.sleep(plan["settle"])

        async def publish(number: int, data: bytes) -> None:
            await pubsubs[number].publish(TOPIC, data)

        result = await measure_deliveries(plan, publish, lambda: sum(heard))
        print("RESULT " + json.dumps(result), flush=True)
        # Its services take minutes to stop.
        os._exit(0)


# our routers alone


def routers_alone(count: int, messages: int, *, wire: bool) -> dict[str, float]:
    """Degree 8, a message every 200 ms; `wire` encodes and decodes every RPC and verifies in every node."""
    from latticework.simnet import KeyedRng
    from latticework.transport import GossipParams, GossipRouter, PeerId, Verdict
    from latticework.transport import gossip_events as ev
    from latticework.wire.signing import Ed25519Signer

    rng = KeyedRng(b"bench")
    signers = [Ed25519Signer(rng.child(f"key {n}").random_bytes(32)) for n in range(count)]
    ids = [PeerId.of_key(signer.public) for signer in signers]
    place = {peer: n for n, peer in enumerate(ids)}
    params = GossipParams(d=8, d_lo=6, d_hi=12, d_score=4, d_out=2)
    routers = [GossipRouter(ids[n], params, rng.child(f"router {n}"), signers[n], first_seqno=0) for n in range(count)]
    queue: list = []
    state = {"now": 0, "order": 0, "delivered": 0, "events": 0}

    def perform(n: int, actions: list) -> None:
        for action in actions:
            kind = type(action)
            if kind is ev.SendRpc:
                rpc = action.rpc.encode() if wire else action.rpc
                for peer in action.peers:
                    far = place[peer]
                    state["order"] += 1
                    at_us = state["now"] + 10_000 + (n * 7919 + far * 104_729) % 140_000
                    heapq.heappush(queue, (at_us, state["order"], far, ev.RpcReceived(ids[n], rpc)))
            elif kind is ev.Validate:
                perform(n, routers[n].handle(ev.ValidationResult(action.message_id, Verdict.ACCEPT), state["now"]))
            elif kind is ev.Deliver:
                state["delivered"] += 1
            elif kind is ev.SetTimer:
                state["order"] += 1
                heapq.heappush(queue, (action.at_us, state["order"], n, ev.TimerFired(action.key)))

    def run(until_us: int) -> None:
        while queue and queue[0][0] <= until_us:
            state["now"], _, n, event = heapq.heappop(queue)
            state["events"] += 1
            perform(n, routers[n].handle(event, state["now"]))
        state["now"] = until_us

    for n in range(count):
        perform(n, routers[n].start(0))
    for near, far in edges(count, 20):
        perform(near, routers[near].handle(ev.PeerConnected(ids[far], MESHSUB, True), 0))
        perform(far, routers[far].handle(ev.PeerConnected(ids[near], MESHSUB, False), 0))
    for n in range(count):
        perform(n, routers[n].handle(ev.Subscribe(TOPIC), 0))
    run(10_000_000)
    # As a long run would have it: what stands is not looked at again and again.
    gc.collect()
    gc.freeze()
    state["events"] = 0
    cpu = time.process_time()
    for number in range(messages):
        n = number * 7 % count
        perform(n, routers[n].handle(ev.Publish(TOPIC, payload(number, 300)), state["now"]))
        run(state["now"] + 200_000)
    run(state["now"] + 1_000_000)
    cpu = time.process_time() - cpu
    assert state["delivered"] == messages * (count - 1)
    return {
        "deliveries/core-s": state["delivered"] / cpu,
        "events/core-s": state["events"] / cpu,
        "ms/message": cpu / messages * 1000,
    }


# the measurement


def edges(count: int, degree: int) -> list[tuple[int, int]]:
    """A ring, and random edges up to an average of `degree`."""
    from latticework.simnet import KeyedRng
    from latticework.transport.gossip_chance import Chance

    chance = Chance(KeyedRng(b"bench edges"))
    found = {(n, (n + 1) % count) for n in range(count)}
    while len(found) < count * degree // 2:
        near, far = chance.below(count), chance.below(count)
        if near != far and (near, far) not in found and (far, near) not in found:
            found.add((near, far))
    return sorted(found)


def measure(stack: str, plan: dict) -> dict[str, float]:
    from transport import libp2p_python

    python = libp2p_python() if stack == "libp2p" else sys.executable
    command = [python, __file__, "--stack", stack, "--plan", json.dumps(plan)]
    quiet = subprocess.DEVNULL if stack == "libp2p" else None
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=quiet, text=True, check=True, timeout=600)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    result = json.loads(line.removeprefix("RESULT "))
    if result["delivered"] < result["wanted"]:
        sys.stderr.write(f"{stack} delivered {result['delivered']} of {result['wanted']}\n")
    return result


def median(stack: str, plan: dict, runs: int) -> dict[str, float]:
    results = sorted((measure(stack, plan) for _ in range(runs)), key=lambda result: result["per core-s"])
    return results[len(results) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="12 nodes and one run, instead of 20 and three")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--stack", choices=["ours", "libp2p"], help=argparse.SUPPRESS)
    parser.add_argument("--plan", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.stack == "libp2p":
        trio.run(run_libp2p, json.loads(arguments.plan))
    elif arguments.stack == "ours":
        print("RESULT " + json.dumps(trio.run(run_ours, json.loads(arguments.plan))), flush=True)
    else:
        report(quick=arguments.quick, ours_only=arguments.ours_only)


def report(*, quick: bool, ours_only: bool) -> None:
    nodes, messages, runs = (12, 20, 1) if quick else (20, 60, 3)
    plan = {"nodes": nodes, "edges": edges(nodes, 8), "messages": messages, "size": 300}
    plan |= {"rate": 4, "settle": 5, "drain": 20}
    ours = median("ours", plan, runs)["per core-s"]
    line = f"gossip_deliveries_{nodes}_nodes\t{ours:.0f}\tdeliveries/core-s"
    if not ours_only:
        theirs = median("libp2p", plan, runs)["per core-s"]
        line += f"\tpy-libp2p 0.8.1\t{theirs:.0f}\t{ours / theirs:.2f}"
    print(line, flush=True)
    for wire in (False, True):
        found = routers_alone(1000, 4 if quick else 20, wire=wire)
        suffix = "_wire" if wire else ""
        for unit, value in found.items():
            print(f"gossip_1000_routers{suffix}\t{value:.1f}\t{unit}", flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
