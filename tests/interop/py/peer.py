# pyright: basic, reportMissingImports=false
"""A py-libp2p host that obeys commands: one JSON object per line on stdin, one answer per line on stdout.

Runs in the environment that `tests/interop/install.py` makes, never in ours. Ends with its stdin, so that no test
leaves one behind.

    python peer.py [/meshsub/1.1.0 ...]
"""

import hashlib
import json
import os
import sys
import time
import traceback
from contextlib import AsyncExitStack

import multiaddr
import trio
from libp2p import generate_new_ed25519_identity, new_host
from libp2p.abc import IHost, INetStream
from libp2p.crypto.x25519 import create_new_key_pair
from libp2p.host.ping import PingService
from libp2p.identity.identify.identify import parse_identify_response
from libp2p.network.config import ConnectionConfig
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.security.noise.transport import PROTOCOL_ID, Transport
from libp2p.tools.anyio_service import background_trio_service

ECHO = "/interop/echo/1"
LISTEN = [multiaddr.Multiaddr("/ip4/127.0.0.1/tcp/0")]

type Answer = dict[str, object]


def make_host() -> IHost:
    """Noise alone: the default list accepts plaintext (report 1, section 5)."""
    key_pair = generate_new_ed25519_identity()
    noise = {PROTOCOL_ID: Transport(key_pair, noise_privkey=create_new_key_pair().private_key)}
    config = ConnectionConfig(max_connections_per_peer=1)
    return new_host(
        key_pair=key_pair, sec_opt=noise, muxer_preference="YAMUX", listen_addrs=LISTEN, connection_config=config
    )


async def read(stream: INetStream) -> bytes:
    """The next bytes, b"" at the end."""
    try:
        return await stream.read(1 << 16)
    except StreamEOF:
        return b""


async def echo(stream: INetStream) -> None:
    while piece := await read(stream):
        await stream.write(piece)
    await stream.close()


class Commands:
    """Each method is a command; its arguments are the rest of the object."""

    def __init__(self, host: IHost, pubsub: Pubsub, nursery: trio.Nursery) -> None:
        self._host = host
        self._pubsub = pubsub
        self._nursery = nursery
        self._remote: ID | None = None
        self._heard: list[Answer] = []

    async def dial(self, address: str) -> Answer:
        info = info_from_p2p_addr(multiaddr.Multiaddr(address))
        await self._host.connect(info)
        self._remote = info.peer_id
        return {"peer": str(info.peer_id)}

    async def ping(self) -> Answer:
        return {"rtt_ms": (await PingService(self._host).ping(self._remote))[0]}

    async def identify(self) -> Answer:
        stream = await self._host.new_stream(self._remote, ["/ipfs/id/1.0.0"])
        body = b""
        while piece := await read(stream):
            body += piece
        found = parse_identify_response(body)
        return {
            "agent": found.agent_version,
            "protocols": list(found.protocols),
            "observed": str(multiaddr.Multiaddr(found.observed_addr)),
            "addresses": [str(multiaddr.Multiaddr(address)) for address in found.listen_addrs],
            "signed_record": found.HasField("signedPeerRecord"),
        }

    async def protocols(self, names: list[str]) -> Answer:
        spoken: list[str] = []
        for name in names:
            try:
                stream = await self._host.new_stream(self._remote, [name])
            except Exception:  # noqa: BLE001  # whatever it is, the protocol is not spoken
                continue
            spoken.append(name)
            await stream.reset()
        return {"spoken": spoken}

    async def echo(self, count: int) -> Answer:
        stream = await self._host.new_stream(self._remote, [ECHO])
        sent, received = hashlib.sha256(), hashlib.sha256()
        buffer = os.urandom(1 << 16)
        began = time.perf_counter()
        arrived = 0

        async def write() -> None:
            left = count
            while left > 0:
                piece = buffer[: min(left, len(buffer))]
                sent.update(piece)
                await stream.write(piece)
                left -= len(piece)
            await stream.close_write()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(write)
            while piece := await read(stream):
                received.update(piece)
                arrived += len(piece)
        seconds = time.perf_counter() - began
        return {"sent": sent.hexdigest(), "received": received.hexdigest(), "count": arrived, "seconds": seconds}

    async def subscribe(self, topic: str) -> Answer:
        subscription = await self._pubsub.subscribe(topic)

        async def keep() -> None:
            while True:
                message = await subscription.get()
                kind = "signed" if message.signature else "unsigned"
                said = {"topic": topic, "data": message.data.hex(), "from": str(ID(message.from_id)), "type": kind}
                self._heard.append(said)

        self._nursery.start_soon(keep)
        return {}

    async def publish(self, topic: str, data: str) -> Answer:
        await self._pubsub.publish(topic, bytes.fromhex(data))
        return {}

    async def messages(self) -> Answer:
        return {"messages": self._heard}

    async def mesh(self, topic: str) -> Answer:
        return {"mesh": [str(peer) for peer in self._pubsub.router.mesh.get(topic, ())]}

    async def hangup(self) -> Answer:
        await self._host.disconnect(self._remote)
        return {}


def say(answer: Answer) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def obey(commands: Commands) -> None:
    async for line in trio.wrap_file(sys.stdin):
        request = json.loads(line)
        try:
            say(await getattr(commands, request.pop("do"))(**request))
        except Exception as error:  # noqa: BLE001  # whatever it is, the test hears of it
            traceback.print_exc()
            say({"error": repr(error)})


async def main() -> None:
    host = make_host()
    router = GossipSub(
        protocols=sys.argv[1:] or ["/meshsub/1.1.0"],
        degree=6,
        degree_low=4,
        degree_high=12,
        heartbeat_interval=1,
        spam_protection_enabled=False,
    )
    host.set_stream_handler(ECHO, echo)
    pubsub = Pubsub(host, router, strict_signing=True)
    try:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(host.run(listen_addrs=LISTEN))
            await stack.enter_async_context(background_trio_service(pubsub))
            await stack.enter_async_context(background_trio_service(router))
            await pubsub.wait_until_ready()
            nursery = await stack.enter_async_context(trio.open_nursery())
            say({"address": str(host.get_addrs()[0]), "peer": str(host.get_id())})
            await obey(Commands(host, pubsub, nursery))
            os._exit(0)
    finally:
        # Its services do not all end when they are cancelled.
        os._exit(1)


trio.run(main)
