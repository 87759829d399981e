"""Token buckets, pure: how often a stranger may make us work before it is known (decision 15), and a device after."""

from typing import final

from .params import HANDSHAKE_BURST, HANDSHAKE_REFILL_US, MAX_RATED_HOSTS


@final
class HandshakeRate:
    """Every inbound handshake costs its host one token; a composite signature of ours is the price we pay for it."""

    def __init__(self) -> None:
        self._spent: dict[str, tuple[float, int]] = {}

    def allow(self, host: str, now_us: int) -> bool:
        """True if `host` has a token left at the monotonic time `now_us`, which is then spent."""
        spent, since_us = self._spent.pop(host, (0.0, now_us))
        spent = max(0.0, spent - (now_us - since_us) / HANDSHAKE_REFILL_US)
        allowed = spent + 1 <= HANDSHAKE_BURST
        self._spent[host] = (spent + 1 if allowed else spent, now_us)
        if len(self._spent) > MAX_RATED_HOSTS:
            # The host heard of longest ago goes: a flood from many addresses cannot fill our memory.
            del self._spent[next(iter(self._spent))]
        return allowed


@final
class Pace:
    """Work that one peer may cause: `burst` at once, then `per_s` a second."""

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._spent = 0.0
        self._since_s = 0.0

    def spend(self, cost: float, now_s: float) -> float:
        """Count work of this `cost`; for how many seconds the peer is to wait before it is done."""
        self._spent = max(0.0, self._spent - (now_s - self._since_s) * self._per_s) + cost
        self._since_s = now_s
        return max(0.0, (self._spent - self._burst) / self._per_s)
