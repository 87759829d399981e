"""The columns of a result in numpy's archive format, read back strictly: nothing in a file is run or trusted."""

import io
import json
import lzma
import zipfile
import zlib
from array import array
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from latticework.wire import LocalError

from ..result import SCHEMA, CheckResult, Deliveries, NodeFigures, Result, Timeline

type _Column = npt.NDArray[np.int32] | npt.NDArray[np.int64] | npt.NDArray[np.str_]

_SCALARS: Final = ("scenario", "seed", "tier", "crypto", "run_id", "nodes", "virtual_us", "cpu_s", "delivered")
_DAMAGE: Final = (
    EOFError,
    KeyError,
    OSError,
    RuntimeError,  # zipfile, of compressions and ciphers that it does not know
    TypeError,
    ValueError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy, zipfile and json raise for bytes that they cannot make sense of."""


def to_npz(result: Result) -> bytes:
    """`result` as an archive; equal results give equal bytes."""
    told = {name: getattr(result, name) for name in (*_SCALARS, "expected", "digest")}
    told |= {"schema": SCHEMA, "counters": dict(result.counters)}
    told |= {"checks": [[check.check, check.ok, check.told] for check in result.checks]}
    texts = {"head": np.array(json.dumps(told)), "summary": np.array(json.dumps(result.summary()))}
    archive = io.BytesIO()
    np.savez_compressed(archive, allow_pickle=False, **texts, **_columns(result))
    return archive.getvalue()


def from_npz(content: bytes) -> Result:
    """The result in an archive; raises LocalError, whose text continues the name of the file."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            columns: dict[str, _Column] = {name: archive[name] for name in archive.files}
        return _result(json.loads(str(columns.pop("head"))), columns)
    except _DAMAGE as error:
        raise LocalError(f"is damaged or no saved result: {error}") from error


def _columns(result: Result) -> dict[str, _Column]:
    deliveries, nodes, timeline = result.deliveries, result.node_figures, result.timeline
    names = {"nodes.group": np.array(nodes.group, dtype=np.str_), "nodes.role": np.array(nodes.role, dtype=np.str_)}
    numbers = {
        "deliveries.message": deliveries.message,
        "deliveries.node": deliveries.node,
        "deliveries.latency_us": deliveries.latency_us,
        "messages.published_us": deliveries.published_us,
        "messages.source": deliveries.source,
        "nodes.degree": nodes.degree,
        "nodes.sent_bytes": nodes.sent_bytes,
        "nodes.sent_frames": nodes.sent_frames,
        "nodes.duplicates": nodes.duplicates,
        "timeline.time_us": timeline.time_us,
        "timeline.up": timeline.up,
        "timeline.parts": timeline.parts,
        "timeline.delivered": timeline.delivered,
    }
    return names | {name: np.frombuffer(column, dtype=f"=i{column.itemsize}") for name, column in numbers.items()}


def _result(head: Mapping[str, object], columns: Mapping[str, _Column]) -> Result:
    if head["schema"] != SCHEMA:
        raise LocalError(f"is of version {head['schema']}, this is version {SCHEMA}: run the scenario again")
    return Result(
        scenario=_text(head["scenario"]),
        seed=_whole(head["seed"]),
        tier=_text(head["tier"]),
        crypto=_text(head["crypto"]),
        run_id=_text(head["run_id"]),
        nodes=_whole(head["nodes"]),
        virtual_us=_whole(head["virtual_us"]),
        cpu_s=_number(head["cpu_s"]),
        delivered=_whole(head["delivered"]),
        expected=_whole(head["expected"]),
        digest=_text(head["digest"]),
        checks=tuple(CheckResult(_text(name), ok is True, _text(told)) for name, ok, told in _rows(head["checks"])),
        counters={name: _whole(count) for name, count in _table(head["counters"]).items()},
        deliveries=_deliveries(columns),
        node_figures=_node_figures(columns),
        timeline=Timeline(*_equal(columns, "timeline.", "time_us", "up", "parts", "delivered")),
    )


def _deliveries(columns: Mapping[str, _Column]) -> Deliveries:
    message, node, latency_us = _equal(columns, "deliveries.", "message", "node", "latency_us")
    published_us, source = _equal(columns, "messages.", "published_us", "source")
    for numbers, count in ((message, len(published_us)), (node, len(columns["nodes.role"]))):
        if numbers and not 0 <= min(numbers) <= max(numbers) < count:
            raise ValueError("a delivery is of no message, or to no node")
    return Deliveries(message, node, latency_us, published_us, source)


def _node_figures(columns: Mapping[str, _Column]) -> NodeFigures:
    numbers = _equal(columns, "nodes.", "degree", "sent_bytes", "sent_frames", "duplicates")
    group, role = (tuple(str(name) for name in columns[f"nodes.{column}"]) for column in ("group", "role"))
    if not len(group) == len(role) == len(numbers[0]):
        raise ValueError("columns of nodes differ in length")
    return NodeFigures(group, role, *numbers)


def _equal(columns: Mapping[str, _Column], table: str, *names: str) -> list[array[int]]:
    """The columns of a table, all of one length."""
    found = [_array(columns[table + name]) for name in names]
    if len({len(column) for column in found}) != 1:
        raise ValueError(f"columns of {table[:-1]} differ in length")
    return found


def _array(column: _Column) -> array[int]:
    if column.ndim != 1 or column.dtype.kind != "i" or column.dtype.itemsize not in {4, 8}:
        raise ValueError("a column holds no whole numbers")
    numbers: array[int] = array("i" if column.dtype.itemsize == 4 else "q")
    numbers.frombytes(column.astype(column.dtype.newbyteorder("=")).tobytes())
    return numbers


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _rows(value: object) -> list[tuple[object, object, object]]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is no list")
    return [(name, ok, told) for name, ok, told in value]  # pyright: ignore[reportUnknownVariableType]


def _table(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no table")
    return {str(name): item for name, item in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
