"""The first two flights, alike in the named and the anonymous handshake: versions, muxers, X25519 and ML-KEM shares.

Both version and muxer lists, the choice, every key and the ciphertext enter the transcript before the first secret
does; an edited list or a swapped share gives the two ends different keys (no downgrade).
"""

from dataclasses import dataclass

from latticework.wire import KemProvider, KemSecret, PeerError, Rng, decode, encode

from .exchange import ExchangeSecret
from .key_schedule import KeySchedule
from .params import (
    EXCHANGE_BYTES,
    KEM_SEED_BYTES,
    MAX_HELLO_BYTES,
    OFFERED_MUXERS,
    OFFERED_VERSIONS,
)
from .pqx_messages import Head, Hello


@dataclass(frozen=True, slots=True)
class OfferedShares:
    """What the initiator keeps between f1 and f2."""

    schedule: KeySchedule
    exchange: ExchangeSecret
    kem: KemSecret


@dataclass(frozen=True, slots=True)
class AnsweredShares:
    """What the responder has after f1: the clear head of f2, and keys from both ephemeral secrets."""

    schedule: KeySchedule
    head: Head
    initiator_share: bytes


def offer_shares(schedule: KeySchedule, rng: Rng, kem: KemProvider) -> tuple[OfferedShares, bytes]:
    """Fresh ephemeral keys, and f1."""
    exchange = ExchangeSecret(rng.random_bytes(EXCHANGE_BYTES))
    secret = kem.secret(rng.random_bytes(KEM_SEED_BYTES))
    message = encode(Hello(1, OFFERED_VERSIONS, OFFERED_MUXERS, exchange.public, secret.public))
    return OfferedShares(schedule.absorb("f1", message), exchange, secret), message


def answer_shares(schedule: KeySchedule, message: bytes, rng: Rng, kem: KemProvider) -> AnsweredShares:
    """Answer f1.

    Raises:
        MalformedError: not f1, or a key in it is invalid.
        PeerError: no version or muxer in common.
    """
    hello = decode(Hello, message, MAX_HELLO_BYTES)
    version = _choose("version", OFFERED_VERSIONS, hello.versions)
    muxer = _choose("muxer", OFFERED_MUXERS, hello.muxers)
    exchange = ExchangeSecret(rng.random_bytes(EXCHANGE_BYTES))
    product = exchange.agree(hello.share)
    kem_secret, ciphertext = kem.encapsulate(hello.kem_key, rng)
    head = Head(version, muxer, exchange.public, ciphertext)
    mixed = schedule.absorb("f1", message).absorb("f2", encode(head)).advance(product, kem_secret)
    return AnsweredShares(mixed, head, hello.share)


def join_shares(offered: OfferedShares, head: Head) -> KeySchedule:
    """The initiator's keys after f2.

    Raises:
        MalformedError: the share or the ciphertext is invalid.
        PeerError: a version or muxer that was not offered.
    """
    if head.version not in OFFERED_VERSIONS or head.muxer not in OFFERED_MUXERS:
        raise PeerError("downgrade", f"version {head.version} with {head.muxer!r:.40} was not offered")
    product = offered.exchange.agree(head.share)
    kem_secret = offered.kem.decapsulate(head.ciphertext)
    return offered.schedule.absorb("f2", encode(head)).advance(product, kem_secret)


def _choose[T](what: str, ours: tuple[T, ...], theirs: tuple[T, ...]) -> T:
    for choice in ours:
        if choice in theirs:
            return choice
    raise PeerError(what, f"no {what} in common: {theirs!r:.80}")
