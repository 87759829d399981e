"""Golden vectors of what `wire`, `crdt` and `chunkstore` write, in tests/vectors.

They fix the formats byte for byte, for us and for any other implementation. Until tag 0.1 a format may still change
(decision 1); then `LATTICE_WRITE_VECTORS=1 uv run pytest tests/crdt/test_vectors.py` writes the files anew, and the
commit says what changed and why.
"""

import json
import os
from pathlib import Path
from typing import Final

import pytest

from latticework.chunkstore import ChunkSealer, read_manifest, write_manifest
from latticework.crdt import (
    LANE_FILES,
    LANE_LOG,
    Checkpoint,
    CheckpointHead,
    ChunkRef,
    DeviceCertificate,
    Directory,
    Entry,
    File,
    FileOperations,
    FileTree,
    FraudKind,
    Inline,
    LogOpen,
    Make,
    ManifestRef,
    Move,
    Ref,
    Remove,
    SignedCheckpoint,
    SpaceGenesis,
    Statement,
    Symlink,
    Write,
    account_id,
    certificate_hash,
    device_id,
    read_batch,
    read_certificate,
    read_entry,
    read_proof,
    state_root,
    write_batch,
    write_entry,
)
from latticework.crdt.checkpoint import sign_checkpoint, statement_of
from latticework.crdt.statements import prove_contradiction, prove_fork, sign_statement, statement_id
from latticework.handshake.epochs import SpaceKeys
from latticework.simnet.rng import KeyedRng
from latticework.wire import (
    AccountId,
    DeviceId,
    EntryId,
    Label,
    LogId,
    Plain,
    SpaceId,
    decode,
    decode_plain,
    derive,
    encode,
    encode_plain,
    padme,
    step_then_padme,
)
from latticework.wire.signing import Ed25519Signer

from .world import Account, device

pytestmark = pytest.mark.unit

VECTORS: Final = Path(__file__).parent.parent / "vectors"
SPACE: Final = SpaceId(bytes(range(32)))
SIGNER: Final = Ed25519Signer(bytes(range(32, 64)))
LOG: Final = LogId(SIGNER.public)

type Json = str | int | bool | list[Json] | dict[str, Json]


def golden(name: str, actual: dict[str, Json]) -> dict[str, Json]:
    """What the file holds; `actual` is written first if asked for."""
    path = VECTORS / f"{name}.json"
    if os.environ.get("LATTICE_WRITE_VECTORS"):
        path.write_text(json.dumps(actual, indent=2) + "\n")
    stored: dict[str, Json] = json.loads(path.read_text())
    return stored


SAMPLES: Final[list[Plain]] = [
    None,
    True,
    False,
    0,
    23,
    24,
    255,
    256,
    65535,
    65536,
    (1 << 32) - 1,
    1 << 32,
    (1 << 64) - 1,
    -1,
    -24,
    -25,
    -(1 << 63),
    b"",
    bytes(24),
    bytes(256),
    "",
    "\u00fc\u6c34\U00010151",
    [],
    [1, [2, [3]]],
    {},
    {0: 1, 23: 2, 24: 3, 255: 4, 256: 5, 65536: 6},
    [[[[[[[[0]]]]]]]],
]


def test_canonical_cbor_paddings_and_keys() -> None:
    for sample in SAMPLES:
        assert decode_plain(encode_plain(sample), 1000) == sample
    actual: dict[str, Json] = {
        "cbor": {repr(sample): encode_plain(sample).hex() for sample in SAMPLES},
        "padme": {str(n): padme(n) for n in (0, 1, 9, 100, 129, 1000, 1025, 4097, 100_001, (1 << 20) + 1)},
        "payload": {str(n): step_then_padme(n) for n in (0, 1, 128, 129, 2048, 2049, 48_000)},
        "labels": [label.value.decode() for label in Label],
        "derived": {label.value.decode(): derive(bytes(32), b"salt", label, b"context", 16).hex() for label in Label},
    }
    assert golden("wire-formats", actual) == actual


def entries() -> list[Entry]:
    first = write_entry(SPACE, SIGNER, seq=0, prev=None, deps=(), hlc=1 << 16, lane=LANE_LOG, payload=b"opening")
    deps = (EntryId(b"\2" * 32), EntryId(b"\1" * 32))
    second = write_entry(
        SPACE, SIGNER, seq=1, prev=first.id, deps=deps, hlc=1_800_000_000_000 << 16, lane=LANE_FILES, payload=b""
    )
    return [first, second]


def operations() -> FileOperations:
    chunk = ChunkRef(CHUNK_ID, b"k" * 32, 5)
    refs = (Ref(EntryId(b"\1" * 32), 0), Ref(EntryId(b"\2" * 32), 8191))
    big = File(1 << 40, 1_800_000_000_000_000_000, executable=False, content=ManifestRef(chunk))
    return FileOperations(
        (
            Make(None, b"a.txt", File(5, -1, executable=True, content=Inline((chunk,)))),
            Write(refs[0], big, refs),
            Make(refs[1], b"empty", File(0, 0, executable=False, content=Inline(()))),
            Make(None, b"d", Directory()),
            Make(Ref(None, 3), b"\xff", Symlink(b"../target")),
            Move(Ref(None, 3), refs[0], b"e", refs[:1], refs),
            Move(refs[1], None, b"f", ()),
            Remove(refs[0], refs),
        )
    )


def snapshot() -> FileTree:
    tree = FileTree(lambda _: "n")
    tree.set_void({EntryId(b"\3" * 32): True})
    tree.apply_all([(EntryId(b"\4" * 32), 1 << 16, LOG, operations()), (EntryId(b"\3" * 32), 7, LOG, operations())])
    return tree


CHUNK_ID: Final = ChunkSealer(SPACE, bytes(32)).seal(b"chunk").id


def test_entries_and_file_operations() -> None:
    for entry in entries():
        assert read_entry(SPACE, encode(entry.envelope)) == entry
    assert decode(FileOperations, encode(operations()), 10_000) == operations()
    genesis = SpaceGenesis(1, AccountId(b"a" * 32), DeviceId(b"d" * 32), b"n" * 32)
    actual: dict[str, Json] = {
        "space": SPACE.hex(),
        "log_seed": bytes(range(32, 64)).hex(),
        "log": LOG.hex(),
        "entries": [{"id": entry.id.hex(), "envelope": encode(entry.envelope).hex()} for entry in entries()],
        "operations": encode(operations()).hex(),
        "snapshot": snapshot().snapshot().hex(),
        "log_open": encode(LogOpen(DeviceId(b"d" * 32), "laptop", bytes(3373)))[:80].hex(),
        "log_open_statement": encode_plain([SPACE, LOG, b"d" * 32, "laptop"]).hex(),
        "genesis": encode(genesis).hex(),
        "genesis_space": genesis.space.hex(),
    }
    assert golden("crdt-entries", actual) == actual


def forks() -> list[Entry]:
    first, second = entries()
    other = write_entry(
        SPACE, SIGNER, seq=1, prev=first.id, deps=(), hlc=1_800_000_000_000 << 16, lane=LANE_FILES, payload=b"other"
    )
    return [first, second, other]


def checkpoint(number: int) -> Checkpoint:
    heads = (CheckpointHead(LogId(bytes(32)), 7, EntryId(b"e" * 32)), CheckpointHead(LOG, 1, entries()[1].id))
    return Checkpoint(1, number, b"p" * 32 if number else None, heads, state_root(b"state"), 2)


def proofs() -> dict[FraudKind, bytes]:
    _, second, other = forks()
    made = {FraudKind.FORK: encode(prove_fork(SPACE, second, other))}
    for kind, slot in (
        (FraudKind.CHECKPOINT, (4).to_bytes(8)),
        (FraudKind.TASK_RESULT, b"t" * 32),
        (FraudKind.EPOCH, (1).to_bytes(8)),
    ):
        one, two = (Statement(1, kind, SPACE, LOG, seq, slot, bytes([seq]) * 32) for seq in (5, 9))
        made[kind] = encode(prove_contradiction(one, sign_statement(SIGNER, one), two, sign_statement(SIGNER, two)))
    return made


def test_batches() -> None:
    whole, headers = write_batch(forks()), write_batch(forks(), payloads=False)
    assert read_batch(SPACE, whole).entries == forks()
    assert read_batch(SPACE, headers).entries == [entry.without_payload() for entry in forks()]
    actual: dict[str, Json] = {
        "space": SPACE.hex(),
        "ids": [entry.id.hex() for entry in forks()],
        "batch": whole.hex(),
        "headers": headers.hex(),
        "empty": write_batch([]).hex(),
    }
    assert golden("crdt-batches", actual) == actual


def test_fraud_proofs_and_checkpoints() -> None:
    """The device's signature is that of the deterministic provider of `simnet`; only its place is fixed here."""
    device_signer = device("beta", 2).signer
    signed = sign_checkpoint(SPACE, SIGNER, device_signer, 9, checkpoint(4))
    assert decode(SignedCheckpoint, encode(signed), 10_000) == signed
    statement = statement_of(SPACE, LOG, 9, checkpoint(4))
    for kind, proof in proofs().items():
        assert read_proof(SPACE, proof).kind is kind
    actual: dict[str, Json] = {
        "space": SPACE.hex(),
        "log": LOG.hex(),
        "proofs": {str(int(kind)): proof.hex() for kind, proof in proofs().items()},
        "convicted_at": {str(int(kind)): read_proof(SPACE, proof).seq for kind, proof in proofs().items()},
        "keys": {str(int(kind)): read_proof(SPACE, proof).key.hex() for kind, proof in proofs().items()},
        "first_checkpoint": encode(checkpoint(0)).hex(),
        "checkpoint": encode(checkpoint(4)).hex(),
        "content": checkpoint(4).content.hex(),
        "statement": encode(statement).hex(),
        "statement_id": statement_id(encode(statement)).hex(),
        "log_signature": signed.log_signature.hex(),
        "signed_checkpoint_begins": encode(signed)[:400].hex(),
        "signed_checkpoint_bytes": len(encode(signed)),
        "state_root": state_root(b"state").hex(),
    }
    assert golden("crdt-statements", actual) == actual


def test_certificates() -> None:
    """Signed by the deterministic providers of `simnet`: the structure is fixed here, real signatures are hedged."""
    account = Account("alpha", "beta")
    for record in account.records:
        outer, certificate = read_certificate(record)
        assert encode(certificate) == outer.body
    beta = account.devices[1]
    actual: dict[str, Json] = {
        "account": account.id.hex(),
        "account_of_first": account_id(account.records[0]).hex(),
        "device": device_id(beta.signer.public, beta.exchange_key).hex(),
        "records": [record.hex() for record in account.records],
        "hashes": [certificate_hash(record).hex() for record in account.records],
        "root": account.roster().root().hex(),
        "smallest_body": encode(DeviceCertificate(1, None, None, bytes(1984), bytes(32), "", 0, 0, 0, ()))[1990:].hex(),
    }
    assert device("beta", 2).id == beta.id
    assert golden("crdt-certificates", actual) == actual


def test_sealed_payloads() -> None:
    keys = SpaceKeys(SPACE, bytes(32), KeyedRng(b"vectors"))
    first, prev = keys.seal(LOG, 0, None, b"plaintext"), EntryId(b"p" * 32)
    second = keys.seal(LOG, 7, prev, bytes(200))
    assert keys.open(LOG, 0, None, first) == b"plaintext"
    assert keys.open(LOG, 7, prev, second) == bytes(200)
    actual: dict[str, Json] = {"epoch_secret": bytes(32).hex(), "payloads": [first.hex(), second.hex()]}
    assert golden("crdt-payloads", actual) == actual
    reader = SpaceKeys(SPACE, bytes(32), KeyedRng(b"nothing is drawn to read"))
    stored = golden("crdt-payloads", actual)["payloads"]
    assert isinstance(stored, list)
    assert reader.open(LOG, 0, None, bytes.fromhex(str(stored[0]))) == b"plaintext"


def test_chunks_and_manifests() -> None:
    sealer = ChunkSealer(SPACE, bytes(range(32)))
    texts = [b"", b"x", b"chunk", bytes(100), bytes(range(256)) * 5]
    chunks = [sealer.seal(text) for text in texts]
    for chunk, text in zip(chunks, texts, strict=True):
        assert bytes(sealer.open(chunk.id, chunk.key, len(text), chunk.ciphertext)) == text
    refs = [ChunkRef(chunk.id, chunk.key, len(text)) for chunk, text in zip(chunks, texts, strict=True) if text]
    manifest = write_manifest(refs)
    assert read_manifest(manifest, sum(ref.length for ref in refs)) == tuple(refs)
    actual: dict[str, Json] = {
        "space": SPACE.hex(),
        "epoch_secret": bytes(range(32)).hex(),
        "chunker_seed": sealer.chunker_seed,
        "chunks": [
            {"text": text.hex(), "id": chunk.id.hex(), "key": chunk.key.hex(), "sealed": bytes(chunk.ciphertext).hex()}
            for chunk, text in zip(chunks, texts, strict=True)
        ],
        "manifest": manifest.hex(),
    }
    assert golden("chunkstore-sealing", actual) == actual
