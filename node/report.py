"""What a node says of itself: the data behind `status`, `why`, `devices`, `conflicts` and `doctor`.

Plain dictionaries, because they go through the control socket and come out of `--json`.
"""

import os
import stat
from pathlib import Path

from latticework.crdt import Directory, Reconciler, hlc_utc, shown_name
from latticework.transport import PeerId
from latticework.wire import LocalError, SpaceId

from .account import space_of
from .app import Node
from .folders.engine import FolderEngine
from .folders.kinds import kind_of
from .folders.reasons import Pending, Reason
from .frames import Data
from .link import Link
from .runner import SpaceRunner

_LISTED = 20
"""Pending paths shown in `status`; the rest is counted."""


def status(node: Node) -> dict[str, Data]:
    """Everything `lattice status` shows."""
    folders: list[Data] = [folder_status(node, runner) for runner in node.runners.values()]
    return {
        "device": node.device.hex(),
        "name": node.name,
        "account": node.roster.account.hex(),
        "peer_id": str(PeerId.of_key(node.transport_key)),
        "listening": [str(address) for address in node.peers.listening],
        "devices": devices(node),
        "folders": folders,
        "offered": [
            {"name": known.name, "space": space_of(known).hex()} for known in node.account.spaces if not known.held
        ],
        "in_step": in_step(node),
    }


def devices(node: Node) -> list[Data]:
    """The devices of the account, this one first."""
    found: list[Data] = []
    for member in sorted(node.roster.members.values(), key=lambda m: (m.device != node.device, m.certificate.name)):
        link = node.peers.links.get(member.device)
        item: dict[str, Data] = {
            "device": member.device.hex(),
            "name": member.certificate.name,
            "this": member.device == node.device,
            "connected": link is not None,
        }
        if link is not None:
            algorithms = link.connection.algorithms
            item |= {
                "address": str(link.connection.address),
                "direction": "outbound" if link.outbound else "inbound",
                "protocol": algorithms.protocol,
                "kem": algorithms.kem,
                "signature": algorithms.signature,
                "cipher": algorithms.cipher,
                "problem": link.problem,
            }
        found.append(item)
    return found


def folder_status(node: Node, runner: SpaceRunner) -> dict[str, Data]:
    """One folder."""
    engine, space = runner.engine, runner.space
    item: dict[str, Data] = {
        "name": runner.name,
        "space": runner.id.hex(),
        "path": None if runner.folder is None else str(runner.folder),
        "state": _state(runner),
        "problem": runner.problem or (engine.ledger.stopped if engine is not None else None),
        "set_aside": None if runner.set_aside is None else str(runner.set_aside),
        "entries": 0 if space is None else sum(head.seq + 1 for head in space.heads.values()),
        "logs": 0 if space is None else len(space.heads),
        "waiting_entries": 0 if space is None else space.replica.logs.waiting_count(),
        "refused_entries": 0 if space is None else sum(space.refused.values()),
        "forked_logs": 0 if space is None else len(space.convictions),
        "conflicts": 0 if space is None else len(space.tree.conflicts()),
        "files": 0 if space is None else len(space.tree.shown),
        "pending": runner.pending,
        "pending_paths": [] if engine is None else _listed(engine),
        "watch_problem": None if engine is None else engine.ledger.watch_problem,
        "peers": [_peer_state(node, runner.id, link) for link in node.peers.links.values()],
    }
    return item


def _state(runner: SpaceRunner) -> str:
    engine = runner.engine
    if runner.problem is not None:
        return "problem"
    if runner.folder is None and runner.space is not None:
        return "in step"
    if engine is None:
        return "starting"
    if engine.ledger.stopped is not None:
        return "stopped"
    if engine.ledger.busy:
        return "working"
    return "in step" if engine.ledger.pending_count == 0 else "pending"


def _listed(engine: FolderEngine) -> list[Data]:
    pending = {**engine.ledger.pending, **engine.ledger.unreadable}
    return [_pending(path, why) for path, why in sorted(pending.items())[:_LISTED]]


def _pending(path: bytes, why: Pending) -> dict[str, Data]:
    return {"path": shown_name(path), "reason": why.reason.value, "message": why.message, "action": why.action}


def _peer_state(node: Node, space: SpaceId, link: Link) -> dict[str, Data]:
    member = node.roster.members.get(link.device)
    state = link.state(space)
    return {
        "device": link.device.hex(),
        "name": "unknown" if member is None else member.certificate.name,
        "shares": _shares(state),
        "same_entries": state is not None and state.same_frontier,
        "pending": None if state is None else state.remote_pending,
        "in_step": state is not None and state.in_step,
    }


def _shares(state: Reconciler | None) -> bool:
    return state is not None and state.remote_pending is not None


def in_step(node: Node) -> bool:
    """True when this disk shows every tree, and each connected device that shares a space has said the same."""
    for runner in node.runners.values():
        if runner.problem is not None or runner.space is None or not _shows_tree(runner):
            return False
        for link in node.peers.links.values():
            state = link.state(runner.id)
            if state is not None and _shares(state) and not state.in_step:
                return False
    return True


def _shows_tree(runner: SpaceRunner) -> bool:
    if runner.folder is None:
        return True
    ledger = None if runner.engine is None else runner.engine.ledger
    return ledger is not None and not (ledger.busy or ledger.pending_count or ledger.stopped)


def conflicts(node: Node) -> list[Data]:
    """Every path that is shown with copies."""
    found: list[Data] = []
    for runner in node.runners.values():
        space = runner.space
        if space is None:
            continue
        for register in space.tree.conflicts():
            copies: list[Data] = []
            for path in space.tree.emitted(register):
                shown = space.tree.shown[path]
                copies.append(
                    {
                        "path": shown_name(path),
                        "device": space.replica.author_name(shown.log),
                        "time": hlc_utc(shown.hlc).isoformat(),
                        "kept_name": shown.role == "primary",
                    }
                )
            found.append({"folder": runner.name, "path": shown_name(register), "versions": copies})
    return found


def why(node: Node, path: Path) -> dict[str, Data]:
    """Why one path is or is not in step.

    Raises:
        LocalError: the path lies in no folder.
    """
    for runner in node.runners.values():
        if runner.folder is not None and (path == runner.folder or path.is_relative_to(runner.folder)):
            relative = b"" if path == runner.folder else os.fsencode(path.relative_to(runner.folder))
            return _why(node, runner, relative)
    raise LocalError(f"{path} lies in none of your folders (lattice folder list)")


def _why(node: Node, runner: SpaceRunner, path: bytes) -> dict[str, Data]:
    answer: dict[str, Data] = {"folder": runner.name, "path": shown_name(path) if path else "."}
    reason = _reason(runner, path)
    behind: list[Data] = [
        peer
        for link in node.peers.links.values()
        if (peer := _peer_state(node, runner.id, link))["shares"] and not peer["in_step"]
    ]
    answer["behind"] = behind
    if reason is not None:
        answer |= {"in_step": False, "reason": reason.reason.value, "message": reason.message, "action": reason.action}
    elif behind:
        answer |= {
            "in_step": False,
            "reason": "peer-behind",
            "message": "this device is in step; another has not brought everything to its disk yet",
            "action": "wait, or look at lattice status on that device",
        }
    else:
        connected = any(_shares(link.state(runner.id)) for link in node.peers.links.values())
        answer |= _IN_STEP if connected else _ALONE
    return answer


_IN_STEP: dict[str, Data] = {
    "in_step": True,
    "reason": "in-step",
    "message": "it is the same on every connected device",
    "action": "nothing",
}
_ALONE: dict[str, Data] = {
    "in_step": False,
    "reason": "no-device",
    "message": "no other device that keeps this folder is connected, so nobody else has the latest yet",
    "action": "start the other device, or see lattice doctor",
}


def _reason(runner: SpaceRunner, path: bytes) -> Pending | None:
    engine, space = runner.engine, runner.space
    if runner.problem is not None or engine is None or space is None:
        return Pending(Reason.FOLDER_STOPPED, runner.problem or "the folder is being opened")
    if engine.ledger.stopped is not None:
        return Pending(Reason.FOLDER_STOPPED, engine.ledger.stopped)
    for table in (engine.ledger.pending, engine.ledger.unreadable):
        if path in table:
            return table[path]
    below = [
        p for table in (engine.ledger.pending, engine.ledger.unreadable) for p in table if p.startswith(path + b"/")
    ]
    if below or (not path and engine.ledger.pending_count):
        return Pending(Reason.DOWNLOADING, f"{max(len(below), engine.ledger.pending_count)} paths below it are pending")
    shown = space.tree.shown.get(path)
    status = _lstat(runner, path)
    if path and shown is None and status is None and not space.tree.is_directory(path):
        raise LocalError(f"there is no {shown_name(path)} in {runner.name}, here or on another device")
    is_directory = isinstance(shown.value, Directory) if shown is not None else _is_directory(status)
    if path and engine.ledger.rules.ignores_below(path, directory=is_directory):
        return Pending(Reason.IGNORED, "a pattern in .latticeignore matches it")
    if status is not None and shown is None and kind_of(status) is None:
        return Pending(Reason.UNSUPPORTED, "it is no file, directory or symbolic link")
    if engine.ledger.busy and (shown is None) != (status is None):
        return Pending(Reason.LOCAL_CHANGE, "the folder is being scanned")
    return None


def _lstat(runner: SpaceRunner, path: bytes) -> os.stat_result | None:
    assert runner.folder is not None
    try:
        return os.lstat(os.path.join(os.fsencode(runner.folder), path))  # noqa: PTH118  # bytes paths
    except OSError:
        return None


def _is_directory(status: os.stat_result | None) -> bool:
    return status is not None and stat.S_ISDIR(status.st_mode)


def doctor(node: Node) -> list[Data]:
    """Checks with a verdict and, where something is wrong, what to do."""
    checks: list[Data] = []

    def check(name: str, ok: bool, message: str, action: str = "") -> None:  # noqa: FBT001  # a local table
        checks.append({"check": name, "ok": ok, "message": message, "action": "" if ok else action})

    check("listening", bool(node.peers.listening), ", ".join(map(str, node.peers.listening)) or "nowhere")
    others = len(node.roster.members) - 1
    check("devices", others > 0, f"{others} other devices on the roster", "pair one: lattice pair")
    if others:
        connected = len(node.peers.links)
        check("connected", connected > 0, f"{connected} connected", "start the other node, or give its --peer address")
    for address, source, error in node.peers.dialler.targets():
        if error:
            check(f"dial {address}", ok=False, message=f"({source}) {error}", action="check that the device is up")
    for runner in node.runners.values():
        name = f"folder {runner.name}"
        check(name, _state(runner) not in {"problem", "stopped"}, _problem(runner), "see the message; it is retried")
        if runner.engine is not None and runner.engine.ledger.watch_problem:
            check(f"{name} watcher", ok=False, message=runner.engine.ledger.watch_problem, action=_WATCH_ACTION)
        if runner.space is not None and runner.space.convictions:
            check(f"{name} forks", ok=False, message="a device has written two histories", action=_FORK_ACTION)
        if runner.space is not None and runner.space.refused:
            worst = max(runner.space.refused.items(), key=lambda item: item[1])
            check(f"{name} entries", ok=False, message=f"refused {worst[1]} entries: {worst[0]}", action=_ENTRY_ACTION)
    return checks


_WATCH_ACTION = "raise fs.inotify.max_user_watches; until then changes are found by the periodic scan"
_FORK_ACTION = "see lattice forks; restore no home over a newer one"
_ENTRY_ACTION = "update all devices to the same version"


def _problem(runner: SpaceRunner) -> str:
    engine = runner.engine
    return runner.problem or (engine.ledger.stopped if engine is not None else None) or _state(runner)
