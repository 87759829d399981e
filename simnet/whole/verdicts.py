"""Whether what a scenario says must hold did hold, in a run of whole nodes."""

from typing import assert_never

from ..result import CheckResult, percentile_ms
from ..scenario import Check, Converged, Coverage, Detected, Latency
from .simulation import Simulation


def judge(simulation: Simulation, check: Check) -> CheckResult:
    """The outcome of one check."""
    match check:
        case Coverage():
            return _coverage(simulation, check)
        case Latency(most_us, percentile):
            latencies = simulation.record.latencies()
            expected = simulation.record.expected(simulation.scenario.honest)
            got = percentile_ms([latencies[pair] for pair in expected if pair in latencies], percentile)
            told = "nothing was delivered" if got is None else f"p{percentile:g} {got:.1f} ms, at most {most_us / 1e3}"
            return CheckResult("latency", got is not None and got * 1e3 <= most_us, told)
        case Converged():
            return _converged(simulation)
        case Detected(within_us):
            return _detected(simulation, within_us)
        case _:
            assert_never(check)


def invariants(simulation: Simulation) -> list[CheckResult]:
    """What every run must keep, whether a scenario asks for it or not; only what failed is told."""
    return [CheckResult(name, ok=False, told=told) for name, told in simulation.invariants.failures.items()]


def _coverage(simulation: Simulation, check: Coverage) -> CheckResult:
    expected = simulation.record.expected(simulation.scenario.honest)
    latencies = simulation.record.latencies()
    within_us = check.within_us
    in_time = sum(
        latency is not None and (within_us is None or latency <= within_us) for latency in map(latencies.get, expected)
    )
    share = in_time / len(expected) if expected else 0.0
    told = f"{in_time} of {len(expected)} deliveries ({share:.4f}), at least {check.least}"
    return CheckResult("coverage", share >= check.least, told + (f" within {within_us / 1e6} s" if within_us else ""))


def _converged(simulation: Simulation) -> CheckResult:
    roots = simulation.ending.roots
    apart, without = len({root for root in roots if root is not None}), roots.count(None)
    told = f"{len(roots)} honest nodes hold {apart} different states" + (f", {without} none" if without else "")
    return CheckResult("converged", apart == 1 and not without, told)


def _detected(simulation: Simulation, within_us: int) -> CheckResult:
    told_us = simulation.lies_told_us
    if told_us is None:
        return CheckResult("detected", ok=False, told="nobody equivocated")
    late = [
        member.name
        for member in simulation.ending.honest
        if (seen_us := simulation.convicted_us.get(member.number)) is None or seen_us > told_us + within_us
    ]
    slowest = max(simulation.convicted_us.values(), default=told_us) - told_us
    told = f"all proven after {slowest / 1e6:.1f} s" if not late else f"not proven in time by {', '.join(late[:5])}"
    return CheckResult("detected", not late, told)
