"""From what somebody did to a folder to the operations that say it.

An edit goes to the node that its author saw, wherever the tree has put it since; a removal takes away what its author
saw and no more. Conflict copies elsewhere stay as they are: an edited copy becomes a file of its own, a deleted copy
settles its conflict, and changing the file beside a copy leaves the copy under its name, as a file of its own.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import assert_never, final

from .dots import Dot
from .file_values import Directory, Value
from .filetree import FileTree
from .params import MAX_REPLACES
from .paths import ancestors
from .tree_nodes import Node
from .tree_ops import Make, Move, Operation, Ref, Remove, Write


@dataclass(frozen=True, slots=True)
class Written:
    """`path` has `value` now; None: nothing is there any more.

    `seen` are the dots of what its author saw there before, `above` those of the directory that it is in, which the
    tree may show elsewhere by now.
    """

    path: bytes
    value: Value | None
    seen: tuple[Dot, ...] = ()
    above: tuple[Dot, ...] = ()


@dataclass(frozen=True, slots=True)
class Moved:
    """What stood at `old`, with everything beneath it, stands at `new`; `seen` and `above` as for `Written`."""

    old: bytes
    new: bytes
    seen: tuple[Dot, ...] = ()
    above: tuple[Dot, ...] = ()


type LocalOperation = Written | Moved


def operations_for(
    tree: FileTree, changes: Sequence[LocalOperation], has: Callable[[bytes], bool] = lambda _: True
) -> list[Operation]:
    """The operations for changes that were made together, a directory before what is in it; see `next_batch`.

    `has` tells of a conflict copy whether its author has it on disk. What he has not, he cannot keep alive: if its only
    owner takes it away meanwhile, it is gone.
    """
    draft = _Draft(tree, changes, has)
    for change in changes:
        match change:
            case Moved():
                draft.moved(change)
            case Written():
                draft.written(change)
            case _:
                assert_never(change)
    return draft.operations


@final
class _Draft:
    def __init__(self, tree: FileTree, changes: Sequence[LocalOperation], has: Callable[[bytes], bool]) -> None:
        self._tree = tree
        self._has = has
        self._left = {change.old for change in changes if isinstance(change, Moved)}
        """Paths that something is moved away from."""
        self._changed = self._left | {change.path for change in changes if isinstance(change, Written)}
        self._directories: dict[bytes, Ref] = {}
        """Directories that were made, moved or found already, by their path afterwards."""
        self.operations: list[Operation] = []

    def moved(self, change: Moved) -> None:
        """Move what was seen, or else whatever directory is there."""
        shown = self._tree.shown.get(change.old)
        nodes = self._nodes(change.seen) or dict.fromkeys(self._directories_at(change.old), ())
        if not nodes:
            return
        parent = self._parent(change.new, change.above)
        name = _name(change.new)
        if shown is None or shown.role == "primary":
            self._keep_copies(change.old, change.seen)
        for node, dots in nodes.items():
            if self._is_whole(node, dots):
                self._move(node, parent, name, dots)
                if node.is_directory:
                    self._directories.setdefault(change.new, _ref(node))
            else:
                value = next(version.value for version in node.contents() if version.dot in dots)
                self._make(parent, name, value)
                self._remove(node, dots)

    def written(self, change: Written) -> None:
        """Write, make or remove."""
        path, value, seen = change.path, change.value, change.seen
        shown = self._tree.shown.get(path)
        saw_it = shown is not None and not set(seen).isdisjoint(shown.dots)
        nodes = self._nodes(seen)
        if saw_it and shown is not None and shown.role == "copy":
            self._change_copy(change, nodes)
            return
        if value is None or isinstance(value, Directory):
            if saw_it or value is not None:
                self._keep_copies(path, seen)
            for node, dots in nodes.items():
                if value is None or not node.is_directory:
                    self._remove(node, dots)
            if value is not None:
                self._make_directory(path, change.above)
            return
        self._keep_copies(path, seen)
        target = self._write_to(nodes, value)
        if target is None:
            self._make(self._parent(path, change.above), _name(path), value)

    def _change_copy(self, change: Written, nodes: dict[Node, tuple[Dot, ...]]) -> None:
        value = change.value
        whole = {node: dots for node, dots in nodes.items() if self._is_whole(node, dots) and not node.is_directory}
        if value is None or isinstance(value, Directory) or not whole:
            for node, dots in nodes.items():
                self._remove(node, dots)
            if isinstance(value, Directory):
                self._make_directory(change.path, change.above)
            elif value is not None:
                self._make(self._parent(change.path, change.above), _name(change.path), value)
            return
        target = self._write_to({**whole, **nodes}, value)
        assert target is not None
        self._move_to(target, change.path, change.seen)

    def _write_to(self, nodes: dict[Node, tuple[Dot, ...]], value: Value) -> Node | None:
        """Write to the first file among `nodes`, and remove the others."""
        target: Node | None = None
        for node, dots in nodes.items():
            if target is not None or node.is_directory:
                self._remove(node, dots)
                continue
            target = node
            replaced = [version.dot for version in node.contents() if version.dot in dots]
            self.operations.append(Write(_ref(node), value, _refs(replaced[:MAX_REPLACES])))
            self._remove(node, tuple(replaced[MAX_REPLACES:]))
        return target

    def _keep_copies(self, register: bytes, seen: Collection[Dot]) -> None:
        """Make the conflict copies of `register` that nobody touched into files of their own, where they are."""
        for path in self._tree.emitted(register):
            copy = self._tree.shown[path]
            if copy.role != "copy" or path in self._changed:
                continue
            nodes = self._nodes(copy.dots)
            if any(version.dot in seen for node in nodes for version in node.contents() if version.dot in copy.dots):
                continue
            self._changed.add(path)
            has = self._has(path)
            whole = [node for node, dots in nodes.items() if self._is_whole(node, dots)]
            if not whole and not has:
                continue
            if not whole:
                self._make(self._parent(path, ()), _name(path), copy.value)
            for node, dots in nodes.items():
                if node in whole:
                    self._move_to(node, path, copy.dots, keeps_alive=has)
                else:
                    self._remove(node, tuple(v.dot for v in node.contents() if v.dot in dots))

    def _is_whole(self, node: Node, dots: tuple[Dot, ...]) -> bool:
        """True unless some of what `node` contains is in `dots`, and some is shown apart from it."""
        return node.is_directory or len({version.dot in dots for version in node.contents()}) < 2

    def _move_to(self, node: Node, path: bytes, seen: Collection[Dot], *, keeps_alive: bool = True) -> None:
        self._move(node, self._parent(path, ()), _name(path), seen, keeps_alive=keeps_alive)

    def _move(
        self, node: Node, parent: Ref | None, name: bytes, seen: Collection[Dot], *, keeps_alive: bool = True
    ) -> None:
        replaced = _refs([dot for dot in node.live_moves() if dot in seen])
        contents = _refs([] if node.is_directory else [dot for dot in seen if node.has_contained(dot)])
        if not keeps_alive:
            # A move that replaces itself is no presence.
            replaced, contents = (*replaced[: MAX_REPLACES - 1], Ref(None, len(self.operations))), ()
        self.operations.append(Move(_ref(node), parent, name, replaced, contents))

    def _remove(self, node: Node, dots: tuple[Dot, ...]) -> None:
        for start in range(0, len(dots), MAX_REPLACES):
            self.operations.append(Remove(_ref(node), _refs(dots[start : start + MAX_REPLACES])))

    def _make(self, parent: Ref | None, name: bytes, value: Value) -> Ref:
        self.operations.append(Make(parent, name, value))
        return Ref(None, len(self.operations) - 1)

    def _make_directory(self, path: bytes, above: tuple[Dot, ...]) -> None:
        if path not in self._directories and not self._visible_directories(path):
            self._directories[path] = self._make(self._parent(path, above), _name(path), Directory())

    def _parent(self, path: bytes, above: tuple[Dot, ...]) -> Ref | None:
        """The directory that `path` is in, made where there is none; None is the root."""
        directory = path.rpartition(b"/")[0]
        if not directory:
            return None
        found = self._directories.get(directory)
        if found is None:
            seen = (self._tree.node_of(dot) for dot in above)
            nodes = [node for node in seen if node is not None and node.is_directory and node.path is not None]
            nodes = nodes or self._visible_directories(directory)
            found = _ref(nodes[0]) if nodes else self._make(self._parent(directory, ()), _name(directory), Directory())
            self._directories[directory] = found
        return found

    def _visible_directories(self, path: bytes) -> list[Node]:
        """The directories that everyone sees at `path`, without what is moved away from there."""
        return [] if any(above in self._left for above in (path, *ancestors(path))) else self._directories_at(path)

    def _directories_at(self, path: bytes) -> list[Node]:
        nodes = self._tree.directories(path)
        live = [node for node in nodes if node.contents()]
        return live or (nodes if self._tree.is_directory(path) else [])

    def _nodes(self, dots: Collection[Dot]) -> dict[Node, tuple[Dot, ...]]:
        """The nodes that `dots` belong to, oldest content first, each with its share of them."""
        found: dict[Node, list[Dot]] = {}
        for dot in dots:
            node = self._tree.node_of(dot)
            if node is not None and node.made is not None:
                found.setdefault(node, []).append(dot)
        made = {node: node.made for node in found if node.made is not None}
        order = sorted(found, key=lambda node: (made[node].hlc, node.dot))
        return {node: tuple(found[node]) for node in order}


def _ref(node: Node) -> Ref:
    return Ref.to(node.dot)


def _refs(dots: Sequence[Dot]) -> tuple[Ref, ...]:
    return tuple(Ref.to(dot) for dot in sorted(dots)[:MAX_REPLACES])


def _name(path: bytes) -> bytes:
    return path.rpartition(b"/")[2]
