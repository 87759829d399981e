"""What a device can undo and redo in a document, read off its own log: it needs no memory beside the entries."""

from typing import NamedTuple

from latticework.wire import EntryId, LogId

from .doc_ops import Undo
from .documents import Documents
from .operations import Applied


class Undoable(NamedTuple):
    """Edits of one log in one document, the next one to take last: those that stand, and those that are undone."""

    done: list[EntryId]
    undone: list[EntryId]


def undoable(documents: Documents, name: str, log: LogId) -> Undoable:
    """The edits of `log` in the document `name` as two stacks, as an editor has them: a new edit empties the second."""
    done: list[EntryId] = []
    undone: list[EntryId] = []
    edit_of: dict[EntryId, EntryId] = {}
    for entry in documents.entries_of(name, log):
        target = _target(entry)
        if target is None:
            done.append(entry.id)
            undone.clear()
        elif target in edit_of:
            edit = edit_of[entry.id] = edit_of[target]
            _shift(edit, undone, done)
        else:
            edit_of[entry.id] = target
            _shift(target, done, undone)
    return Undoable(done, undone)


def _shift(edit: EntryId, source: list[EntryId], to: list[EntryId]) -> None:
    if edit in source:
        source.remove(edit)
        to.append(edit)


def _target(entry: Applied) -> EntryId | None:
    """The entry that `entry` takes back; None if it does anything else."""
    for operation in entry.content.operations:
        if not isinstance(operation, Undo):
            return None
    first = entry.content.operations[0] if entry.content.operations else None
    if not isinstance(first, Undo) or not 1 <= first.target.entry <= len(entry.content.entries):
        return None
    return entry.content.entries[first.target.entry - 1]
