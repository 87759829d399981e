"""Constants of the chunk store."""

MIN_CHUNK_BYTES = 64 << 10
"""FastCDC minimum; a file below it is one chunk."""
AVERAGE_CHUNK_BYTES = 256 << 10
"""FastCDC target; a chunk costs about 70 bytes of manifest and 40 us. Measured in bench/sync.py."""
MAX_CHUNK_BYTES = 1 << 20
"""FastCDC maximum."""
TAG_BYTES = 16
"""AES-256-GCM tag (NIST SP 800-38D)."""
MAX_SEALED_BYTES = (1 << 26) + TAG_BYTES
"""A sealed chunk or manifest. A manifest of 64 MiB lists 900,000 chunks, a file of 200 GiB."""
MAX_MANIFEST_CHUNKS = 1_000_000
READ_BUFFER_BYTES = 8 << 20
"""A file is cut through a buffer of this size, so memory does not follow file size."""
PACK_TARGET_BYTES = 64 << 20
"""A pack is closed and a new one begun beyond this size."""
