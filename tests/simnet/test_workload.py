from pathlib import Path

import pytest

from latticework.simnet.workload import Workload, make_workload, read_workload, write_workload
from latticework.wire import LocalError

pytestmark = pytest.mark.unit

PAIR = (((1, 500),), ((0, 700),))


def test_a_workload_is_read_as_it_was_written(tmp_path: Path) -> None:
    workload = make_workload(50, 4, 3, seed=9)
    write_workload(workload, tmp_path / "w")
    assert read_workload(tmp_path / "w") == workload


def test_the_file_is_the_one_of_the_report(tmp_path: Path) -> None:
    path = tmp_path / "w"
    write_workload(Workload(PAIR, ((1, 0), (0, 2_000_000))), path)
    assert path.read_text() == "2 2\n1 1 500\n1 0 700\n1 0\n0 2000000\n"


def test_a_made_mesh_is_the_same_from_both_ends_and_nearly_regular() -> None:
    workload = make_workload(400, 8, 5, seed=1)
    both_ways = {(near, far, us) for near, links in enumerate(workload.links) for far, us in links}
    assert both_ways == {(far, near, us) for near, far, us in both_ways}
    assert 7.8 * 400 < workload.link_ends <= 8 * 400
    assert all(2_000 <= us < 225_000 for _, _, us in both_ways)
    assert [at_us for _, at_us in workload.messages] == [0, 1_000_000, 2_000_000, 3_000_000, 4_000_000]
    assert make_workload(400, 8, 5, seed=1) == workload
    assert make_workload(400, 8, 5, seed=2) != workload


@pytest.mark.parametrize(("nodes", "degree"), [(2, 2), (10, 3), (10, 0)])
def test_an_impossible_mesh_is_refused(nodes: int, degree: int) -> None:
    with pytest.raises(LocalError, match="at least 3 nodes"):
        make_workload(nodes, degree, 1, 1)


@pytest.mark.parametrize(
    "text",
    ["", "2 1\n", "1\n", "x\n", "2 0\n1 1 5\n1 0\n", "2 0\n1 1 5\n\n", "2 1\n1 1 5\n1 0 5\n1\n", "2 0\n1 1 5\n1 2 5\n"],
)
def test_a_file_that_is_no_workload_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "w"
    path.write_text(text)
    with pytest.raises(LocalError):
        read_workload(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LocalError):
        read_workload(tmp_path / "none")
    with pytest.raises(LocalError):
        write_workload(Workload(PAIR, ()), tmp_path / "none" / "w")


@pytest.mark.parametrize(
    ("links", "messages"),
    [
        ((((1, 5), (1, 6)), ((0, 5),)), ()),
        ((((0, 5),), ()), ()),
        ((((1, -1),), ((0, 5),)), ()),
        (PAIR, ((2, 0),)),
        (PAIR, ((0, -1),)),
    ],
)
def test_links_and_messages_name_other_nodes(
    links: tuple[tuple[tuple[int, int], ...], ...], messages: tuple[tuple[int, int], ...]
) -> None:
    with pytest.raises(LocalError):
        Workload(links, messages)
