"""Golden vectors: a run from fixed seeds gives these bytes, here and in any other implementation.

The providers are the deterministic ones of `latticework.simnet`, with the real sizes. Secrets are listed as the seeds
they come from: streams of `KeyedRng(b"vectors")`.
"""

import hashlib
import hmac

import cbor2
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from latticework.handshake import (
    AesGcmRecords,
    AnonymousChannel,
    Failure,
    RecordKeys,
    RekeyLimits,
    encode_seeds,
    generate,
)
from latticework.handshake import pairing_messages as messages
from latticework.handshake.pairing_code import QrCode, TypedCode, password_of
from latticework.handshake.pairing_keys import pairing_keys
from latticework.handshake.spake import Role, Spake
from latticework.simnet.rng import KeyedRng
from latticework.wire import Label, encode
from latticework.wire.signing import CompositeSignatures, composite_message

from .vector_files import Json, golden
from .world import MODEL, NOW_S, NOW_US, World, flip, shake_hands

pytestmark = pytest.mark.unit


def test_the_composites_message_is_built_as_in_the_draft() -> None:
    """`messageFormatSample_ctx.md` of lamps-wg/draft-composite-sigs, with our algorithm's label in place of P-256's."""
    sample = (
        "436f6d706f73697465416c676f726974686d5369676e61747572657332303235"
        "434f4d505349472d4d4c44534136352d503235362d534841353132"
        "080813061205162623"
        "0f89ee1fcb7b0a4f7809d1267a029719004c5a5e5ec323a7c3523a20974f9a3f"
        "202f56fadba4cd9e8d654ab9f2e96dc5c795ea176fa20ede8d854c342f903533"
    )
    expected = bytes.fromhex(sample).replace(b"MLDSA65-P256-SHA512", b"MLDSA65-Ed25519-SHA512")
    assert composite_message(bytes(range(10)), bytes.fromhex("0813061205162623")) == expected
    assert (CompositeSignatures.public_bytes, CompositeSignatures.signature_bytes) == (1984, 3373)


def test_the_handshake_replays_byte_for_byte() -> None:
    world = World(b"vectors")
    run = shake_hands(*world.pair())
    initiator, responder = run.both()
    out = memoryview(bytearray(100))
    actual: dict[str, Json] = {
        "seeds": encode_seeds(generate(KeyedRng(b"vectors").child("alpha"), NOW_S)).hex(),
        "certificate_sha256": hashlib.sha256(world.alpha.certificate).hexdigest(),
        "bundle": world.beta.local.bundle.hex(),
        "flights": [message.hex() for message in run.messages],
        "export": initiator.records.export(b"vector", 32).hex(),
        "first_record_forth": bytes(out[: initiator.records.seal_into(b"hello", out, NOW_US)]).hex(),
        "first_record_back": bytes(out[: responder.records.seal_into(b"hello", out, NOW_US)]).hex(),
    }
    assert golden("handshake-pqx", actual) == actual


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869 over SHA-512, by hand."""
    key, out, block = hmac.digest(salt, secret, "sha512"), b"", b""
    for counter in range(1, length // 64 + 2):
        block = hmac.digest(key, block + info + bytes([counter]), "sha512")
        out += block
    return out[:length]


def test_the_key_schedule_follows_from_the_messages_by_another_implementation() -> None:
    """The anonymous handshake again, with hashlib, hmac and cbor2 alone."""
    rng = KeyedRng(b"vectors")
    channel = AnonymousChannel(rng, MODEL.kem)
    run = shake_hands(channel.initiate(), channel.respond())
    f1, f2, f3, f4 = run.messages
    seeds = KeyedRng(b"vectors")
    exchange = X25519PrivateKey.from_private_bytes(seeds.random_bytes(32))
    kem = MODEL.kem.secret(seeds.random_bytes(64))
    head: list[bytes] = cbor2.loads(f2)
    product = exchange.exchange(X25519PublicKey.from_public_bytes(head[2]))

    def absorb(transcript: bytes, step: str, value: bytes) -> bytes:
        return hashlib.sha512(b"lattice/pqx-absorb/1" + cbor2.dumps([transcript, step, [value]])).digest()

    suite = ["/lattice/pqx-anonymous/1", "X25519+model-kem/AES-256-GCM"]
    start = hashlib.sha512(b"lattice/pqx-anonymous/1" + cbor2.dumps(suite)).digest()
    transcript = absorb(absorb(start, "f1", f1), "f2", f2)
    chain = hkdf(product + kem.decapsulate(head[3]), start, b"lattice/pqx-step/1\0" + transcript, 64)
    for step, message in (("f3", f3), ("f4", f4)):
        key = hkdf(chain, transcript, b"lattice/pqx-confirm/1\0" + step.encode(), 32)
        sealed = AESGCM(key).encrypt(bytes(12), b"", transcript)
        assert message == cbor2.dumps([sealed])
        transcript = absorb(transcript, step, sealed)
    material = hkdf(chain, transcript, b"lattice/record-keys/1\0", 96)
    first = hkdf(material[:32], b"", b"lattice/record-rekey/1\0", 64)[:32]
    header = (5 + 16).to_bytes(4)
    out = memoryview(bytearray(100))
    size = run.both()[0].records.seal_into(b"hello", out, NOW_US)
    assert bytes(out[:size]) == header + AESGCM(first).encrypt(bytes(12), b"hello", header)
    exported = hkdf(material[64:], b"", b"lattice/record-export/1\0" + (32).to_bytes(2) + b"vector", 32)
    assert run.both()[1].records.export(b"vector", 32) == exported


def test_the_anonymous_handshake_replays_byte_for_byte() -> None:
    channel = AnonymousChannel(KeyedRng(b"vectors"), MODEL.kem)
    run = shake_hands(channel.initiate(), channel.respond())
    actual: dict[str, Json] = {
        "flights": [message.hex() for message in run.messages],
        "export": run.both()[0].records.export(b"vector", 32).hex(),
    }
    assert golden("handshake-pqx-anonymous", actual) == actual


def test_records_are_these_bytes() -> None:
    keys = RecordKeys(bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96)))
    records = AesGcmRecords(keys, 0, RekeyLimits(max_bytes=100, max_us=1_000))
    out = memoryview(bytearray(200))
    wire = [bytes(out[: records.seal_into(text, out, now_us)]) for text, now_us in ((b"one", 0), (b"two", 999))]
    wire += [
        bytes(out[: records.seal_into(b"by the hour", out, 1_000)]),
        bytes(out[: records.seal_into(b"x" * 60, out, 1_001)]),
    ]
    actual: dict[str, Json] = {
        "seal_secret": keys.seal.hex(),
        "records": [record.hex() for record in wire],
        "close": records.seal_close().hex(),
        "export": records.export(b"vector", 32).hex(),
    }
    assert golden("handshake-records", actual) == actual


def test_pairing_keys_and_messages_are_these_bytes() -> None:
    typed = TypedCode("4821", "09375516")
    scanned = QrCode("4821", bytes(range(32)), bytes(range(32, 64)), ("/ip4/192.168.1.7/tcp/4001",))
    rng = KeyedRng(b"vectors")
    joiner, sponsor = (Spake(role, password_of(typed), rng) for role in (Role.JOINER, Role.SPONSOR))
    key = joiner.finish(sponsor.share)
    assert key == sponsor.finish(joiner.share)
    hello, answer = messages.PairHello(1, 1, typed.nameplate, joiner.share), messages.PairAnswer(sponsor.share)
    keys = pairing_keys(Role.JOINER, key, bytes(32), encode(hello), encode(answer))
    actual: dict[str, Json] = {
        "uri": scanned.uri,
        "passwords": [password_of(typed).hex(), password_of(scanned).hex()],
        "spake_key": key.hex(),
        "clear": [encode(m).hex() for m in (hello, answer, messages.PairConfirm(keys.joiner_mac))],
        "sponsor_mac": keys.sponsor_mac.hex(),
        "records": [keys.records.seal.hex(), keys.records.open.hex()],
        "plaintexts": [encode(m).hex() for m in _plaintexts()],
    }
    assert golden("handshake-pairing", actual) == actual


def _plaintexts() -> list[messages.SealedMessage]:
    world = World(b"vectors")
    return [
        messages.PairRefusal(Failure.HAS_SPACES),
        messages.JoinerCard(bytes(1984), bytes(32), "delta", has_devices=False, has_spaces=True, addresses=("/a",)),
        messages.SponsorCard(world.alpha.keys.device, "alpha", world.roster.account, 2, ("/b", "/c")),
        messages.RosterPart((b"one", b"two")),
        messages.JoinerConsent(),
        messages.CertificateOffer(b"body", bytes(3373)),
        messages.CertificateAccepted(b"signed"),
        messages.PairDone(),
    ]


def test_a_composite_with_any_part_changed_is_refused() -> None:
    signatures = CompositeSignatures()
    signer = signatures.signer(bytes(64))
    signature = signer.sign(b"m", Label.CERTIFICATE)
    assert signatures.verify(signer.public, b"m", signature, Label.CERTIFICATE)
    for position in (0, 3308, 3309, 3372):
        assert not signatures.verify(signer.public, b"m", flip(signature, position), Label.CERTIFICATE)
    assert not signatures.verify(signer.public, b"m", signature, Label.CERTIFICATE_ACCEPT)
