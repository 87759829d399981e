"""Constants of identities, handshakes, records, pairing and the vault."""

from typing import Final

PQX_PROTOCOL: Final = "/lattice/pqx/1"
ANONYMOUS_PROTOCOL: Final = "/lattice/pqx-anonymous/1"
YAMUX: Final = "/yamux/1.0.0"
OFFERED_VERSIONS: Final = (1,)
OFFERED_MUXERS: Final = (YAMUX,)
CIPHER: Final = "AES-256-GCM"

EXCHANGE_BYTES: Final = 32
"""X25519 seeds, public keys and products (RFC 7748)."""
KEM_SEED_BYTES: Final = 64
KEM_PUBLIC_BYTES: Final = 1568
KEM_CIPHERTEXT_BYTES: Final = 1568
"""ML-KEM-1024 (FIPS 203, table 3)."""
SIGNING_SEED_BYTES: Final = 64
"""32 bytes of ML-DSA-65 seed, then 32 bytes of Ed25519 seed."""
SIGNATURE_BYTES: Final = 3373
HASH_BYTES: Final = 64
"""SHA-512: transcripts and chaining keys."""
SECRET_BYTES: Final = 32
TAG_BYTES: Final = 16

DAY_S: Final = 24 * 60 * 60
CLOCK_SKEW_S: Final = DAY_S
"""Validity times are widened by this at both ends: clocks in a wrong time zone are up to 14 h off; chosen here."""
CERTIFICATE_VALID_S: Final = 10 * 365 * DAY_S
"""Chosen here: devices leave by a signed revocation, not by ageing."""
PREKEY_ROTATE_S: Final = 7 * DAY_S
PREKEY_KEEP_S: Final = 30 * DAY_S
"""A replaced prekey is kept this long (crypto report 2.1)."""
BUNDLE_VALID_S: Final = 2 * PREKEY_ROTATE_S
"""A device that slept through its rotation can still be reached; chosen here."""
MAX_PREKEYS: Final = 8
"""Seven weekly prekeys overlap in 37 days; one is spare."""

MAX_MUXER_BYTES: Final = 32
MAX_SIGNED_CERTIFICATE_BYTES: Final = 9840
"""Body of 3072, two signatures of 3373, CBOR heads."""
MAX_BUNDLE_BODY_BYTES: Final = 2048
MAX_SIGNED_BUNDLE_BYTES: Final = MAX_BUNDLE_BODY_BYTES + SIGNATURE_BYTES + 8

RECORD_HEADER_BYTES: Final = 4
RECORD_OVERHEAD_BYTES: Final = RECORD_HEADER_BYTES + TAG_BYTES
MAX_RECORD_PLAINTEXT_BYTES: Final = 256 << 10
REKEY_BYTES: Final = 64 << 30
REKEY_US: Final = 60 * 60 * 1_000_000
"""Decision 17. 64 GiB is 2^32 blocks under one key, far below the GCM bound for counter nonces."""

MAX_VERSIONS: Final = 8
MAX_MUXERS: Final = 4
MAX_HELLO_BYTES: Final = 4 + 2 * MAX_VERSIONS + (2 + MAX_MUXER_BYTES) * MAX_MUXERS + 34 + 3 + KEM_PUBLIC_BYTES
MAX_HEAD_BYTES: Final = 3 + 2 + MAX_MUXER_BYTES + 34 + 3 + KEM_CIPHERTEXT_BYTES
PROOF_BYTES: Final = 1 + 3 + MAX_SIGNED_CERTIFICATE_BYTES + 34 + 3 + SIGNATURE_BYTES + 66 + 1
RESPONDER_PROOF_BYTES: Final = 1 + PROOF_BYTES + 3 + MAX_SIGNED_BUNDLE_BYTES
PREKEY_CHOICE_BYTES: Final = 1 + 5 + 3 + KEM_CIPHERTEXT_BYTES + 1
"""What is sealed in a handshake is padded to these sizes: lengths would tell devices apart by their names."""

PAIRING_CODE_DIGITS: Final = 12
NAMEPLATE_DIGITS: Final = 4
PAIRING_SECRET_DIGITS: Final = PAIRING_CODE_DIGITS - NAMEPLATE_DIGITS
QR_SECRET_BYTES: Final = 32
OFFER_VALID_US: Final = 5 * 60 * 1_000_000
OFFER_REMEMBERED_US: Final = 10 * 60 * 1_000_000
"""How long after its end an offer still says "expired" or "used" instead of "wrong"; chosen here."""
MAX_OFFERS: Final = 4
"""Live pairing codes at once; chosen here: each is one more chance for a guesser."""
PAIRING_STEP_US: Final = 30 * 1_000_000
"""Longest wait for the other device; SPAKE2 in pure Python takes 0.1 s on a Raspberry Pi."""
PAIRING_PERSON_US: Final = 3 * 60 * 1_000_000
"""Longest wait for the person at either device; chosen here."""
SPAKE_BYTES: Final = 33
"""One side byte and one Ed25519 point (spake2 0.9)."""
MAC_BYTES: Final = 32
MAX_ADDRESSES: Final = 16
MAX_QR_ADDRESSES: Final = 8
MAX_ADDRESS_BYTES: Final = 256
MAX_QR_BYTES: Final = 2048
ROSTER_PART_RECORDS: Final = 15
"""Certificates per pairing message: 15 of at most 16 KiB fit into one record of 256 KiB."""

ARGON2_ITERATIONS: Final = 3
ARGON2_MEMORY_KIB: Final = 256 << 10
ARGON2_LANES: Final = 4
"""Crypto report 2.12: 0.35 to 0.6 s."""
ARGON2_MIN_ITERATIONS: Final = 3
ARGON2_MAX_ITERATIONS: Final = 16
ARGON2_MIN_MEMORY_KIB: Final = 64 << 10
ARGON2_MAX_MEMORY_KIB: Final = 1 << 20
"""The floor keeps a swapped file from weakening the passphrase, the cap keeps it from eating memory."""
ARGON2_MAX_LANES: Final = 16
ARGON2_SALT_BYTES: Final = 16
VAULT_NONCE_BYTES: Final = 24
"""XChaCha20-Poly1305."""
MAX_VAULT_BYTES: Final = 64 << 10
"""A whole vault file; the seeds come to 1 KiB."""
