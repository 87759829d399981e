"""Simulation: virtual time, an in-memory network, keyed randomness, and crypto stand-ins that replay.

The top layer: it drives whole nodes through the ports they meet the world by. Nothing imports it but tests and tools.
"""

from .clock import DEFAULT_EPOCH_US, DeadlockError, VirtualClock
from .devices import SimDevice
from .link import Link
from .listener import SimListener
from .network import SimHost, SimNetwork
from .providers import ModelKem, ModelSignatures
from .rng import KeyedRng
from .scheduler import run
from .stream import SimStream
from .threads import HeldThreads, InlineThreads
from .topology import Topology
from .transcript import Frame, FrameHook, Transcript

__all__ = [
    "DEFAULT_EPOCH_US",
    "DeadlockError",
    "Frame",
    "FrameHook",
    "HeldThreads",
    "InlineThreads",
    "KeyedRng",
    "Link",
    "ModelKem",
    "ModelSignatures",
    "SimDevice",
    "SimHost",
    "SimListener",
    "SimNetwork",
    "SimStream",
    "Topology",
    "Transcript",
    "VirtualClock",
    "run",
]
