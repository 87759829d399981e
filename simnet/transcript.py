"""What two runs are compared by: every frame that was sent, as a rolling SHA-256 and, if wanted, in full."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import final


@dataclass(frozen=True, slots=True)
class Frame:
    """One send: when, from which endpoint to which (multiaddr text), and what; no data is the end of the stream."""

    time_us: int
    source: str
    destination: str
    data: bytes


type FrameHook = Callable[[Frame], None]


@final
class Transcript:
    """Records frames in the order in which they were sent; `keep` holds them all in memory, for tests."""

    def __init__(self, *, keep: bool = False) -> None:
        self._hash = hashlib.sha256()
        self._keep = keep
        self.frames: list[Frame] = []
        self.frame_count = 0

    def __call__(self, frame: Frame) -> None:
        """Add `frame`; a transcript is a `FrameHook`."""
        head = f"{frame.time_us} {frame.source} {frame.destination} {len(frame.data)}\n"
        self._hash.update(head.encode() + frame.data)
        self.frame_count += 1
        if self._keep:
            self.frames.append(frame)

    @property
    def digest(self) -> bytes:
        """SHA-256 (32 bytes) over all frames so far."""
        return self._hash.digest()
