"""Prints the digests of two runs with every kind of chance; run in processes of their own."""

from latticework.simnet.amounts import Span
from latticework.simnet.core.run import run_core
from latticework.simnet.roles.gossip_roles import GOSSIP_ROLES
from latticework.simnet.scenario import Churn, Crash, Group, Links, Lookup, Partition, Publish, Scenario

SECOND = 1_000_000
OPTIONS: dict[str, tuple[tuple[str, str], ...]] = {
    "censor": (("victims", "peers"),),
    "eclipse": (("target", "target"),),
    "covert-flash": (("honest_for", "4s"),),
}

OTHER_ROLES = {"flood": ["silent"], "sync": [], "kademlia": ["kad-liar"]}


def scenario_of(protocol: str) -> Scenario:
    roles = sorted(GOSSIP_ROLES) if protocol == "gossip" else OTHER_ROLES[protocol]
    return Scenario(
        protocol,
        (
            Group("peers", 30, dial=4, up=6_250_000, down=6_250_000),
            Group("target", 1, dial=4),
            *(Group(role, 2, role=role, dial=3, options=OPTIONS.get(role, ())) for role in roles),
        ),
        9 * SECOND,
        protocol=protocol,
        warmup_us=3 * SECOND,
        links=Links(jitter=0.1, loss=0.02, duplicate=0.02, reorder=0.02, burst_enter=0.01, burst_loss=0.5),
        load=(Lookup("peers", 3) if protocol == "kademlia" else Publish("peers", 3),),
        faults=(
            Partition(SECOND, 2 * SECOND, share=0.3),
            Crash("peers", 4 * SECOND, 2 * SECOND, 0.2),
            Churn("peers", Span("exp", 6 * SECOND), Span("uniform", SECOND, 2 * SECOND)),
        ),
    )


for name in ("gossip", *OTHER_ROLES):
    print(run_core(scenario_of(name), 1).digest)  # noqa: T201 - read by the test
