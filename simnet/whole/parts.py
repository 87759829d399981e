"""Into how many parts the links between devices fall, by union-find."""

from collections.abc import Sequence
from typing import Final, final

from ..topology import Topology
from .fleet import Member


@final
class Parts:
    """The parts of `members`, all of which are up, by the links that something passes now."""

    def __init__(self, members: Sequence[Member], topology: Topology) -> None:
        self._above = {member.number: member.number for member in members}
        by_device = {member.node.device: member for member in members if member.node is not None}
        for member in members:
            for device in () if member.node is None else member.node.peers.links:
                far = by_device.get(device)
                if far is not None and topology.passes(member.name, far.name):
                    self._above[self._root(member.number)] = self._root(far.number)
        self.count: Final = sum(self._root(number) == number for number in self._above)

    def joined(self, a: int, b: int) -> bool:
        """Whether two of the members are in one part."""
        return self._root(a) == self._root(b)

    def _root(self, at: int) -> int:
        above = self._above
        while above[at] != at:
            above[at] = at = above[above[at]]
        return at
