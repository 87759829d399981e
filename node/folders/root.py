"""A folder's root on disk: the only code that touches the files of a person.

Every access walks from a descriptor of the root, one component at a time, with `O_NOFOLLOW`; so no name from a peer and
no symbolic link swapped in behind our back leads outside. The root is opened anew for every pass and recognised by its
marker, so an unmounted disk is a stopped folder and never a mass deletion (decision 23). All calls block; they run in
worker threads.
"""

import errno
import os
import stat
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Self, final

from latticework.crdt import MARKER_DIRECTORY
from latticework.wire import LocalError

from ..store import Row
from .kinds import matches, with_executable
from .refusals import BlockedError, FolderStoppedError, LocalChangeError
from .replacing import put, status_of, take_away

_MARKER = b"folder"
_TEMPORARY = b"tmp"
_DIRECTORY_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_DIRECTORIES = 64


@final
class FolderRoot:
    """An open root directory. Not safe for two threads at once."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._directories: OrderedDict[bytes, int] = OrderedDict()
        self._touched: set[bytes] = set()
        self._folds_case: bool | None = None
        self.kept_bytes = 0

    @classmethod
    def create(cls, path: Path, folder_id: bytes) -> None:
        """Make `path` a folder of ours: the directory if need be, and its marker.

        Raises:
            LocalError: it belongs to another space, or cannot be written.
        """
        own = path / os.fsdecode(MARKER_DIRECTORY)
        try:
            path.mkdir(parents=True, exist_ok=True)
            own.mkdir(mode=0o700, exist_ok=True)
            (own / os.fsdecode(_TEMPORARY)).mkdir(mode=0o700, exist_ok=True)
            marker = own / os.fsdecode(_MARKER)
            if marker.exists() and marker.read_bytes() != folder_id.hex().encode():
                raise LocalError(f"{path} already belongs to another space; remove {own} if that is over")
            marker.write_bytes(folder_id.hex().encode())
        except OSError as error:
            raise LocalError(f"cannot make {path} a folder: {error.strerror or error}") from error

    @classmethod
    def open(cls, path: Path, folder_id: bytes) -> Self:
        """Open the root after checking its marker; raises FolderStoppedError."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise FolderStoppedError(f"{path} cannot be opened: {error.strerror}") from error
        root = cls(path, descriptor)
        try:
            found = root._read_marker()
        except OSError as error:
            root.close()
            if error.errno == errno.ENOENT:
                raise FolderStoppedError(f"{path} has lost its marker: is its disk mounted?") from error
            raise FolderStoppedError(f"{path} cannot be read: {error.strerror}") from error
        if found != folder_id.hex().encode():
            root.close()
            raise FolderStoppedError(f"{path} carries the marker of another space")
        return root

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release every descriptor."""
        for descriptor in self._directories.values():
            os.close(descriptor)
        self._directories.clear()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def status(self, path: bytes) -> os.stat_result | None:
        """`lstat` of `path`; None when it, or a directory above it, is not there under exactly this name."""
        status = self._any_case(path)
        return None if status is not None and self.folds_case and not self._is_listed(path) else status

    @property
    def folds_case(self) -> bool:
        """True on a file system where names that differ in case are one."""
        if self._folds_case is None:
            shouted = self._any_case(MARKER_DIRECTORY.upper())
            own = self._any_case(MARKER_DIRECTORY)
            self._folds_case = shouted is not None and own is not None and shouted.st_ino == own.st_ino
        return self._folds_case

    def _any_case(self, path: bytes) -> os.stat_result | None:
        directory, _, name = path.rpartition(b"/")
        try:
            return os.stat(name, dir_fd=self._directory(directory), follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _is_listed(self, path: bytes) -> bool:
        directory, _, name = path.rpartition(b"/")
        with os.scandir(self._directory(directory)) as entries:
            return any(os.fsencode(entry.name) == name for entry in entries)

    def names(self, directory: bytes) -> list[tuple[bytes, os.stat_result]]:
        """Names with their `lstat` inside a directory (b"" is the root), sorted; what vanishes is left out."""
        descriptor = self._directory(directory)
        found: list[tuple[bytes, os.stat_result]] = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    found.append((os.fsencode(entry.name), entry.stat(follow_symlinks=False)))
        found.sort(key=lambda item: item[0])
        return found

    def open_file(self, path: bytes) -> int:
        """A descriptor of the regular file `path`, for reading; raises OSError."""
        directory, _, name = path.rpartition(b"/")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(name, flags, dir_fd=self._directory(directory))
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file")
        return descriptor

    def link_target(self, path: bytes) -> bytes:
        """The target of the symbolic link `path`; raises OSError."""
        directory, _, name = path.rpartition(b"/")
        return os.readlink(name, dir_fd=self._directory(directory))

    def open_temporary(self, name: bytes, *, fresh: bool) -> int:
        """A read-write descriptor of a file in our own directory, on the folder's file system."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_TRUNC if fresh else 0)
        return os.open(name, flags, 0o600, dir_fd=self._temporary())

    def drop_temporary(self, name: bytes) -> None:
        """Remove a temporary file if it is there."""
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._temporary())

    def has_temporary(self, name: bytes) -> bool:
        """True when an earlier attempt left this temporary file."""
        try:
            os.stat(name, dir_fd=self._temporary(), follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def install(self, temporary: bytes, path: bytes, expected: Row | None) -> os.stat_result:
        """Move a finished temporary file to `path`, if what stands there is exactly `expected`; its new status.

        Raises:
            LocalChangeError: something else stands there.
            BlockedError: a directory stands there, or a file where a directory must be.
        """
        directory, name = self._place_for(path, expected)
        source = self._temporary()
        ours = os.stat(temporary, dir_fd=source, follow_symlinks=False)
        self.kept_bytes += put(self, temporary, source, name, directory, path, expected)
        return status_of(ours, name, directory)

    def make_directory(self, path: bytes, expected: Row | None) -> os.stat_result:
        """Make the directory `path`, or take the one that is there; raises as `install`."""
        current = self.status(path) if expected is None else None
        if current is not None and stat.S_ISDIR(current.st_mode):
            return current
        directory, name = self._place_for(path, expected)
        if expected is not None and expected.kind != "d":
            self.kept_bytes += take_away(self, self._temporary(), name, directory, path, expected)
        with suppress(FileExistsError):
            os.mkdir(name, 0o777, dir_fd=directory)
        return os.stat(name, dir_fd=directory, follow_symlinks=False)

    def make_link(self, temporary: bytes, target: bytes, path: bytes, expected: Row | None) -> os.stat_result:
        """Put a symbolic link at `path`; raises as `install`."""
        self.drop_temporary(temporary)
        os.symlink(target, temporary, dir_fd=self._temporary())
        return self.install(temporary, path, expected)

    def set_times_and_mode(self, path: bytes, expected: Row, mtime_ns: int, *, executable: bool) -> os.stat_result:
        """Change a file's modification time and executable bit alone; raises LocalChangeError."""
        directory, name = self._place_for(path, expected)
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
        try:
            if not matches(expected, os.fstat(descriptor)):
                raise LocalChangeError(f"{path!r} changed")
            mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
            if (wanted := with_executable(mode, executable=executable)) != mode:
                os.fchmod(descriptor, wanted)
            os.utime(descriptor, ns=(mtime_ns, mtime_ns))
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, old: bytes, new: bytes, expected: Row, replaced: Row | None) -> os.stat_result:
        """Move what stands at `old`, if it is exactly `expected`, to `new`, in place of `replaced`; its new status.

        Raises:
            LocalChangeError: something else stands at one of them.
            BlockedError: a file stands where the directory of `new` must be.
        """
        if new.startswith(old + b"/"):
            raise BlockedError("nothing can stand within itself")
        current = self.status(old)
        if current is None or not matches(expected, current) or current.st_ino != expected.inode:
            raise LocalChangeError(f"{old!r} changed")
        parent, _, name = new.rpartition(b"/")
        if self.folds_case and (there := self._any_case(new)) is not None and there.st_ino == current.st_ino:
            target = self._directory(parent)
        else:
            target, name = self._place_for(new, replaced)
        above, _, old_name = old.rpartition(b"/")
        source = self._directory(above)
        self._touched |= {above, parent}
        if expected.kind == "d":
            self._forget(old)
            self._rename_directory(old_name, source, name, target)
        else:
            self.kept_bytes += put(self, old_name, source, name, target, new, replaced)
        return status_of(current, name, target)

    def _rename_directory(self, old_name: bytes, source: int, name: bytes, target: int) -> None:
        try:
            os.rename(old_name, name, src_dir_fd=source, dst_dir_fd=target)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise LocalChangeError(f"{name!r} appeared") from None
            raise

    def remove(self, path: bytes, expected: Row) -> None:
        """Remove what stands at `path` if it is exactly `expected`; a directory only when empty.

        Raises:
            LocalChangeError: something else stands there.
            BlockedError: the directory holds files that are not part of the space.
        """
        current = self.status(path)
        if current is None:
            return
        directory, name = self._place_for(path, expected)
        try:
            if expected.kind == "d":
                self._forget(path)
                os.rmdir(name, dir_fd=directory)
            else:
                self.kept_bytes += take_away(self, self._temporary(), name, directory, path, expected)
        except OSError as error:
            if error.errno in {errno.ENOTEMPTY, errno.EEXIST}:
                raise BlockedError("the directory holds files that are not part of the space") from None
            raise

    def set_aside(self, path: bytes, expected: Row, target: bytes) -> None:
        """Give the file `path` the name `target`, which nothing has yet; raises as `install`."""
        directory, name = self._place_for(path, expected)
        beside, other = self._place_for(target, None)
        put(self, name, directory, other, beside, target, None)

    def flush(self) -> None:
        """Make the names that were changed in this pass durable: fsync of their directories."""
        for path in sorted(self._touched):
            with suppress(FileNotFoundError, NotADirectoryError):
                os.fsync(self._directory(path))
        self._touched.clear()

    def _place_for(self, path: bytes, expected: Row | None) -> tuple[int, bytes]:
        parent, _, name = path.rpartition(b"/")
        try:
            directory = self._directory(parent, create=True)
        except NotADirectoryError:
            raise BlockedError("a file stands where its directory must be") from None
        current = self.status(path)
        if current is None:
            if self.folds_case and self._any_case(path) is not None:
                raise BlockedError("this disk takes its name for the name of a file that differs in case alone")
            if expected is not None:
                raise LocalChangeError(f"{path!r} vanished")
        elif expected is None:
            raise LocalChangeError(f"{path!r} appeared")
        elif not matches(expected, current):
            raise LocalChangeError(f"{path!r} changed")
        self._touched.add(parent)
        return directory, name

    def _directory(self, path: bytes, *, create: bool = False) -> int:
        """A descriptor of a directory, component by component from the nearest one that is open."""
        if not path:
            return self._descriptor
        closed: list[bytes] = []
        while path and path not in self._directories:
            path, _, name = path.rpartition(b"/")
            closed.append(name)
        descriptor = self._directories[path] if path else self._descriptor
        if path:
            self._directories.move_to_end(path)
        for name in reversed(closed):
            descriptor = self._open_below(descriptor, path, name, create=create)
            path = path + b"/" + name if path else name
            self._directories[path] = descriptor
            if len(self._directories) > _OPEN_DIRECTORIES:
                os.close(self._directories.popitem(last=False)[1])
        return descriptor

    def _open_below(self, parent: int, parent_path: bytes, name: bytes, *, create: bool) -> int:
        try:
            return os.open(name, _DIRECTORY_FLAGS, dir_fd=parent)
        except FileNotFoundError:
            if not create:
                raise
            os.mkdir(name, 0o777, dir_fd=parent)
            self._touched.add(parent_path)
            return os.open(name, _DIRECTORY_FLAGS, dir_fd=parent)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotADirectoryError(error.errno, "a symbolic link stands where a directory must be") from None
            raise

    def _forget(self, path: bytes) -> None:
        for known in [known for known in self._directories if known == path or known.startswith(path + b"/")]:
            os.close(self._directories.pop(known))
        self._touched.discard(path)

    def own_directory(self, name: bytes) -> int:
        """A descriptor of one of our own directories, made if need be; valid until this root is closed."""
        own = MARKER_DIRECTORY + b"/" + name
        try:
            return self._directory(own)
        except FileNotFoundError:
            os.mkdir(name, 0o700, dir_fd=self._directory(MARKER_DIRECTORY))
            return self._directory(own)

    def _temporary(self) -> int:
        return self.own_directory(_TEMPORARY)

    def _read_marker(self) -> bytes:
        own = os.open(MARKER_DIRECTORY, _DIRECTORY_FLAGS, dir_fd=self._descriptor)
        try:
            descriptor = os.open(_MARKER, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=own)
            try:
                return os.read(descriptor, 256)
            finally:
                os.close(descriptor)
        finally:
            os.close(own)
