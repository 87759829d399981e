"""Scenario files: what they say, what they refuse, and that a written one reads back equal."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given

from latticework.simnet.amounts import Span
from latticework.simnet.scenario import (
    Churn,
    Converged,
    Coverage,
    Crash,
    Detected,
    FullDisk,
    Group,
    Kademlia,
    Latency,
    Links,
    Lookup,
    Mesh,
    Partition,
    Publish,
    Scenario,
    ShareFile,
    SlowCpu,
)
from latticework.simnet.scenario_file import SweepTable, read_scenario, read_sweep, scenario_of, write_scenario
from latticework.simnet.scenario_keys import CHECKS, FAULTS, KADEMLIA, LINKS, LOADS, MESH, NODES, RUN
from latticework.wire import LocalError

from .scenarios import scenarios

SMALL = """
run = {until = "60s"}
[[nodes]]
name = "peers"
count = 20
"""
WHOLE = """
[run]
name = "all"
seed = 7
until = "2min"
tier = "C"
crypto = "real"
protocol = "flood"
warmup = "5s"
title = "T"
[[nodes]]
name = "peers"
count = 20
dial = 4
dial_to = ["peers"]
region = "eu"
nat = "mix:field"
up = "50Mbit"
down = "100Mbit"
cpu = 1.5
skew = "-20ms"
drift_ppm = -3
joins_at = "1s"
[[nodes]]
name = "bad"
count = 2
role = "delayer"
delay = "3s"
share = 0.5
[links]
regions = "lan"
uniform = ["10ms", "150ms"]
jitter = 0.1
jitter_time = "2ms"
loss = 0.01
burst_enter = 0.02
burst_leave = 0.3
burst_loss = 0.4
reorder = 0.05
duplicate = 0.06
corrupt = 0.07
queue = "64KiB"
[mesh]
d = 8
d_lo = 6
d_hi = 13
d_lazy = 7
d_out = 3
d_score = 5
gossip_factor = 0.5
flood_publish = false
heartbeat = "700ms"
history_gossip = 4
history_length = 6
version = "1.2"
[kademlia]
k = 16
alpha = 3
paths = 2
[[load]]
kind = "publish"
source = "peers"
rate = "120/min"
size = "2KiB"
from = "11s"
until = "60s"
sources = 5
[[load]]
kind = "file"
source = "peers"
size = "1MB"
at = "12s"
[[load]]
kind = "lookup"
source = "peers"
rate = "5/s"
from = "1s"
until = "50s"
sources = 3
[[fault]]
kind = "partition"
at = "20s"
for = "10s"
side = ["eu"]
share = 0.2
one_way = true
[[fault]]
kind = "churn"
group = "peers"
session = "weibull(0.5, 40min)"
rejoin = "exp(10min)"
at = "1s"
until = "50s"
[[fault]]
kind = "crash"
group = "peers"
at = "30s"
for = "5s"
share = 0.1
lose_disk = true
[[fault]]
kind = "full-disk"
group = "peers"
at = "30s"
for = "5s"
share = 0.3
[[fault]]
kind = "slow-cpu"
group = "peers"
at = "30s"
for = "5s"
factor = 20
share = 0.4
[[check]]
kind = "coverage"
least = 0.99
within = "6s"
[[check]]
kind = "latency"
most = "800ms"
percentile = 50
[[check]]
kind = "converged"
[[check]]
kind = "detected"
within = "10s"
"""
ALL = Scenario(
    "all",
    (
        Group("peers", 20, "honest", 4, ("peers",), "eu", "mix:field", 6_250_000, 12_500_000, 1.5, -20_000, -3, 10**6),
        Group("bad", 2, "delayer", options=(("delay", "3s"), ("share", 0.5))),
    ),
    120_000_000,
    "T",
    7,
    "C",
    "real",
    "flood",
    5_000_000,
    Links("lan", (10_000, 150_000), 0.1, 2_000, 0.01, 0.02, 0.3, 0.4, 0.05, 0.06, 0.07, 65_536),
    Mesh(8, 6, 13, 7, 3, 5, 0.5, False, 700_000, 4, 6, "1.2"),
    (
        Publish("peers", 2.0, 2048, 11_000_000, 60_000_000, 5),
        ShareFile("peers", 1_000_000, 12_000_000),
        Lookup("peers", 5.0, 1_000_000, 50_000_000, 3),
    ),
    (
        Partition(20_000_000, 10_000_000, ("eu",), 0.2, True),
        Churn("peers", Span("weibull", 2_400_000_000, 0, 0.5), Span("exp", 600_000_000), 1_000_000, 50_000_000),
        Crash("peers", 30_000_000, 5_000_000, 0.1, True),
        FullDisk("peers", 30_000_000, 5_000_000, 0.3),
        SlowCpu("peers", 30_000_000, 5_000_000, 20.0, 0.4),
    ),
    (Coverage(0.99, 6_000_000), Latency(800_000, 50.0), Converged(), Detected(10_000_000)),
    Kademlia(16, 3, 2),
)  # fmt: skip


@pytest.mark.unit
def test_every_key_fills_its_field() -> None:
    assert scenario_of(WHOLE, "another name") == ALL


@pytest.mark.unit
def test_what_a_file_leaves_out_is_the_models_default() -> None:
    assert scenario_of(SMALL, "small") == Scenario("small", (Group("peers", 20),), 60_000_000)


@pytest.mark.unit
def test_every_field_of_the_model_has_a_key() -> None:
    for shape in (NODES, LINKS, MESH, KADEMLIA, *LOADS.values(), *FAULTS.values(), *CHECKS.values()):
        filled = {key.fills for key in shape.keys}
        assert filled == {field.name for field in fields(shape.of)} - {"options"}, shape.of
    tables = {"groups", "links", "mesh", "kademlia", "load", "faults", "checks"}
    assert {key.fills for key in RUN.keys} == {field.name for field in fields(Scenario)} - tables


@pytest.mark.property
@given(scenario=scenarios())
def test_a_written_scenario_reads_back_equal(scenario: Scenario) -> None:
    again = scenario_of(write_scenario(scenario), "another name")
    assert again == scenario
    assert repr(again) == repr(scenario)


@pytest.mark.unit
def test_what_is_written_is_for_people() -> None:
    text = write_scenario(scenario_of(SMALL, "small"))
    assert text == '[run]\nname = "small"\nuntil = "1min"\n\n[[nodes]]\nname = "peers"\ncount = 20\n'


def refused(text: str) -> str:
    with pytest.raises(LocalError) as caught:
        scenario_of(text, "it.toml")
    return str(caught.value)


LOAD = '[[load]]\nkind = "publish"\n'


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "told"),
    [
        (SMALL + "cuont = 3", "it.toml: nodes 0: unknown key 'cuont'; did you mean 'count'?"),
        (SMALL + "[meshes]", "it.toml: unknown table 'meshes'; did you mean 'mesh'?"),
        (SMALL + "[mesh]\nD = 8", "it.toml: mesh: unknown key 'D'; did you mean 'd'?"),
        (SMALL + "[mesh]\nd = 8.5", "it.toml: mesh: key 'd': it holds a whole number of at least 0"),
        (SMALL + "[mesh]\nd = true", "it.toml: mesh: key 'd': it holds a whole number of at least 0"),
        (SMALL + "[mesh]\nd = -8", "it.toml: mesh: key 'd': it holds a whole number of at least 0"),
        (SMALL + "[mesh]\nversion = '2'", "it.toml: mesh: key 'version': '2' is none of 1.0, 1.1, 1.2"),
        (SMALL + "[mesh]\nflood_publish = 1", "it.toml: mesh: key 'flood_publish': it holds true or false"),
        (SMALL + "[mesh]\nd_out = 6", "it.toml: scenario 'it.toml': the mesh needs d_out < d_lo <= d <= d_hi"),
        (SMALL + "[links]\nloss = nan", "it.toml: links: key 'loss': it holds a number of at least 0"),
        (SMALL + "[links]\nloss = 2", "it.toml: scenario 'it.toml': a share is between 0 and 1"),
        (SMALL + "[links]\nuniform = ['2ms', '1ms']", "it.toml: links: key 'uniform': it holds two durations"),
        (SMALL + "[links]\nuniform = ['2ms']", "it.toml: links: key 'uniform': it holds two durations"),
        (SMALL + "links = 4", "it.toml: nodes 0: unknown key 'links'"),
        (SMALL + "dial_to = [1]", "it.toml: nodes 0: key 'dial_to': it holds a list of names"),
        (SMALL + "up = '50MB'", "it.toml: nodes 0: key 'up': '50MB' is not a bandwidth such as 50Mbit"),
        (SMALL + "joins_at = 5", "it.toml: nodes 0: key 'joins_at': it holds a duration such as"),
        (SMALL + "joins_at = '-5s'", "it.toml: nodes 0: key 'joins_at': '-5s' is out of range"),
        (SMALL + "skew = '--5s'", "it.toml: nodes 0: key 'skew': '-5s' is out of range"),
        (SMALL + "nat = 2026-01-01", "it.toml: nodes 0: key 'nat': it holds text"),
        (SMALL + LOAD, "it.toml: load 0: key 'source' is missing; it holds text"),
        (SMALL + LOAD + "source = 'peer'", "it.toml: scenario 'it.toml': there is no group 'peer'; there is: peers"),
        (SMALL + LOAD + "source = 'peers'\nsize = -1", "it.toml: load 0: key 'size': it holds a size such as"),
        (SMALL + LOAD + "source = 'peers'\nrate = 0", "it.toml: scenario 'it.toml': a rate is above 0"),
        (SMALL + "[[load]]\nsource = 'peers'", "it.toml: load 0: key 'kind' is missing; it is one of publish, lookup"),
        (SMALL + "[[fault]]\nkind = 'partitoin'", "it.toml: fault 0: unknown kind 'partitoin'; did you mean 'partiti"),
        (SMALL + "[[fault]]\nkind = 'zzz'", "it.toml: fault 0: unknown kind 'zzz'; there is: churn, crash,"),
        (SMALL + "[check]\nkind = 'coverage'", "it.toml: check: it is a list of tables, each headed [[check]]"),
        ("nodes = [3]\nrun = {until = '1s'}", "it.toml: nodes 0: it is a table of keys and values"),
        ("run = 3", "it.toml: run: it is a table of keys and values"),
        ("[[nodes]]\nname = 'a'\ncount = 1", "it.toml: run: key 'until' is missing; it holds a duration such as"),
        ("run = {until = '1s'}", "it.toml: scenario 'it.toml': it needs groups of nodes"),
        ("run = {until = '1s', tier = 'X'}", "it.toml: run: key 'tier': 'X' is none of F, C, V"),
        ("run = ", "it.toml: Invalid value (at end of document)"),
        (SMALL + "role = 'delayer'\nslow = [1]", "it.toml: nodes 0: key 'slow': an option of a role is text or a"),
        (SMALL + "role = 'delayer'\nslow = true", "it.toml: nodes 0: key 'slow': an option of a role is text or a"),
    ],
)  # fmt: skip
def test_what_is_not_understood_is_named(text: str, told: str) -> None:
    assert refused(text).startswith(told)


@pytest.mark.unit
def test_a_file_is_named_in_errors_and_names_its_scenario(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    with pytest.raises(LocalError, match=r"cannot read the scenario .*mine\.toml"):
        read_scenario(path)
    path.write_bytes(b"\xff")
    with pytest.raises(LocalError, match=r"cannot read the scenario .*mine\.toml"):
        read_scenario(path)
    path.write_text(SMALL)
    assert read_scenario(path).name == "mine"
    path.write_text(SMALL + "dail = 4")
    with pytest.raises(LocalError, match=r"mine\.toml: nodes 0: unknown key 'dail'; did you mean 'dial'\?"):
        read_scenario(path)


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "sweep"),
    [
        ("", SweepTable((), 1)),
        ("[sweep]\nmesh.d = [4, 6]\nseeds = 20", SweepTable((("mesh.d", (4, 6)),), 20)),
        (
            'sweep = {"mesh.d" = [4, 6], "links.loss" = [0.1]}',
            SweepTable((("mesh.d", (4, 6)), ("links.loss", (0.1,))), 1),
        ),
    ],
)
def test_a_sweep_is_read_apart(tmp_path: Path, text: str, sweep: SweepTable) -> None:
    path = tmp_path / "it.toml"
    path.write_text(f"{SMALL}{text}")
    assert read_sweep(path) == sweep or text.startswith("sweep")
    path.write_text(f"{text}\n{SMALL if not text.startswith('[') else ''}")
    assert read_sweep(path) == sweep


@pytest.mark.unit
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seeds = 0", "key 'seeds': it holds a whole number of at least 1"),
        ("seeds = true", "key 'seeds': it holds a whole number of at least 1"),
        ("mesh.d = 4", "key 'mesh.d': it holds a list of values to try"),
        ("mesh.d = []", "key 'mesh.d': it holds a list of values to try"),
    ],
)
def test_a_sweep_that_varies_nothing_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "it.toml"
    path.write_text(f"[sweep]\n{text}")
    with pytest.raises(LocalError, match=told):
        read_sweep(path)
