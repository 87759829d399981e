"""Constants of the replication core."""

MAX_DEPS = 16
"""Heads that one entry may name besides its own `prev` (crdt-sync report 3.1)."""
MAX_PAYLOAD_BYTES = 1 << 20
"""Sealed payload of one entry; chosen here: sixteen times the usual batch."""
BATCH_PAYLOAD_BYTES = 48 << 10
"""Operations are packed into one entry up to about this size (crypto report 2.7: up to 64 KiB)."""
MAX_ENTRY_BYTES = MAX_PAYLOAD_BYTES + 4096
"""A whole entry on the wire: payload, header, signature."""
MAX_BODY_BYTES = 1024
"""A signed body: 16 dependencies and the fixed fields fit into 700 bytes."""
MAX_PROOF_BYTES = 2 * MAX_BODY_BYTES + 256
"""A FraudProof: two signed bodies."""
MAX_SEQ = 1 << 48
"""No log has more entries: a million a second would take nine years."""
HLC_COUNTER_BITS = 16
"""Low bits of a hybrid logical clock reading; the upper 48 are milliseconds."""
MAX_CLOCK_AHEAD_US = 5 * 60 * 1_000_000
"""An entry whose clock is further ahead than this waits; it is never refused (crdt-sync report 3.1)."""
PENDING_ENTRIES_PER_SENDER = 4096
PENDING_BYTES_PER_SENDER = 16 << 20
"""What one sender may keep waiting for missing parents (crdt-sync report 3.5)."""
MAX_ROSTER_RECORDS = 1024
"""Certificates in one account; chosen here."""
MAX_ROSTER_PARENTS = 16
MAX_CERTIFICATE_BYTES = 16 << 10
"""One signed certificate: two composite signatures, one composite key and the fixed fields come to 9 KiB."""
MAX_NAME_BYTES = 64
"""A device's name in UTF-8."""
MAX_PATH_BYTES = 4096
"""A path inside a space; Linux PATH_MAX."""
MAX_COMPONENT_BYTES = 255
"""One name inside a path; Linux NAME_MAX."""
MAX_INLINE_CHUNKS = 4
"""A file of at most this many chunks carries its manifest inside the operation."""
MAX_OPS_PER_ENTRY = 8192
MAX_REPLACES = 256
"""Heads that one operation may replace."""
MAX_CHECKPOINT_HEADS = 8192
"""Logs in one checkpoint; 75 bytes each must fit into one payload."""
CHECKPOINT_EVERY_ENTRIES = 256
"""Own entries after which a log says a checkpoint (decision 7)."""
CHECKPOINT_IDLE_US = 10 * 60 * 1_000_000
"""... or after this long without an own entry, if there is anything new (decision 7)."""
MAX_CONVICTIONS_AHEAD = 256
"""Proofs about logs that are not known yet, kept per space; chosen here."""
BLOCK_SPANS = 64
"""Spans in one block of a sequence; chosen here, measured in bench/crdt_text.py: 32 to 128 are alike."""
INDEX_CHUNK = 512
"""Starts in one chunk of a sequence's index."""
SEARCH_STRIDE = 64
"""Blocks that a search for a far position skips at once."""
MAX_DOCUMENT_NAME_BYTES = 255
"""A document's name in UTF-8."""
MAX_DOCUMENT_DEPTH = 16
"""Containers inside one another, the root not counted."""
MAX_DOCUMENT_CONTAINERS = 4096
"""Containers that one entry may name."""
MAX_KEY_BYTES = 1024
"""A key of a map in UTF-8."""
MAX_SCALAR_BYTES = 64 << 10
"""One string or byte string that is written at once; longer texts are texts."""
MAX_INSERT_BYTES = 512 << 10
"""Text that one operation inserts, in UTF-8; half of the largest payload."""
MAX_INSERT_VALUES = 8192
"""List elements that one operation inserts."""
MAX_RANGES = 8192
"""Ranges of elements that one operation deletes."""
MAX_DELETED_ELEMENTS = 512 << 10
"""Elements that the deletions of one entry name in all; those after that have no effect, which bounds its cost."""
MAX_ENTRY_REFERENCES = 8192
"""Other entries that the operations of one entry may name."""
MAX_UNDO_DEPTH = 16
"""Undo of an undo of an undo ...: deeper ones have no effect, so that one operation toggles boundedly many others."""
MAX_BATCH_ENTRIES = 4096
MAX_BATCH_BYTES = MAX_ENTRY_BYTES + (1 << 20)
"""A batch is filled up to 1 MiB and may then take one more entry of any size."""
MIN_CHAIN_RUN = 4
"""Shorter runs have every signature checked; chosen here."""
MAX_SNAPSHOT_BYTES = 1 << 30
"""State of one space; chosen here."""
MAX_INSERT_CHARACTERS = MAX_INSERT_BYTES // 4
"""Code points that our editor puts into one operation: as many as surely fit."""
MAX_DIFF_TOKENS = 4096
"""Words on one side of a replaced passage that are compared one by one; a longer passage is replaced as a whole."""
BLOCK_ITEMS = 512
"""Items in one block of a range index; a block is cut at twice that. 256 to 1024 are alike (bench/reconcile.py)."""
RANGE_PARTS = 16
"""Parts in which a range that differs is cut; negentropy v1 uses the same."""
FINGERPRINT_BYTES = 16
"""Fingerprint of a range on the wire (negentropy v1)."""
SYNC_SALT_BYTES = 16
"""Each side's part of the key of one connection's fingerprints (crdt-sync report 3.4)."""
SYNC_NAME_BYTES = 6
"""A log's name inside one connection, a keyed hash: two of 10,000 on either
side meet with probability 2^-21, by chance only: the key is fresh for each connection."""
SYNC_CHECK_BYTES = 6
"""A keyed hash of a head beside its log's name; nobody can prepare two heads that have the same one."""
SYNC_NEWEST_HEADS = 32
"""Heads told at once when roots differ (crdt-sync report 3.4)."""
SYNC_LIST_HEADS = 64
"""Ranges of at most this many heads are listed, not cut; keeps 1,000 logs within two round trips."""
SYNC_RANGE_HEADS = 32
"""Heads in one part of a range when it is cut ..."""
SYNC_MAX_PARTS = 64
"""... in at most this many parts."""
SYNC_RECHECK_STEPS = 4
"""Up to this step of a round, ranges that differ are compared again when names may explain it, instead of listed."""
SYNC_MAX_HEADS = 4096
"""Heads in one message, 15 bytes each; more follow in the next."""
SYNC_MAX_RANGES = 1024
"""Ranges in one message, about 24 bytes each."""
SYNC_MAX_STEPS = 64
"""Messages in one round; an honest one with 65,536 logs needs fewer."""
SYNC_MAX_TARGETS = 65_536
"""Logs that a peer can make us look for at once."""
SYNC_MAX_WANT = 4096
"""Ranges of entries in one request."""
SYNC_MAX_WANT_IDS = 256
"""Entries asked for by id in one request."""
SYNC_MAX_IDS_WAITING = 4096
"""Entries that wait to be asked for by id."""
SYNC_PROBES = 32
"""Numbers asked for at once when a fork is sought: a chain of a million entries takes four round trips."""
SYNC_MAX_PROOFS = 16_384
"""Hashes of proofs in one message."""
SYNC_PROOFS_PER_MESSAGE = 1024
SYNC_MAX_PROOF_BYTES = 4096
"""A proof of equivocation is 484 bytes (crdt-sync report 3.8); chosen here with room for other kinds."""
SYNC_MAX_KEYS = 4096
"""Items listed in one message of a set reconciliation."""
MAX_SNAPSHOT_ITEMS = 1 << 24
MAX_EDIT_BYTES = MAX_PAYLOAD_BYTES - (64 << 10)
"""Operations of one edit, encoded; the rest is left to padding and sealing."""
SYNC_LIST_CHEAP_HEADS = 400
"""Up to so many heads, 6 kB, ranges that differ are listed, not compared again; tuned with bench/reconcile.py."""
NEGENTROPY_MIN_FRAME_BYTES = 4096
"""The smallest frame limit of negentropy v1's implementations."""
NEGENTROPY_RESERVE_BYTES = 200
"""Room in a frame for a skip, a bound and the fingerprint of the rest."""
MAX_SNAPSHOT_ENTRIES = 1 << 24
"""Entries of the lane of files in one snapshot of a tree; chosen here."""
LOAD_BATCH_ENTRIES = 4096
"""Entries applied at once when a space is loaded: bounds the memory; chosen here."""
