# ruff: noqa: PLC0415 - each process imports only the engine that it measures
"""The simulator: its engines beside others on one flood, whole nodes, gossipsub routers, and numpy.

    uv run --all-groups --all-extras python bench/simnet.py [--quick] [--ours-only]

Each line: name, value, unit, and where there is a peer its name, its value and the ratio ours/theirs. CPU is that of
one process, in which nothing else runs; ratios are medians of the ratios of rounds in which the engines take turns.

Flood: a node forwards each message to all its neighbours but the sender, the first time it comes; 8-regular mesh,
latencies between eight regions, one message a second. Every engine reads one file and has to give the same number of
deliveries and copies and the same latencies in microseconds, or the bench fails. A figure is copies that arrive per
CPU second from the first event to the last, without reading the file. What bounds tier F is a trio task switch with a
channel for each copy, tier C a few dozen bytecodes and a cache miss per copy, tier V the memory's bandwidth: it has no
queue at all. The peers are SimPy as its documentation models latency (a process per copy, a store per node) and with
bare callbacks; trio's MockClock with the network as a task, which is tier F's rival; ns-3's scheduler without packets;
and a binary heap in C++, which bounds whatever handles one event per copy. SimPy runs in an environment of its own
($LATTICE_BENCH_SIMPY, by default in the temporary directory), made on the first run; C++ needs g++, ns-3 Debian's
libns3-dev: where they are missing they are left out, and stderr says so.

Whole nodes (tier F, crypto `memo`): `node/app.py` itself, 4 dials each and so 8 connections, D=6, entries of 300 bytes
from 5 of the nodes, one a second in the whole mesh, after 20 s of virtual time in which all connect and agree. Set-up
and load are apart; one run per size. A third of the load is the entry itself at each node (decoding, rules, the
document); the rest is the seven to ten frames that a delivery takes, copies included, each with a record to seal and
open, yamux and some three task switches. A node that hears nothing costs 0.1 ms a second. Memory is what the process
grew by since before the fleet, at the end of the warm-up, which holds no entries to speak of, and at that of the load,
where the documents are the difference; what falls to a node and what to an end of a connection comes from two runs with
different numbers of connections. An end is some seven trio tasks, and they are half of it.

Routers (tier C): the same gossipsub routers called directly, degree 8, D=6, one message a second after 10 s of warm-up.
Heartbeats and the look at the mesh once a second are in it, and by themselves in `idle`: about a third. What bounds
both is bytecode, per copy and per peer and heartbeat, and from about 1,000 nodes on memory that no cache holds.

Numpy (tier V): floods over a random mesh of degree 8, seconds per message without making the mesh. What bounds it is
random access to arrival times that no cache holds.
"""

import argparse
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from statistics import median

SIMPY = "4.1.2"
SIMPY_VENV = Path(os.environ.get("LATTICE_BENCH_SIMPY", Path(tempfile.gettempdir(), "lattice-bench-simpy")))
SECOND = 1_000_000
WARMUP_S = 20
SOURCES = 5
CPU_GOAL_S = 60


def say(name, value, unit, peer=None, theirs=None, ratio=None):
    cells = [name, f"{value:.4g}" if value < 1000 else f"{value:.0f}", unit]
    if peer is not None:
        cells += [peer, f"{theirs:.0f}", f"{ratio:.3g}"]
    print("\t".join(cells), flush=True)


# The flood

NAMES = {
    "simpy_processes": f"SimPy {SIMPY}",
    "simpy_callbacks": f"SimPy {SIMPY} callbacks",
    "mock_clock": "trio MockClock",
    "heap": "C++ heap",
    "ns3": "ns-3 scheduler",
}
COMPARED = {
    "tier_f": ["mock_clock", "simpy_processes"],
    "tier_c": ["simpy_processes", "simpy_callbacks", "ns3", "heap"],
    "tier_v": ["ns3", "heap"],
}


def flood(nodes, messages, rounds, folder, engines):
    from latticework.simnet.workload import make_workload, write_workload

    workload, path = make_workload(nodes, 8, messages, 1), folder / f"{nodes}"
    write_workload(workload, path)
    found = {engine: [] for engine in engines}
    for _ in range(rounds):
        for engine, command in engines.items():
            found[engine].append(result_of([*command, str(path)]))
    cpu_s = {engine: [result.pop("cpu_s") for result in results] for engine, results in found.items()}
    first = found["tier_c"][0]
    expected = {"deliveries": messages * (nodes - 1), "receptions": messages * (workload.link_ends - nodes + 1)}
    if first | expected != first or any(result != first for results in found.values() for result in results):
        sys.exit(f"{expected} are expected, and all alike: {json.dumps(found, indent=1)}")
    report_flood(nodes, first["receptions"], cpu_s)


def report_flood(nodes, receptions, cpu_s):
    for engine, others in COMPARED.items():
        name, ours = f"flood_{nodes}_nodes_{engine}", receptions / median(cpu_s[engine])
        compared = [peer for peer in others if peer in cpu_s]
        for peer in compared:
            ratio = median(theirs / own for own, theirs in zip(cpu_s[engine], cpu_s[peer], strict=True))
            say(name, ours, "copies/core-s", NAMES[peer], receptions / median(cpu_s[peer]), ratio)
        if not compared:
            say(name, ours, "copies/core-s")


def engines_here(folder, *, ours_only):
    """The command of each engine that this machine has; the file is its last argument."""
    here = Path(__file__).parent
    found = {engine: [sys.executable, str(here / "simnet_engines.py"), engine] for engine in COMPARED}
    if ours_only:
        return found
    found["mock_clock"] = [sys.executable, str(here / "simnet_engines.py"), "mock_clock"]
    for engine in ("simpy_processes", "simpy_callbacks"):
        found[engine] = [simpy_python(), str(here / "simnet_engines.py"), engine]
    for engine, source, libraries in (("heap", "simnet_heap.cpp", []), ("ns3", "simnet_ns3.cc", ["-lns3-core"])):
        built = str(folder / engine)
        if why := refusal_of_build(["-o", built, str(here / source), *libraries]):
            sys.stderr.write(f"{NAMES[engine]} is left out: {why}\n")
        else:
            found[engine] = [built]
    return found


def refusal_of_build(arguments):
    if shutil.which("g++") is None:
        return "there is no g++"
    done = subprocess.run(["g++", "-O2", *arguments], capture_output=True, text=True, check=False)
    return done.stderr.strip().partition("\n")[0] if done.returncode else ""


def simpy_python() -> str:
    python = SIMPY_VENV / "bin" / "python"
    ready = (
        python.exists()
        and not subprocess.run([python, "-c", "import simpy"], capture_output=True, check=False).returncode
    )
    if not ready:
        subprocess.run(["uv", "venv", "-q", "--clear", "-p", "3.13", str(SIMPY_VENV)], check=True)
        # Not from the checkout: our pins are for us.
        install = ["uv", "pip", "install", "-q", "-p", str(python), f"simpy=={SIMPY}"]
        subprocess.run(install, check=True, cwd=SIMPY_VENV)
    return str(python)


# Whole nodes


def rss():
    import psutil

    return psutil.Process().memory_info().rss


def whole_nodes(plan):
    """In its own process: one run, with its figures taken at the end of the warm-up and of the load."""
    from latticework.simnet.scenario import Group, Publish, Scenario
    from latticework.simnet.whole.run import run_whole

    load_us = plan["load_s"] * SECOND
    scenario = Scenario(
        name="bench",
        groups=(Group("people", plan["nodes"], dial=plan["dial"]),),
        until_us=max(load_us, 1),
        warmup_us=WARMUP_S * SECOND,
        load=(Publish("people", 1.0, 300, sources=SOURCES),) if load_us else (),
        crypto="memo",
    )
    figures = {}

    def script(simulation):
        def warm():
            figures["setup_s"] = time.process_time() - began
            gc.collect()
            figures["bytes"] = rss() - before
            figures["ends"] = sum(len(member.node.peers.links) for member in simulation.members)
            figures["warm_at"] = time.process_time()

        def loaded():
            figures["load_s"] = time.process_time() - figures["warm_at"]
            figures["bytes_loaded"] = rss() - before

        simulation.at(WARMUP_S * SECOND, warm)
        simulation.at(simulation.end_us, loaded)

    gc.collect()
    before, began = rss(), time.process_time()
    result = run_whole(scenario, 1, script=script)
    return {**figures, "delivered": result.delivered, "expected": result.expected, "frames": result.counters["frames"]}


def report_whole(sizes, load_s):
    cpu_s = {}
    for nodes in sizes:
        found = measure("whole", nodes=nodes, dial=4, load_s=load_s)
        if found["delivered"] != found["expected"]:
            sys.exit(f"{nodes} whole nodes got {found['delivered']} of {found['expected']}")
        cpu_s[nodes] = found["load_s"]
        name = f"whole_{nodes}_nodes"
        say(f"{name}_setup", found["setup_s"], "CPU s")
        say(f"{name}_load_{load_s}_s_1_message_per_s", found["load_s"], "CPU s")
        say(f"{name}_deliveries", found["delivered"] / found["load_s"], "deliveries/core-s")
        say(f"{name}_memory_warm", found["bytes"] / nodes / 1000, "kB/node")
        say(f"{name}_memory_loaded", found["bytes_loaded"] / nodes / 1000, "kB/node")
        if nodes == sizes[min(1, len(sizes) - 1)]:
            report_memory(nodes, found)
    if load_s == CPU_GOAL_S:
        fit, how = nodes_within(CPU_GOAL_S, cpu_s)
        say(f"whole_nodes_in_{CPU_GOAL_S}_CPU_s_of_load_{how}", fit, "nodes")


def report_memory(nodes, found):
    fewer = measure("whole", nodes=nodes, dial=2, load_s=0)
    per_end = (found["bytes"] - fewer["bytes"]) / (found["ends"] - fewer["ends"])
    say(f"whole_{nodes}_nodes_memory_per_connection_end", per_end / 1000, "kB/end")
    say(
        f"whole_{nodes}_nodes_memory_per_node_beside",
        (found["bytes"] - per_end * found["ends"]) / nodes / 1000,
        "kB/node",
    )


def nodes_within(goal_s, cpu_s):
    """How many nodes take `goal_s` by straight lines through the measured (nodes, CPU s) and nothing for none."""
    points = [(0, 0.0), *cpu_s.items()]
    for (few, less), (many, more) in pairwise(points):
        if more >= goal_s:
            return few + (many - few) * (goal_s - less) / (more - less), "interpolated"
    many, more = points[-1]
    return many * goal_s / more, "extrapolated"


# Routers and numpy


def routers(plan):
    """In its own process: gossipsub routers on tier C."""
    from latticework.simnet.core.run import run_core
    from latticework.simnet.scenario import Group, Scenario
    from latticework.simnet.workload import make_workload

    nodes, messages, warm_us = plan["nodes"], plan["messages"], 10 * SECOND
    workload = make_workload(nodes, 8, messages, 1)
    scenario = Scenario("bench", (Group("all", nodes),), until_us=messages * SECOND, warmup_us=warm_us, tier="C")
    figures = {}

    def watch(progress):
        if progress.virtual_us == warm_us // 2:
            figures["half_s"] = time.process_time() - began
        elif progress.virtual_us == warm_us:
            figures["setup_s"] = time.process_time() - began
        elif progress.virtual_us == progress.until_us:
            figures["load_s"] = time.process_time() - began - figures["setup_s"]
            gc.collect()
            figures["bytes"] = rss() - before

    gc.collect()
    before, began = rss(), time.process_time()
    result = run_core(scenario, 1, watch, workload)
    idle_s = (figures["setup_s"] - figures["half_s"]) / (warm_us // 2 / SECOND)
    return {**figures, "idle_s": idle_s, "coverage": result.coverage}


def report_routers(nodes, messages, rounds):
    found = [measure("routers", nodes=nodes, messages=messages) for _ in range(rounds)]
    if found[0]["coverage"] < 0.999:
        sys.exit(f"{nodes} routers delivered {found[0]['coverage']}")
    say(f"routers_{nodes}_setup", median(one["setup_s"] for one in found), "CPU s")
    say(f"routers_{nodes}_idle", median(one["idle_s"] for one in found) * 1000, "ms/virtual s")
    say(f"routers_{nodes}", median(one["load_s"] for one in found) / messages * 1000, "ms/message")
    say(f"routers_{nodes}_memory", median(one["bytes"] for one in found) / nodes / 1000, "kB/node")


def numpy_flood(plan):
    """In its own process: messages over one mesh."""
    from latticework.simnet.vector import disseminate_in_blocks, random_mesh

    began = time.process_time()
    mesh = random_mesh(b"bench", plan["nodes"])
    made_s = time.process_time() - began
    sources = [at * plan["nodes"] // plan["messages"] for at in range(plan["messages"])]
    blocks = list(map(check_block, disseminate_in_blocks(mesh, sources)))
    assert sum(blocks) == len(sources)
    return {"made_s": made_s, "load_s": time.process_time() - began - made_s}


def check_block(block):
    assert block.reached().min() == block.first_us.shape[1]
    return len(block.sent)


def report_numpy(nodes, messages, rounds):
    found = [measure("numpy", nodes=nodes, messages=messages) for _ in range(rounds)]
    say(f"numpy_{nodes}_mesh", median(one["made_s"] for one in found), "CPU s")
    say(f"numpy_{nodes}", median(one["load_s"] for one in found) / messages, "s/message")


# The measurement

PARTS = {"whole": whole_nodes, "routers": routers, "numpy": numpy_flood}


def measure(part, **plan):
    """The part of this file in a process of its own."""
    return result_of([sys.executable, __file__, "--part", part, "--plan", json.dumps(plan)])


def result_of(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=3600)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    return json.loads(line.removeprefix("RESULT "))


def report(*, quick, ours_only):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engines = engines_here(folder, ours_only=ours_only)
        for nodes, messages in ((1000, 10),) if quick else ((1000, 40), (10_000, 10)):
            flood(nodes, messages, 2 if quick else 5, folder, engines)
    report_whole([100] if quick else [100, 300, 1000], 10 if quick else CPU_GOAL_S)
    for nodes, messages, rounds in ((1000, 20, 1),) if quick else ((1000, 40, 5), (10_000, 20, 3), (100_000, 5, 1)):
        report_routers(nodes, messages, rounds)
    for nodes, messages, rounds in ((100_000, 5, 2),) if quick else ((100_000, 10, 5), (1_000_000, 3, 5)):
        report_numpy(nodes, messages, rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the smallest sizes and two rounds")
    parser.add_argument("--ours-only", action="store_true")
    parser.add_argument("--part", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--plan", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print("RESULT " + json.dumps(PARTS[arguments.part](json.loads(arguments.plan))), flush=True)
    else:
        report(quick=arguments.quick, ours_only=arguments.ours_only)


if __name__ == "__main__":
    main()
