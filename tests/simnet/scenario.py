"""A little gossip among simulated hosts; run as a program it prints the digest of its transcript."""

import sys

import trio

from latticework.simnet import KeyedRng, Link, SimHost, SimNetwork, SimStream, Transcript, VirtualClock, play
from latticework.transport import Multiaddr

PORT = 4001
HOSTS = 6
ANY = Multiaddr.parse(f"/ip4/0.0.0.0/tcp/{PORT}")


def gossip(seed: bytes) -> Transcript:
    """Every host dials every later one, sends chosen bytes at chosen times and reads what comes."""
    clock = VirtualClock()
    rng = KeyedRng(seed)
    transcript = Transcript(keep=True)
    network = SimNetwork(clock, rng.child("network"), Link(jitter_us=500, bytes_per_s=1_000_000), transcript)
    hosts = [network.host(f"host-{number}") for number in range(HOSTS)]

    async def serve(host: SimHost, task_status: trio.TaskStatus[None]) -> None:
        listener = await host.listen(ANY)
        task_status.started()
        async with trio.open_nursery() as nursery:
            for _ in range(hosts.index(host)):
                nursery.start_soon(echo, await listener.accept())
        await listener.aclose()

    async def echo(stream: SimStream) -> None:
        buffer = bytearray(100)
        while count := await stream.receive_into(memoryview(buffer)):
            await stream.send_all(memoryview(buffer)[:count])
        await stream.aclose()

    async def talk(near: SimHost, far: SimHost) -> None:
        own = rng.child(f"{near.name}>{far.name}")
        stream = await near.dial(Multiaddr.tcp(far.ip, PORT))
        for _ in range(5):
            message = own.random_bytes(1 + own.random_bytes(1)[0])
            await stream.send_all(message)
            buffer = bytearray(len(message))
            have = 0
            while have < len(buffer):
                have += await stream.receive_into(memoryview(buffer)[have:])
            assert buffer == message
            await trio.sleep(own.random_bytes(1)[0] / 1_000)
        await stream.aclose()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for host in hosts:
                await nursery.start(serve, host)
            for number, near in enumerate(hosts):
                for far in hosts[number + 1 :]:
                    nursery.start_soon(talk, near, far)

    play(main, seed, clock)
    return transcript


if __name__ == "__main__":
    result = gossip(sys.argv[1].encode())
    print(result.digest.hex(), result.frame_count)  # noqa: T201  # the answer of the program
