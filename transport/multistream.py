"""multistream-select 1.0: which protocol a fresh byte stream speaks, as a pure machine.

Source: libp2p/specs connections, "multistream-select". A message is a varint length, then text that ends in a newline.
The initiator sends the header and its first proposal at once, so agreement costs one round trip. The length is bounded
before anything is buffered, and so is the number of proposals (an unbounded prefix cost py-libp2p 104 MB, report 1,
defect 7). `ls` is answered `na`: what a node speaks is nobody's business before it is asked for.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import final

from latticework.wire import MalformedError

from .params import MULTISTREAM_MAX_ATTEMPTS, MULTISTREAM_MAX_MESSAGE_BYTES
from .varint import decode_varint, encode_varint

HEADER = "/multistream/1.0.0"
_NA = "na"
_LENGTH_BYTES = 2


@dataclass(frozen=True, slots=True)
class Received:
    """Event: bytes arrived, cut anywhere."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Send:
    """Action: send these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Selected:
    """Action: both ends agree; `leftover` already belongs to `protocol`."""

    protocol: str
    leftover: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """Action: no agreement; `malformed` tells a broken peer from one that speaks nothing of ours."""

    reason: str
    malformed: bool


type Action = Send | Selected | Refused


def frame(text: str) -> bytes:
    """One message."""
    payload = text.encode() + b"\n"
    return encode_varint(len(payload)) + payload


@final
class _Inbox:
    """Bytes until a whole message is there; never more than one message and what came with it."""

    def __init__(self) -> None:
        self.buffer = b""

    def pop(self) -> str | None:
        prefix = decode_varint(self.buffer, 0, _LENGTH_BYTES)
        if prefix is None:
            return None
        length, start = prefix
        if not 1 <= length <= MULTISTREAM_MAX_MESSAGE_BYTES:
            raise MalformedError(f"multistream message of {length} bytes")
        if len(self.buffer) < start + length:
            return None
        payload = self.buffer[start : start + length]
        self.buffer = self.buffer[start + length :]
        if not payload.endswith(b"\n") or not payload.isascii():
            raise MalformedError("multistream message that is no line of ASCII")
        return payload[:-1].decode("ascii")


@final
class Initiator:
    """The end that proposes, in order of preference."""

    def __init__(self, protocols: Sequence[str]) -> None:
        self._offers = list(protocols[:MULTISTREAM_MAX_ATTEMPTS])
        self._inbox = _Inbox()
        self._greeted = False

    def start(self) -> list[Action]:
        """Header and first proposal."""
        if not self._offers:
            return [Refused("nothing to propose", malformed=False)]
        return [Send(frame(HEADER) + frame(self._offers[0]))]

    def handle(self, event: Received) -> list[Action]:
        """What the peer's bytes lead to; nothing may follow Selected or Refused."""
        self._inbox.buffer += event.data
        out = b""
        try:
            while (text := self._inbox.pop()) is not None:
                if not self._greeted:
                    if text != HEADER:
                        return [Refused(f"peer speaks {text[:64]!r}", malformed=True)]
                    self._greeted = True
                elif text == self._offers[0]:
                    return [Selected(text, self._inbox.buffer)]
                elif text != _NA:
                    return [Refused(f"peer answered {text[:64]!r}", malformed=True)]
                else:
                    refused = self._offers.pop(0)
                    if not self._offers:
                        return [Refused(f"peer does not speak {refused}", malformed=False)]
                    out += frame(self._offers[0])
        except MalformedError as error:
            return [Refused(str(error), malformed=True)]
        return [Send(out)] if out else []


@final
class Responder:
    """The end that picks the first proposal it speaks."""

    def __init__(self, protocols: Collection[str]) -> None:
        self._protocols = frozenset(protocols)
        self._inbox = _Inbox()
        self._greeted = False
        self._attempts = 0

    def handle(self, event: Received) -> list[Action]:
        """What the peer's bytes lead to; nothing may follow Selected or Refused."""
        self._inbox.buffer += event.data
        out = b""
        try:
            while (text := self._inbox.pop()) is not None:
                if not self._greeted:
                    if text != HEADER:
                        return [Refused(f"peer speaks {text[:64]!r}", malformed=True)]
                    self._greeted = True
                    out += frame(HEADER)
                elif text in self._protocols:
                    return [Send(out + frame(text)), Selected(text, self._inbox.buffer)]
                else:
                    self._attempts += 1
                    out += frame(_NA)
                    if self._attempts == MULTISTREAM_MAX_ATTEMPTS:
                        return [Send(out), Refused(f"{self._attempts} proposals and none of ours", malformed=False)]
        except MalformedError as error:
            # A dialler that sent its handshake along with a proposal we do not speak still deserves the "na".
            answer: list[Action] = [Send(out)] if out else []
            return [*answer, Refused(str(error), malformed=True)]
        return [Send(out)] if out else []
