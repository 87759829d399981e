"""Hybrid logical clock: one 64-bit integer that orders entries and is close to wall time.

48 bits of milliseconds, 16 bits of counter (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014). A reading exceeds
everything its author has seen, whatever the local wall clock says.
"""

from datetime import UTC, datetime

from .params import HLC_COUNTER_BITS

HLC_MAX = (1 << 64) - 1
_LATEST_MS = 253_402_300_799_000  # 9999-12-31, the last day a calendar date can show


def next_hlc(floor: int, now_us: int) -> int:
    """The smallest reading above `floor` that is not behind the wall clock `now_us` (microseconds since 1970)."""
    return max(floor + 1, (max(now_us, 0) // 1000) << HLC_COUNTER_BITS)


def hlc_us(hlc: int) -> int:
    """The wall-clock part in microseconds since 1970."""
    return (hlc >> HLC_COUNTER_BITS) * 1000


def hlc_utc(hlc: int) -> datetime:
    """The wall-clock part as a UTC date; readings beyond the year 9999 are shown as its end."""
    return datetime.fromtimestamp(min(hlc >> HLC_COUNTER_BITS, _LATEST_MS) // 1000, UTC)
