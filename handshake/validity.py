"""Validity times of certificates and bundles: the only place where handshakes meet the wall clock (decision 7)."""

from latticework.wire import PeerError

from .params import CLOCK_SKEW_S

US_PER_S = 1_000_000


def check_validity(what: str, not_before_s: int, not_after_s: int, now_us: int) -> None:
    """Accept `now_us` within the times, widened by `CLOCK_SKEW_S` at both ends.

    Raises:
        PeerError: `expired` or `not-yet-valid`; the reason names both clocks' readings.
    """
    now_s = now_us // US_PER_S
    if now_s > not_after_s + CLOCK_SKEW_S:
        raise PeerError("expired", f"the {what} ended at {not_after_s}; it is {now_s} here")
    if now_s + CLOCK_SKEW_S < not_before_s:
        raise PeerError("not-yet-valid", f"the {what} starts at {not_before_s}; it is {now_s} here")
