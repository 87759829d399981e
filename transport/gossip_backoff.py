"""Who must not be grafted until when (v1.1 "PRUNE Backoff"); kept by id, because leaving does not end it."""

from typing import final

from .peer_id import PeerId


@final
class Backoffs:
    """Per topic and peer, the time until which neither end grafts the other."""

    __slots__ = ("_most", "_until")

    def __init__(self, most: int) -> None:
        self._most = most
        self._until: dict[tuple[str, PeerId], int] = {}

    def __len__(self) -> int:
        return len(self._until)

    def extend(self, topic: str, peer: PeerId, until_us: int) -> None:
        """Stay away until then, or longer if that was settled already."""
        key = (topic, peer)
        until_us = max(until_us, self._until.pop(key, 0))
        if len(self._until) >= self._most:
            del self._until[next(iter(self._until))]
        self._until[key] = until_us

    def until(self, topic: str, peer: PeerId, now_us: int) -> int | None:
        """The end of the back-off, None if there is none at `now_us`."""
        until_us = self._until.get((topic, peer))
        return until_us if until_us is not None and now_us < until_us else None

    def expire(self, before_us: int) -> None:
        """Forget what ended before then."""
        for key in [key for key, until_us in self._until.items() if until_us < before_us]:
            del self._until[key]
