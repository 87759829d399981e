"""Data on stdout, words on stderr; names from other devices are escaped before a terminal sees them."""

import json
import sys
import unicodedata
from collections.abc import Sequence

from ..frames import Data


def show_json(value: Data) -> None:
    """One JSON object or array on one line of stdout."""
    # A lone surrogate, from a path that is no UTF-8, has no bytes of its own: JSON's escape stands for it.
    print(json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace").decode())


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def safe(value: Data) -> str:
    """`value` with control and bidirectional characters escaped."""
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def safe_text(text: str) -> str:
    """`text` of several lines with everything escaped but line ends and tabs."""
    return "".join(c if c in "\n\t" else safe(c) for c in text)


def pretty(value: Data, *, indent: int | None = None) -> str:
    """A value as JSON for people: what a terminal must not see is escaped as JSON escapes it."""
    shown = json.dumps(value, ensure_ascii=False, indent=indent)
    return "".join(c if c == "\n" or c.isprintable() else json.dumps(c)[1:-1] for c in shown)


def table(rows: Sequence[Sequence[Data]], headings: Sequence[str]) -> None:
    """Columns on stdout."""
    texts = [[safe(cell) for cell in row] for row in rows]
    widths = [max(_width(row[i]) for row in [headings, *texts]) for i in range(len(headings))]
    for row in [list(headings), *texts]:
        print("  ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip())


def size(count: float) -> str:
    """Bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)
