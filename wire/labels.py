"""The one registry of domain-separation labels.

Every hash, key derivation, signature and AEAD context of ours starts with one of these, so that no object can stand in
for another. Labels are `lattice/<object>/<version>`; a test keeps them unique and prefix-free.
"""

from enum import Enum


class Label(bytes, Enum):
    """Domain-separation labels; the value is the exact ASCII bytes that are mixed in."""

    DEVICE_ID = b"lattice/device-id/1"
    CERTIFICATE = b"lattice/certificate/1"
    CERTIFICATE_ACCEPT = b"lattice/certificate-accept/1"
    ACCOUNT_ID = b"lattice/account-id/1"
    PREKEY_BUNDLE = b"lattice/prekey-bundle/1"
    SPACE_GENESIS = b"lattice/space-genesis/1"
    SPACE_CHUNK_KEY = b"lattice/space-chunk-key/1"
    SPACE_FINGERPRINT_KEY = b"lattice/space-fingerprint-key/1"
    SPACE_CHUNKER_SEED = b"lattice/space-chunker-seed/1"
    LOG_OPEN = b"lattice/log-open/1"
    LOG_KEY = b"lattice/log-key/1"
    ENTRY = b"lattice/entry/1"
    ENTRY_SIGNATURE = b"lattice/entry-signature/1"
    ENTRY_PAYLOAD = b"lattice/entry-payload/1"
    FRONTIER_ROOT = b"lattice/frontier-root/1"
    CHUNK_KEY = b"lattice/chunk/1"
    PQX = b"lattice/pqx/1"
    PQX_RESPONDER = b"lattice/pqx-responder/1"
    PQX_INITIATOR = b"lattice/pqx-initiator/1"
    PQX_STEP = b"lattice/pqx-step/1"
    PQX_ABSORB = b"lattice/pqx-absorb/1"
    PQX_SEAL = b"lattice/pqx-seal/1"
    PQX_TRANSPORT = b"lattice/pqx-transport/1"
    PQX_CONFIRM = b"lattice/pqx-confirm/1"
    PQX_ANONYMOUS = b"lattice/pqx-anonymous/1"
    RECORD_KEYS = b"lattice/record-keys/1"
    RECORD_REKEY = b"lattice/record-rekey/1"
    RECORD_EXPORT = b"lattice/record-export/1"
    PAIRING = b"lattice/pairing/1"
    PAIRING_CONFIRM = b"lattice/pairing-confirm/1"
    PAIRING_RECORDS = b"lattice/pairing-records/1"
    VAULT = b"lattice/vault/1"
    RNG_STREAM = b"lattice/rng-stream/1"
    MODEL_SIGNATURE = b"lattice/model-signature/1"
    MODEL_KEM = b"lattice/model-kem/1"
