"""Drives multistream-select: for the security protocol on the raw connection, for a muxer that the handshake left open
inside the records, for the application's protocol on a stream.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence

from latticework.wire import MalformedError

from .errors import ProtocolRefusedError
from .multistream import Action, Initiator, Received, Refused, Responder, Selected, Send
from .params import MULTISTREAM_MAX_MESSAGE_BYTES, YAMUX_PROTOCOL
from .record_io import RecordReader
from .stream import Stream, StreamCore
from .yamux_frames import Consumed

type Write = Callable[[bytes], Awaitable[None]]
type Read = Callable[[], Awaitable[bytes]]


async def settle(machine: Initiator | Responder, actions: list[Action], write: Write, read: Read) -> Selected:
    """Run `machine` until both ends agree; `actions` are its first, `read` gives b"" at the end.

    Raises:
        ProtocolRefusedError: the ends have no protocol in common.
        MalformedError: the peer does not speak multistream-select, or stopped in the middle.
    """
    while True:
        for action in actions:
            match action:
                case Send(data):
                    await write(data)
                case Selected():
                    return action
                case Refused(reason, malformed):
                    raise MalformedError(reason) if malformed else ProtocolRefusedError(reason)
        data = await read()
        if not data:
            raise MalformedError("the stream ended during negotiation")
        actions = machine.handle(Received(data))


async def agree_on_muxer(reader: RecordReader, write: Write, *, initiator: bool) -> None:
    """Agree on yamux inside the records; what came behind the agreement is given back to `reader`.

    Raises:
        ProtocolRefusedError: the peer speaks no yamux.
        MalformedError: the peer does not speak multistream-select, or closed.
    """

    async def read() -> bytes:
        plaintext = await reader.next()
        return b"" if plaintext is None else bytes(plaintext)

    if initiator:
        machine = Initiator([YAMUX_PROTOCOL])
        selected = await settle(machine, machine.start(), write, read)
    else:
        selected = await settle(Responder([YAMUX_PROTOCOL]), [], write, read)
    reader.unread(selected.leftover)


async def propose_protocols(core: StreamCore, protocols: Sequence[str]) -> Stream:
    """Negotiate on a stream that we opened."""
    machine = Initiator(protocols)
    return await _negotiate(core, machine, machine.start())


async def accept_protocol(core: StreamCore, protocols: Collection[str]) -> Stream:
    """Negotiate on a stream that the peer opened."""
    return await _negotiate(core, Responder(protocols), [])


async def _negotiate(core: StreamCore, machine: Initiator | Responder, actions: list[Action]) -> Stream:
    taken = 0

    async def read() -> bytes:
        nonlocal taken
        if not await core.readable():
            return b""
        data = core.inbox.take(MULTISTREAM_MAX_MESSAGE_BYTES)
        taken += len(data)
        return data

    selected = await settle(machine, actions, Stream(core, "").send_all, read)
    core.inbox.push_back(selected.leftover)
    core.submit(Consumed(core.number, taken - len(selected.leftover)))
    return Stream(core, selected.protocol)
