"""One field of a scenario changed by its dotted name, as `--set` and sweeps do.

`mesh.d`, `links.loss`, `run.until`; a group by its name, `nodes.attackers.count`; loads, faults and checks by their
number from 0, `load.0.rate`. Values are those of scenario files, so that `20s` is a duration.
"""

import tomllib
from typing import Final, cast

from latticework.wire import LocalError

from .scenario import Scenario
from .scenario_file import Document, document_from, scenario_of_document
from .scenario_keys import Toml

_EXAMPLES: Final = "run.until, links.loss, mesh.d, nodes.<group>.count, load.0.rate, fault.0.at or check.0.within"


def with_setting(scenario: Scenario, name: str, value: Toml) -> Scenario:
    """The scenario with one field changed; `nodes.<group>.count` of 0 takes the group out.

    Raises:
        LocalError: there is no such field, or the value does not fit.
    """
    table, _, rest = name.partition(".")
    which, _, key = rest.rpartition(".")
    document = document_from(scenario)
    if key and not which and table in {"run", "links", "mesh", "kademlia"}:
        _table(document.setdefault(table, {}))[key] = value
    elif key and which and table in {"nodes", "load", "fault", "check"}:
        tables = _tables(document.setdefault(table, []))
        chosen = _index(scenario, len(tables), table, which)
        tables[chosen][key] = value
        if (table, key, value) == ("nodes", "count", 0):
            del tables[chosen]
    else:
        raise LocalError(f"no setting {name!r}; settings are called {_EXAMPLES}")
    return scenario_of_document(document, scenario.name, f"setting {name}")


def read_setting(text: str) -> tuple[str, Toml]:
    """Name and value of `mesh.d=8`; a value that is no TOML is text, so that `20s` needs no quotes.

    Raises:
        LocalError: it is not of that form.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    if not name or not equals or not value:
        raise LocalError(f"{text!r} is no setting such as mesh.d=8")
    return name, read_plain(value)


def read_plain(text: str) -> Toml:
    """A TOML value, or else the text itself."""
    try:
        return cast("Toml", tomllib.loads(f"value = {text}")["value"])
    except tomllib.TOMLDecodeError:
        return text


def _index(scenario: Scenario, count: int, table: str, which: str) -> int:
    names = [group.name for group in scenario.groups] if table == "nodes" else list(map(str, range(count)))
    if which not in names:
        raise LocalError(f"there is no {which!r} in {table}; there is: {', '.join(names) or 'nothing'}")
    return names.index(which)


def _table(value: Toml) -> Document:
    return cast("Document", value)


def _tables(value: Toml) -> list[Document]:
    return cast("list[Document]", value)
