"""Constants of the node."""

DEFAULT_PORT = 47320
"""TCP port that `lattice up` binds when it is free; chosen here from the unassigned range."""
SCHEMA_VERSION = 4
"""Layout of a space's database."""
WAL_CHECKPOINT_PAGES = 4000
"""The write-ahead log is folded into the database beyond this size (16 MiB)."""
SERVE_BATCH_BYTES = 1 << 20
"""Entries sent in one message."""
SERVE_SCAN_ENTRIES = 1 << 16
"""Stored entries looked at before the store is free for others again: about 30 ms where few of them are served."""
MAX_SYNC_MESSAGE_BYTES = 8 << 20
"""The longest message of the sync protocol: a full frontier of 65,536 logs."""
SYNC_BURST = 256
SYNC_PER_S = 64
"""Rounds of reconciliation over few logs that one device may ask for: so many at once, then so many a second. Chosen
here: a few milliseconds each for a thousand logs."""
BASE_PART_BYTES = 1 << 20
"""A kept state is sent in parts of this size."""
BASE_PATIENCE_S = 300.0
"""A device that has not given a whole state after this time is not the only one that is asked; chosen here."""
MAX_CHUNK_REQUEST = 256
"""Chunks named in one request."""
CHUNK_WINDOW_BYTES = 16 << 20
"""Chunks asked for and not yet received, per fetch."""
CHUNK_GROUP_BYTES = 4 << 20
"""Chunks handled in one thread hop, at either end."""
SMALL_BATCH_FILES = 256
"""Files brought to disk in one round."""
READ_BATCH_FILES = 256
"""Small files read in one thread hop."""
READ_BATCH_BYTES = 8 << 20
MANY_DELETIONS = 20
MANY_DELETIONS_SHARE = 0.25
MANY_DELETIONS_WAIT_S = 2.0
"""When at least so many paths, and that share of the folder, are gone at once, the scan looks again after this."""
IDENTITY_CHECK_S = 2.0
"""How often the folder's directory is compared with the one that is watched: a mount tells nothing."""
RESCAN_INTERVAL_S = 600.0
"""The full scan behind the watcher: what the watcher misses is found within ten minutes."""
RETRY_FIRST_S = 0.5
RETRY_LAST_S = 10.0
"""A failed file is tried again after 0.5 s, then twice as long each time up to 10 s."""
DIAL_FIRST_S = 0.5
DIAL_LAST_S = 30.0
DIAL_TIMEOUT_S = 10.0
MAX_OFFERED_SPACES = 1024
"""Spaces of one account that are remembered before further offers of others are refused; chosen here."""
INBOX_COMMANDS = 64
"""Commands waiting for the task that owns a space; senders wait when it is full."""
ANNOUNCE_AT_ONCE_LINKS = 3
ANNOUNCE_EVERY_S = 10.0
"""With more links than that, changes that gossip carries are compared this often. Chosen here: gossip's own repair
(IHAVE) works within seconds, and a person's few devices are told at once."""
ANNOUNCE_SETTLE_S = 0.5
"""As long as a message of gossip takes to reach a large mesh (docs/performance.md, simulation)."""
MAX_CONNECTIONS = 256
MAX_DEVICE_CONNECTIONS = 8
"""Inbound connections of one device: it needs one, and a second while it replaces the first. Chosen here."""
MAX_STRANGER_CONNECTIONS = 64
"""Inbound connections of all that are no devices of the account: the rest stays free for those. Chosen here."""
PREVIOUS_SHARE = 0.03
"""Replaced and deleted files are kept up to this share of the folder's size; with index and manifests that stays below
5 % (decisions 21 and 24)."""
HANDSHAKE_BURST = 32
HANDSHAKE_REFILL_US = 500_000
"""Inbound handshakes of one host: 32 at once, then two a second; chosen here."""
MAX_RATED_HOSTS = 4096
PREKEY_CHECK_S = 3600.0
"""How often a running node looks whether its prekey is due for replacement."""
STRANGER_BACKOFF_S = 300.0
"""A discovered peer that turned out not to be ours is dialled again after this."""
IGNORE_FILE_BYTES = 1 << 20
CONTROL_FRAME_BYTES = 16 << 20
WORKER_THREADS = 4
"""Worker threads of one node: hashing and sealing share two cores with two waiting for the disk."""
CHECKPOINT_LOOK_S = 30.0
"""How often a space looks whether its checkpoint is due."""
GOSSIP_BATCH_BYTES = 256 << 10
"""A batch of entries that is still gossiped; what is longer goes by reconciliation alone. Chosen here."""
GOSSIP_QUEUE = 256
"""Batches waiting to be published per space; further ones are left to reconciliation."""
FIRST_CONTACT_S = 10.0
"""How long a space that is new here is waited for: to be offered, and to be told what is in it."""
OFFER_WAIT_S = 2.0
"""How long a device waits for another to connect before it makes a space; chosen here."""
OFFERS_FOLLOW_S = 1.0
"""A device that connected tells its spaces within this time: they are its second message. Chosen here."""
CHAIN_MODE_BYTES = 256 << 10
"""From this size on a batch's runs are checked by their last signature first, the rest right after; chosen here."""
SIGNATURES_PER_HOP = 1024
"""Signatures checked in one thread hop: about 50 ms."""
SIGNATURES_AFTER_S = 0.02
"""A space that nothing was asked of for so long goes on checking signatures."""
