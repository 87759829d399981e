"""Rumours told to nodes drawn anew each time, in rounds, for many runs at once: the classics theory has answers for.

Two families. *Infect and die*: a node that hears the rumour tells `fanout` others in the next round, once (Kermarrec,
Massoulie, Ganesh, IEEE TPDS 14(3), 2003). *Rounds to all*: in each round, everybody calls one other; a call tells the
rumour forward (push: Pittel, SIAM J. Appl. Math. 47, 1987) or both ways (push-pull: Karp et al., FOCS 2000). Whoever is
called is uniform over all nodes, the caller included, as the theory has it.

A state is `run * node_count + node`; node 0 starts in every run.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from latticework.wire import LocalError

from .chance import Seed, generator

_BLOCK_STATES: Final = 1 << 20
"""States in one block of runs: 3 MiB of flags, and up to 8 bytes times the fanout of calls. Part of what a seed means:
the runs of a block draw from one generator."""


def infect_and_die(seed: Seed, node_count: int, fanout: int, run_count: int) -> NDArray[np.int64]:
    """How many nodes hear the rumour before it dies out, node 0 included: int64[run_count], each 1..node_count.

    Raises: LocalError for a count below 1 or a negative fanout.
    """
    if fanout < 0:
        raise LocalError(f"a fanout of {fanout}")
    reached: list[NDArray[np.int64]] = []
    for rng, runs in _blocks(seed, "infect-and-die", node_count, run_count):
        heard = _first_heard(node_count, runs)
        telling = np.flatnonzero(heard)
        while telling.size:
            called = rng.integers(0, node_count, (telling.size, fanout))
            called += (telling - telling % node_count)[:, None]
            new = np.zeros_like(heard)
            new[called.reshape(-1)] = True
            new &= ~heard
            heard |= new
            telling = np.flatnonzero(new)
        reached.append(heard.reshape(runs, node_count).sum(axis=1, dtype=np.int64))
    return np.concatenate(reached)


def push_rounds(seed: Seed, node_count: int, run_count: int) -> NDArray[np.int64]:
    """Rounds until all have heard, if those who have tell one other each: int64[run_count].

    Raises: LocalError for a count below 1.
    """
    rounds: list[NDArray[np.int64]] = []
    for rng, runs in _blocks(seed, "push", node_count, run_count):
        heard = _first_heard(node_count, runs)
        taken = np.zeros(runs, np.int64)
        while (waiting := _unfinished(heard, runs)).any():
            taken += waiting
            # Runs that are over go on calling, to no effect: they end within a few rounds of each other.
            telling = np.flatnonzero(heard)
            called = rng.integers(0, node_count, telling.size)
            called += telling - telling % node_count
            heard[called] = True
        rounds.append(taken)
    return np.concatenate(rounds)


def push_pull_rounds(seed: Seed, node_count: int, run_count: int) -> NDArray[np.int64]:
    """Rounds until all have heard, if all call one other each and either tells the other: int64[run_count].

    Raises: LocalError for a count below 1.
    """
    rounds: list[NDArray[np.int64]] = []
    for rng, runs in _blocks(seed, "push-pull", node_count, run_count):
        heard = _first_heard(node_count, runs)
        own_run = np.repeat(np.arange(runs) * node_count, node_count)
        taken = np.zeros(runs, np.int64)
        while (waiting := _unfinished(heard, runs)).any():
            taken += waiting
            called = rng.integers(0, node_count, heard.size)
            called += own_run
            pulled = heard.take(called)
            heard[called.compress(heard)] = True  # only who had heard before this round tells
            heard |= pulled
        rounds.append(taken)
    return np.concatenate(rounds)


def _blocks(seed: Seed, purpose: str, node_count: int, run_count: int) -> list[tuple[np.random.Generator, int]]:
    """The blocks of runs: a generator and a number of runs each."""
    if node_count < 1 or run_count < 1:
        raise LocalError(f"{run_count} runs of {node_count} nodes")
    per_block = max(1, _BLOCK_STATES // node_count)
    return [
        (generator(seed, purpose, str(start)), min(per_block, run_count - start))
        for start in range(0, run_count, per_block)
    ]


def _first_heard(node_count: int, runs: int) -> NDArray[np.bool_]:
    heard = np.zeros(runs * node_count, np.bool_)
    heard[::node_count] = True
    return heard


def _unfinished(heard: NDArray[np.bool_], runs: int) -> NDArray[np.bool_]:
    """The runs in which somebody has not heard: bool[runs]."""
    unfinished: NDArray[np.bool_] = ~heard.reshape(runs, -1).all(axis=1)
    return unfinished
