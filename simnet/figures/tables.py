"""A result as files: `result.npz` with everything, and tables that any program reads.

`deliveries.csv`, `nodes.csv` and `timeline.csv` hold the columns, `summary.json` what `lattice sim run --json` prints.
`load` reads `result.npz` alone, which therefore holds the scalar figures twice: unrounded in `head`, and as the same
`summary`.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Final

from latticework.wire import LocalError

from ..extras import need
from ..files import make_folder, write_whole
from ..result import Result

NPZ: Final = "result.npz"
SUMMARY: Final = "summary.json"


def save(result: Result, directory: Path) -> list[Path]:
    """Write all files of `result` into `directory`, which is made if need be; the paths.

    Files of an earlier result are replaced, each at once.

    Raises:
        LocalError: something cannot be written, or numpy is missing.
    """
    need("sim", "numpy")
    from .columns import to_npz  # noqa: PLC0415  # numpy is an extra

    make_folder(directory)
    summary = json.dumps(result.summary(), indent=2) + "\n"
    contents = {
        NPZ: to_npz(result),
        "deliveries.csv": _deliveries(result),
        "nodes.csv": _nodes(result),
        "timeline.csv": _timeline(result),
        SUMMARY: summary.encode(),
    }
    for name, content in contents.items():
        write_whole(directory / name, content)
    return [directory / name for name in contents]


def load(directory: Path) -> Result:
    """The result that `save` wrote into `directory`.

    Raises:
        LocalError: `result.npz` is missing, damaged or of another version, or numpy is missing.
    """
    need("sim", "numpy")
    from .columns import from_npz  # noqa: PLC0415  # numpy is an extra

    path = directory / NPZ
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LocalError(f"{path} cannot be read: {error.strerror}; a result is a folder that was saved") from error
    try:
        return from_npz(content)
    except LocalError as error:
        raise LocalError(f"{path} {error}") from error


def _deliveries(result: Result) -> bytes:
    table = result.deliveries
    origins = ((table.source[message], table.published_us[message]) for message in table.message)
    columns = zip(table.message, table.node, origins, table.latency_us, strict=True)
    rows = ((message, node, *origin, latency) for message, node, origin, latency in columns)
    return _csv(("message", "node", "source", "published_us", "latency_us"), rows)


def _nodes(result: Result) -> bytes:
    table = result.node_figures
    columns = (table.group, table.role, table.degree, table.sent_bytes, table.sent_frames, table.duplicates)
    rows = ((node, *row) for node, row in enumerate(zip(*columns, strict=True)))
    return _csv(("node", "group", "role", "degree", "sent_bytes", "sent_frames", "duplicates"), rows)


def _timeline(result: Result) -> bytes:
    table = result.timeline
    rows = zip(table.time_us, table.up, table.parts, table.delivered, strict=True)
    return _csv(("time_us", "up", "parts", "delivered"), rows)


def _csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(chain([head], rows))
    return text.getvalue().encode()
