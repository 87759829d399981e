"""`lattice sim validate`, with checks of our own instead of those that take seconds."""

import json
from collections.abc import Iterator

import pytest

from latticework.simnet.cli import validate
from latticework.simnet.validate import Check
from latticework.simnet.validate.check import check

from .tiny import lattice, object_of

pytestmark = pytest.mark.sim
GOOD = check("V1", "a figure", 1.0, 1.05, 0.1, "a paper")
BAD = check("V2", "another", 1.0, 1.5, 0.1, "a theory")
KEYS = ["id", "what", "expected", "got", "tolerance", "source", "ok"]


def offer(monkeypatch: pytest.MonkeyPatch, *offered: Check) -> list[bool]:
    asked: list[bool] = []

    def checks(*, long: bool = False) -> Iterator[Check]:
        asked.append(long)
        yield from offered

    monkeypatch.setattr(validate, "checks", checks)
    return asked


def test_json_is_one_object_with_every_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(monkeypatch, GOOD, BAD)
    code, out, err = lattice(capsys, "validate", "--json")
    told = object_of(out)
    assert (code, err, list(told), out.count("\n")) == (1, "", ["checks"], 1)
    first = {"id": "V1", "what": "a figure", "expected": 1.0, "got": 1.05, "tolerance": 0.1, "source": "a paper"}
    assert told["checks"] == [
        first | {"ok": True},
        dict(zip(KEYS, ["V2", "another", 1.0, 1.5, 0.1, "a theory", False], strict=True)),
    ]


def test_people_read_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, GOOD)
    code, out, _ = lattice(capsys, "validate")
    assert code == 0
    assert out.splitlines()[0].split() == ["id", "expected", "got", "tolerance", "ok", "what", "source"]
    assert out.splitlines()[1].split() == ["V1", "1", "1.05", "0.1", "yes", "a", "figure", "a", "paper"]


def test_long_asks_for_more(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = offer(monkeypatch, GOOD)
    lattice(capsys, "validate")
    lattice(capsys, "validate", "--long")
    assert asked == [False, True]


def test_no_checks_validate_nothing(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch)
    assert lattice(capsys, "validate")[0] == 1


def test_what_is_no_number_is_null(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    offer(monkeypatch, check("V3", "nothing", 1.0, float("nan"), 0.1, "a paper"))
    code, out, _ = lattice(capsys, "validate", "--json")
    (only,) = json.loads(out)["checks"]
    assert (code, only["got"], only["ok"]) == (1, None, False)
