"""The blocking client of the control socket: no event loop, so commands start quickly."""

import os
import socket
from collections.abc import Mapping
from typing import Protocol, Self, cast, final

from ..exits import EXIT_NO_NODE
from ..frames import PREFIX_BYTES, Data, decode_frame, encode_frame, frame_length
from ..home import Home


class CommandError(Exception):
    """A command failed; `code` and `exit_code` are for scripts, the text for people."""

    def __init__(self, code: str, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code = exit_code


class OnEvent(Protocol):
    """Hears what the node says on the way; a boolean answers its question, text its text."""

    def __call__(self, event: Mapping[str, Data]) -> bool | str | None: ...


@final
class Client:
    """One connection to the node of `home`."""

    def __init__(self, home: Home) -> None:
        path = os.fsencode(home.socket)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            hint = "start it with: lattice up" if home.exists else "begin with: lattice init, then lattice up"
            raise CommandError("no-node", f"no node runs in {home.root}; {hint}", EXIT_NO_NODE) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def ask(self, do: str, on_event: OnEvent | None = None, **arguments: Data) -> Data:
        """The node's result; raises CommandError with its error."""
        self._send({"do": do, **arguments})
        while True:
            frame = self._receive()
            if "ok" in frame:
                return frame["ok"]
            if "error" in frame:
                error = cast("dict[str, Data]", frame["error"])
                raise CommandError(str(error["code"]), str(error["message"]), int(cast("int", error["exit"])))
            answer = None if on_event is None else on_event(frame)
            if frame.get("event") == "confirm":
                self._send({"answer": bool(answer)})
            elif frame.get("event") == "text":
                self._send({"text": answer if isinstance(answer, str) else None})

    def _send(self, data: Mapping[str, Data]) -> None:
        try:
            self._socket.sendall(encode_frame(data))
        except OSError as error:
            raise CommandError("no-node", "the node has gone away", EXIT_NO_NODE) from error

    def _receive(self) -> dict[str, Data]:
        return decode_frame(self._exactly(frame_length(self._exactly(PREFIX_BYTES))))

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                piece = self._socket.recv(min(count - len(data), 1 << 16))
            except OSError:
                piece = b""
            if not piece:
                raise CommandError("no-node", "the node has gone away", EXIT_NO_NODE)
            data += piece
        return bytes(data)


def ask_once(home: Home, do: str, on_event: OnEvent | None = None, **arguments: Data) -> Data:
    """Connect, ask, disconnect."""
    with Client(home) as client:
        return client.ask(do, on_event, **arguments)
