"""One mDNS node as a program: announces, prints what it sights as JSON lines, and obeys lines on its standard input.

Arguments: interface address or `all`, key byte, then addresses to announce. `announce A B` replaces them; `quit` ends.
"""

import json
import os
import sys
import time
from collections.abc import Callable

import trio

from latticework.discovery import MdnsConfig, MdnsDiscovery, open_mdns
from latticework.transport import Multiaddr, PeerId


class OsRng:
    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)


class RealThreads:
    async def run[T](self, work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work)  # noqa: TID251  # the adapter itself


def say(**fields: object) -> None:
    print(json.dumps(fields), flush=True)  # noqa: T201  # the test reads it


def parse_all(texts: list[str]) -> tuple[Multiaddr, ...]:
    return tuple(Multiaddr.parse(text) for text in texts)


async def report(discovery: MdnsDiscovery) -> None:
    async for item in discovery.sightings():
        say(peer=item.peer_id, addresses=[str(address) for address in item.addresses], gone=item.gone)


async def longest_pause(pauses_ms: list[int]) -> None:
    """How long the loop was ever blocked."""
    while True:
        before = time.monotonic()
        await trio.sleep(0.005)
        pauses_ms[0] = max(pauses_ms[0], round((time.monotonic() - before) * 1_000))


async def obey(discovery: MdnsDiscovery) -> None:
    async for line in trio.wrap_file(sys.stdin):
        command, *rest = line.split()
        if command == "quit":
            return
        discovery.announce(parse_all(rest))


async def main(arguments: list[str]) -> None:
    interface, key_byte, *addresses = arguments
    config = MdnsConfig(() if interface == "all" else (interface,), loopback=interface.startswith("127."))
    pauses_ms = [0]
    async with open_mdns(PeerId.of_key(bytes([int(key_byte)]) * 32), RealThreads(), OsRng(), config) as discovery:
        discovery.announce(parse_all(addresses))
        say(ready=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(report, discovery)
            nursery.start_soon(longest_pause, pauses_ms)
            await obey(discovery)
            nursery.cancel_scope.cancel()
        leaving_s = trio.current_time()
    say(closed_ms=round((trio.current_time() - leaving_s) * 1_000), longest_pause_ms=pauses_ms[0])


if __name__ == "__main__":
    trio.run(main, sys.argv[1:])
