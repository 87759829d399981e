"""Dots: the names of single operations."""

from dataclasses import dataclass
from typing import Annotated

from latticework.wire import Bytes, EntryId, UInt, record

from .params import MAX_OPS_PER_ENTRY


@record("dot")
@dataclass(frozen=True, slots=True, order=True)
class Dot:
    """The name of one operation: its entry, and its index in it."""

    entry: Annotated[EntryId, Bytes(32)]
    index: Annotated[int, UInt(MAX_OPS_PER_ENTRY)]
