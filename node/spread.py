"""Entries by gossip: what a space admits goes out at once; what gets lost comes by reconciliation.

Each space has a topic; its name is a hash of the space's id, so that who merely forwards learns nothing. Messages carry
a batch of entries, whose payloads are sealed. The topic's validator offers them to the space first: only what is new
and admissible is passed on, and a forged batch costs its sender.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Final, final

import trio

from latticework.crdt import Entry, write_batch
from latticework.transport import Gossip, Multiaddr, PeerId, PeerRecord, Validate, Verdict, seal_peer_record
from latticework.wire import Clock, DeviceId, Label, LocalError, SpaceId, StoreError, fault_point, short
from latticework.wire.signing import Ed25519Signer

from .params import GOSSIP_BATCH_BYTES, GOSSIP_QUEUE
from .space import Space
from .space_ports import Origin

_log = logging.getLogger(__name__)


def topic_of(space: SpaceId) -> str:
    """The topic of a space: 32 hexadecimal digits of SHA-256 over a label and its id."""
    return hashlib.sha256(Label.SPACE_TOPIC.value + space).hexdigest()[:32]


def own_record(signer: Ed25519Signer, clock: Clock, addresses: tuple[Multiaddr, ...]) -> bytes:
    """Where we listen, signed by the transport key; numbered by the clock, so that a newer record wins."""
    return seal_peer_record(signer, PeerRecord(PeerId.of_key(signer.public), clock.now_us(), addresses))


@final
class Spread:
    """Publishes what this device writes and takes what others publish; `keep` runs once per open space."""

    def __init__(self, gossip: Gossip, device_of: Callable[[PeerId], DeviceId | None]) -> None:
        self._gossip = gossip
        self._device_of = device_of
        self._queues: dict[SpaceId, trio.MemorySendChannel[bytes]] = {}
        self.dropped: int = 0

    async def keep(self, space: Space) -> None:
        """Spread the entries of `space` until cancelled."""
        topic: Final = topic_of(space.id)
        entering, queue = trio.open_memory_channel[bytes](GOSSIP_QUEUE)
        self._queues[space.id] = entering

        async def validate(question: Validate) -> Verdict:
            return await self._judge(space, question)

        self._gossip.set_validator(topic, validate)
        try:
            async with self._gossip.subscribe(topic, 1):
                async for batch in queue:
                    await self._publish(topic, batch)
        finally:
            self._gossip.set_validator(topic, None)
            if self._queues.get(space.id) is entering:
                del self._queues[space.id]

    def admitted(self, space: SpaceId, entries: Sequence[Entry]) -> bool:
        """Queue our own new entries; False for a long write: that is left to reconciliation, which is made for it."""
        queue = self._queues.get(space)
        if queue is None:
            return False
        batch = write_batch(entries)
        if len(batch) > GOSSIP_BATCH_BYTES:
            return False
        try:
            queue.send_nowait(batch)
        except trio.WouldBlock:
            self.dropped += 1
            return False
        return True

    async def _publish(self, topic: str, batch: bytes) -> None:
        if fault_point("spread.lose"):
            return
        try:
            await self._gossip.publish(topic, batch)
        except LocalError as error:
            _log.debug("not published topic=%s: %s", topic[:8], error)

    async def _judge(self, space: Space, question: Validate) -> Verdict:
        device = self._device_of(question.sender)
        if device is None:
            return Verdict.IGNORE
        try:
            stored = await space.receive(question.data, device, Origin.GOSSIP)
        except StoreError as error:
            _log.info("gossip not stored space=%s: %s", short(space.id), error)
            return Verdict.IGNORE
        if self._device_of(question.sender) is None:
            # Its link ended meanwhile, and nobody else would drop what it left waiting.
            space.forget_sender(device)
        return Verdict.ACCEPT if stored else Verdict.IGNORE
