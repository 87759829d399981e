"""Replication: entries, logs, the roster, the file tree and frontier exchange. Pure; no I/O."""

from .attestations import Attestations, LastCheckpoint
from .batch import Run, read_batch, write_batch
from .checkpoint import Checkpoint, CheckpointHead, SignedCheckpoint, stable_frontier, state_root
from .containment import Attested, Contested, Judgement, judge
from .doc_edit import DocumentEditor
from .doc_ops import DocOperations
from .doc_paths import DocumentError, DocumentPath, NoSuchPathError, WrongKindError
from .doc_undo import Undoable, undoable
from .doc_values import Atom, Count, Input
from .doc_view import DocumentView, Json
from .documents import Documents
from .dots import Dot
from .entry import (
    LANE_CHECKPOINT,
    LANE_DOCUMENTS,
    LANE_FILES,
    LANE_LOG,
    LANE_MERGE,
    Body,
    Entry,
    Envelope,
    entry_id,
    read_entry,
    read_stored_entry,
    rebuild_entry,
    signature_verifies,
    write_entry,
)
from .file_values import ChunkRef, Content, Directory, File, Inline, ManifestRef, Symlink, Value, content_key
from .filetree import FileTree, Shown
from .hlc import hlc_us, hlc_utc, next_hlc
from .logs import Admitted, Filled, Head, Logs, Position, Positions, Refused, Waiting
from .opening import LogOpen, SpaceGenesis
from .past_state import past_of, state_at
from .paths import MARKER_DIRECTORY, conflict_path, path_refusal, shown_name
from .ports import PayloadCipher
from .projection import Applied, Changes, Operations, Projection, Snapshot
from .reconcile import Reconciler
from .roster import (
    ROLE_INTRODUCE,
    DeviceCertificate,
    Member,
    Roster,
    SignedCertificate,
    account_id,
    certificate_hash,
    device_id,
    read_certificate,
    roster_root,
)
from .space import Base, SpaceEvent, SpaceReplica, Stored, Writer
from .statements import Conviction, FraudKind, FraudProof, Statement, read_proof
from .tree_drafts import LocalOperation, Moved, Written, operations_for
from .tree_ops import FileOperations, Make, Move, Operation, Ref, Remove, Write, next_batch

__all__ = [
    "LANE_CHECKPOINT",
    "LANE_DOCUMENTS",
    "LANE_FILES",
    "LANE_LOG",
    "LANE_MERGE",
    "MARKER_DIRECTORY",
    "ROLE_INTRODUCE",
    "Admitted",
    "Applied",
    "Atom",
    "Attestations",
    "Attested",
    "Base",
    "Body",
    "Changes",
    "Checkpoint",
    "CheckpointHead",
    "ChunkRef",
    "Content",
    "Contested",
    "Conviction",
    "Count",
    "DeviceCertificate",
    "Directory",
    "DocOperations",
    "DocumentEditor",
    "DocumentError",
    "DocumentPath",
    "DocumentView",
    "Documents",
    "Dot",
    "Entry",
    "Envelope",
    "File",
    "FileOperations",
    "FileTree",
    "Filled",
    "FraudKind",
    "FraudProof",
    "Head",
    "Inline",
    "Input",
    "Json",
    "Judgement",
    "LastCheckpoint",
    "LocalOperation",
    "LogOpen",
    "Logs",
    "Make",
    "ManifestRef",
    "Member",
    "Move",
    "Moved",
    "NoSuchPathError",
    "Operation",
    "Operations",
    "PayloadCipher",
    "Position",
    "Positions",
    "Projection",
    "Reconciler",
    "Ref",
    "Refused",
    "Remove",
    "Roster",
    "Run",
    "Shown",
    "SignedCertificate",
    "SignedCheckpoint",
    "Snapshot",
    "SpaceEvent",
    "SpaceGenesis",
    "SpaceReplica",
    "Statement",
    "Stored",
    "Symlink",
    "Undoable",
    "Value",
    "Waiting",
    "Write",
    "Writer",
    "Written",
    "WrongKindError",
    "account_id",
    "certificate_hash",
    "conflict_path",
    "content_key",
    "device_id",
    "entry_id",
    "hlc_us",
    "hlc_utc",
    "judge",
    "next_batch",
    "next_hlc",
    "operations_for",
    "past_of",
    "path_refusal",
    "read_batch",
    "read_certificate",
    "read_entry",
    "read_proof",
    "read_stored_entry",
    "rebuild_entry",
    "roster_root",
    "shown_name",
    "signature_verifies",
    "stable_frontier",
    "state_at",
    "state_root",
    "undoable",
    "write_batch",
    "write_entry",
]
