"""The flood of `core.flood` as trio tasks on the virtual clock: what the engine of tier F costs by itself.

Each node is a task that receives from a channel, and a copy on its way is an event of the clock. Nothing is encoded,
encrypted or stored, so that the figures compare with those of other engines (`bench/simnet.py`); the answers are those
of tier C, row for row.
"""

import gc
import math
from functools import partial
from typing import Final, final

import trio

from ..clock import VirtualClock
from ..core.flood import FloodOutcome
from ..result import Deliveries
from ..scheduler import play
from ..workload import Workload

type _Copy = tuple[int, int]
"""(sender, message)."""


def run_flood(workload: Workload, seed: bytes = b"flood") -> FloodOutcome:
    """Flood every message of the workload, to the end; the answer does not depend on `seed`, the order of tasks.

    The cyclic garbage collector waits meanwhile, as on tier C: copies form no cycles, and looking through those on
    their way was a third of the time at 10,000 nodes.
    """
    clock = VirtualClock()
    flood = _Flood(workload, clock)
    collecting = gc.isenabled()
    gc.disable()
    try:
        play(flood.main, seed, clock)
    finally:
        if collecting:
            gc.enable()
    return FloodOutcome(flood.deliveries, flood.receptions)


@final
class _Flood:
    def __init__(self, workload: Workload, clock: VirtualClock) -> None:
        self.deliveries: Final = Deliveries()
        self.receptions = 0
        self._workload = workload
        self._clock = clock
        channels = [trio.open_memory_channel[_Copy](math.inf) for _ in range(workload.node_count)]
        self._senders = [sender for sender, _ in channels]
        self._inboxes = [inbox for _, inbox in channels]
        self._on_the_way = len(workload.messages)

    async def main(self) -> None:
        """Run the nodes until nothing is on its way."""
        for source, at_us in self._workload.messages:
            self._clock.schedule(at_us, partial(self._publish, source))
        async with trio.open_nursery() as nursery:
            for number in range(self._workload.node_count if self._on_the_way else 0):
                nursery.start_soon(self._node, number, nursery.cancel_scope)

    def _publish(self, source: int) -> None:
        message = self.deliveries.publish(source, self._clock.monotonic_us())
        self._senders[source].send_nowait((source, message))

    async def _node(self, number: int, scope: trio.CancelScope) -> None:
        clock, deliveries = self._clock, self.deliveries
        links = [
            (peer, latency_us, self._senders[peer].send_nowait) for peer, latency_us in self._workload.links[number]
        ]
        seen = bytearray(len(self._workload.messages))
        async for sender, message in self._inboxes[number]:
            if sender != number:
                self.receptions += 1
            if not seen[message]:
                seen[message] = 1
                now_us = clock.monotonic_us()
                if sender != number:
                    deliveries.deliver(message, number, now_us)
                copy = (number, message)
                for peer, latency_us, send in links:
                    if peer != sender:
                        self._on_the_way += 1
                        clock.schedule(now_us + latency_us, partial(send, copy))
            self._on_the_way -= 1
            if not self._on_the_way:
                scope.cancel("nothing is on its way")
