"""Places in the code where a simulation may let something go wrong that seldom does by itself.

Outside of simulation `fault_point` is False, always and at the cost of one comparison. Inside, who armed it decides by
chance: so rare branches (a disk that refuses one write, a word of gossip that is lost here) are taken in every run.
The idea is FoundationDB's "buggify".
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager

type Decision = Callable[[str], bool]
"""Whether the fault at the point of this name happens now."""

_decide: Decision | None = None


def fault_point(name: str) -> bool:
    """Whether to take the branch of a fault here; `name` is dotted, and unique in the code."""
    return _decide is not None and _decide(name)


@contextmanager
def arming(decide: Decision) -> Generator[None]:
    """Inside, `decide` answers at every fault point of this process."""
    global _decide  # noqa: PLW0603  # one simulation runs in a process at a time
    before, _decide = _decide, decide
    try:
        yield
    finally:
        _decide = before
