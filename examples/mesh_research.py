"""A mesh under the microscope: 300 whole nodes, twice; then a liar and a partition; then figures, and known results.

    python examples/mesh_research.py [directory for the figures] [nodes]

Cells as in a notebook (`# %%`); every run is blocking and depends on scenario and seed alone.
"""

# %%
import sys
import tempfile
from dataclasses import replace
from itertools import islice
from pathlib import Path

import latticework.simnet as sim
from latticework.simnet import figures, library
from latticework.simnet.validate import checks

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp(prefix="mesh-"))
NODES = int(sys.argv[2]) if len(sys.argv) > 2 else 300

# %% Many devices on one switch, a message a second: the same seed gives the same bytes
lan = replace(library.load("lan-300"), until_us=5_000_000, warmup_us=8_000_000, crypto="model")
lan = sim.with_setting(lan, "nodes.devices.count", NODES)
first, again = sim.run(lan, seed=7), sim.run(lan, seed=7)
assert first.digest == again.digest
told = f"{first.nodes} nodes, {first.delivered} deliveries, p99 {first.percentile_ms(99)} ms"
print(f"{told}: bit for bit the same, twice")

# %% Forty nodes around the world; one tells two stories, and Europe is cut off meanwhile
scenario = sim.Scenario(
    name="liar and partition",
    groups=(sim.Group("people", 40, dial=4), sim.Group("liar", 1, "equivocator", dial=4)),
    until_us=45_000_000,
    load=(sim.Publish("people", rate_per_s=1.0, until_us=25_000_000, sources=5),),
    faults=(sim.Partition(at_us=5_000_000, for_us=15_000_000, side=("europe",)),),
    checks=(sim.Coverage(), sim.Converged(), sim.Detected(within_us=20_000_000)),
)
result = sim.run(scenario, seed=1)
for check in result.checks:
    print(f"{check.check}: {check.told}")
assert result.ok

# %% Look at it
figures.save(result, FOLDER)
print("figures:", *(path.name for path in figures.plot_all(result, FOLDER, scenario)))

# %% Is the simulator right? The first of the published results, beside ours; `lattice sim validate` has them all
for found in islice(checks(), 14):
    print(f"{found.id:4} {found.expected:<12.6g} {found.got:<12.6g} {'ok' if found.ok else 'WRONG'}  {found.what}")
    assert found.ok
