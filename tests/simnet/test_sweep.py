import json
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast, override

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.simnet.executors import dask_executor, processes
from latticework.simnet.result import Result, run_id
from latticework.simnet.scenario import Scenario
from latticework.simnet.scenario_keys import Toml
from latticework.simnet.settings import with_setting
from latticework.simnet.sweep import Run, Sweep, SweepProgress, SweepResult, run_sweep
from latticework.wire import LocalError

from .quick_runs import BASE, dies, one_fails, quick

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parent.parent.parent
TWO_BY_TWO = Sweep(BASE, (("mesh.d", (6, 8)), ("nodes.peers.count", (5, 7))), seeds=3)


class Inline(Executor):
    """Runs each task when it is submitted, and notes how many runs each had; interrupts before task `stop`."""

    def __init__(self, stop: int | None = None) -> None:
        self.sizes: list[int] = []
        self.stop = stop

    @override
    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        if len(self.sizes) == self.stop:
            raise KeyboardInterrupt
        self.sizes.append(len(cast("list[object]", args[1])))
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # as executors do
            future.set_exception(error)
        return future


def swept(
    directory: Path,
    run: Run = quick,
    sweep: Sweep = TWO_BY_TWO,
    *,
    executor: Executor | None = None,
    told: list[SweepProgress] | None = None,
) -> SweepResult:
    progress = [] if told is None else told
    return run_sweep(sweep, executor or Inline(), directory, run=run, version="1", progress=progress.append)


def test_rows_are_the_product_of_the_axes_with_seeds_within_each_point(tmp_path: Path) -> None:
    rows = swept(tmp_path).rows
    points = [(("mesh.d", d), ("nodes.peers.count", count)) for d in (6, 8) for count in (5, 7)]
    assert [(row.settings, row.seed) for row in rows] == [(point, seed) for point in points for seed in (1, 2, 3)]
    assert [row.figure("nodes") for row in rows] == [5, 5, 5, 7, 7, 7] * 2
    assert not any(row.error for row in rows)


def test_every_run_is_a_file_by_its_run_id(tmp_path: Path) -> None:
    result = swept(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {f"{row.run_id}.json" for row in result.rows}
    assert result.rows[0].run_id == run_id(quick_scenario(6, 5), 1, "1")
    assert json.loads((tmp_path / f"{result.rows[0].run_id}.json").read_text()) == result.rows[0].summary


def quick_scenario(d: int, count: int) -> Scenario:
    return with_setting(with_setting(BASE, "mesh.d", d), "nodes.peers.count", count)


def test_seeds_count_from_the_seed_of_the_scenario(tmp_path: Path) -> None:
    sweep = Sweep(replace(BASE, seed=40), seeds=2)
    assert [row.seed for row in swept(tmp_path, sweep=sweep).rows] == [40, 41]


def test_a_finished_sweep_runs_nothing_again_and_gives_equal_rows(tmp_path: Path) -> None:
    first = swept(tmp_path)
    executor = Inline()
    told: list[SweepProgress] = []
    assert swept(tmp_path, executor=executor, told=told) == first
    assert executor.sizes == []
    assert told[-1] == SweepProgress(finished=12, reused=12, failed=0, total=12)


def test_a_larger_sweep_reuses_the_runs_of_a_smaller_one(tmp_path: Path) -> None:
    swept(tmp_path, sweep=Sweep(BASE, (("mesh.d", (6,)),), seeds=2))
    executor = Inline()
    swept(tmp_path, sweep=Sweep(BASE, (("mesh.d", (6, 8)),), seeds=3), executor=executor)
    assert sum(executor.sizes) == 4


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"run_id": "0"}', "\xff", "null"])
def test_a_damaged_file_is_run_again_and_replaced(content: str, tmp_path: Path) -> None:
    first = swept(tmp_path)
    path = tmp_path / f"{first.rows[4].run_id}.json"
    whole = path.read_bytes()
    path.write_text(content, encoding="latin-1")
    executor = Inline()
    assert swept(tmp_path, executor=executor) == first
    assert executor.sizes == [1]
    assert path.read_bytes() == whole


def test_another_version_shares_no_runs(tmp_path: Path) -> None:
    swept(tmp_path)
    executor = Inline()
    run_sweep(TWO_BY_TWO, executor, tmp_path, run=quick, version="2")
    assert sum(executor.sizes) == 12


def test_a_failed_run_is_told_in_its_row_and_tried_again_next_time(tmp_path: Path) -> None:
    told: list[SweepProgress] = []
    sweep = Sweep(BASE, (("mesh.d", (6, 8)),), seeds=3)
    result = swept(tmp_path, one_fails, sweep, told=told)
    assert [(row.settings[0][1], row.seed, row.error) for row in result.failed] == [
        (6, 3, "nobody is there"),
        (8, 2, "ZeroDivisionError: a bug"),
    ]
    assert told[-1] == SweepProgress(finished=6, reused=0, failed=2, total=6)
    executor = Inline()
    assert not swept(tmp_path, quick, sweep, executor=executor).failed
    assert sum(executor.sizes) == 2


def test_a_combination_that_the_scenario_refuses_does_not_stop_the_others(tmp_path: Path) -> None:
    sweep = Sweep(BASE, (("mesh.d", (6, 99)),), seeds=2)
    result = swept(tmp_path, sweep=sweep)
    assert [bool(row.error) for row in result.rows] == [False, False, True, True]
    assert "d_lo <= d <= d_hi" in result.rows[2].error


def test_a_sweep_of_nothing_but_refused_combinations_says_why(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"no combination of the sweep is valid: .*dd"):
        swept(tmp_path, sweep=Sweep(BASE, (("mesh.dd", (6, 8)),)))


@pytest.mark.parametrize(
    ("axes", "seeds"),
    [((), 0), ((("mesh.d", ()),), 1), ((("mesh.d", (6,)), ("mesh.d", (8,))), 1)],
)
def test_a_sweep_without_runs_is_refused(axes: tuple[tuple[str, tuple[Toml, ...]], ...], seeds: int) -> None:
    with pytest.raises(LocalError, match="at least one seed"):
        Sweep(BASE, axes, seeds)


def test_an_interrupted_sweep_keeps_what_is_finished_and_goes_on(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path, executor=Inline(stop=5))
    assert len(list(tmp_path.iterdir())) == 5
    executor = Inline()
    assert swept(tmp_path, executor=executor) == swept(tmp_path / "other")
    assert sum(executor.sizes) == 7


def test_chunks_shrink_towards_the_end(tmp_path: Path) -> None:
    executor = Inline()
    swept(tmp_path, partial(quick, cpu_s=0.001), Sweep(BASE, seeds=200), executor=executor)
    assert sum(executor.sizes) == 200
    assert executor.sizes[0] == 200 // 16
    assert executor.sizes[-16:] == [1] * 16
    assert executor.sizes == sorted(executor.sizes, reverse=True)


def test_a_chunk_of_slow_runs_is_handed_back_after_some_seconds(tmp_path: Path) -> None:
    runs: list[int] = []

    def slow(scenario: Scenario, seed: int) -> Result:
        runs.append(seed)
        return quick(scenario, seed, cpu_s=4.0)

    executor = Inline()
    result = swept(tmp_path, slow, Sweep(BASE, seeds=100), executor=executor)
    assert sorted(runs) == list(range(1, 101))
    assert [row.seed for row in result.rows] == list(range(1, 101))
    assert len(executor.sizes) >= 50


class Slow(Inline):
    """Finishes tasks only when more would be too many, the last one first."""

    def __init__(self) -> None:
        super().__init__()
        self.most = 0
        self.open: list[tuple[Future[object], Callable[[], object]]] = []

    @override
    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future: Future[T] = Future()
        self.open.append((cast("Future[object]", future), partial(fn, *args, **kwargs)))
        self.most = max(self.most, len(self.open))
        if len(self.open) == 4:
            for waiting, act in reversed(self.open):
                waiting.set_result(act())
            self.open.clear()
        return future


def test_only_so_many_chunks_are_handed_out_at_once_and_rows_keep_their_order(tmp_path: Path) -> None:
    executor = Slow()
    result = run_sweep(TWO_BY_TWO, executor, tmp_path, run=partial(quick, cpu_s=9), version="1", in_flight=4)
    assert executor.most == 4
    assert [row.summary["digest"] for row in result.rows] == [f"{d}-{s}" for d in (6, 6, 8, 8) for s in (1, 2, 3)]


def test_figures_come_by_point_and_leave_out_what_failed(tmp_path: Path) -> None:
    sweep = Sweep(BASE, (("mesh.d", (6, 8)),), seeds=3)
    result = swept(tmp_path, one_fails, sweep)
    assert result.figures("counters.iwant") == (
        ((("mesh.d", 6),), [6.0, 12.0]),
        ((("mesh.d", 8),), [8.0, 24.0]),
    )
    assert result.figures("no.such") == (((("mesh.d", 6),), []), ((("mesh.d", 8),), []))


@pytest.mark.property
@given(st.lists(st.integers(1, 3), max_size=3), st.integers(1, 3))
def test_points_and_seeds_make_the_product(lengths: list[int], seeds: int) -> None:
    axes = tuple((f"axis.{n}", tuple(range(length))) for n, length in enumerate(lengths))
    points = Sweep(BASE, axes, seeds).points()
    expected = 1
    for length in lengths:
        expected *= length
    assert len(points) == len({repr(point) for point in points}) == expected
    assert list(points) == sorted(points, key=lambda point: [cast("int", value) for _, value in point])


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spawned processes find this folder's modules, by the name that pytest gave them."""
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


@pytest.mark.wire
@pytest.mark.usefixtures("importable")
def test_a_process_pool_gives_the_same_rows_as_one_after_the_other(tmp_path: Path) -> None:
    with processes(2) as executor:
        assert swept(tmp_path / "pool", executor=executor) == swept(tmp_path / "inline")


@pytest.mark.wire
@pytest.mark.usefixtures("importable")
def test_a_worker_that_dies_ends_the_sweep_which_can_go_on(tmp_path: Path) -> None:
    sweep = Sweep(BASE, seeds=3)
    with pytest.raises(LocalError, match=r"workers died.*: run it again"), processes(1) as executor:
        swept(tmp_path, dies, sweep, executor=executor)
    assert len(list(tmp_path.iterdir())) == 1
    assert [row.seed for row in swept(tmp_path, sweep=sweep).rows] == [1, 2, 3]


@pytest.mark.wire
def test_a_run_that_cannot_travel_is_told_in_its_row(tmp_path: Path) -> None:
    with processes(1) as executor:
        result = swept(tmp_path, lambda scenario, _: quick(scenario, 1), Sweep(BASE), executor=executor)
    assert "<lambda>" in result.rows[0].error


def test_a_pool_of_no_processes_is_refused() -> None:
    with pytest.raises(LocalError, match="at least one process"), processes(0):
        pass


def test_without_dask_the_install_line_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(LocalError, match=r'needs distributed: pip install "latticework\[dask\]"'), dask_executor():
        pass


@pytest.mark.wire
def test_a_dask_cluster_gives_the_same_rows_as_one_after_the_other(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        dask_executor(cluster.scheduler_address) as executor,
    ):
        on_dask = swept(tmp_path / "dask", one_fails, executor=executor)
    assert on_dask == swept(tmp_path / "inline", one_fails)
    assert len(on_dask.failed) == 4


@pytest.mark.wire
def test_dask_workers_of_several_threads_are_refused() -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster,
        pytest.raises(LocalError, match="--nthreads 1"),
        dask_executor(cluster.scheduler_address),
    ):
        pass
