import csv
from dataclasses import replace
from pathlib import Path

import pytest

from latticework.simnet.regions import LIBP2P_REGIONS, Regions, read_regions
from latticework.wire import LocalError

pytestmark = pytest.mark.unit

GOOD = "region,weight,home,away\nhome,3,1,20.5\n\naway,1,20.5,.25\n"


def test_the_embedded_matrix_is_libp2ps() -> None:
    europe, na_east, west_asia = (LIBP2P_REGIONS.names.index(name) for name in ("europe", "na_east", "west_asia"))
    assert LIBP2P_REGIONS.latency_us[europe][na_east] == 70_000
    assert LIBP2P_REGIONS.latency_us[west_asia][west_asia] == 5_000
    assert LIBP2P_REGIONS.weights[na_east] == 2_894
    assert sum(LIBP2P_REGIONS.weights) == 11_326


def test_a_matrix_is_read_from_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "regions.csv"
    path.write_text(GOOD)
    assert read_regions(path) == Regions(("home", "away"), (3, 1), ((1_000, 20_500), (20_500, 250)))


def test_the_embedded_matrix_can_be_written_out_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "regions.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["region", "weight", *LIBP2P_REGIONS.names])
        for name, weight, row in zip(
            LIBP2P_REGIONS.names, LIBP2P_REGIONS.weights, LIBP2P_REGIONS.latency_us, strict=True
        ):
            writer.writerow([name, weight, *(us / 1_000 for us in row)])
    assert read_regions(path) == LIBP2P_REGIONS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the header is not"),
        ("name,weight,home\nhome,1,1\n", "the header is not"),
        ("region,weight\n", "need names"),
        (GOOD.replace("\naway", "\nelsewhere"), "the rows are not"),
        (GOOD + "third,1,1,1\n", "the rows are not"),
        (GOOD.replace(",.25", ""), r"line 4: 3 fields instead of 4"),
        (GOOD.replace("home,3", "home,many"), "line 2: 'many' is not a weight"),
        (GOOD.replace("home,3", "home,-3"), "line 2: '-3' is not a weight"),
        (GOOD.replace(".25", "-1"), "line 4: '-1' is not a latency"),
        (GOOD.replace(".25", "1e3"), "line 4: '1e3' is not a latency"),
        (GOOD.replace(".25", ""), "away to away: a latency of 0"),
        (GOOD.replace(".25", "0.0005"), "line 4: '0.0005' is not a latency"),
        (GOOD.replace("away,1,20.5", "away,1,20"), "home to away: 20500 us, but 20000 us on the way back"),
        (GOOD.replace("away", "home"), "each its own"),
        (GOOD.replace("home,3", "home,0").replace("away,1", "away,0"), "not all 0"),
    ],
)
def test_a_file_that_is_no_matrix_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "regions.csv"
    path.write_text(text)
    with pytest.raises(LocalError, match=message) as caught:
        read_regions(path)
    assert str(path) in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"region,weight,Espa\xf1a\n")
    for name in ("absent", "latin"):
        with pytest.raises(LocalError, match=name):
            read_regions(tmp_path / name)


def test_regions_that_do_not_fit_together_are_refused() -> None:
    good = Regions(("a",), (1,), ((5,),))
    for wrong in ({"names": ()}, {"names": ("",)}, {"weights": (1, 2)}, {"latency_us": ((5, 5),)}, {"latency_us": ()}):
        with pytest.raises(LocalError):
            replace(good, **wrong)
