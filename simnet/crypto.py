"""How a simulated run computes its cryptography: `real`, `memo` or `model` (decision 25).

`real` is what the product does. Post-quantum signing and encapsulation draw their own chance there, so two runs differ
in every byte that hangs on them; compare what was delivered.
`memo` uses the deterministic providers and remembers the answers of verification, by all of its input: a pure function
of bytes, so nothing else changes. A thousand nodes that verify one message verify it once. Failures are remembered too.
`model` also takes the secure channel's records for sealed: sizes and failures are kept, secrecy is not. It is refused
where somebody forges (`roles`).
In every mode each verification is charged to the node that asks, so a flood of signatures is not free.
"""

import hashlib
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Final, final

from latticework.handshake import MlKem1024, PqxChannel
from latticework.node.surroundings import ChannelOf
from latticework.wire import KemProvider, Label, SignatureProvider, Signer
from latticework.wire.signing import CompositeSignatures, Verifier, verifying_through

from .cpu import COMPOSITE_VERIFY_US, VERIFY_US, charge, free_of_charge
from .model_channel import ModelChannel
from .providers import ModelKem, ModelSignatures
from .scenario import Crypto

_REMEMBERED: Final = 1 << 16
"""Answers kept; the oldest goes first. Messages are asked about by every node within seconds."""


@final
class _Memory:
    """The newest answers of a pure predicate of byte strings; a question is kept as its hash, BLAKE2b-256."""

    def __init__(self) -> None:
        self._answers: dict[bytes, bool] = {}

    def ask(self, compute: Callable[[], bool], *question: bytes) -> bool:
        lengths = b"".join(len(part).to_bytes(4) for part in question)
        key = hashlib.blake2b(lengths + b"".join(question), digest_size=32).digest()
        answer = self._answers.get(key)
        if answer is None:
            answer = self._answers[key] = compute()
            if len(self._answers) > _REMEMBERED:
                del self._answers[next(iter(self._answers))]
        return answer


@final
class _MemoSignatures:
    """A `SignatureProvider` whose verification is remembered, or only charged for."""

    def __init__(self, inner: SignatureProvider, *, remember: bool) -> None:
        self._inner = inner
        self._memory = _Memory() if remember else None

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def public_bytes(self) -> int:
        return self._inner.public_bytes

    @property
    def signature_bytes(self) -> int:
        return self._inner.signature_bytes

    def signer(self, seed: bytes) -> Signer:
        return self._inner.signer(seed)

    def verify(self, public: bytes, message: bytes, signature: bytes, label: Label) -> bool:
        charge(COMPOSITE_VERIFY_US)

        def compute() -> bool:
            with free_of_charge():
                return self._inner.verify(public, message, signature, label)

        if self._memory is None:
            return compute()
        return self._memory.ask(compute, public, message, signature, label.value)


@dataclass(frozen=True, slots=True)
class Providers:
    """The cryptography of one run."""

    mode: Crypto
    kem: KemProvider
    signatures: SignatureProvider
    channel: ChannelOf = PqxChannel


def providers(mode: Crypto) -> Providers:
    """Fresh providers: what they remember is of one run."""
    if mode == "real":
        return Providers(mode, MlKem1024(), _MemoSignatures(CompositeSignatures(), remember=False))
    channel: ChannelOf = ModelChannel if mode == "model" else PqxChannel
    return Providers(mode, ModelKem(), _MemoSignatures(ModelSignatures(), remember=True), channel)


@contextmanager
def computing(mode: Crypto) -> Generator[None]:
    """Inside, Ed25519 verifications are charged for, and remembered unless `mode` is `real`."""
    memory = None if mode == "real" else _Memory()

    def wrap(verify: Verifier) -> Verifier:
        def charged(public: bytes, message: bytes, signature: bytes) -> bool:
            charge(VERIFY_US)
            if memory is None:
                return verify(public, message, signature)
            return memory.ask(lambda: verify(public, message, signature), public, message, signature)

        return charged

    with ExitStack() as stack:
        stack.enter_context(verifying_through(wrap))
        yield
