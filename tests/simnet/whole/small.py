"""Small scenarios of whole nodes; run as a program it prints the digest of one, for runs under other hash seeds."""

import sys
from dataclasses import replace

from latticework.simnet.result import Result
from latticework.simnet.scenario import Converged, Coverage, Crash, Group, Links, Partition, Publish, Scenario
from latticework.simnet.whole.run import run_whole

PEOPLE = Group("people", 8, dial=3, dial_to=("people",))
BUSY = Publish("people", 1.0, 300, sources=3)
SECOND = 1_000_000


def small(*groups: Group, **changes: object) -> Scenario:
    """Eight honest nodes on the internet, a message a second for ten seconds, everything delivered and alike."""
    scenario = Scenario(
        name="small",
        groups=(PEOPLE, *groups),
        until_us=12 * SECOND,
        warmup_us=5 * SECOND,
        load=(replace(BUSY, until_us=10 * SECOND),),
        checks=(Coverage(), Converged()),
    )
    return replace(scenario, **changes)  # type: ignore[arg-type]  # by the names of its fields


def played(scenario: Scenario, seed: int = 1) -> Result:
    """The result, all of whose checks held."""
    result = run_whole(scenario, seed)
    assert result.ok, [check.told for check in result.checks]
    return result


def disturbed() -> Scenario:
    """With jitter, loss and bursts, so that whatever is drawn is drawn."""
    return small(links=Links(jitter=0.2, loss=0.02, burst_enter=0.01, burst_leave=0.3, burst_loss=0.5))


def tiny() -> Scenario:
    """The least with something of everything: chance on the links, a crash, a partition, a role."""
    return replace(
        disturbed(),
        groups=(replace(PEOPLE, count=5), Group("bad", 1, "delayer", dial=2)),
        until_us=5 * SECOND,
        warmup_us=3 * SECOND,
        load=(replace(BUSY, until_us=4 * SECOND),),
        faults=(Crash("people", SECOND, SECOND, share=0.2), Partition(2 * SECOND, SECOND, share=0.5)),
        checks=(),
    )


if __name__ == "__main__":
    for text in sys.argv[2:]:
        scenario = {"disturbed": disturbed, "tiny": tiny}[sys.argv[1]]()
        print(run_whole(scenario, int(text)).digest)  # noqa: T201  # the answer of the program
