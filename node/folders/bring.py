"""Bringing content to disk: assemble files in our own directory, then move them into place.

A file is put together from chunks that other files of the folder hold, from packs, and from peers; each chunk is
checked before it is written. Partial files of several chunks stay after a crash and are continued: what of them is good
is found by their keys. Everything here blocks and runs in worker threads.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Self, final

from latticework.chunkstore import ChunkSealer, ChunkStore, check_sizes, read_manifest
from latticework.crdt import ChunkRef, Directory, File, Inline, ManifestRef, Shown, Symlink
from latticework.wire import ChunkId, MalformedError, StoreError, encode

from ..store import DiskChange, Piece, Place, Row, SpaceStore
from .content import digest, manifest_piece, row_of
from .kinds import kind_of, with_executable
from .reasons import Pending, Reason, pending_for
from .refusals import BlockedError, LocalChangeError
from .root import FolderRoot

_OPEN_TEMPORARIES = 64
_READ_MASK = os.umask(0)
os.umask(_READ_MASK)


@dataclass(slots=True)
class Job:
    """One path on its way to what the tree shows; `missing` are chunks still to come, by their offset."""

    path: bytes
    shown: Shown
    row: Row | None
    temporary: bytes
    refs: tuple[ChunkRef, ...] = ()
    missing: dict[int, ChunkRef] = field(default_factory=dict[int, ChunkRef])
    offsets: dict[ChunkId, dict[int, None]] = field(default_factory=dict[ChunkId, dict[int, None]])
    failure: Pending | None = None

    def miss(self, offset: int, ref: ChunkRef) -> None:
        """The chunk at `offset` is still to come."""
        self.missing[offset] = ref
        self.offsets.setdefault(ref.id, {})[offset] = None

    def got(self, offset: int) -> None:
        """The chunk at `offset` is written."""
        ref = self.missing.pop(offset)
        del self.offsets[ref.id][offset]

    @property
    def needs_content(self) -> bool:
        """False when the disk already has the content and only its times or mode differ."""
        value = self.shown.value
        return isinstance(value, File) and (self.row is None or self.row.content != digest(value))


def job_for(path: bytes, shown: Shown, row: Row | None) -> Job:
    """The job that makes `path` show `shown`."""
    name = hashlib.sha256(path + encode(shown.value)).hexdigest()[:24]
    return Job(path, shown, row, name.encode())


@final
class Temporaries:
    """The temporary files of one pass, each opened once."""

    def __init__(self, root: FolderRoot) -> None:
        self._root = root
        self._open: dict[bytes, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for descriptor in self._open.values():
            os.close(descriptor)

    def write(self, job: Job, offsets: Iterable[int], plaintext: bytes | memoryview) -> None:
        """Write one chunk wherever the job's file has it; raises OSError."""
        descriptor = self._descriptor(job)
        for offset in list(offsets):
            view = memoryview(plaintext)
            position = offset
            while view:
                count = os.pwrite(descriptor, view, position)
                view, position = view[count:], position + count
            job.got(offset)

    def _descriptor(self, job: Job) -> int:
        if job.temporary not in self._open:
            if len(self._open) >= _OPEN_TEMPORARIES:
                os.close(self._open.pop(next(iter(self._open))))
            self._open[job.temporary] = self._root.open_temporary(job.temporary, fresh=len(job.refs) == 1)
        return self._open[job.temporary]


@final
class Assembler:
    """Puts files of one space together."""

    def __init__(self, sealer: ChunkSealer, chunks: ChunkStore, store: SpaceStore) -> None:
        self._sealer = sealer
        self._chunks = chunks
        self._store = store

    def plan(self, jobs: Sequence[Job]) -> list[ChunkRef]:
        """Fill in the chunk references of the jobs; the manifests that must be fetched first."""
        absent: dict[ChunkId, ChunkRef] = {}
        for job in jobs:
            value = job.shown.value
            if not isinstance(value, File) or not job.needs_content or job.failure:
                continue
            try:
                match value.content:
                    case Inline(chunks):
                        check_sizes(chunks, value.size)
                        job.refs = chunks
                    case ManifestRef(manifest):
                        sealed = self._chunks.get(manifest.id)
                        if sealed is None:
                            absent[manifest.id] = manifest
                            continue
                        plaintext = self._sealer.open(manifest.id, manifest.key, manifest.length, sealed)
                        job.refs = read_manifest(bytes(plaintext), value.size)
            except MalformedError as error:
                job.failure = pending_for(error)
            except StoreError as error:
                job.failure = Pending(Reason.IO, str(error))
        return list(absent.values())

    def keep_manifests(self, manifests: Mapping[ChunkId, ChunkRef], received: Iterable[tuple[ChunkId, bytes]]) -> None:
        """Check and keep fetched manifests; a damaged one is dropped and found missing again."""
        for identifier, ciphertext in received:
            ref = manifests.get(identifier)
            if ref is not None:
                with suppress(MalformedError):
                    self._sealer.open(ref.id, ref.key, ref.length, ciphertext)
                    self._chunks.put(ref.id, ciphertext)

    def prepare(self, root: FolderRoot, jobs: Sequence[Job]) -> None:
        """Find what is already here: in a partial file, in the folder's files, in packs."""
        wanted = list({ref.id for job in jobs for ref in job.refs})
        places = self._store.places(wanted) if wanted else {}
        for job in jobs:
            if job.failure is None and job.refs:
                self.guarded(job, partial(self._prepare_file, root, job, places))

    def write(
        self, root: FolderRoot, jobs: Mapping[ChunkId, Sequence[Job]], group: Sequence[tuple[ChunkId, bytes]]
    ) -> None:
        """Check received chunks and write them wherever they are missing."""
        with Temporaries(root) as files:
            for identifier, ciphertext in group:
                for job in jobs.get(identifier, ()):
                    if job.failure is None:
                        self.guarded(job, partial(self._write_chunk, files, job, identifier, ciphertext))

    def finish(self, root: FolderRoot, jobs: Sequence[Job]) -> None:
        """Give complete files their length, mode and times, and make them durable."""
        for job in jobs:
            if job.failure is None and job.needs_content and not job.missing:
                self.guarded(job, partial(self._finish_file, root, job))

    def install(self, root: FolderRoot, jobs: Sequence[Job]) -> list[DiskChange]:
        """Move what is ready into place; the new rows. Failures are left in the jobs."""
        changes: list[DiskChange] = []
        for job in jobs:
            if job.failure is None and not job.missing:
                self.guarded(job, partial(self._install_into, root, job, changes))
        root.flush()
        return changes

    def _write_chunk(self, files: "Temporaries", job: Job, identifier: ChunkId, ciphertext: bytes) -> None:
        offsets = job.offsets.get(identifier)
        if offsets:
            ref = job.missing[next(iter(offsets))]
            plaintext = self._sealer.open(ref.id, ref.key, ref.length, ciphertext)
            files.write(job, offsets, plaintext)

    def guarded(self, job: Job, work: Callable[[], object]) -> None:
        """Do `work` for a job; what the disk or the content refuses is its failure."""
        try:
            work()
        except LocalChangeError as error:
            job.failure = Pending(Reason.LOCAL_CHANGE, str(error))
        except BlockedError as error:
            job.failure = Pending(Reason.BLOCKED, str(error))
        except (OSError, MalformedError) as error:
            job.failure = pending_for(error)

    def _prepare_file(self, root: FolderRoot, job: Job, places: Mapping[ChunkId, Sequence[Place]]) -> None:
        continued = len(job.refs) > 1 and root.has_temporary(job.temporary)
        good: set[int] = set()
        if continued:
            good = self._good_parts(root, job)
        offset = 0
        with Temporaries(root) as files:
            for ref in job.refs:
                if offset not in good:
                    job.miss(offset, ref)
                    plaintext = self._local_chunk(root, ref, places.get(ref.id, ()))
                    if plaintext is not None:
                        files.write(job, [offset], plaintext)
                offset += ref.length

    def _good_parts(self, root: FolderRoot, job: Job) -> set[int]:
        good: set[int] = set()
        descriptor = root.open_temporary(job.temporary, fresh=False)
        try:
            offset = 0
            for ref in job.refs:
                data = os.pread(descriptor, ref.length, offset)
                if len(data) == ref.length and self._sealer.key_of(data) == ref.key:
                    good.add(offset)
                offset += ref.length
        finally:
            os.close(descriptor)
        return good

    def _local_chunk(self, root: FolderRoot, ref: ChunkRef, places: Iterable[Place]) -> bytes | memoryview | None:
        for place in places:
            if place.length != ref.length:
                continue
            with suppress(OSError):
                descriptor = root.open_file(place.path)
                try:
                    data = os.pread(descriptor, place.length, place.offset)
                finally:
                    os.close(descriptor)
                if len(data) == ref.length and self._sealer.key_of(data) == ref.key:
                    return data
        return None

    def _finish_file(self, root: FolderRoot, job: Job) -> None:
        value = job.shown.value
        assert isinstance(value, File)
        descriptor = root.open_temporary(job.temporary, fresh=not job.refs)
        try:
            os.ftruncate(descriptor, value.size)
            old = None if job.row is None or job.row.kind != "f" else root.status(job.path)
            mode = 0o666 & ~_READ_MASK if old is None else old.st_mode & 0o7777
            os.fchmod(descriptor, with_executable(mode, executable=value.executable))
            os.utime(descriptor, ns=(value.mtime_ns, value.mtime_ns))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _install_into(self, root: FolderRoot, job: Job, changes: list[DiskChange]) -> None:
        changes.append(self._install_one(root, job))

    def _install_one(self, root: FolderRoot, job: Job) -> DiskChange:
        value, row = job.shown.value, job.row
        if row is not None and row.kind == "d" and not isinstance(value, Directory):
            root.remove(job.path, row)
            row = None
        match value:
            case Directory():
                status = root.make_directory(job.path, row)
            case Symlink(target):
                status = root.make_link(job.temporary, target, job.path, row)
            case File():
                if job.needs_content:
                    status = root.install(job.temporary, job.path, row)
                else:
                    assert row is not None
                    status = root.set_times_and_mode(job.path, row, value.mtime_ns, executable=value.executable)
        assert kind_of(status) is not None
        return DiskChange(job.path, row_of(value, status, job.shown.dots), self._pieces(job))

    def _pieces(self, job: Job) -> tuple[Piece, ...]:
        value = job.shown.value
        if not isinstance(value, File):
            return ()
        refs = job.refs or self._known_refs(value)
        pieces: list[Piece] = []
        offset = 0
        for ref in refs:
            pieces.append(Piece(ref.id, offset, ref.length))
            offset += ref.length
        return (*pieces, *manifest_piece(value.content))

    def _known_refs(self, value: File) -> tuple[ChunkRef, ...]:
        match value.content:
            case Inline(chunks):
                return chunks
            case ManifestRef(manifest):
                with suppress(MalformedError, StoreError):
                    sealed = self._chunks.get(manifest.id)
                    if sealed is not None:
                        plaintext = self._sealer.open(manifest.id, manifest.key, manifest.length, sealed)
                        return read_manifest(bytes(plaintext), value.size)
                return ()


def remove_paths(root: FolderRoot, doomed: Sequence[tuple[bytes, Row]]) -> tuple[list[bytes], dict[bytes, Pending]]:
    """Remove paths in the order given, each only if it is what its row says; what went, and why the rest did not."""
    removed: list[bytes] = []
    failed: dict[bytes, Pending] = {}
    for path, row in doomed:
        try:
            root.remove(path, row)
            removed.append(path)
        except LocalChangeError as error:
            failed[path] = Pending(Reason.LOCAL_CHANGE, str(error))
        except BlockedError as error:
            failed[path] = Pending(Reason.BLOCKED, str(error))
        except OSError as error:
            failed[path] = pending_for(error)
    root.flush()
    return removed, failed
