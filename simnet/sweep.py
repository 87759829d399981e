"""Sweeps: one scenario under every combination of some settings, each with several seeds.

Work goes through any `concurrent.futures.Executor` (`executors` has two). Every finished run is a small file named by
its run id, so that a sweep which was stopped goes on where it was, and one that overlaps with another reuses its runs.
Only summaries travel; whoever wants the columns of a run replays it from its row's settings and seed.

Runs are handed out in chunks that shrink towards the end (guided self-scheduling, Polychronopoulos and Kuck 1987), and
a worker hands back what it has after some seconds, so that a chunk of slow runs neither delays the others nor loses
much when it is stopped.
"""

import json
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Final, cast

from latticework.wire import LocalError

from .files import make_folder, write_whole
from .result import Result, run_id
from .scenario import Scenario
from .scenario_keys import Toml
from .settings import with_setting

type Run = Callable[[Scenario, int], Result]
"""What runs a scenario from a seed; an importable function, since it travels to other processes."""
type Settings = tuple[tuple[str, Toml], ...]
"""Names, as `with_setting` knows them, and values."""

IN_FLIGHT: Final = 16
"""Chunks handed out at once: more than the workers of one machine, few enough to stop soon."""
_CHUNK_RUNS: Final = 64
_CHUNK_CPU_S: Final = 5.0
"""Computing time after which a worker hands back: handing out costs 2 ms with Dask (simnet report, part 3)."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Which runs to make: every combination of the axes' values, each with `seeds` seeds from the scenario's on.

    An axis is a setting's name and the values it takes, for example `("mesh.d", (4, 6, 8))`.

    Raises:
        LocalError: it has no seed, or an axis without values.
    """

    scenario: Scenario
    axes: tuple[tuple[str, tuple[Toml, ...]], ...] = ()
    seeds: int = 1

    def __post_init__(self) -> None:
        names = [name for name, _ in self.axes]
        if self.seeds < 1 or not all(values for _, values in self.axes) or len(set(names)) != len(names):
            raise LocalError("a sweep needs at least one seed, and different axes of at least one value each")

    def points(self) -> tuple[Settings, ...]:
        """All combinations; the last axis changes fastest."""
        named = ([(name, value) for value in values] for name, values in self.axes)
        return tuple(product(*named))


@dataclass(frozen=True, slots=True)
class Row:
    """One run: its settings and seed, and its `Result.summary`, or else why there is none in `error`."""

    settings: Settings
    seed: int
    run_id: str
    summary: Mapping[str, object]
    error: str = ""

    def figure(self, name: str) -> float | None:
        """A figure of the summary, `p99_ms` or `counters.iwant`; None if the run has none."""
        table, _, inner = name.partition(".")
        value = self.summary.get(table)
        if inner and isinstance(value, Mapping):
            value = cast("Mapping[str, object]", value).get(inner)
        return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True, slots=True)
class SweepResult:
    """Rows in the order of the points, seeds within each; the order does not depend on who ran them."""

    sweep: Sweep
    rows: tuple[Row, ...]

    @property
    def failed(self) -> tuple[Row, ...]:
        """Rows of runs that gave no result."""
        return tuple(row for row in self.rows if row.error)

    def figures(self, name: str) -> tuple[tuple[Settings, list[float]], ...]:
        """Each point with that figure of its runs, without runs that have none; see `Row.figure`."""
        return tuple(
            (point, [value for row in self._seeds(number) if (value := row.figure(name)) is not None])
            for number, point in enumerate(self.sweep.points())
        )

    def _seeds(self, point: int) -> tuple[Row, ...]:
        return self.rows[point * self.sweep.seeds : (point + 1) * self.sweep.seeds]


@dataclass(frozen=True, slots=True)
class SweepProgress:
    """Runs that are finished, among them `reused` from earlier sweeps and `failed`, of `total`."""

    finished: int
    reused: int
    failed: int
    total: int


@dataclass(frozen=True, slots=True)
class _Job:
    number: int
    settings: Settings
    scenario: Scenario
    seed: int
    run_id: str

    def row(self, summary: Mapping[str, object], error: str = "") -> Row:
        return Row(self.settings, self.seed, self.run_id, summary, error)


type _Outcome = tuple[dict[str, object], str]
"""A summary, or an empty one and what went wrong."""


def run_sweep(
    sweep: Sweep,
    executor: Executor,
    directory: Path,
    *,
    run: Run,
    version: str,
    progress: Callable[[SweepProgress], None] = lambda _: None,
    in_flight: int = IN_FLIGHT,
) -> SweepResult:
    """Make every run of `sweep` that `directory` does not hold yet.

    `version` is ours, as in `run_id`. A run that fails, whatever it raises, and a combination that the scenario
    refuses become rows with an `error` and are tried again next time. When this is interrupted, finished runs are kept
    in `directory` and chunks that no worker has begun are cancelled; the executor stays the caller's.

    Raises:
        LocalError: no combination is valid, the directory cannot be written, or the workers died.
    """
    make_folder(directory)
    course = _Course(directory, progress)
    jobs = [job for job in _jobs(sweep, version, course) if not course.reuse(job)]
    _work(deque(jobs), executor, run, course, in_flight)
    return SweepResult(sweep, tuple(row for _, row in sorted(course.rows.items())))


@dataclass(slots=True)
class _Course:
    """What is known so far: rows by their number, and files."""

    directory: Path
    progress: Callable[[SweepProgress], None]
    total: int = 0
    reused: int = 0
    failed: int = 0
    rows: dict[int, Row] = field(default_factory=dict[int, Row])

    def reuse(self, job: _Job) -> bool:
        """Whether the run is finished already; a damaged file is none."""
        try:
            found: object = json.loads(self._path(job).read_bytes())
        except (OSError, ValueError):
            return False
        if not isinstance(found, dict):
            return False
        summary = cast("dict[str, object]", found)
        if summary.get("run_id") != job.run_id or "digest" not in summary:
            return False
        self.reused += 1
        self.note(job.number, job.row(summary))
        return True

    def finish(self, job: _Job, outcome: _Outcome) -> None:
        """Keep the outcome of a run."""
        summary, error = outcome
        if error:
            self.note(job.number, job.row({}, error))
            return
        content = json.dumps(summary | {"run_id": job.run_id}, indent=2) + "\n"
        write_whole(self._path(job), content.encode())
        # What a later sweep would read, so that rows do not depend on where they come from.
        self.note(job.number, job.row(cast("dict[str, object]", json.loads(content))))

    def note(self, number: int, row: Row) -> None:
        """Add a row and tell of it."""
        self.rows[number] = row
        self.failed += bool(row.error)
        self.progress(SweepProgress(len(self.rows), self.reused, self.failed, self.total))

    def _path(self, job: _Job) -> Path:
        return self.directory / f"{job.run_id}.json"


def _jobs(sweep: Sweep, version: str, course: _Course) -> list[_Job]:
    """All runs; combinations that the scenario refuses are noted instead."""
    points = sweep.points()
    course.total = len(points) * sweep.seeds
    jobs: list[_Job] = []
    refused: list[str] = []
    for place, settings in enumerate(points):
        seeds = enumerate(range(sweep.scenario.seed, sweep.scenario.seed + sweep.seeds), place * sweep.seeds)
        try:
            scenario = _with_settings(sweep.scenario, settings)
        except LocalError as error:
            refused.append(str(error))
            for number, seed in seeds:
                course.note(number, Row(settings, seed, "", {}, str(error)))
        else:
            ids = ((number, seed, run_id(scenario, seed, version)) for number, seed in seeds)
            jobs += [_Job(number, settings, scenario, seed, made) for number, seed, made in ids]
    if not jobs:
        raise LocalError(f"no combination of the sweep is valid: {refused[0]}")
    return jobs


def _with_settings(scenario: Scenario, settings: Settings) -> Scenario:
    for name, value in settings:
        scenario = with_setting(scenario, name, value)
    return scenario


def _work(waiting: deque[_Job], executor: Executor, run: Run, course: _Course, in_flight: int) -> None:
    running: dict[Future[list[_Outcome]], list[_Job]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < in_flight:
                count = max(1, min(len(waiting) // in_flight, _CHUNK_RUNS))
                chunk = [waiting.popleft() for _ in range(count)]
                future = executor.submit(_run_chunk, run, [(job.scenario, job.seed) for job in chunk])
                running[future] = chunk
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in [future for future in running if future in done]:
                waiting.extendleft(reversed(_collect(future, running.pop(future), course)))
    except BrokenExecutor as error:
        told = (
            f"the sweep's workers died ({error}); {len(course.rows)} of {course.total} runs are in {course.directory}"
        )
        raise LocalError(f"{told}: run it again to go on") from error
    finally:
        for future, chunk in running.items():
            if not future.cancel() and future.done() and future.exception() is None:
                _collect(future, chunk, course)


def _collect(future: Future[list[_Outcome]], chunk: list[_Job], course: _Course) -> list[_Job]:
    """Keep what a chunk gave; the runs that it did not come to."""
    error = CancelledError("the executor took it back") if future.cancelled() else future.exception()
    if isinstance(error, BrokenExecutor):
        raise error
    outcomes: list[_Outcome] = [({}, _told(error))] * len(chunk) if error else future.result()
    for job, outcome in zip(chunk, outcomes, strict=False):
        course.finish(job, outcome)
    return chunk[len(outcomes) :]


def _run_chunk(run: Run, jobs: list[tuple[Scenario, int]]) -> list[_Outcome]:
    """In a worker: run at least the first job, and others while there is time."""
    outcomes: list[_Outcome] = []
    spent_s = 0.0
    for scenario, seed in jobs:
        if spent_s >= _CHUNK_CPU_S:
            break
        try:
            result = run(scenario, seed)
        except Exception as error:  # noqa: BLE001  # the supervisor of one run: its bug is told in its row
            outcomes.append(({}, _told(error)))
        else:
            spent_s += result.cpu_s
            outcomes.append((result.summary(), ""))
    return outcomes


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, LocalError) else f"{type(error).__name__}: {error}"
