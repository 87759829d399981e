"""The control socket: how every command of `lattice` talks to the running node.

A Unix socket that only its owner can open (0600). Frames are a 4-byte big-endian length and a msgpack map. A request is
`{"do": name, ...}`; the node answers with any number of `{"event": ...}` and ends with `{"ok": result}` or
`{"error": {"code", "message", "exit"}}`. A question is an event that the caller answers with `{"answer": bool}`.
"""

import logging
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast, final

import trio

from latticework.handshake import Paired, PairingCode, parse_qr, parse_typed
from latticework.transport import Multiaddr
from latticework.wire import LatticeError, LocalError, MalformedError, PeerError, StoreError

from . import doc_commands, history, past, report
from .account import space_of
from .app import Node
from .exits import EXIT_CREDENTIAL, EXIT_ERROR, EXIT_INTEGRITY, EXIT_PARTIAL, EXIT_UNREACHABLE
from .frames import Data, encode_frame
from .pairing import Outcome
from .requests import Caller, Command, ControlError, Request, absolute, text

_log = logging.getLogger(__name__)
_FIND_S = 10.0
"""How long a joiner looks for devices on the network before it gives up."""


@final
class ControlServer:
    """Serves one node's socket."""

    def __init__(self, node: Node, path: Path, stop: Callable[[], None]) -> None:
        self._node = node
        self._path = path
        self._stop = stop
        self._stopping = False
        self._commands: dict[str, Command] = {
            **history.commands(node),
            **doc_commands.commands(node),
            **past.commands(node),
            "status": self._status,
            "devices": self._devices,
            "conflicts": self._conflicts,
            "doctor": self._doctor,
            "why": self._why,
            "folder add": self._folder_add,
            "folder join": self._folder_join,
            "folder list": self._folder_list,
            "pair": self._pair,
            "pair with": self._pair_with,
            "sync": self._sync,
            "rescan": self._rescan,
            "stop": self._do_stop,
        }

    async def run(self) -> None:
        """Serve until cancelled; raises LocalError when the socket cannot be made."""
        sock = self._bind()
        try:
            async with trio.open_nursery() as nursery:
                while True:
                    connection, _ = await sock.accept()
                    nursery.start_soon(self._serve, trio.SocketStream(connection))
        finally:
            sock.close()
            with suppress(OSError):
                self._path.unlink()

    def _bind(self) -> trio.socket.SocketType:
        sock = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)
            raw = os.fsencode(self._path)
            # The mask holds from the first moment: the socket is never open to others, not even briefly.
            before = os.umask(0o177)
            try:
                _bind_now(sock, raw)
            finally:
                os.umask(before)
            sock.listen(16)
        except OSError as error:
            sock.close()
            raise LocalError(f"cannot make the control socket {self._path}: {error.strerror}") from error
        return sock

    async def _serve(self, stream: trio.SocketStream) -> None:
        caller = Caller(stream)
        try:
            async with stream:
                while (request := await caller.receive()) is not None:
                    await self._answer(request, caller)
        except (MalformedError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
            _log.debug("control connection ended error=%s", error)

    async def _answer(self, request: Request, caller: Caller) -> None:
        try:
            answer = encode_frame({"ok": await self._commands.get(str(request.get("do")), _unknown)(request, caller)})
        except LatticeError as error:
            await caller.event(error=_described(error))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise
        except Exception:  # noqa: BLE001  # the one supervisor of callers: a bug in a command must not end the node
            _log.exception("command failed do=%s", request.get("do"))
            await caller.event(error={"code": "internal", "message": "a bug in this node; see its log", "exit": 1})
        else:
            await caller.send(answer)
            if self._stopping:
                self._stop()

    async def _status(self, request: Request, caller: Caller) -> Data:
        del request, caller
        return report.status(self._node)

    async def _devices(self, request: Request, caller: Caller) -> Data:
        del request, caller
        return report.devices(self._node)

    async def _conflicts(self, request: Request, caller: Caller) -> Data:
        del request, caller
        return report.conflicts(self._node)

    async def _doctor(self, request: Request, caller: Caller) -> Data:
        del request, caller
        return report.doctor(self._node)

    async def _why(self, request: Request, caller: Caller) -> Data:
        del caller
        return report.why(self._node, Path(text(request, "path")))

    async def _folder_add(self, request: Request, caller: Caller) -> Data:
        del caller
        path = absolute(request)
        space = await self._node.holdings.create(text(request, "name"), path)
        return {"space": space.hex(), "name": text(request, "name"), "path": str(path)}

    async def _folder_join(self, request: Request, caller: Caller) -> Data:
        del caller
        name, path = text(request, "name"), absolute(request)
        space = await self._node.holdings.join(name, path)
        return {"space": space.hex(), "name": name, "path": str(path)}

    async def _folder_list(self, request: Request, caller: Caller) -> Data:
        del request, caller
        node = self._node
        offered: list[Data] = [
            {"name": known.name, "space": space_of(known).hex(), "path": None, "state": "offered"}
            for known in node.account.spaces
            if not known.held
        ]
        return [*(report.folder_status(node, runner) for runner in node.runners.values()), *offered]

    async def _pair(self, request: Request, caller: Caller) -> Data:
        del request
        outcomes, attempts = trio.open_memory_channel[Outcome](16)

        def done(outcome: Outcome) -> None:
            with suppress(trio.WouldBlock, trio.BrokenResourceError):
                outcomes.send_nowait(outcome)

        typed, scanned = self._node.desk.offer(caller, done)
        codes: list[PairingCode] = [typed, scanned]
        try:
            await caller.event(event="code", code=typed.text, qr=scanned.uri)
            with trio.move_on_after(300):
                return _outcome(await attempts.receive())
        finally:
            self._node.desk.withdraw(codes)
        raise ControlError("expired", "nobody used the code within five minutes; make a new one", EXIT_UNREACHABLE)

    async def _pair_with(self, request: Request, caller: Caller) -> Data:
        given_code = text(request, "code")
        code: PairingCode = parse_qr(given_code) if given_code.startswith("lattice:") else parse_typed(given_code)
        given = [Multiaddr.parse(str(peer)) for peer in cast("list[Data]", request.get("peers") or [])]
        addresses = given or await self._find_addresses(code)
        if not addresses:
            raise ControlError(
                "unreachable", "no device was found on this network; give its address with --peer", EXIT_UNREACHABLE
            )
        await caller.event(event="trying", addresses=[str(address) for address in addresses])
        return _outcome(await self._node.desk.join(code, addresses, caller))

    async def _find_addresses(self, code: PairingCode) -> list[Multiaddr]:
        from_code = [Multiaddr.parse(address) for address in getattr(code, "addresses", ())]
        if from_code:
            return from_code
        with trio.move_on_after(_FIND_S):
            while not self._discovered():
                await self._node.changed()
        return self._discovered()

    def _discovered(self) -> list[Multiaddr]:
        return [
            Multiaddr.parse(address) for address, source, _ in self._node.peers.dialler.targets() if source != "known"
        ]

    async def _sync(self, request: Request, caller: Caller) -> Data:
        limit = request.get("timeout_s")
        timeout_s = float(limit) if isinstance(limit, int | float) else 60.0
        node = self._node
        self._scan_all()
        with trio.move_on_after(timeout_s):
            while True:
                await caller.event(event="progress", **_progress(node))
                if _shared_in_step(node):
                    return report.status(node)
                with trio.move_on_after(0.5):
                    await node.changed()
        if not node.peers.links:
            raise ControlError("unreachable", f"no other device was reached within {timeout_s:g} s", EXIT_UNREACHABLE)
        pending = sum(runner.pending for runner in node.runners.values())
        raise ControlError("partial", f"{pending} paths are not in step after {timeout_s:g} s", EXIT_PARTIAL)

    async def _rescan(self, request: Request, caller: Caller) -> Data:
        del request, caller
        self._scan_all()
        return {"scanning": True}

    def _scan_all(self) -> None:
        for runner in self._node.runners.values():
            if runner.engine is not None:
                runner.engine.ledger.disk_changed(None)

    async def _do_stop(self, request: Request, caller: Caller) -> Data:
        del request, caller
        # The answer goes out first: stopping cancels this very task.
        self._stopping = True
        return {"stopping": True}


async def _unknown(request: Request, caller: Caller) -> Data:
    del caller
    raise ControlError("unknown-command", f"this node does not know {request.get('do')!r}", EXIT_ERROR)


def _bind_now(sock: trio.socket.SocketType, raw: bytes) -> None:
    # A Unix bind never blocks, and trio's version would let other tasks run under our mask.
    sock._sock.bind(raw)  # type: ignore[attr-defined]  # noqa: SLF001  # see above


def _progress(node: Node) -> dict[str, Data]:
    return {
        "connected": len(node.peers.links),
        "pending": sum(runner.pending for runner in node.runners.values()),
    }


def _shared_in_step(node: Node) -> bool:
    """In step, and at least one connected device has said so for every folder."""
    return (
        bool(node.peers.links)
        and report.in_step(node)
        and all(
            any((state := link.state(key)) is not None and state.in_step for link in node.peers.links.values())
            for key in node.runners
        )
    )


def _outcome(outcome: Outcome) -> Data:
    if isinstance(outcome, Paired):
        return {"device": outcome.remote.hex(), "name": outcome.name, "account": outcome.account.hex()}
    code = EXIT_UNREACHABLE if outcome.code in {"unreachable", "lost", "timeout"} else EXIT_CREDENTIAL
    raise ControlError(outcome.code, outcome.message, code)


def _described(error: LatticeError) -> dict[str, Data]:
    match error:
        case ControlError():
            return {"code": error.code, "message": str(error), "exit": error.exit_code}
        case PeerError():
            return {"code": error.code, "message": str(error), "exit": EXIT_UNREACHABLE}
        case StoreError():
            return {"code": "store", "message": str(error), "exit": EXIT_INTEGRITY}
        case _:
            return {"code": "error", "message": str(error), "exit": EXIT_ERROR}
