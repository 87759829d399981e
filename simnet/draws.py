"""Chance for the hot paths of tier C: numbers that depend on a key and a count, and on nothing that was drawn before.

splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014): a counter times the
golden ratio, through Stafford's 64-bit finalizer. It is not cryptographic; it is quick (a third of a microsecond) and
passes the usual tests. Keys come from `KeyedRng`, so that they hang on the seed and on names alone.
"""

from typing import Final

from latticework.wire import Rng

MASK: Final = (1 << 64) - 1
ALWAYS: Final = 1 << 64


def key_from(rng: Rng) -> int:
    """A key of 64 bits: the next 8 bytes of `rng`."""
    return int.from_bytes(rng.random_bytes(8), "big")


def draw(key: int, count: int) -> int:
    """The number that `key` gives at `count`: 64 bits."""
    z = (key + count * 0x9E37_79B9_7F4A_7C15) & 0xFFFF_FFFF_FFFF_FFFF
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & 0xFFFF_FFFF_FFFF_FFFF
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & 0xFFFF_FFFF_FFFF_FFFF
    return z ^ (z >> 31)


def below(key: int, count: int, bound: int) -> int:
    """As `draw`, from 0 to `bound` - 1."""
    return draw(key, count) * bound >> 64


def threshold(share: float) -> int:
    """Draws below it are that share of all."""
    return ALWAYS if share >= 1 else int(share * ALWAYS)


def choose(key: int, bound: int, wanted: int, taken: tuple[int, ...] = ()) -> list[int]:
    """`wanted` different numbers below `bound` that are not in `taken`, or all there are, in the order drawn."""
    found = dict.fromkeys(taken)
    before = len(found)
    wanted = min(wanted, bound - sum(0 <= number < bound for number in found))
    count = 0
    while len(found) - before < wanted:
        found[below(key, count, bound)] = None
        count += 1
    return list(found)[before:]
