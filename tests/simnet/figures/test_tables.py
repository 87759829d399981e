import csv
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latticework.simnet.figures import load, save
from latticework.simnet.figures.columns import from_npz, to_npz
from latticework.simnet.result import Result
from latticework.wire import LocalError

from .made import empty, result

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("made", [result, empty])
def test_a_saved_result_is_loaded_equal(made: Callable[[], Result], tmp_path: Path) -> None:
    before = made()
    save(before, tmp_path / "deep" / "run")
    assert load(tmp_path / "deep" / "run") == before


@pytest.mark.property
@given(
    counters=st.dictionaries(st.text(max_size=5), st.integers(0, 1 << 70), max_size=3),
    cpu_s=st.floats(0, 1e9),
    digest=st.text(max_size=8),
    latencies_us=st.lists(st.integers(-(1 << 63), (1 << 63) - 1), max_size=5),
)
def test_every_figure_survives_the_archive(
    counters: dict[str, int], cpu_s: float, digest: str, latencies_us: list[int]
) -> None:
    made = replace(empty(), counters=counters, cpu_s=cpu_s, digest=digest)
    made.deliveries.publish(3, 7)
    made.deliveries.message.extend([0] * len(latencies_us))
    made.deliveries.node.extend(range(len(latencies_us)))
    made.deliveries.latency_us.extend(latencies_us)
    assert from_npz(to_npz(made)) == made


def test_saving_lists_five_files_and_leaves_no_other(tmp_path: Path) -> None:
    paths = save(result(), tmp_path)
    assert sorted(paths) == sorted(tmp_path.iterdir())
    assert {path.name for path in paths} == {
        "result.npz",
        "deliveries.csv",
        "nodes.csv",
        "timeline.csv",
        "summary.json",
    }


def test_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    one, two = save(result(), tmp_path / "one"), save(result(), tmp_path / "two")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_the_tables_hold_the_columns(tmp_path: Path) -> None:
    made = result()
    save(made, tmp_path)
    with (tmp_path / "deliveries.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    table = made.deliveries
    assert {name: int(value) for name, value in first.items()} == {
        "message": table.message[0],
        "node": table.node[0],
        "source": table.source[table.message[0]],
        "published_us": table.published_us[table.message[0]],
        "latency_us": table.latency_us[0],
    }
    assert (tmp_path / "nodes.csv").read_text().splitlines()[-1].startswith("99,mutes,silent,")
    assert (tmp_path / "timeline.csv").read_text().splitlines()[:2] == ["time_us,up,parts,delivered", "0,100,1,0"]
    assert json.loads((tmp_path / "summary.json").read_text()) == json.loads(json.dumps(made.summary()))


def test_the_archive_is_plain_numpy_with_the_summary_inside(tmp_path: Path) -> None:
    made = result()
    save(made, tmp_path)
    with np.load(tmp_path / "result.npz", allow_pickle=False) as archive:
        assert archive["deliveries.latency_us"].tolist() == made.deliveries.latency_us.tolist()
        assert json.loads(str(archive["summary"]))["digest"] == made.digest


def test_a_missing_result_is_named(tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"result\.npz cannot be read: No such file"):
        load(tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 100, 2000, -1])
def test_a_cut_off_archive_is_damaged(kept: int, tmp_path: Path) -> None:
    save(result(), tmp_path)
    path = tmp_path / "result.npz"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(LocalError, match=r"result\.npz is damaged"):
        load(tmp_path)


def test_every_flipped_byte_is_noticed_or_harmless() -> None:
    whole = bytearray(to_npz(empty()))
    noticed = 0
    for at in range(0, len(whole), 7):
        whole[at] ^= 0x10
        try:
            assert from_npz(bytes(whole)) == empty()
        except LocalError:
            noticed += 1
        whole[at] ^= 0x10
    assert noticed > 100


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("deliveries.node", np.zeros(3, dtype=np.int32)),
        ("deliveries.message", np.full(4024, 50, dtype=np.int32)),
        ("deliveries.node", np.full(4024, 100, dtype=np.int32)),
        ("nodes.degree", np.zeros((100, 1), dtype=np.int32)),
        ("nodes.role", np.array(["honest"])),
        ("timeline.up", np.zeros(61, dtype=np.float64)),
        ("timeline.up", np.zeros(61, dtype=np.int16)),
        ("head", np.array("[]")),
        ("head", np.array("{}")),
        ("head", np.array([object()], dtype=object)),
    ],
)
def test_columns_that_contradict_each_other_are_damage(
    name: str, column: np.ndarray[tuple[int, ...], np.dtype[np.generic]], tmp_path: Path
) -> None:
    save(result(), tmp_path)
    path = tmp_path / "result.npz"
    with np.load(path) as archive:
        columns = {item: archive[item] for item in archive.files}
    np.savez(path, allow_pickle=True, **(columns | {name: column}))
    with pytest.raises(LocalError, match="is damaged"):
        load(tmp_path)


def test_a_result_of_another_version_is_refused(tmp_path: Path) -> None:
    save(result(), tmp_path)
    path = tmp_path / "result.npz"
    with np.load(path) as archive:
        columns = {item: archive[item] for item in archive.files}
    head = json.loads(str(columns["head"])) | {"schema": 99}
    np.savez(path, allow_pickle=False, **(columns | {"head": np.array(json.dumps(head))}))
    with pytest.raises(LocalError, match="is of version 99"):
        load(tmp_path)


def test_a_folder_is_not_made_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("mine")
    with pytest.raises(LocalError, match="run cannot be made a folder"):
        save(result(), tmp_path / "run")
    assert (tmp_path / "run").read_text() == "mine"


def test_a_link_in_the_folder_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "summary.json").symlink_to(tmp_path / "mine")
    save(result(), tmp_path / "run")
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "run" / "summary.json").is_symlink()


def test_a_file_that_cannot_be_written_is_named_and_leaves_nothing_half(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").mkdir()
    with pytest.raises(LocalError, match=r"nodes\.csv cannot be written"):
        save(result(), tmp_path)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_without_numpy_the_install_line_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)
    for act in (lambda: save(empty(), tmp_path), lambda: load(tmp_path)):
        with pytest.raises(LocalError, match=r'needs numpy: pip install "latticework\[sim\]"'):
            act()
