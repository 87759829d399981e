"""`lattice checkout` and `lattice restore`: what was, looked at and brought back."""

import argparse
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from ..exits import EXIT_OK, EXIT_PARTIAL, EXIT_USAGE
from ..frames import Data
from ..home import Home
from .client import CommandError, ask_once
from .docs import show_value
from .output import pretty, safe, say, show_json, size, table

type Item = dict[str, Data]
_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_ENTRY = re.compile(r"[0-9a-fA-F]{8,64}")


def run(options: argparse.Namespace) -> int:
    """Run the command that `options` names."""
    home = Home.find(options.home)
    return _checkout(options, home) if options.command == "checkout" else _restore(options, home)


def moment(given: str) -> int | None:
    """A time in microseconds since 1970, to the end of the second that was given; None if it is no time.

    `2h` is two hours ago; a date without an offset is in the local time zone.
    """
    if (ago := _AGO.fullmatch(given)) is not None:
        when = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    elif "-" in given:
        try:
            when = datetime.fromisoformat(given)
            when = when if when.tzinfo else when.astimezone()
        except (ValueError, OverflowError, OSError):
            return None
    else:
        return None
    microseconds = (when - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    return microseconds if microseconds % 1_000_000 else microseconds + 999_999


def _checkout(options: argparse.Namespace, home: Home) -> int:
    when: dict[str, Data] = {"at_us": moment(options.at)}
    if when["at_us"] is None:
        if _ENTRY.fullmatch(options.at) is None:
            raise _not_a_time(options.at, "an entry's id (8 digits or more), or ")
        when = {"entry": options.at}
    if options.path is not None and options.doc is None:
        raise CommandError("usage", "a path is of a document: say which with --doc", EXIT_USAGE)
    files: list[Item] = []

    def take(event: Mapping[str, Data]) -> None:
        if event.get("event") == "files":
            files.extend(cast("list[Item]", event["files"]))

    answer = ask_once(home, "checkout", take, space=options.space, document=options.doc, path=options.path, **when)
    result = cast("Item", answer)
    if options.json:
        listed: Item = {} if options.doc is not None else {"files": list[Data](files)}
        show_json({**result, **listed})
    elif options.doc is not None:
        show_value(result["value"])
        for path, versions in cast("Item", result["conflicts"]).items():
            say(f"written at once at {safe(path)}: {pretty(versions)}")
    else:
        _show_files(files, cast("list[Data]", result["documents"]))
        say(f"{result['entries']} entries of {safe(result['space'])}")
    return EXIT_OK


def _show_files(files: list[Item], documents: list[Data]) -> None:
    rows: list[list[Data]] = []
    for item in files:
        what = size(cast("int", item["size"])) if item["kind"] == "file" else item["kind"]
        rows.append([item["path"], what, f"{str(item['written'])[:19]}Z", item["device"]])
    if rows:
        table(rows, ["PATH", "SIZE", "WRITTEN", "BY"])
    for name in documents:
        print(f"document {safe(name)}")


def _restore(options: argparse.Namespace, home: Home) -> int:
    at_us = moment(options.at)
    if at_us is None:
        raise _not_a_time(options.at, "")
    path = None if options.path is None else str(Path(options.path).expanduser().absolute())
    result = cast("Item", ask_once(home, "restore", space=options.space, at_us=at_us, path=path))
    failed = cast("list[Item]", result["failed"])
    if options.json:
        show_json(result)
    else:
        _show_restored(result, failed)
    return EXIT_PARTIAL if failed else EXIT_OK


def _show_restored(result: Item, failed: list[Item]) -> None:
    for path in cast("list[Data]", result["restored"]):
        print(safe(path))
    for path, target in cast("Item", result["beside"]).items():
        say(f"what {safe(path)} was until now is kept as {safe(target)}")
    for item in failed:
        message = f" ({safe(item['message'])})" if item["message"] else ""
        say(f"not brought back: {safe(item['path'])}: {safe(item['reason'])}{message}; {safe(item['action'])}")
    say(f"{len(cast('list[Data]', result['restored']))} brought back, {result['unchanged']} were as they are")
    if result["later"]:
        say(f"{result['later']} that came later were left alone")


def _not_a_time(given: str, other: str) -> CommandError:
    message = f"{given!r} is no time; give {other}30m, 2h, 3d for so long ago, or 2026-11-20T09:30"
    return CommandError("usage", message, EXIT_USAGE)
