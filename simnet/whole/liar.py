"""The equivocator of a run of whole nodes: two histories, each told to one half of the honest nodes."""

from itertools import count
from typing import Final

import trio

from latticework.crdt import Writer
from latticework.node.app import Node
from latticework.wire import LocalError, PeerError
from latticework.wire.signing import Ed25519Signer

from ..draws import choose, key_from
from ..rng import KeyedRng
from ..roles.equivocator import Branch
from .fleet import Member
from .simulation import Simulation

_EVERY_S: Final = 1.0
_FIRST_LIE_S: Final = 1.0


async def equivocate(simulation: Simulation, member: Member) -> None:
    """Once a second tell each half the next entry of its own history, until nobody believes it.

    A lie travels as a message to one node alone would: past gossip, after the latency of the link.
    """
    rng = simulation.rng.child(f"liar {member.number}")
    start_s = (simulation.scenario.warmup_us + member.group.joins_at_us) / 1e6 + _FIRST_LIE_S
    await trio.sleep_until(start_s)
    while member.node is None:  # noqa: ASYNC110  # starting is no event of its own
        await trio.sleep(_EVERY_S)
    branches = _branches(simulation, member.node, rng)
    honest = [number for number in simulation.scenario.honest if number != member.number]
    first = choose(key_from(rng.child("halves")), len(honest), len(honest) // 2)
    halves = [honest[at] for at in sorted(first)], [n for at, n in enumerate(honest) if at not in dict.fromkeys(first)]
    async with trio.open_nursery() as nursery:
        for number in count():
            for name, branch, half in zip("ab", branches, halves, strict=True):
                try:
                    branch.write(f"{member.name}-{number}", f"history {name}")
                except LocalError:
                    return
                simulation.liars[branch.log] = None
                if simulation.lies_told_us is None:
                    simulation.lies_told_us = simulation.now_us
                for listener in half:
                    nursery.start_soon(_tell, simulation, member, listener, branch.batch())
            await trio.sleep(_EVERY_S)


def _branches(simulation: Simulation, node: Node, rng: KeyedRng) -> list[Branch]:
    (known,) = node.account.spaces
    writer = Writer(Ed25519Signer(rng.child("log").random_bytes(32)), node.device, node.keys.signer)
    signatures = simulation.crypto.signatures
    space, secret, clock = simulation.space, known.epoch_secret, simulation.clock
    return [Branch(space, secret, node.roster, signatures, writer, clock, rng.child(name)) for name in "ab"]


async def _tell(simulation: Simulation, member: Member, listener: int, batch: bytes) -> None:
    target = simulation.members[listener]
    lane = simulation.net.topology.lane(member.name, target.name)
    arrival_us = lane.arrival_us(simulation.now_us, len(batch))
    lane.heard_bytes += len(batch)  # it travels in no pipe, which would count it when it gets there
    await trio.sleep_until(arrival_us / 1e6)
    space = None if target.node is None else target.node.spaces.get(simulation.space)
    if space is None or member.node is None or not simulation.net.topology.passes(member.name, target.name):
        return
    try:
        await space.receive(batch, member.node.device)
    except PeerError as error:
        simulation.invariants.broken("lies", f"{target.name} took a well-formed lie for garbage: {error}")
