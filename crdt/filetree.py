"""The file tree of a space, and the one way in which everyone shows it.

The state is a function of the set of admitted entries and of which of them are void. Nodes stand in a tree of moves
(`moves.py`) and have contents (`tree_nodes.py`); showing them at paths settles what a disk cannot hold:

- directories of one name in one place are one directory;
- equal content at one path is one file, however often it was made;
- among different contents the one that came to stand there first, by clock and then dot, keeps the name; the others
  are shown beside it as `name (device, UTC time).ext`;
- where a file meets a directory the directory keeps the name (decision 23);
- what has no valid path is not shown, and counted.

A *register* is a path before clashes are settled; everything that changes is looked at register by register, so that a
renamed directory costs what stands in it and nothing else.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Literal, NamedTuple, Self, final

from latticework.wire import EntryId, LogId, encode_plain

from .dots import Dot
from .file_values import Directory, Value, content_key
from .paths import child_path, conflict_path
from .tree_history import Batch, Changes, TreeHistory
from .tree_nodes import Node
from .tree_snapshot import TreeState, read_snapshot, write_snapshot


class Head(NamedTuple):
    """One content at a register: what it is, and the clock and log of the operation that brought it to this place."""

    node: Node
    dot: Dot
    value: Value
    written: int
    hlc: int
    brought_by: Dot
    log: LogId

    @property
    def order(self) -> tuple[int, Dot, int, Dot]:
        """Total order of the contents of a register, the same on every replica."""
        return (self.hlc, self.brought_by, self.written, self.dot)


class Shown(NamedTuple):
    """What stands at one visible path: its register, its value, and all that keeps it alive.

    `dots` are the contents it stands for and the moves that hold their nodes; whoever saw it has seen these.
    """

    register: bytes
    value: Value
    dots: tuple[Dot, ...]
    hlc: int
    log: LogId
    role: Literal["primary", "copy"]


@final
class FileTree:
    """The nodes of one space and their visible form `shown`, keyed by visible path."""

    def __init__(self, author_name: Callable[[LogId], str]) -> None:
        self._author_name = author_name
        self._history = TreeHistory()
        self._history.root.path = b""
        self._registers: dict[bytes, dict[Node, tuple[Head, ...]]] = {}
        self._directories: dict[bytes, dict[Node, None]] = {}
        self._occupied: dict[bytes, int] = {}
        """How many names directly in a directory are in use, by something live there or beneath."""
        self._emitted: dict[bytes, tuple[bytes, ...]] = {}
        self._names_tried: dict[bytes, list[bytes]] = {}
        self._copies_near: dict[bytes, dict[bytes, None]] = {}
        self._hidden: set[Node] = set()
        self.shown: dict[bytes, Shown] = {}

    @classmethod
    def load(cls, snapshot: bytes, author_name: Callable[[LogId], str]) -> Self:
        """The tree that `snapshot` was made of.

        Raises:
            MalformedError: it is no snapshot.
        """
        state = read_snapshot(snapshot)
        tree = cls(author_name)
        tree.set_void(dict.fromkeys(state.void, True))
        tree.apply_all(state.entries)
        return tree

    def snapshot(self) -> bytes:
        """Everything as bytes: equal exactly where the same entries were applied and the same ones are void."""
        history = self._history
        entries = [(entry, item.hlc, item.log, item.operations) for entry, item in history.entries.items()]
        return write_snapshot(TreeState(entries, sorted(history.void)))

    @property
    def refused_paths(self) -> int:
        """Nodes that live and are not shown, for want of a valid path."""
        return len(self._hidden)

    def is_directory(self, path: bytes) -> bool:
        """True when something live stands beneath `path`, so that it is a directory whether one was made or not."""
        return path in self._occupied

    def conflicts(self) -> list[bytes]:
        """Registers that are shown with at least one copy, sorted."""
        return sorted(
            register
            for register, paths in self._emitted.items()
            if any(self.shown[path].role == "copy" for path in paths)
        )

    def emitted(self, register: bytes) -> tuple[bytes, ...]:
        """The visible paths of `register`."""
        return self._emitted.get(register, ())

    def heads(self, register: bytes) -> tuple[Head, ...]:
        """The live contents at `register`, in their total order."""
        found = [head for heads in self._registers.get(register, {}).values() for head in heads]
        return tuple(sorted(found, key=lambda head: head.order))

    def node_of(self, dot: Dot) -> Node | None:
        """The node that an operation made, wrote or moved."""
        return self._history.node_of(dot)

    def directories(self, path: bytes) -> list[Node]:
        """The directories that are merged at `path`, whether they live or not: live ones first, then the oldest."""
        live = self._registers.get(path, {})
        return sorted(self._directories.get(path, ()), key=lambda node: (node not in live, self._placed(node)))

    def place_of(self, dot: Dot) -> bytes | None:
        """The visible path of the content `dot`; None when it is not shown."""
        node = self.node_of(dot)
        if node is None or node.path is None:
            return None
        for path in self.emitted(node.path):
            if dot in self.shown[path].dots and any(head.dot == dot for head in self._registers[node.path][node]):
                return path
        return None

    def is_hidden(self, dot: Dot) -> bool:
        """True for a content of a node that lives and has no valid path: not shown, and not gone."""
        node = self.node_of(dot)
        return node is not None and node in self._hidden

    def is_void(self, entry: EntryId) -> bool:
        """True while the operations of `entry` have no effect."""
        return entry in self._history.void

    def origin_of(self, entry: EntryId) -> tuple[str, int] | None:
        """The device that wrote an applied entry, by the name it had, and the entry's clock."""
        applied = self._history.entries.get(entry)
        return None if applied is None else (self._author_name(applied.log), applied.hlc)

    def apply_all(self, batch: Batch) -> set[bytes]:
        """Apply admitted entries, in any causal order; the visible paths that changed or are gone."""
        return self._settle(self._history.apply_all(batch))

    def set_void(self, entries: Mapping[EntryId, bool]) -> set[bytes]:
        """Entries lose (True) or regain (False) their effect; the visible paths that changed or are gone."""
        return self._settle(self._history.set_void(entries))

    def renamed(self) -> set[bytes]:
        """Some device is called otherwise now; the visible paths that changed or are gone."""
        return self._project_all(dict.fromkeys(self.conflicts()))

    def _settle(self, changes: Changes) -> set[bytes]:
        touched: dict[bytes, None] = {}
        for node in changes.moved | changes.altered:
            self._place(node, touched)
        # A directory without a content of its own was never shown, so nothing of it changes when its last child goes.
        return self._project_all(touched) | {path for path in touched if path not in self.shown}

    def _placed(self, node: Node) -> tuple[int, bytes, int]:
        position = self._history.position(node)
        assert position is not None
        return position.order

    def _path_of(self, node: Node) -> bytes | None:
        position = self._history.position(node)
        if position is None or node.made is None:
            return None
        above = position.parent
        if above.path is None or not (above.is_directory or above is self._history.root):
            return None
        return child_path(above.path, position.name)

    def _place(self, start: Node, touched: dict[bytes, None]) -> None:
        """Put a node, and what stands beneath it as far as its path changed, into the right registers."""
        waiting = [start]
        while waiting:
            node = waiting.pop()
            path = self._path_of(node)
            if path != node.path:
                self._leave(node, touched)
                node.path = path
                if node.is_directory and path is not None:
                    self._directories.setdefault(path, {})[node] = None
                waiting += self._history.children(node)
            elif node is not start:
                continue
            self._enter(node, touched)

    def _leave(self, node: Node, touched: dict[bytes, None]) -> None:
        path = node.path
        if path is None:
            return
        if node.is_directory:
            self._drop(self._directories, path, node)
        register = self._registers.get(path)
        if register is not None and node in register:
            self._drop(self._registers, path, node)
            touched[path] = None
            if path not in self._registers:
                self._count(path, -1, touched)

    def _enter(self, node: Node, touched: dict[bytes, None]) -> None:
        path, heads = node.path, self._heads_of(node)
        if path is None:
            (self._hidden.add if heads else self._hidden.discard)(node)
            return
        self._hidden.discard(node)
        register = self._registers.get(path)
        if heads:
            if register is None:
                self._registers[path] = {node: heads}
                self._count(path, 1, touched)
            else:
                register[node] = heads
            touched[path] = None
        elif register is not None and node in register:
            self._drop(self._registers, path, node)
            touched[path] = None
            if path not in self._registers:
                self._count(path, -1, touched)

    def _drop[T](self, table: dict[bytes, dict[Node, T]], path: bytes, node: Node) -> None:
        inner = table[path]
        del inner[node]
        if not inner:
            del table[path]

    def _heads_of(self, node: Node) -> tuple[Head, ...]:
        contents = node.contents()
        if not contents:
            return ()
        position = self._history.position(node)
        if position is None:
            return tuple(Head(node, v.dot, v.value, v.hlc, v.hlc, v.dot, v.log) for v in contents)
        hlc, entry, index = position.order
        by = Dot(EntryId(entry), index)
        heads: list[Head] = []
        for version in contents:
            if (version.hlc, version.dot) >= (hlc, by):
                head = Head(node, version.dot, version.value, version.hlc, version.hlc, version.dot, version.log)
            else:
                # Which device opened a void log may differ between replicas until one branch of it is settled.
                log = version.log if self.is_void(by.entry) else self._history.log_of(by.entry)
                head = Head(node, version.dot, version.value, version.hlc, hlc, by, log)
            heads.append(head)
        return tuple(heads)

    def _count(self, path: bytes, change: int, touched: dict[bytes, None]) -> None:
        """A register became live or ceased to be: so may the directories above, and copies may want its name."""
        touched |= self._copies_near.get(path, {})
        if path in self._occupied:
            return
        while b"/" in path:
            path = path.rpartition(b"/")[0]
            names = self._occupied.get(path, 0) + change
            if names:
                self._occupied[path] = names
            else:
                del self._occupied[path]
            if names > 1 or (names == 1 and change == -1):
                return
            touched[path] = None
            touched |= self._copies_near.get(path, {})
            if path in self._registers:
                return

    def _project_all(self, touched: dict[bytes, None]) -> set[bytes]:
        before: dict[bytes, Shown] = {}
        for register in touched:
            for path in self._emitted.pop(register, ()):
                before[path] = self.shown.pop(path)
            for name in self._names_tried.pop(register, ()):
                near = self._copies_near[name]
                near.pop(register, None)
                if not near:
                    del self._copies_near[name]
        after: dict[bytes, Shown] = {}
        for register in sorted(touched):
            projected = self._project(register)
            after |= projected
            if projected:
                self._emitted[register] = tuple(projected)
        self.shown |= after
        return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}

    def _project(self, register: bytes) -> dict[bytes, Shown]:
        groups = _grouped(self.heads(register))
        result: dict[bytes, Shown] = {}
        directories = [group for group in groups if isinstance(group[0].value, Directory)]
        if directories or self.is_directory(register):
            copies = [group for group in groups if not isinstance(group[0].value, Directory)]
            groups = directories
        else:
            copies = groups[1:]
        if groups:
            result[register] = _shown(register, groups[0], "primary")
        for group in copies:
            path = self._copy_path(register, group[0], result)
            result[path] = _shown(register, group, "copy")
        return result

    def _copy_path(self, register: bytes, head: Head, taken: Mapping[bytes, Shown]) -> bytes:
        name = self._author_name(head.log)
        path = conflict_path(register, name, head.hlc, None)
        tried = self._names_tried.setdefault(register, [])
        for attempt in count(1):
            near = self._copies_near.setdefault(path, {})
            if register not in near:
                near[register] = None
                tried.append(path)
            if path not in taken and path not in self._registers and not self.is_directory(path):
                break
            salt = hashlib.sha256(encode_plain([head.dot.entry, head.dot.index, attempt])).digest()
            path = conflict_path(register, name, head.hlc, salt[: 2 if attempt == 1 else 8])
        return path


def _grouped(heads: Iterable[Head]) -> list[list[Head]]:
    """Contents that are the same to a user together; each group and the groups themselves in total order."""
    groups: dict[tuple[object, ...], list[Head]] = {}
    for head in heads:
        groups.setdefault(content_key(head.value), []).append(head)
    return list(groups.values())


def _shown(register: bytes, group: list[Head], role: Literal["primary", "copy"]) -> Shown:
    dots = {head.dot for head in group}.union(*(head.node.live_moves() for head in group))
    oldest, newest = group[0], group[-1]
    return Shown(register, newest.value, tuple(sorted(dots)), oldest.hlc, oldest.log, role)
