"""Who is on the local network, pure: mDNS instances in, sightings out."""

from typing import final

from latticework.transport import PeerId

from .mdns_records import Heard, Ignored, parse_record
from .params import MDNS_MAX_PEERS
from .ports import Sighting


@final
class Neighbours:
    """Remembers which instance speaks for which peer, at most `MDNS_MAX_PEERS`; further ones are not heard.

    `own_instance` and `own_peer` are ignored, the second also under other names: it could only be an echo or a lie.
    """

    def __init__(self, own_instance: str, own_peer: PeerId, *, loopback: bool) -> None:
        self._own_instance = own_instance.lower()
        self._own_peer = own_peer
        self._loopback = loopback
        self._known: dict[str, Heard] = {}

    def heard(self, instance: str, txt: bytes) -> list[Sighting]:
        """What the TXT data of `instance` changes; nothing if it is as before, ours, or ignored."""
        key = instance.lower()
        if key == self._own_instance:
            return []
        record = parse_record(instance, txt, loopback=self._loopback)
        if isinstance(record, Ignored) or record.peer_id == self._own_peer:
            return self.lost(instance)
        before = self._known.get(key)
        if before == record or (before is None and len(self._known) >= MDNS_MAX_PEERS):
            return []
        gone = self.lost(instance) if before is not None and before.peer_id != record.peer_id else []
        self._known[key] = record
        return [*gone, Sighting(record.addresses, str(record.peer_id), "mdns")]

    def lost(self, instance: str) -> list[Sighting]:
        """What the goodbye or the expiry of `instance` changes.

        A peer that another instance still speaks for is not gone: else anyone could announce it and take it back.
        """
        record = self._known.pop(instance.lower(), None)
        if record is None or any(other.peer_id == record.peer_id for other in self._known.values()):
            return []
        return [Sighting((), str(record.peer_id), "mdns", gone=True)]
