"""Simulation: the same node code by the hundred and the thousand, on virtual time, replayable from a seed.

For researchers: `run(scenario, seed=...)` gives a `Result`; scenarios are built here or read from TOML. For tests: the
virtual clock, the simulated network, whole devices and keyed randomness by themselves (`play` runs a trio program).
The top layer: it drives nodes through the ports they meet the world by, and no product code imports it.

Names are imported when they are first used: the command line asks this package for little, and whole nodes take half a
second to import.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .amounts import Span
    from .clock import DEFAULT_EPOCH_US, DeadlockError, VirtualClock
    from .cpu import Cpu
    from .devices import DeviceSetup, SimDevice
    from .executors import dask_executor, processes
    from .guard import NotSimulatedError, guarded
    from .link import Access, Line, Link, Trouble
    from .listener import SimListener
    from .network import SimHost, SimNetwork
    from .progress import Progress
    from .providers import ModelKem, ModelSignatures
    from .result import CheckResult, Deliveries, NodeFigures, Result, Timeline
    from .rng import KeyedRng
    from .running import run
    from .scenario import (
        Churn,
        Converged,
        Coverage,
        Crash,
        Detected,
        FaultPoints,
        FullDisk,
        Group,
        Kademlia,
        Latency,
        Links,
        Lookup,
        Mesh,
        Partition,
        Publish,
        Scenario,
        ShareFile,
        SlowCpu,
    )
    from .scenario_file import read_scenario, scenario_of, write_scenario
    from .scheduler import play
    from .settings import with_setting
    from .shrinking import Shrunk, shrink
    from .stream import SimStream
    from .sweep import Sweep, SweepResult, run_sweep
    from .threads import HeldThreads, InlineThreads
    from .topology import Topology
    from .transcript import Frame, FrameHook, Transcript
    from .whole.simulation import NodeHandle, Simulation

_HOMES = {
    "amounts": ("Span",),
    "clock": ("DEFAULT_EPOCH_US", "DeadlockError", "VirtualClock"),
    "cpu": ("Cpu",),
    "devices": ("DeviceSetup", "SimDevice"),
    "executors": ("dask_executor", "processes"),
    "guard": ("NotSimulatedError", "guarded"),
    "link": ("Access", "Line", "Link", "Trouble"),
    "listener": ("SimListener",),
    "network": ("SimHost", "SimNetwork"),
    "progress": ("Progress",),
    "providers": ("ModelKem", "ModelSignatures"),
    "result": ("CheckResult", "Deliveries", "NodeFigures", "Result", "Timeline"),
    "rng": ("KeyedRng",),
    "running": ("run",),
    "scenario": (
        "Churn",
        "Converged",
        "Coverage",
        "Crash",
        "Detected",
        "FaultPoints",
        "FullDisk",
        "Group",
        "Kademlia",
        "Latency",
        "Links",
        "Lookup",
        "Mesh",
        "Partition",
        "Publish",
        "Scenario",
        "ShareFile",
        "SlowCpu",
    ),
    "scenario_file": ("read_scenario", "scenario_of", "write_scenario"),
    "scheduler": ("play",),
    "settings": ("with_setting",),
    "shrinking": ("Shrunk", "shrink"),
    "stream": ("SimStream",),
    "sweep": ("Sweep", "SweepResult", "run_sweep"),
    "threads": ("HeldThreads", "InlineThreads"),
    "topology": ("Topology",),
    "transcript": ("Frame", "FrameHook", "Transcript"),
    "whole.simulation": ("NodeHandle", "Simulation"),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "DEFAULT_EPOCH_US",
    "Access",
    "CheckResult",
    "Churn",
    "Converged",
    "Coverage",
    "Cpu",
    "Crash",
    "DeadlockError",
    "Deliveries",
    "Detected",
    "DeviceSetup",
    "FaultPoints",
    "Frame",
    "FrameHook",
    "FullDisk",
    "Group",
    "HeldThreads",
    "InlineThreads",
    "Kademlia",
    "KeyedRng",
    "Latency",
    "Line",
    "Link",
    "Links",
    "Lookup",
    "Mesh",
    "ModelKem",
    "ModelSignatures",
    "NodeFigures",
    "NodeHandle",
    "NotSimulatedError",
    "Partition",
    "Progress",
    "Publish",
    "Result",
    "Scenario",
    "ShareFile",
    "Shrunk",
    "SimDevice",
    "SimHost",
    "SimListener",
    "SimNetwork",
    "SimStream",
    "Simulation",
    "SlowCpu",
    "Span",
    "Sweep",
    "SweepResult",
    "Timeline",
    "Topology",
    "Transcript",
    "Trouble",
    "VirtualClock",
    "dask_executor",
    "guarded",
    "play",
    "processes",
    "read_scenario",
    "run",
    "run_sweep",
    "scenario_of",
    "shrink",
    "with_setting",
    "write_scenario",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{home}", __name__), name)
    globals()[name] = value
    return value
