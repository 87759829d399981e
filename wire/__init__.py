"""What every layer speaks: ids, canonical CBOR, records, labels, signatures, ports and error roots.

The bottom layer. It imports nothing of ours, and nothing here does I/O.
"""

from .cbor import Plain, decode_plain, encode_plain
from .errors import LatticeError, LocalError, MalformedError, PeerError, StoreError
from .fault_points import arming, fault_point
from .ids import AccountId, ChunkId, DeviceId, EntryId, LogId, SpaceId, short
from .kdf import derive
from .labels import Label
from .padding import padme, step_then_padme
from .ports import Clock, KemProvider, KemSecret, Rng, SignatureProvider, Signer, Threads
from .records import (
    Array,
    Bool,
    Bytes,
    Const,
    Nested,
    Nullable,
    OneOf,
    SInt,
    Text,
    UInt,
    cddl,
    decode,
    decode_one_of,
    encode,
    from_plain,
    record,
    to_plain,
)
from .signing import ED25519_PUBLIC_BYTES, ED25519_SIGNATURE_BYTES, verify_ed25519

__all__ = [
    "ED25519_PUBLIC_BYTES",
    "ED25519_SIGNATURE_BYTES",
    "AccountId",
    "Array",
    "Bool",
    "Bytes",
    "ChunkId",
    "Clock",
    "Const",
    "DeviceId",
    "EntryId",
    "KemProvider",
    "KemSecret",
    "Label",
    "LatticeError",
    "LocalError",
    "LogId",
    "MalformedError",
    "Nested",
    "Nullable",
    "OneOf",
    "PeerError",
    "Plain",
    "Rng",
    "SInt",
    "SignatureProvider",
    "Signer",
    "SpaceId",
    "StoreError",
    "Text",
    "Threads",
    "UInt",
    "arming",
    "cddl",
    "decode",
    "decode_one_of",
    "decode_plain",
    "derive",
    "encode",
    "encode_plain",
    "fault_point",
    "from_plain",
    "padme",
    "record",
    "short",
    "step_then_padme",
    "to_plain",
    "verify_ed25519",
]
