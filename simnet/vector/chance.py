"""numpy's random generators, keyed by names as every other chance in a simulation is.

A generator is Philox (Salmon et al., SC 2011) under a key from a `KeyedRng`: what one purpose draws never shifts what
another draws. numpy keeps the streams of its generators between releases only where it says so (NEP 19): figures that
are pinned to the last digit belong to one numpy.
"""

import numpy as np

from ..rng import KeyedRng

type Seed = bytes | KeyedRng
"""Bytes of any length, or a stream of which only the name counts, never what was drawn from it."""

_KEY_BYTES = 16


def generator(seed: Seed, purpose: str, *names: str) -> np.random.Generator:
    """The generator of `purpose` (and `names` below it) under `seed`: always the same, at its beginning."""
    rng = seed if isinstance(seed, KeyedRng) else KeyedRng(seed)
    for name in (purpose, *names):
        rng = rng.child(name)
    return np.random.Generator(np.random.Philox(key=int.from_bytes(rng.random_bytes(_KEY_BYTES))))
