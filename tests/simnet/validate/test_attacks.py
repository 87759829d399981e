"""V12 at a small scale: 40 honest nodes, and ten links of Sybils to each of theirs."""

from dataclasses import replace

import pytest

from latticework.simnet import KeyedRng
from latticework.simnet.validate.attacks import COLD_BOOT, COVERT_FLASH, Attack, attack_checks, damage, params_v10
from latticework.transport.gossip_params import MESHSUB_10

pytestmark = pytest.mark.sim

SECOND = 1_000_000


def small(attack: Attack, attack_s: int, until_s: int) -> Attack:
    return replace(
        attack,
        honest=40,
        publishers=5,
        dials=8,
        sybils=160,
        sybil_dials=20,
        honest_from_us=attack.honest_from_us // 5,
        attack_us=attack_s * SECOND,
        publish_from_us=6 * SECOND,
        measured_from_us=max(6, attack_s) * SECOND,
        until_us=until_s * SECOND,
    )


@pytest.mark.parametrize("attack", [small(COLD_BOOT, 0, 14), small(COVERT_FLASH, 16, 24)], ids=lambda found: found.name)
def test_with_scores_everything_arrives_in_time_and_without_it_is_late(attack: Attack) -> None:
    lost, longest, _, slow = attack_checks(b"small", attack)
    assert (lost.got, lost.ok) == (0, True)
    assert longest.got < 3
    assert slow.got > 1.5 * longest.got


def test_sybils_that_never_attack_do_no_harm() -> None:
    attack = replace(small(COVERT_FLASH, 1_000, 10), measured_from_us=0)
    found = damage(attack, params_v10(attack), MESHSUB_10, KeyedRng(b"peace"))
    assert found.lost == 0
    assert found.longest_s < 0.3


def test_an_attack_is_the_same_for_one_seed() -> None:
    attack = small(COLD_BOOT, 0, 8)
    one, two = (damage(attack, params_v10(attack), MESHSUB_10, KeyedRng(b"same")) for _ in range(2))
    assert one == two
