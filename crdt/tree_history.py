"""The operations of a file tree and what they come to: the nodes and the places where they stand.

Everything here is a function of the set of entries and of which of them are void, whatever the order in which either
became known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import final

from latticework.wire import EntryId, LogId

from .dots import Dot
from .moves import Moves, Order, Placing, Position
from .tree_nodes import Node, Version
from .tree_ops import FileOperations, Make, Move, Ref, Remove, Write

type Batch = Sequence[tuple[EntryId, int, LogId, FileOperations]]
"""Entries with their clocks and logs."""


@dataclass(frozen=True, slots=True)
class Applied:
    """An entry that was applied."""

    hlc: int
    log: LogId
    operations: FileOperations


@dataclass(slots=True)
class Changes:
    """Nodes that stand elsewhere now, parents first as far as may be, and nodes of which anything else changed."""

    moved: dict[Node, None] = field(default_factory=dict[Node, None])
    altered: dict[Node, None] = field(default_factory=dict[Node, None])
    added: list[Placing[Node]] = field(default_factory=list[Placing[Node]])
    removed: list[Order] = field(default_factory=list[Order])


@final
class TreeHistory:
    """All operations, and the nodes that they make."""

    def __init__(self) -> None:
        self.root = Node(Dot(EntryId(bytes(32)), 0))
        self.entries: dict[EntryId, Applied] = {}
        self.void: set[EntryId] = set()
        self._nodes: dict[Dot, Node] = {}
        self._owners: dict[Dot, Node] = {}
        self._moves: Moves[Node] = Moves()

    def node_of(self, dot: Dot) -> Node | None:
        """The node that the operation `dot` made, wrote or moved."""
        return self._owners.get(dot) or self._nodes.get(dot)

    def position(self, node: Node) -> Position[Node] | None:
        """Where `node` stands."""
        return self._moves.positions.get(node)

    def children(self, node: Node) -> Iterable[Node]:
        """What stands in `node`."""
        return self._moves.children.get(node, ())

    def log_of(self, entry: EntryId) -> LogId:
        """The log of an applied entry."""
        return self.entries[entry].log

    def apply_all(self, batch: Batch) -> Changes:
        """Apply entries; those that were applied before count once."""
        changes = Changes()
        for entry, hlc, log, operations in batch:
            if entry not in self.entries:
                applied = self.entries[entry] = Applied(hlc, log, operations)
                self._learn(entry, applied, changes)
                if entry not in self.void:
                    self._switch(entry, applied, changes, effect=True)
        return self._moved(changes)

    def set_void(self, entries: Mapping[EntryId, bool]) -> Changes:
        """Entries lose (True) or regain (False) their effect; also ones that come later."""
        changes = Changes()
        for entry, void in entries.items():
            if void == (entry in self.void):
                continue
            if void:
                self.void.add(entry)
            else:
                self.void.discard(entry)
            if (applied := self.entries.get(entry)) is not None:
                self._switch(entry, applied, changes, effect=not void)
        return self._moved(changes)

    def _moved(self, changes: Changes) -> Changes:
        changes.moved = self._moves.merge(changes.added, changes.removed)
        return changes

    def _learn(self, entry: EntryId, applied: Applied, changes: Changes) -> None:
        """What stays of an entry even when it is void: names, kinds and first places of the nodes it made."""
        for index, operation in enumerate(applied.operations.operations):
            dot = Dot(entry, index)
            match operation:
                case Make(parent, name, value):
                    node = self._node(dot)
                    node.made = Version(dot, applied.hlc, applied.log, value)
                    above = self._directory(parent, entry)
                    changes.added.append(Placing((applied.hlc, entry, index), node, above, name))
                    changes.altered[node] = None
                case Move(node=ref) | Write(node=ref):
                    self._owners[dot] = self._node(ref.dot(entry))
                case Remove():
                    pass

    def _switch(self, entry: EntryId, applied: Applied, changes: Changes, *, effect: bool) -> None:
        for index, operation in enumerate(applied.operations.operations):
            dot = Dot(entry, index)
            node = self._node(dot if isinstance(operation, Make) else operation.node.dot(entry))
            match operation:
                case Make():
                    node.has_effect = effect
                case Move(_, parent, name, replaces, contents):
                    order = (applied.hlc, entry, index)
                    if effect:
                        changes.added.append(Placing(order, node, self._directory(parent, entry), name))
                    else:
                        changes.removed.append(order)
                    node.move(dot, _dots(contents, entry), effect=effect)
                    node.cover(_dots(replaces, entry), effect=effect)
                case Write(_, value, replaces):
                    dots = _dots(replaces, entry)
                    node.write(Version(dot, applied.hlc, applied.log, value), effect=effect)
                    node.replace(dots, effect=effect)
                    node.cover(dots, effect=effect)
                case Remove(_, seen):
                    node.cover(_dots(seen, entry), effect=effect)
            changes.altered[node] = None

    def _node(self, dot: Dot) -> Node:
        node = self._nodes.get(dot)
        if node is None:
            node = self._nodes[dot] = Node(dot)
        return node

    def _directory(self, parent: Ref | None, entry: EntryId) -> Node:
        return self.root if parent is None else self._node(parent.dot(entry))


def _dots(refs: tuple[Ref, ...], entry: EntryId) -> tuple[Dot, ...]:
    """Each once: naming one twice is no reason to count it twice."""
    return tuple(dict.fromkeys(ref.dot(entry) for ref in refs))
