"""Verify a FraudProof offline, with nothing of Latticework: PyNaCl, cbor2 and the standard library.

    python examples/verify_fraud_proof.py SPACE_HEX PROOF_FILE

A FraudProof is two signed sayings of one log that exclude each other. Whoever knows the space's id checks it with two
Ed25519 signatures; no entry, key or network is needed. Exit status: 0 proven, 1 not proven, 2 wrong usage.

    fraud-proof = [1, kind, space, first, first-signature, second, second-signature]
    entry-body  = [1, log, seq, prev / null, [* dep], hlc, lane, payload-length, payload-hash]      kind 1
    statement   = [1, kind, space, log, seq, slot, content]                                         kinds 2 to 4
"""

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cbor2
from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

KINDS = {
    1: "two entries under one number (a fork)",
    2: "two checkpoints under one number",
    3: "two results for one task",
    4: "two epochs under one number",
}
MAX_PROOF_BYTES = 2304
MAX_HALF_BYTES = 1024
MAX_DEPS = 16
MAX_PAYLOAD_BYTES = 1 << 20

type Item = int | bytes | list[Item] | None


class NotProvenError(Exception):
    """The bytes prove nothing; says why."""


@dataclass(frozen=True)
class Half:
    """One of the two sayings."""

    log: bytes
    seq: int
    about: tuple[object, ...]
    """What must be equal in both."""
    says: bytes
    """What must differ."""
    identifier: bytes
    message: bytes
    """What the signature covers."""


def decode(data: bytes, max_bytes: int) -> list[Item]:
    """An array of integers, byte strings, nulls and arrays in the one canonical encoding."""
    if len(data) > max_bytes:
        raise NotProvenError(f"{len(data)} bytes where at most {max_bytes} are allowed")
    try:
        value = cbor2.loads(data)
        canonical = cbor2.dumps(value, canonical=True)
    except (cbor2.CBORError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise NotProvenError(f"not CBOR: {error}") from error
    if canonical != data or type(value) is not list or not all(allowed(item) for item in value):
        raise NotProvenError("not the canonical encoding of an array of ours")
    return value


def allowed(item: object) -> bool:
    if isinstance(item, list):
        return type(item) is list and all(type(inner) is bytes for inner in item)
    return item is None or type(item) is bytes or (type(item) is int and 0 <= item < 1 << 64)


def number(item: Item, maximum: int = (1 << 64) - 1) -> int:
    if type(item) is not int or item > maximum:
        raise NotProvenError(f"expected a number up to {maximum}")
    return item


def octets(item: Item, minimum: int, maximum: int) -> bytes:
    if type(item) is not bytes or not minimum <= len(item) <= maximum:
        raise NotProvenError(f"expected {minimum} to {maximum} bytes")
    return item


def fields(data: bytes, count: int) -> list[Item]:
    items = decode(data, MAX_HALF_BYTES)
    if len(items) != count or items[0] != 1:
        raise NotProvenError(f"expected an array of {count} items that begins with version 1")
    return items


def read_entry(space: bytes, data: bytes) -> Half:
    _, log, seq, prev, deps, hlc, lane, length, payload_hash = fields(data, 9)
    if prev is not None:
        octets(prev, 32, 32)
    if not isinstance(deps, list) or len(deps) > MAX_DEPS:
        raise NotProvenError(f"expected at most {MAX_DEPS} dependencies")
    for dep in deps:
        octets(dep, 32, 32)
    number(hlc)
    number(lane, 0xFFFF)
    number(length, MAX_PAYLOAD_BYTES)
    octets(payload_hash, 32, 32)
    identifier = hashlib.sha256(b"lattice/entry/1" + space + data).digest()
    place = octets(log, 32, 32), number(seq)
    return Half(*place, place, identifier, identifier, b"lattice/entry-signature/1" + identifier)


def read_statement(space: bytes, kind: int, data: bytes) -> Half:
    _, said_kind, said_space, log, seq, slot, content = fields(data, 7)
    if number(said_kind, 4) != kind or octets(said_space, 32, 32) != space:
        raise NotProvenError("a statement is of another kind or about another space than the proof")
    identifier = hashlib.sha256(b"lattice/statement/1" + data).digest()
    about = octets(log, 32, 32), octets(slot, 8, 32)
    message = b"lattice/statement-signature/1" + identifier
    return Half(about[0], number(seq), about, octets(content, 32, 32), identifier, message)


def verify(space: bytes, data: bytes) -> tuple[int, Half, Half]:
    """The kind and the two sayings of a proof; raises NotProvenError."""
    items = decode(data, MAX_PROOF_BYTES)
    if len(items) != 7 or items[0] != 1:
        raise NotProvenError("expected an array of 7 items that begins with version 1")
    kind = number(items[1], 4)
    if kind not in KINDS:
        raise NotProvenError(f"there is no fraud of kind {kind}")
    if octets(items[2], 32, 32) != space:
        raise NotProvenError("the proof is about another space")
    raw = [octets(item, 0, MAX_HALF_BYTES) for item in (items[3], items[5])]
    first, second = (read_entry(space, one) if kind == 1 else read_statement(space, kind, one) for one in raw)
    if first.about != second.about:
        raise NotProvenError("the two halves are about different things")
    if first.says == second.says:
        raise NotProvenError("the two halves say the same")
    if first.identifier >= second.identifier:
        raise NotProvenError("the two halves are not in order")
    for half, signature in ((first, items[4]), (second, items[6])):
        try:
            crypto_sign_open(octets(signature, 64, 64) + half.message, half.log)
        except BadSignatureError:
            raise NotProvenError("a signature does not verify") from None
    return kind, first, second


def account(kind: int, first: Half, second: Half) -> str:
    """What the proof says, for people."""
    what = "entry" if kind == 1 else "statement"
    lines = [
        "PROVEN",
        f"who      log {first.log.hex()}",
        f"what     {KINDS[kind]}",
        f"number   {min(first.seq, second.seq)}: from this entry on the log cannot be trusted",
    ]
    if kind != 1:
        slot = first.about[1]
        assert isinstance(slot, bytes)
        lines.append(f"slot     {slot.hex()}")
    lines += [f"{what:9}{half.identifier.hex()} in entry {half.seq}" for half in (first, second)]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Exit status: 0 proven, 1 not proven, 2 wrong usage."""
    try:
        space_hex, path = arguments
        space, data = bytes.fromhex(space_hex), Path(path).read_bytes()
    except (ValueError, OSError) as error:
        print(f"usage: verify_fraud_proof.py SPACE_HEX PROOF_FILE ({error})", file=sys.stderr)
        return 2
    if len(space) != 32:
        print("a space's id has 32 bytes", file=sys.stderr)
        return 2
    try:
        print(account(*verify(space, data)))
    except NotProvenError as error:
        print(f"NOT PROVEN: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
