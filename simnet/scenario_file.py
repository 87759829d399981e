"""Scenarios as TOML files: data in a file, behaviour in the roles.

    run = {seed = 1, until = "120s", tier = "C"}
    [[nodes]]
    name = "peers"
    count = 900
    [[load]]
    kind = "publish"
    source = "peers"
    rate = "2/s"
    [[check]]
    kind = "coverage"
    least = 0.999

`scenario_keys` lists the keys. Names of the gossipsub specification stand in lower case: `d`, `d_lo`. In `[[nodes]]`,
any other key is an option of the role. Reading is strict: what is not understood is an error that says where it stands
and what may be meant.
"""

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Final, Never, cast

from latticework.wire import LocalError

from .scenario import HONEST, Scenario
from .scenario_keys import (
    CHECKS,
    FAULTS,
    KADEMLIA,
    LINKS,
    LOADS,
    MESH,
    NODES,
    RUN,
    Key,
    Record,
    Shape,
    Toml,
    read_value,
    write_value,
)

type Document = dict[str, Toml]
"""A scenario file, read and not understood."""
type _Kinds = Mapping[str, Shape]

TABLES: Final = ("run", "nodes", "links", "mesh", "kademlia", "load", "fault", "check", "sweep")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class SweepTable:
    """What a sweep varies: settings by dotted name, each with its values, and how many seeds for each combination."""

    axes: tuple[tuple[str, tuple[Toml, ...]], ...] = ()
    seeds: int = 1


@dataclass(frozen=True, slots=True)
class _Place:
    """Where in which file, for errors."""

    file: str
    table: str = ""

    def fail(self, text: str) -> Never:
        raise LocalError(": ".join(part for part in (self.file, self.table, text) if part))

    def unknown(self, what: str, name: str, known: Sequence[str]) -> Never:
        likely = get_close_matches(name.lower(), known, 1, 0.5)
        hint = f"did you mean {likely[0]!r}?" if likely else f"there is: {', '.join(sorted(known))}"
        self.fail(f"unknown {what} {name!r}; {hint}")


def read_scenario(path: Path) -> Scenario:
    """The scenario in a file, called like the file unless it says its name; raises LocalError."""
    return scenario_of_document(read_document(path), path.stem, str(path))


def scenario_of(toml_text: str, name: str) -> Scenario:
    """The scenario in a text, called `name` unless it says its own; raises LocalError."""
    return scenario_of_document(document_of(toml_text, name), name, name)


def read_sweep(path: Path) -> SweepTable:
    """The `[sweep]` of a file: `"mesh.d" = [4, 6]`, and `seeds = 20`; of one without, nothing; raises LocalError."""
    return sweep_of(read_document(path), str(path))


def write_scenario(scenario: Scenario) -> str:
    """TOML text that reads back equal."""
    return "\n".join(_section(name, value) for name, value in document_from(scenario).items())


def read_document(path: Path) -> Document:
    """A TOML file as it stands; raises LocalError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise LocalError(f"cannot read the scenario {path}: {error}") from error
    return document_of(text, str(path))


def document_of(toml_text: str, file: str) -> Document:
    """TOML text as it stands; raises LocalError that names `file`."""
    try:
        return cast("Document", tomllib.loads(toml_text))
    except tomllib.TOMLDecodeError as error:
        raise LocalError(f"{file}: {error}") from error


def scenario_of_document(document: Document, name: str, file: str) -> Scenario:
    """The scenario that a document describes; raises LocalError that names `file`."""
    for table in document:
        if table not in TABLES:
            _Place(file).unknown("table", table, TABLES)
    place = _Place(file, "run")
    settings = _fields(RUN, _table(document.get("run", {}), place), place, {"name": name})
    parts: dict[str, object] = {
        "groups": tuple(_group(table, place) for table, place in _tables(document, "nodes", file)),
        "links": _one(LINKS, document, "links", file),
        "mesh": _one(MESH, document, "mesh", file),
        "kademlia": _one(KADEMLIA, document, "kademlia", file),
        "load": tuple(_some(LOADS, document, "load", file)),
        "faults": tuple(_some(FAULTS, document, "fault", file)),
        "checks": tuple(_some(CHECKS, document, "check", file)),
    }
    try:
        return cast("Scenario", RUN.make(settings | parts))
    except LocalError as error:
        raise LocalError(f"{file}: {error}") from error


def sweep_of(document: Document, file: str) -> SweepTable:
    """The `[sweep]` of a document; raises LocalError that names `file`."""
    place = _Place(file, "sweep")
    named = dict(_flat(_table(document.get("sweep", {}), place), ""))
    seeds = named.pop("seeds", 1)
    if isinstance(seeds, bool) or not isinstance(seeds, int) or seeds < 1:
        place.fail("key 'seeds': it holds a whole number of at least 1")
    axes: list[tuple[str, tuple[Toml, ...]]] = []
    for name, values in named.items():
        if not isinstance(values, list) or not values:
            place.fail(f"key {name!r}: it holds a list of values to try")
        axes.append((name, tuple(values)))
    return SweepTable(tuple(axes), seeds)


def document_from(scenario: Scenario) -> Document:
    """The document of a scenario: its name, and everything that differs from the defaults."""
    made: Document = {
        "run": _written(RUN, scenario),
        "nodes": [_written(NODES, group) | dict(group.options) for group in scenario.groups],
        "links": _written(LINKS, scenario.links),
        "mesh": _written(MESH, scenario.mesh),
        "kademlia": _written(KADEMLIA, scenario.kademlia),
        "load": [_written_kind(LOADS, load) for load in scenario.load],
        "fault": [_written_kind(FAULTS, fault) for fault in scenario.faults],
        "check": [_written_kind(CHECKS, check) for check in scenario.checks],
    }
    return {name: value for name, value in made.items() if value}


def _one(shape: Shape, document: Document, name: str, file: str) -> Record:
    place = _Place(file, name)
    return shape.make(_fields(shape, _table(document.get(name, {}), place), place))


def _some(kinds: _Kinds, document: Document, name: str, file: str) -> list[Record]:
    made: list[Record] = []
    for table, place in _tables(document, name, file):
        kind = table.get("kind")
        if not isinstance(kind, str):
            place.fail(f"key 'kind' is missing; it is one of {', '.join(kinds)}")
        if kind not in kinds:
            place.unknown("kind", kind, list(kinds))
        rest = {key: value for key, value in table.items() if key != "kind"}
        made.append(kinds[kind].make(_fields(kinds[kind], rest, place)))
    return made


def _group(table: Document, place: _Place) -> Record:
    known = {key.name for key in NODES.keys}
    role = table.get("role", HONEST)
    own = {key: value for key, value in table.items() if key in known or role == HONEST}
    options: list[tuple[str, str | int | float]] = []
    for key, value in table.items():
        if key in own:
            continue
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            place.fail(f"key {key!r}: an option of a role is text or a number")
        options.append((key, value))
    return NODES.make(_fields(NODES, own, place) | {"options": tuple(options)})


def _fields(
    shape: Shape, table: Document, place: _Place, given: Mapping[str, object] | None = None
) -> dict[str, object]:
    keys = {key.name: key for key in shape.keys}
    filled: dict[str, object] = dict(given or {})
    for name, value in table.items():
        if name not in keys:
            place.unknown("key", name, list(keys))
        filled[keys[name].fills] = _value(keys[name], value, place)
    have = filled.keys() | shape.defaults().keys()
    for key in shape.keys:
        if key.fills not in have:
            place.fail(f"key {key.name!r} is missing; it holds {key.kind.value}")
    return filled


def _value(key: Key, value: Toml, place: _Place) -> object:
    try:
        read = read_value(key.kind, value)
    except LocalError as error:
        place.fail(f"key {key.name!r}: {error}")
    if key.choices and read not in key.choices:
        place.fail(f"key {key.name!r}: {read!r} is none of {', '.join(key.choices)}")
    return read


def _table(value: Toml, place: _Place) -> Document:
    if not isinstance(value, dict):
        place.fail("it is a table of keys and values")
    return value


def _tables(document: Document, name: str, file: str) -> list[tuple[Document, _Place]]:
    value = document.get(name, [])
    if not isinstance(value, list):
        _Place(file, name).fail(f"it is a list of tables, each headed [[{name}]]")
    places = [_Place(file, f"{name} {number}") for number in range(len(value))]
    return [(_table(table, place), place) for table, place in zip(value, places, strict=True)]


def _flat(table: Document, before: str) -> list[tuple[str, Toml]]:
    """`mesh.d = [4]` without quotes is a table `mesh` to TOML."""
    found: list[tuple[str, Toml]] = []
    for name, value in table.items():
        found += _flat(value, f"{before}{name}.") if isinstance(value, dict) else [(before + name, value)]
    return found


def _written(shape: Shape, record: Record) -> Document:
    defaults, values = shape.defaults(), shape.values(record)
    return {
        key.name: write_value(key.kind, values[key.fills])
        for key in shape.keys
        if key.fills not in defaults or values[key.fills] != defaults[key.fills]
    }


def _written_kind(kinds: _Kinds, record: Record) -> Document:
    (kind,) = (name for name, shape in kinds.items() if isinstance(record, shape.of))
    return {"kind": kind} | _written(kinds[kind], record)


def _section(name: str, value: Toml) -> str:
    if isinstance(value, list):
        return "\n".join(f"[[{name}]]\n{_lines(cast('Document', table))}" for table in value)
    return f"[{name}]\n{_lines(cast('Document', value))}"


def _lines(table: Document) -> str:
    return "".join(f"{key if _BARE.fullmatch(key) else _text(key)} = {_toml(value)}\n" for key, value in table.items())


def _toml(value: Toml) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case int() | float():
            return repr(value)
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return f"{{{_lines(value).strip().replace('\n', ', ')}}}"


def _text(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
