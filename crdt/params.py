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
