# ruff: noqa: PLC0415 - each process imports only the engine that it measures
"""The engines of bench/simnet.py that run a flood in Python: `python simnet_engines.py ENGINE FILE`, one per process.

An engine is made of the links and messages of a workload; called, it gives all latencies in microseconds, and how many
copies arrived. Making it is not measured. Peers import nothing of ours.
"""

import gc
import heapq
import json
import math
import sys
import time
from functools import partial
from pathlib import Path


def tier_f(workload):
    from latticework.simnet.whole.flood import run_flood

    return partial(outcome_of, run_flood, workload)


def tier_c(workload):
    from latticework.simnet.core.flood import run_flood

    return partial(outcome_of, run_flood, workload)


def outcome_of(run_flood, workload):
    outcome = run_flood(workload)
    return outcome.deliveries.latency_us, outcome.receptions


def tier_v(workload):
    from latticework.simnet.vector import disseminate, mesh_from_edges

    edges = [(near, far, us) for near, links in enumerate(workload.links) for far, us in links if near < far]
    mesh = mesh_from_edges(workload.node_count, edges)
    sources = [source for source, _ in workload.messages]

    def run():
        spread = disseminate(mesh, sources)
        return spread.first_us[spread.first_us > 0], int(spread.received.sum())

    return run


def simpy_processes(links, messages):
    import simpy

    env = simpy.Environment()
    boxes = [simpy.Store(env) for _ in links]
    found, arrived = [], [-len(messages)]

    def cable(latency_us, to, copy):
        yield env.timeout(latency_us)
        boxes[to].put(copy)

    def node(number):
        seen = set()
        while True:
            sender, message = yield boxes[number].get()
            arrived[0] += 1
            if message not in seen:
                seen.add(message)
                if sender != number:
                    found.append(env.now - messages[message][1])
                for peer, latency_us in links[number]:
                    if peer != sender:
                        env.process(cable(latency_us, peer, (number, message)))

    for number in range(len(links)):
        env.process(node(number))
    for message, (source, at_us) in enumerate(messages):
        env.process(cable(at_us, source, (source, message)))

    def run():
        env.run()
        return found, arrived[0]

    return run


def simpy_callbacks(links, messages):
    import simpy

    env = simpy.Environment()
    seen = [set() for _ in links]
    found, arrived = [], [-len(messages)]

    def send(latency_us, copy):
        env.timeout(latency_us, copy).callbacks.append(receive)

    def receive(event):
        number, sender, message = event.value
        arrived[0] += 1
        if message not in seen[number]:
            seen[number].add(message)
            if sender != number:
                found.append(env.now - messages[message][1])
            for peer, latency_us in links[number]:
                if peer != sender:
                    send(latency_us, (peer, number, message))

    for message, (source, at_us) in enumerate(messages):
        send(at_us, (source, source, message))

    def run():
        env.run()
        return found, arrived[0]

    return run


def mock_clock(links, messages):
    """A network task that sleeps until the next copy is due; nodes wake it earlier when they send a quicker one."""
    import trio
    from trio.testing import MockClock

    queue = [(at_us, at, source, source, at) for at, (source, at_us) in enumerate(messages)]
    heapq.heapify(queue)
    found, state = [], {"arrived": -len(messages), "sequence": len(messages), "waiting": len(messages)}
    channels = [trio.open_memory_channel(math.inf) for _ in links]

    async def node(number, scope, asleep):
        seen = set()
        async for sender, message in channels[number][1]:
            state["arrived"] += 1
            if message not in seen:
                seen.add(message)
                now_us = round(trio.current_time() * 1e6)
                if sender != number:
                    found.append(now_us - messages[message][1])
                for peer, latency_us in links[number]:
                    if peer != sender:
                        state["sequence"] += 1
                        state["waiting"] += 1
                        heapq.heappush(queue, (now_us + latency_us, state["sequence"], peer, number, message))
                asleep[0].deadline = min(asleep[0].deadline, queue[0][0] / 1e6 if queue else math.inf)
            state["waiting"] -= 1
            if not state["waiting"]:
                scope.cancel()

    async def network(asleep):
        while True:
            now_us = round(trio.current_time() * 1e6)
            while queue and queue[0][0] <= now_us:
                _, _, to, sender, message = heapq.heappop(queue)
                channels[to][0].send_nowait((sender, message))
            asleep[0] = trio.CancelScope(deadline=queue[0][0] / 1e6 if queue else math.inf)
            with asleep[0]:
                await trio.sleep_forever()

    async def main():
        asleep = [trio.CancelScope()]
        async with trio.open_nursery() as nursery:
            for number in range(len(links)):
                nursery.start_soon(node, number, nursery.cancel_scope, asleep)
            nursery.start_soon(network, asleep)

    def run():
        trio.run(main, clock=MockClock(autojump_threshold=0))
        return found, state["arrived"]

    return run


OURS = {"tier_f": tier_f, "tier_c": tier_c, "tier_v": tier_v}
PEERS = {"simpy_processes": simpy_processes, "simpy_callbacks": simpy_callbacks, "mock_clock": mock_clock}


def flood(engine, path):
    """The answers of an engine to a workload file, and what they cost."""
    if engine in OURS:
        from latticework.simnet.workload import read_workload

        run = OURS[engine](read_workload(path))
    else:
        rows = [[int(word) for word in line.split()] for line in path.read_text().splitlines()]
        links = [list(zip(row[1::2], row[2::2], strict=True)) for row in rows[1 : 1 + rows[0][0]]]
        run = PEERS[engine](links, rows[1 + rows[0][0] :])
    gc.collect()
    gc.freeze()
    began = time.process_time()
    latencies, receptions = run()
    cpu_s = time.process_time() - began
    ordered = sorted(map(int, latencies))
    return {
        "deliveries": len(ordered),
        "receptions": receptions,
        "p50_us": ordered[-(-len(ordered) * 50 // 100) - 1],
        "p99_us": ordered[-(-len(ordered) * 99 // 100) - 1],
        "total_us": sum(ordered),
        "cpu_s": cpu_s,
    }


if __name__ == "__main__":
    print("RESULT " + json.dumps(flood(sys.argv[1], Path(sys.argv[2]))), flush=True)
