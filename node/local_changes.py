"""What a person changed in a folder, as operations of the file tree and as the rows that stand on disk afterwards."""

from collections.abc import Iterable, Mapping, Sequence

from latticework.crdt import (
    Directory,
    Dot,
    FileTree,
    LocalOperation,
    Moved,
    Operation,
    Written,
    content_key,
    operations_for,
)

from .folders.ports import LocalChange, LocalMove, LocalMoves
from .rows import is_untouched
from .store import Row


def operations_of(
    tree: FileTree, changes: Sequence[LocalChange], rows: Mapping[bytes, Row], moves: LocalMoves
) -> list[Operation]:
    """The operations that bring `tree` to what the disk shows now; `rows` are all rows before the changes."""
    found = [_operation(tree, change, rows) for change in changes]
    came_from = {new: old for old, new in moves.paths.items()}
    for move in moves.moves:
        # The tree shows it there already when a crash came between a rename of ours and its record.
        if not any(tree.place_of(dot) == move.new for dot in move.row.dots):
            parent = move.new.rpartition(b"/")[0]
            parent = came_from.get(parent, b"" if parent in moves.paths else parent)
            above = rows.get(parent)
            found.append(Moved(move.old, move.new, move.row.dots, () if above is None else above.dots))

    def has(path: bytes) -> bool:
        row, shown = rows.get(path), tree.shown.get(path)
        return row is not None and shown is not None and not set(row.dots).isdisjoint(shown.dots)

    return operations_for(tree, [operation for operation in found if operation is not None], has)


def rows_after_moves(tree: FileTree, moves: LocalMoves, rows: Mapping[bytes, Row]) -> dict[bytes, Row | None]:
    """The rows that moves change, once their operations are applied; what only went along keeps its row as it was."""
    result: dict[bytes, Row | None] = dict.fromkeys(moves.paths)
    result |= {new: rows[old] for old, new in moves.paths.items()}
    return result | {move.new: _row_after_move(tree, move) for move in moves.moves}


def _row_after_move(tree: FileTree, move: LocalMove) -> Row:
    shown = tree.shown.get(move.new)
    if shown is None or (move.row.dots and set(shown.dots).isdisjoint(move.row.dots)):
        places = (tree.place_of(dot) for dot in move.row.dots)
        shown = next((tree.shown[place] for place in places if place is not None), None)
    return move.row if shown is None else move.row._replace(dots=shown.dots)


def row_after(tree: FileTree, change: LocalChange, rows: Mapping[bytes, Row]) -> Row | None:
    """The row of a changed path once its operations are applied; `rows` are all rows before them."""
    if change.found is None:
        return None
    value = change.found.value
    shown = tree.shown.get(change.path)
    key = content_key(value)
    if shown is not None and content_key(shown.value) == key:
        # Adopted content with other times or another mode is brought in line when it is applied.
        return change.found.row(shown.dots if shown.value == value else ())
    if is_untouched(change) and change.row is not None:
        return change.found.row(change.row.dots)
    for register in _registers(tree, change, rows):
        for head in tree.heads(register):
            if head.value == value and (place := tree.place_of(head.dot)) is not None:
                return change.found.row(tree.shown[place].dots)
    return change.found.row(())


def _registers(tree: FileTree, change: LocalChange, rows: Mapping[bytes, Row]) -> Iterable[bytes]:
    """Where the tree may show what stands at the path of `change`: it may be moving there."""
    yield change.path
    for dot in () if change.row is None else change.row.dots:
        node = tree.node_of(dot)
        if node is not None and node.path is not None:
            yield node.path
    for dot in _above(change.path, rows):
        directory = tree.node_of(dot)
        if directory is not None and directory.path is not None:
            yield directory.path + b"/" + change.path.rpartition(b"/")[2]


def _above(path: bytes, rows: Mapping[bytes, Row]) -> tuple[Dot, ...]:
    row = rows.get(path.rpartition(b"/")[0])
    return () if row is None else row.dots


def _operation(tree: FileTree, change: LocalChange, rows: Mapping[bytes, Row]) -> LocalOperation | None:
    path, found = change.path, change.found
    if is_untouched(change):
        return None
    seen = _seen_here(tree, change, rows)
    shown = tree.shown.get(path)
    if found is None:
        return Written(path, None, seen) if seen else None
    value = found.value
    settled = tuple(dot for dot in seen if shown is None or dot not in shown.dots)
    if shown is not None and content_key(shown.value) == content_key(value):
        if change.row is None or change.row.dots != shown.dots or shown.value == value:
            return Written(path, None, settled) if settled else None
    elif isinstance(value, Directory) and tree.is_directory(path):
        return Written(path, None, settled) if settled else None
    return Written(path, value, seen, _above(path, rows))


def _seen_here(tree: FileTree, change: LocalChange, rows: Mapping[bytes, Row]) -> tuple[Dot, ...]:
    """The dots of the row, without what has been brought to another path already: that one is meant no more."""
    if change.row is None:
        return ()
    seen: list[Dot] = []
    for dot in change.row.dots:
        place = tree.place_of(dot)
        elsewhere = None if place is None or place == change.path else rows.get(place)
        if elsewhere is None or dot not in elsewhere.dots:
            seen.append(dot)
    return tuple(seen)
