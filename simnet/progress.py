"""How far a run has come, for whoever waits for it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """At `virtual_us` of `until_us`: so many deliveries so far, and so many nodes up."""

    virtual_us: int
    until_us: int
    delivered: int
    up: int


type ProgressHook = Callable[[Progress], None]
"""Called now and then while a run goes on; what it does must not change the run."""
