"""The Python interface: a node inside your program, its spaces, and documents that merge.

    async with Node.open(home) as node:
        notes = node.space("home").doc("notes")
        await notes.put(("title",), "Groceries")
        await notes.list("items").append("milk")
        async for change in notes.changes():
            print(change.paths, notes.json())

Everything is for trio. Reading is immediate and never waits; writing returns when the change is on the disk.
"""

from latticework.crdt import Atom, Count, DocumentEditor, DocumentError, NoSuchPathError, WrongKindError

from ..documents import Changes, Counter, Doc, DocChange, List, Set, Text
from ..handles import Space
from .node import Node

__all__ = [
    "Atom",
    "Changes",
    "Count",
    "Counter",
    "Doc",
    "DocChange",
    "DocumentEditor",
    "DocumentError",
    "List",
    "NoSuchPathError",
    "Node",
    "Set",
    "Space",
    "Text",
    "WrongKindError",
]
