"""Requests at the control socket: what a command is given, and how it answers and fails."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import final

import trio

from latticework.wire import LocalError, MalformedError

from .exits import EXIT_USAGE
from .frames import PREFIX_BYTES, Data, decode_frame, encode_frame, frame_length
from .pairing import Question

type Request = Mapping[str, Data]
type Command = Callable[[Request, Caller], Awaitable[Data]]


class ControlError(LocalError):
    """A command that failed, with the word and exit code that scripts see."""

    def __init__(self, code: str, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.code = code
        self.exit_code = exit_code


@final
class Caller:
    """One connection to the control socket, from the node's side."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

    async def receive(self) -> dict[str, Data] | None:
        """The next frame; None at the end; raises MalformedError."""
        return await receive_frame(self._stream)

    async def event(self, **data: Data) -> None:
        """Tell the caller something on the way."""
        await send_frame(self._stream, data)

    async def send(self, frame: bytes) -> None:
        """Tell the caller what is encoded already."""
        await self._stream.send_all(frame)

    async def confirm(self, question: Question) -> bool:
        """Ask the person at the other end of the socket (port `Person`)."""
        await self.event(event="confirm", name=question.name, device=question.device.hex())
        answer = await self.receive()
        return bool(answer and answer.get("answer") is True)


def absolute(request: Request) -> Path:
    """The absolute path that the request names."""
    path = Path(text(request, "path"))
    if not path.is_absolute():
        raise ControlError("usage", f"{path} is not an absolute path", EXIT_USAGE)
    return path


def text(request: Request, key: str) -> str:
    """The text that the request gives as `key`; raises ControlError."""
    value = request.get(key)
    if not isinstance(value, str) or not value:
        raise ControlError("usage", f"the request lacks {key!r}", EXIT_USAGE)
    return value


async def send_frame(stream: trio.SocketStream, data: Mapping[str, Data]) -> None:
    """Send one frame."""
    await stream.send_all(encode_frame(data))


async def receive_frame(stream: trio.SocketStream) -> dict[str, Data] | None:
    """The next frame; None at a clean end.

    Raises:
        MalformedError: oversized, cut off, or no map with text keys.
    """
    prefix = await _receive_exactly(stream, PREFIX_BYTES)
    if not prefix:
        return None
    length = frame_length(prefix)
    body = await _receive_exactly(stream, length)
    if len(body) < length:
        raise MalformedError("a control frame is cut off")
    return decode_frame(body)


async def _receive_exactly(stream: trio.SocketStream, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = await stream.receive_some(min(count - len(data), 65536))
        if not piece:
            break
        data += piece
    return data
