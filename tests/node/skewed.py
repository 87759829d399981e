"""`lattice up` with a clock that is wrong by the seconds that a file names."""

import sys
from pathlib import Path

from latticework.node.cli import main as cli
from latticework.node.system import SystemClock

_right = SystemClock.now_us


def skewed(seconds: Path) -> list[str]:
    """What stands before the command of such a node; no file means that its clock is right."""
    return [sys.executable, str(Path(__file__)), str(seconds)]


if __name__ == "__main__":
    place = Path(sys.argv[1])

    def now_us(self: SystemClock) -> int:
        return _right(self) + (int(place.read_text() or "0") * 1_000_000 if place.exists() else 0)

    setattr(SystemClock, "now_us", now_us)  # noqa: B010  # the clock of this process only
    # What is left of the command: python -m latticework.node.cli.main ...
    sys.exit(cli.main(sys.argv[5:]))
