"""The commands that look into the logs of a space: `log`, `inspect`, `verify`, `rebuild`, `forks`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import cast, final

from latticework.crdt import (
    DocOperations,
    Entry,
    FileOperations,
    LogOpen,
    SignedCheckpoint,
    hlc_utc,
)
from latticework.wire import LatticeError, LocalError, LogId, StoreError, Threads

from .app import Node
from .exits import EXIT_INTEGRITY
from .frames import Data
from .requests import Caller, Command, ControlError, Request, text
from .runner import SpaceRunner
from .space import Space
from .upkeep import check_state, prune, rebuild

_LANES = {0: "open", 1: "files", 2: "checkpoint", 3: "document", 4: "merge"}
_LISTED = 50
"""Entries that `log` shows unless told otherwise."""
_MOST_LISTED = 10_000
_WHOLE_BYTES = 16
_PROBLEMS = 100


def commands(node: Node) -> dict[str, Command]:
    """The commands by name."""
    history = _History(node)
    return {
        "log": history.log,
        "inspect": history.inspect,
        "verify": history.verify,
        "rebuild": history.rebuild,
        "forks": history.forks,
        "prune": history.prune,
    }


def space_named(node: Node, name: Data) -> tuple[SpaceRunner, Space]:
    """The held space of this name or id, or the only one; raises LocalError."""
    runners = list(node.runners.values())
    if name is not None:
        runners = [runner for runner in runners if runner.name == name or runner.id.hex().startswith(str(name))]
    if not runners:
        raise LocalError("no space is held here yet" if name is None else f"no space {name!r} is held here")
    if len(runners) > 1:
        raise LocalError(f"say which space with --space: {', '.join(sorted(runner.name for runner in runners))}")
    (runner,) = runners
    if runner.space is None:
        raise StoreError(runner.problem or "the space is being opened")
    return runner, runner.space


async def find_entry(threads: Threads, runners: Sequence[SpaceRunner], wanted: str) -> tuple[SpaceRunner, Space, Entry]:
    """The one entry of these spaces whose id begins with `wanted`; raises LocalError."""
    wanted = wanted.lower()
    try:
        prefix = bytes.fromhex(wanted[: len(wanted) // 2 * 2])
    except ValueError:
        raise LocalError(f"{wanted!r} is no entry id: those are hexadecimal") from None
    found: list[tuple[SpaceRunner, Space, Entry]] = []
    for runner in runners:
        if (space := runner.space) is not None:
            ids = await threads.run(partial(space.store.find, prefix))
            entries = [space.store.entry(identifier) for identifier in ids if identifier.hex().startswith(wanted)]
            found += [(runner, space, entry) for entry in entries if entry is not None]
    if not found:
        raise LocalError(f"no entry begins with {wanted}")
    if len(found) > 1:
        raise LocalError(f"several entries begin with {wanted}; give more of the id")
    return found[0]


@final
class _History:
    def __init__(self, node: Node) -> None:
        self._node = node

    async def log(self, request: Request, caller: Caller) -> Data:
        """The newest entries of a space, newest first."""
        del caller
        runner, space = space_named(self._node, request.get("space"))
        limit = request.get("limit")
        count = min(limit, _MOST_LISTED) if isinstance(limit, int) and limit > 0 else _LISTED
        entries = await self._node.threads.run(partial(space.store.recent, count))
        return {
            "space": runner.name,
            "entries": [_line(space, entry) for entry in entries],
            "count": space.replica.entry_count,
            "unknown_lanes": {str(lane): number for lane, number in sorted(space.replica.unknown_lanes.items())},
            "waiting": space.replica.logs.waiting_count(),
        }

    async def inspect(self, request: Request, caller: Caller) -> Data:
        """Everything about one entry."""
        del caller
        runner, space, entry = await find_entry(
            self._node.threads, list(self._node.runners.values()), text(request, "entry")
        )
        return {"space": runner.name, **_line(space, entry), **_details(space, entry)}

    async def verify(self, request: Request, caller: Caller) -> Data:
        """Read and check everything that is stored."""
        runner, space = space_named(self._node, request.get("space"))
        await caller.event(event="verifying", space=runner.name)
        problems = await self._node.threads.run(space.store.check)
        if runner.set_aside is not None:
            problems.append(f"the database was damaged and is now {runner.set_aside}; this is what came back since")
        if not problems:
            problems = await check_state(space, self._node.threads)
        if problems:
            listed = "; ".join(problems[:_PROBLEMS])
            raise ControlError("integrity", f"{runner.name}: {len(problems)} problems: {listed}", EXIT_INTEGRITY)
        return {
            "space": runner.name,
            "entries": space.replica.entry_count,
            "state_root": space.replica.state_root().hex(),
        }

    async def rebuild(self, request: Request, caller: Caller) -> Data:
        """Compute the state anew from the log."""
        del caller
        runner, space = space_named(self._node, request.get("space"))
        before, after = await rebuild(space)
        if before != after:
            message = f"{runner.name}: the state was {before.hex()[:16]} and is now {after.hex()[:16]}"
            raise ControlError("integrity", message, EXIT_INTEGRITY)
        return {"space": runner.name, "entries": space.replica.entry_count, "state_root": after.hex()}

    async def prune(self, request: Request, caller: Caller) -> Data:
        """Erase what every device has."""
        del caller
        runner, space = space_named(self._node, request.get("space"))
        return {"space": runner.name, "erased": await prune(space, self._node.threads)}

    async def forks(self, request: Request, caller: Caller) -> Data:
        """The logs that are convicted of equivocation, with their evidence."""
        del request, caller
        found: list[Data] = []
        for runner in self._node.runners.values():
            if (space := runner.space) is not None:
                found += [_fork(runner, space, LogId(known.log)) for known in space.convictions]
        return found


def _line(space: Space, entry: Entry) -> dict[str, Data]:
    body = entry.body
    replica = space.replica
    return {
        "entry": entry.id.hex(),
        "log": body.author.hex(),
        "seq": body.seq,
        "device": replica.author_name(body.author),
        "own": body.author == space.own_log,
        "time": hlc_utc(body.hlc).isoformat(),
        "lane": _LANES.get(body.lane, f"unknown {body.lane}"),
        "bytes": body.payload_length,
        "void": replica.is_void(entry.id),
        "summary": _summary(space, entry),
    }


def _summary(space: Space, entry: Entry) -> str:
    if entry.envelope.payload is None:
        return "payload pruned"
    try:
        payload = space.replica.payload(entry)
    except LatticeError as error:
        return f"unreadable: {error}"
    match payload:
        case FileOperations(operations):
            return _counted(operations)
        case DocOperations():
            return f"{payload.document!r}: {_counted(payload.operations)}"
        case LogOpen(_, name, _):
            return f"log of {name!r}"
        case SignedCheckpoint(checkpoint, _, _):
            return f"number {checkpoint.number}, {checkpoint.entry_count} entries"
        case None:
            return ""


def _counted(operations: tuple[object, ...]) -> str:
    kinds = Counter(type(operation).__name__ for operation in operations)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing"


def _details(space: Space, entry: Entry) -> dict[str, Data]:
    body, envelope = entry.body, entry.envelope
    operations: list[Data] = []
    if envelope.payload is not None:
        try:
            payload = space.replica.payload(entry)
        except LatticeError:
            payload = None
        if isinstance(payload, FileOperations | DocOperations):
            operations = [_told(operation) for operation in payload.operations]
        elif payload is not None:
            operations = [_told(payload)]
    return {
        "prev": None if body.prev is None else body.prev.hex(),
        "deps": [dep.hex() for dep in body.deps],
        "hlc": body.hlc,
        "payload_hash": body.payload_hash.hex(),
        "signature": envelope.signature.hex(),
        "header_bytes": len(envelope.body) + len(envelope.signature),
        "operations": operations,
    }


def _told(value: object) -> str:
    """A record as Python would write it, with ids and signatures in hexadecimal, cut short."""
    match value:
        case bytes() if len(value) <= _WHOLE_BYTES or value.isascii():
            return repr(value)
        case bytes():
            return f"{value[:6].hex()}.. ({len(value)} bytes)"
        case tuple():
            items = cast("tuple[object, ...]", value)
            return "(" + ", ".join(map(_told, items)) + ("," if len(items) == 1 else "") + ")"
        case _ if is_dataclass(value):
            named = (f"{field.name}={_told(cast('object', getattr(value, field.name)))}" for field in fields(value))
            return f"{type(value).__name__}({', '.join(named)})"
        case _:
            return repr(value)


def _fork(runner: SpaceRunner, space: Space, log: LogId) -> dict[str, Data]:
    replica = space.replica
    conviction = next(known for known in space.convictions if known.log == log)
    judgement = replica.judgement(log)
    device = replica.authors.get(log)
    return {
        "space": runner.name,
        "space_id": runner.id.hex(),
        "log": log.hex(),
        "device": None if device is None else device.hex(),
        "name": replica.author_name(log),
        "kind": conviction.kind.name.lower(),
        "seq": conviction.seq,
        "own": device == space.device,
        "settled": None if judgement is None or judgement.settled is None else judgement.settled.hex(),
        "void": 0 if judgement is None else len(judgement.void),
        "colluders": list[Data](sorted(replica.roster.members[d].certificate.name for d in replica.colluders())),
        "proof": conviction.proof.hex(),
    }
