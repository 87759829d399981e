"""The progress line."""

import sys

import pytest

from latticework.simnet.cli import report
from latticework.simnet.cli.report import ProgressLine, told
from latticework.simnet.progress import Progress

pytestmark = pytest.mark.unit


def test_progress_is_told_in_seconds_deliveries_and_nodes() -> None:
    assert told(Progress(12_500_000, 60_000_000, 1_234, 2_000)) == "12.5 of 60.0 s  1,234 delivered  2,000 nodes up"


def test_at_most_four_updates_a_second_are_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times_ms = iter(range(0, 2_000, 10))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr(report, "monotonic", lambda: next(times_ms) / 1000)
    line = ProgressLine()
    for number in range(200):
        line(Progress(number, 200, 0, 0))
    assert capsys.readouterr().err.count("\r") == 8
