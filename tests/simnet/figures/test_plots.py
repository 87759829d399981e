import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, StepPatch

from latticework.simnet.amounts import Span
from latticework.simnet.figures import Format, plot_all, plot_many, plot_sweep
from latticework.simnet.figures.coverage import coverage_figure
from latticework.simnet.figures.paper import styled
from latticework.simnet.figures.scaling import latency_figure
from latticework.simnet.figures.sweeps import sweep_figure
from latticework.simnet.figures.timeline import timeline_figure
from latticework.simnet.figures.traffic import degree_figure, traffic_figure
from latticework.simnet.result import Deliveries
from latticework.simnet.scenario import Churn, Crash, FullDisk, Partition, SlowCpu
from latticework.simnet.scenario_keys import Toml
from latticework.simnet.sweep import Row, Settings, Sweep, SweepResult
from latticework.wire import LocalError

from .made import SCENARIO, S, empty, result

pytestmark = pytest.mark.unit

FORMATS: tuple[Format, ...] = ("png", "pdf", "svg")
MAGIC = {".png": b"\x89PNG\r\n", ".pdf": b"%PDF-", ".svg": b"<?xml"}


def swept(
    *axes: tuple[str, tuple[Toml, ...]], seeds: int = 3, failing: Callable[[Settings], bool] = lambda _: False
) -> SweepResult:
    """Latencies are 100 ms and what the settings add up to, and 1 ms for each seed."""
    sweep = Sweep(SCENARIO, axes, seeds)
    rows = [
        Row(point, seed, "0", {} if failing(point) else {"p99_ms": 100 + seed + amount(point)}, "")
        for point in sweep.points()
        for seed in range(1, seeds + 1)
    ]
    return SweepResult(sweep, tuple(rows))


def amount(point: Settings) -> float:
    return sum(value if isinstance(value, int | float) else len(str(value)) for _, value in point)


@pytest.fixture(autouse=True)
def as_written() -> Iterator[None]:
    """Figures that a test draws itself look as they do in files."""
    with styled():
        yield


def x_of(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_xdata())]


def y_of(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_ydata())]


def curves(figure: Figure) -> list[Line2D]:
    return [line for line in figure.axes[0].get_lines() if len(x_of(line)) > 1]


def reaches(axes: Axes) -> list[tuple[float, float]]:
    """From where to where the rectangles of an axes go."""
    found = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in found]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_every_figure_is_a_file_in_every_format_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    one = plot_all(result(), tmp_path / "one", SCENARIO, FORMATS)
    two = plot_all(result(), tmp_path / "two", SCENARIO, FORMATS)
    assert [path.stem for path in one] == [n for n in ("coverage", "traffic", "degree", "timeline") for _ in FORMATS]
    assert sorted(one) == sorted((tmp_path / "one").iterdir())
    assert all(path.read_bytes().startswith(MAGIC[path.suffix]) for path in one)
    assert [path.name for path in one if path.read_bytes() != (tmp_path / "two" / path.name).read_bytes()] == []
    assert {path.name for path in two} == {path.name for path in one}


def test_pictures_have_150_dots_to_the_inch_and_one_width(tmp_path: Path) -> None:
    widths = {struct.unpack(">I", path.read_bytes()[16:20])[0] for path in plot_all(result(), tmp_path)}
    assert widths == {900}


def test_drawing_leaves_no_trace_and_heeds_no_settings_of_the_user(tmp_path: Path) -> None:
    made = replace(result(), deliveries=Deliveries(), delivered=0)
    plain = plot_all(made, tmp_path / "plain")
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "black"}):  # pyright: ignore[reportUnknownMemberType]
        before = mpl.rcParams.copy()
        dark = plot_all(made, tmp_path / "dark")
        assert mpl.rcParams.copy() == before
    assert [path.read_bytes() for path in dark] == [path.read_bytes() for path in plain]
    assert "matplotlib.pyplot" not in sys.modules


def test_a_run_without_deliveries_or_samples_has_the_other_figures(tmp_path: Path) -> None:
    assert [path.name for path in plot_all(empty(), tmp_path)] == ["traffic.png", "degree.png"]


def test_the_coverage_curve_ends_at_the_share_that_was_delivered() -> None:
    made = result()
    figure = coverage_figure(made)
    (axes,) = figure.axes
    *single, whole = curves(figure)
    assert len(single) == 50
    assert y_of(whole)[-1] == pytest.approx(100 * made.coverage)
    assert max(y_of(line)[-1] for line in single) == pytest.approx(100)
    assert y_of(whole)[0] == 0
    assert axes.get_title(loc="left").splitlines()[1] == "50 % in 143 ms, 9.6 % never"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Latency since publication (ms)", "Pairs delivered (%)")


def test_what_adversaries_and_passing_nodes_got_does_not_count_as_coverage() -> None:
    made = result(messages=4)
    for node in range(90, 100):
        made.deliveries.deliver(0, node, made.deliveries.published_us[0] + 1)
    *_, whole = curves(coverage_figure(made))
    assert y_of(whole)[-1] == pytest.approx(100)
    assert x_of(whole)[0] > 1
    passing = replace(made, expected=made.expected - 60, delivered=made.delivered - 80)
    *_, whole = curves(coverage_figure(passing))
    assert y_of(whole)[-1] == pytest.approx(100 * passing.coverage)
    assert passing.coverage < 1


def test_latencies_far_apart_make_a_logarithmic_axis_unless_asked_otherwise() -> None:
    made = result(messages=4)
    made.deliveries.latency_us[0] *= 100
    assert coverage_figure(made).axes[0].get_xscale() == "log"
    assert coverage_figure(made, log=False).axes[0].get_xscale() == "linear"
    assert coverage_figure(result(messages=4)).axes[0].get_xscale() == "linear"


def test_a_message_that_nobody_got_stays_at_the_bottom() -> None:
    made = result(messages=2)
    made.deliveries.publish(0, 20 * S)
    assert [y_of(line)[-1] for line in curves(coverage_figure(made))].count(0) == 1


def test_instant_deliveries_can_be_drawn_on_either_axis() -> None:
    made = result(messages=1)
    made.deliveries.latency_us[:] = array("q", [0] * len(made.deliveries.latency_us))
    assert coverage_figure(made).axes[0].get_xlim() == (0, 1)
    made.deliveries.latency_us[0] = 90_000
    assert coverage_figure(made).axes[0].get_xscale() == "linear"


def test_percentiles_against_nodes_have_a_line_each_and_bars_over_seeds() -> None:
    runs = [result(seed, nodes, nodes // 10, messages=5) for nodes in (30, 300) for seed in (1, 2, 3)]
    (axes,) = latency_figure(runs).axes
    assert axes.get_title(loc="left") == "made: mean of 3 runs, bars: 95 % confidence (Student's t)"
    p99 = [run.percentile_ms(99) or 0 for run in runs]
    drawn = [y_of(line) for line in axes.get_lines() if line.get_linestyle() == "-."]
    assert drawn == [pytest.approx([sum(p99[:3]) / 3, sum(p99[3:]) / 3])]
    assert axes.get_xscale() == "log"
    with pytest.raises(LocalError, match="none of the results has deliveries"):
        latency_figure([empty()])


def test_traffic_shows_honest_nodes_first_with_a_bar_per_role_and_panel() -> None:
    made = result()
    sent, twice = traffic_figure([made]).axes
    assert [label.get_text() for label in sent.get_yticklabels()] == ["honest", "silent"]
    honest = [
        size
        for size, role in zip(made.node_figures.sent_bytes, made.node_figures.role, strict=True)
        if role == "honest"
    ]
    assert reaches(sent)[0][1] == pytest.approx(sum(honest) / len(honest) / 1000)
    assert (sent.get_xlabel(), twice.get_xlabel()) == ("Sent per node (kB)", "Duplicates got per node")
    assert len(twice.patches) == 2


def test_traffic_of_several_runs_says_that_its_bars_are_over_runs(tmp_path: Path) -> None:
    runs = [result(seed, 30, 3, messages=2) for seed in (1, 2)]
    title = traffic_figure(runs).get_suptitle()
    assert title == "made: means of 2 runs; bars: 95 % confidence (Student's t)"
    assert [path.name for path in plot_many(runs, tmp_path)] == ["scaling.png", "traffic.png"]
    assert [path.name for path in plot_many([*runs, result(1, 60, 3, messages=2)], tmp_path)] == ["scaling.png"]
    with pytest.raises(LocalError, match="no result"):
        traffic_figure([])


@pytest.mark.parametrize("widest", [20, 4000])
def test_degrees_of_a_role_add_up_to_all_of_it_in_few_bins(widest: int) -> None:
    made = result()
    made.node_figures.degree[3] = widest
    (axes,) = degree_figure(made).axes
    outline = axes.patches[0]
    assert isinstance(outline, StepPatch)
    values, edges = (np.asarray(part, dtype=float) for part in outline.get_data()[:2])
    assert values.sum() == pytest.approx(100)
    assert len(values) <= 41
    assert edges[0] % 1 == 0.5


def test_faults_are_named_above_and_shaded_below_where_they_stood() -> None:
    faults = (
        Partition(15 * S, 12 * S, share=0.4),
        Partition(40 * S, 2 * S, share=0.4, one_way=True),
        Churn("peers", Span("exp", S), Span("exp", S), 0, 20 * S),
        Churn("mutes", Span("exp", S), Span("exp", S)),
        Crash("peers", 36 * S),
        FullDisk("peers", 1 * S, 2 * S),
        SlowCpu("peers", 1 * S, 999 * S),
    )
    figure = timeline_figure(result(), replace(SCENARIO, faults=faults))
    strip, *panels = figure.axes
    assert [text.strip() for text in texts(figure)] == [
        "partition",
        "one-way partition",
        "churn of peers",
        "churn of mutes",
        "crash of peers",
        "full disks of peers",
        "slow processors of peers",
    ]
    spans = [(25, 37), (50, 52), (10, 30), (10, 60), (46, 60), (11, 13), (11, 60)]
    assert reaches(panels[0]) == [pytest.approx(span) for span in spans]
    assert [panel.get_ylabel() for panel in panels] == ["Mesh parts", "Nodes up", "Deliveries/s"]
    assert strip.get_ylabel() == "Faults"


def test_a_timeline_without_a_scenario_has_three_panels_and_one_without_samples_is_refused() -> None:
    made = result()
    for column in (made.timeline.time_us, made.timeline.up, made.timeline.parts, made.timeline.delivered):
        column.append(column[-1])  # the end is sampled once more
    assert len(timeline_figure(made).axes) == 3
    with pytest.raises(LocalError, match="not sampled"):
        timeline_figure(empty())


def test_a_sweep_over_two_settings_is_a_heat_map_with_intervals_in_its_cells() -> None:
    shown = swept(("mesh.d", (6, 8)), ("run.tier", ("F", "C", "V")), failing=lambda point: point[1][1] == "V")
    figure = sweep_figure(shown, "p99_ms")
    assert texts(figure) == ["109.0\n± 2.5", "109.0\n± 2.5", "no result", "111.0\n± 2.5", "111.0\n± 2.5", "no result"]
    heat, bar = figure.axes
    assert (heat.get_xlabel(), heat.get_ylabel(), bar.get_ylabel()) == (
        "run.tier",
        "mesh.d",
        "99th percentile of latency (ms)",
    )
    assert heat.get_title(loc="left") == "made: mean of 3 seeds, 95 % confidence (Student's t)"


def test_a_sweep_over_one_setting_is_a_line_with_a_band(tmp_path: Path) -> None:
    shown = swept(("nodes.peers.count", (10, 100, 1000)), failing=lambda point: point[0][1] == 100)
    (axes,) = sweep_figure(shown, "p99_ms").axes
    (line,) = axes.get_lines()
    assert x_of(line) == [10, 1000]
    assert y_of(line) == [112, 1102]
    assert axes.get_xscale() == "log"
    assert len(axes.collections) == 1
    assert [path.name for path in plot_sweep(shown, "p99_ms", tmp_path)] == ["sweep-p99_ms.png"]


def test_settings_that_are_no_numbers_stand_side_by_side() -> None:
    (axes,) = sweep_figure(swept(("run.until", ("20s", "2min")), seeds=1), "p99_ms").axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["20s", "2min"]
    assert axes.get_title(loc="left") == "made: one seed, no interval"


def test_a_sweep_that_cannot_be_drawn_is_refused() -> None:
    three = tuple((f"mesh.{name}", (1, 2)) for name in "abc")
    with pytest.raises(LocalError, match="over 3 settings cannot be drawn"):
        sweep_figure(swept(*three), "p99_ms")
    with pytest.raises(LocalError, match="over 0 settings cannot be drawn"):
        sweep_figure(swept(), "p99_ms")
    with pytest.raises(LocalError, match="no run of the sweep has a figure 'p98_ms'"):
        sweep_figure(swept(("mesh.d", (6, 8))), "p98_ms")


def test_without_matplotlib_the_install_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    acts: list[Callable[[], object]] = [
        lambda: plot_all(result(), tmp_path),
        lambda: plot_many([result()], tmp_path),
        lambda: plot_sweep(swept(("mesh.d", (6, 8))), "p99_ms", tmp_path),
    ]
    for act in acts:
        with pytest.raises(LocalError, match=r'needs matplotlib: pip install "latticework\[sim\]"'):
            act()
    assert list(tmp_path.iterdir()) == []
