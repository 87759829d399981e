"""`lattice up` of an equivocator: it takes no proof, and nothing that contradicts what it has. See `traitor`."""

import sys
from collections.abc import Sequence

from latticework.crdt import Conviction, Entry, SpaceEvent, SpaceReplica
from latticework.crdt.logs import Logs
from latticework.node.cli import main as cli

_honest_receive = SpaceReplica.receive


def receive(self: SpaceReplica, offered: Sequence[tuple[Entry, bytes]], now_us: int) -> list[SpaceEvent]:
    news = [
        (entry, sender)
        for entry, sender in offered
        if (head := self.frontier.get(entry.body.author)) is None or entry.body.seq > head.seq
    ]
    return _honest_receive(self, news, now_us)


def take_proof(self: SpaceReplica, proof: bytes) -> list[SpaceEvent]:
    del self, proof
    return []


def convict(self: Logs, conviction: Conviction) -> bool:
    del self, conviction
    return False


if __name__ == "__main__":
    setattr(SpaceReplica, "receive", receive)  # noqa: B010  # what no honest program does
    setattr(SpaceReplica, "take_proof", take_proof)  # noqa: B010
    setattr(Logs, "convict", convict)  # noqa: B010
    # What is left of the command: python -m latticework.node.cli.main ...
    sys.exit(cli.main(sys.argv[4:]))
