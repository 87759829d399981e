"""What computing costs a simulated node in virtual time: one processor per host, busy until it is done.

Work is charged where it is called (`charge`), to the host in whose task it runs. A busy host hears what arrives and
says what it sends once it is free: so a flood of signatures costs its victim time, however quickly the simulation
answers it.
"""

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, final

from .clock import VirtualClock

VERIFY_US: Final = 59
"""One Ed25519 verification (simnet report, "Crypto cost model": measured)."""
COMPOSITE_VERIFY_US: Final = 160
"""One composite verification: ML-DSA-65 beside Ed25519 (crypto report; measured there)."""


@final
class Cpu:
    """One host's processor; `factor` multiplies every cost, 0 makes computing free."""

    __slots__ = ("_clock", "factor", "free_us")

    def __init__(self, clock: VirtualClock, factor: float = 0.0) -> None:
        self._clock = clock
        self.factor = factor
        self.free_us = 0
        """The monotonic time at which all work charged so far is done."""

    def charge(self, cost_us: int) -> None:
        """Be busy for `cost_us` times the factor, after whatever there is to do already."""
        if self.factor:
            self.free_us = max(self.free_us, self._clock.monotonic_us()) + round(cost_us * self.factor)


running_on: Final[ContextVar[Cpu | None]] = ContextVar("running_on", default=None)
"""The processor of the host whose task this is; tasks inherit it from whoever starts them."""


def charge(cost_us: int) -> None:
    """Charge work to the host in whose task it is done, if it is a host's."""
    cpu = running_on.get()
    if cpu is not None:
        cpu.charge(cost_us)


@contextmanager
def free_of_charge() -> Generator[None]:
    """Inside, nothing is charged: it is a part of what was."""
    token = running_on.set(None)
    try:
        yield
    finally:
        running_on.reset(token)
