from collections.abc import Callable

import pytest

from latticework.simnet import Cpu, VirtualClock
from latticework.simnet.cpu import COMPOSITE_VERIFY_US, VERIFY_US, charge, free_of_charge, running_on
from latticework.simnet.crypto import computing, providers
from latticework.simnet.model_channel import ModelChannel
from latticework.simnet.scenario import CRYPTO_MODES, Crypto
from latticework.wire import Label, verify_ed25519
from latticework.wire.signing import Ed25519Signer

pytestmark = pytest.mark.unit

SIGNER = Ed25519Signer(bytes(32))
MESSAGE = b"message"
SIGNATURE = SIGNER.sign_raw(MESSAGE)


def busy_us(work: Callable[[], object]) -> int:
    """What `work` charges to a host whose computing costs what it costs."""
    cpu = Cpu(VirtualClock(), 1.0)
    token = running_on.set(cpu)
    try:
        work()
    finally:
        running_on.reset(token)
    return cpu.free_us


@pytest.mark.parametrize("mode", ["real", "memo", "model"])
def test_every_mode_gives_libsodiums_answers_however_often_it_is_asked(mode: Crypto) -> None:
    with computing(mode):
        for _ in range(3):
            assert verify_ed25519(SIGNER.public, MESSAGE, SIGNATURE)
            assert not verify_ed25519(SIGNER.public, MESSAGE + b"!", SIGNATURE)
            assert not verify_ed25519(SIGNER.public, MESSAGE, bytes(64))
            assert not verify_ed25519(bytes(32), MESSAGE, SIGNATURE)


@pytest.mark.parametrize("mode", ["real", "memo"])
def test_every_verification_is_charged_also_one_that_is_remembered(mode: Crypto) -> None:
    def thrice() -> None:
        for _ in range(3):
            verify_ed25519(SIGNER.public, MESSAGE, SIGNATURE)

    with computing(mode):
        assert busy_us(thrice) == 3 * VERIFY_US
    assert busy_us(thrice) == 0, "outside of simulation nothing is charged"


def test_a_composite_verification_costs_the_same_the_first_time_and_the_second() -> None:
    signatures = providers("memo").signatures
    signer = signatures.signer(bytes(64))
    signature = signer.sign(MESSAGE, Label.CERTIFICATE)
    with computing("memo"):
        for _ in range(2):
            cost = busy_us(lambda: signatures.verify(signer.public, MESSAGE, signature, Label.CERTIFICATE))
            assert cost == COMPOSITE_VERIFY_US
        assert not signatures.verify(signer.public, MESSAGE, signature, Label.CERTIFICATE_ACCEPT)


@pytest.mark.parametrize(("mode", "times"), [("real", 3), ("memo", 1), ("model", 1)])
def test_a_remembered_answer_is_computed_once(mode: Crypto, times: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []

    def counted(public: bytes, message: bytes, signature: bytes) -> bool:
        del public, signature
        asked.append(message)
        return False

    monkeypatch.setattr("latticework.wire.signing._by_libsodium", counted)
    with computing(mode):
        for _ in range(3):
            assert not verify_ed25519(SIGNER.public, MESSAGE, SIGNATURE)
    assert asked == [MESSAGE] * times


def test_a_part_of_what_was_charged_is_free() -> None:
    def both() -> None:
        charge(10)
        with free_of_charge():
            charge(1000)

    assert busy_us(both) == 10


def test_a_processor_does_one_thing_after_the_other() -> None:
    cpu = Cpu(VirtualClock(), 2.0)
    cpu.charge(10)
    cpu.charge(5)
    assert cpu.free_us == 30


def test_only_the_model_mode_leaves_records_unsealed() -> None:
    channels = {mode: providers(mode).channel for mode in CRYPTO_MODES}
    assert [mode for mode, channel in channels.items() if channel is ModelChannel] == ["model"]
