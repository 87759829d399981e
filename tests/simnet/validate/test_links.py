import pytest

from latticework.simnet.link import Line
from latticework.simnet.validate import links

pytestmark = pytest.mark.sim


def test_every_model_of_a_line_lets_the_copies_out_on_time() -> None:
    found = links.uplink(b"links")
    assert [check.id for check in found] == ["V13"] * 3
    assert all(check.ok for check in found), found


def test_a_line_that_is_late_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    through_us = Line.through_us

    def late(line: Line, now_us: int, size_bytes: int) -> int:
        return through_us(line, now_us, size_bytes) + 2

    monkeypatch.setattr(Line, "through_us", late)
    assert [check.ok for check in links.uplink(b"links")] == [False, True, False]
