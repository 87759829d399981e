"""Python's cyclic garbage collector during a run: seldom, because a run keeps nearly all that it makes."""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

_THRESHOLDS: Final = (100_000, 20, 20)
"""Objects made before a young collection, fifty times Python's own, and young ones before an older one. Measured: with
Python's own thresholds a quarter of a run of 200 whole nodes went into the collector; memory is the same."""


@contextmanager
def seldom_collecting() -> Generator[None]:
    """Collect by these thresholds inside, and as before afterwards."""
    before = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
